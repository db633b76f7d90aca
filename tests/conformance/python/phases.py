"""The phases that every client program goes through; what a library has to offer for them is `Client`."""

import argparse
import itertools
import sys
from typing import Callable, Iterable, Iterator, NamedTuple, Optional

import membership
from membership import Membership

# How long a fetch at the end of a partition may wait for more, in milliseconds. What a client asks next waits behind it on
# the same connection, and these programs ask much and wait for nothing.
MAX_WAIT_MS = 20


class Entry(NamedTuple):
    """One file of the corpus."""

    index: int
    key: bytes
    value: bytes


class Stored(NamedTuple):
    """One record as it was read."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes


Acknowledged = Callable[[int, int, int], None]  # partition, offset, index


class Client:
    """What a client library has to offer."""

    def __init__(self, bootstrap: str):
        raise NotImplementedError

    def create_topic(self, topic: str, partitions: int) -> None:
        raise NotImplementedError

    def produce(self, topic: str, compression: str, entries: Iterable[Entry], acknowledged: Acknowledged) -> None:
        """Produces everything with acks=all, reports each acknowledgement, and raises if a record failed."""
        raise NotImplementedError

    def partitions(self, topic: str) -> list[int]:
        raise NotImplementedError

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset and the one after the last."""
        raise NotImplementedError

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Stored]:
        """The records from `start` up to but without `end`."""
        raise NotImplementedError

    def offset_at_time(self, topic: str, partition: int, timestamp: int) -> Optional[int]:
        """The first offset whose timestamp is not earlier."""
        raise NotImplementedError

    def close(self) -> None:
        """Called at the end."""

    @staticmethod
    def member(wanted: Membership) -> None:
        """Is a member of a group until `membership.leaving` is set; commits what it has told of, and tells `membership`."""
        raise NotImplementedError


def main(client_type: type[Client]) -> None:
    if sys.argv[1] == "member":
        membership.watch_stdin()
        client_type.member(membership.parse(sys.argv[2:]))
        membership.left()
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=["produce", "verify", "produce-endlessly"])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--compression", required=True)
    parser.add_argument("--corpus", required=True)
    options = parser.parse_args()
    corpus = load(options.corpus)
    client = client_type(options.bootstrap)
    if options.phase == "produce":
        client.create_topic(options.topic, 3)
        places: dict[tuple[int, int], int] = {}
        client.produce(
            options.topic,
            options.compression,
            corpus,
            lambda partition, offset, index: places.__setitem__((partition, offset), index),
        )
        check(len(places) == len(corpus), f"{len(places)} of {len(corpus)} records were acknowledged, each in its place")
    elif options.phase == "verify":
        verify(client, options.topic, corpus)
    else:
        client.produce(options.topic, options.compression, itertools.cycle(corpus), say)
    client.close()


def say(partition: int, offset: int, index: int) -> None:
    sys.stdout.write(f"{partition} {offset} {index} .\n")
    sys.stdout.flush()


def load(path: str) -> list[Entry]:
    entries = []
    with open(path, encoding="utf-8") as lines:
        for index, line in enumerate(lines):
            key, file = line.rstrip("\n").split("\t")
            with open(file, "rb") as content:
                entries.append(Entry(index, key.encode(), content.read()))
    return entries


def verify(client: Client, topic: str, corpus: list[Entry]) -> None:
    expected = {entry.key: entry.value for entry in corpus}
    partitions = client.partitions(topic)
    check(len(partitions) == 3, f"{topic} has the partitions {partitions}")
    for partition in partitions:
        start, end = client.bounds(topic, partition)
        records = []
        for stored in client.read(topic, partition, start, end):
            place = f"{topic}-{partition} offset {stored.offset}"
            check(stored.offset == start + len(records), f"{place}: {start + len(records)} was due")
            check(expected.pop(stored.key, None) == stored.value, f"{place}: {stored.key!r} twice, unknown or changed")
            records.append((stored.offset, stored.timestamp))
        check(start + len(records) == end, f"{topic}-{partition} ended before {end}")
        if records:
            seek_by_offset(client, topic, partition, records)
            seek_by_time(client, topic, partition, records)
    check(not expected, f"{len(expected)} records did not come back")


def seek_by_offset(client: Client, topic: str, partition: int, records: list[tuple[int, int]]) -> None:
    for offset, _ in (records[0], records[len(records) // 2], records[-1]):
        found = next(client.read(topic, partition, offset, records[-1][0] + 1)).offset
        check(found == offset, f"{topic}-{partition}: seeking to {offset} gave {found}")


def seek_by_time(client: Client, topic: str, partition: int, records: list[tuple[int, int]]) -> None:
    times = sorted(timestamp for _, timestamp in records)
    for time in (times[0] - 1, times[len(times) // 2], times[-1], times[-1] + 1):
        expected = next((offset for offset, timestamp in records if timestamp >= time), None)
        found = client.offset_at_time(topic, partition, time)
        check(found == expected, f"{topic}-{partition} at time {time}: {found}, and {expected} is right")


def check(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(message)
