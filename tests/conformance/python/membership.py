"""The phase `member`: what a member of a consumer group tells of itself, a line for each thing that happens."""

import argparse
import sys
import threading
import time
from typing import Iterable, NamedTuple, Optional


class Membership(NamedTuple):
    """Of what to be a member, and how."""

    bootstrap: str
    topic: str
    group: str
    protocol: str
    instance: Optional[str]
    session_ms: int

    @property
    def heartbeat_ms(self) -> int:
        return self.session_ms // 6


def parse(arguments: list[str]) -> Membership:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--protocol", required=True)
    parser.add_argument("--instance")
    parser.add_argument("--session-ms", type=int, required=True)
    return Membership(**vars(parser.parse_args(arguments)))


# Set when the member is told to leave: its standard input has ended.
leaving = threading.Event()


def watch_stdin() -> None:
    def watch() -> None:
        sys.stdin.read()
        leaving.set()

    threading.Thread(target=watch, daemon=True).start()


def gained(partitions: Iterable[int]) -> None:
    _say("gained", *partitions)


def gave(partitions: Iterable[int]) -> None:
    _say("gave", *partitions)


def lost(partitions: Iterable[int]) -> None:
    _say("lost", *partitions)


def record(partition: int, offset: int) -> None:
    _say("record", partition, offset)


def left() -> None:
    _say("left")


def _say(event: str, *numbers: int) -> None:
    words = [str(time.time_ns() // 1_000_000), event, *map(str, numbers), "."]
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()
