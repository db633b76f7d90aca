"""aiokafka: the protocol for asyncio."""

import asyncio
from collections import deque
from typing import Iterable, Iterator, Optional

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

import phases
from phases import Acknowledged, Entry, Stored

SECONDS = 30
# How many records may wait for their acknowledgement here.
IN_FLIGHT = 1000


class Aiokafka(phases.Client):
    def __init__(self, bootstrap: str):
        self.bootstrap = bootstrap
        self.loop = asyncio.new_event_loop()
        self.consumer: Optional[AIOKafkaConsumer] = None

    def run(self, awaitable):
        return self.loop.run_until_complete(asyncio.wait_for(awaitable, SECONDS))

    def create_topic(self, topic: str, partitions: int) -> None:
        async def create():
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await admin.start()
            answer = await admin.create_topics([NewTopic(topic, partitions, 1)])
            await admin.close()
            for error in answer.topic_errors:
                phases.check(error[1] == 0, f"{topic} was not created: {error}")

        self.run(create())

    def produce(self, topic: str, compression: str, entries: Iterable[Entry], acknowledged: Acknowledged) -> None:
        async def send():
            producer = AIOKafkaProducer(
                bootstrap_servers=self.bootstrap,
                acks="all",
                compression_type=None if compression == "none" else compression,
                linger_ms=5,
            )
            await producer.start()
            waiting: deque = deque()

            async def settle(limit: int):
                while len(waiting) > limit or (waiting and waiting[0][0].done()):
                    future, index = waiting.popleft()
                    metadata = await asyncio.wait_for(future, SECONDS)
                    acknowledged(metadata.partition, metadata.offset, index)

            for entry in entries:
                waiting.append((await producer.send(topic, entry.value, entry.key), entry.index))
                await settle(IN_FLIGHT)
            await producer.flush()
            await settle(0)
            await producer.stop()

        self.loop.run_until_complete(send())

    def reader(self) -> AIOKafkaConsumer:
        if self.consumer is None:

            async def connect():
                consumer = AIOKafkaConsumer(
                    bootstrap_servers=self.bootstrap,
                    enable_auto_commit=False,
                    auto_offset_reset="none",
                    check_crcs=True,
                    fetch_max_wait_ms=phases.MAX_WAIT_MS,
                )
                await consumer.start()
                return consumer

            self.consumer = self.run(connect())
        return self.consumer

    def partitions(self, topic: str) -> list[int]:
        async def describe():
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await admin.start()
            (description,) = await admin.describe_topics([topic])
            await admin.close()
            return sorted(partition["partition"] for partition in description["partitions"])

        return self.run(describe())

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        place = TopicPartition(topic, partition)
        start = self.run(self.reader().beginning_offsets([place]))[place]
        return start, self.run(self.reader().end_offsets([place]))[place]

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Stored]:
        place = TopicPartition(topic, partition)
        consumer = self.reader()

        async def seek():
            consumer.assign([place])
            consumer.seek(place, start)

        self.run(seek())
        while start < end:
            messages = self.run(consumer.getmany(place, timeout_ms=SECONDS * 1000))
            phases.check(bool(messages), f"nothing came from {topic}-{partition} at {start}")
            for message in messages[place]:
                start = message.offset + 1
                if message.offset < end:
                    yield Stored(message.offset, message.timestamp, message.key, message.value)

    def offset_at_time(self, topic: str, partition: int, timestamp: int) -> Optional[int]:
        place = TopicPartition(topic, partition)
        found = self.run(self.reader().offsets_for_times({place: timestamp}))[place]
        return found.offset if found else None

    def close(self) -> None:
        if self.consumer is not None:
            self.run(self.consumer.stop())
        self.loop.close()


phases.main(Aiokafka)
