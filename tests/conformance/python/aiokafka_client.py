"""aiokafka: the protocol for asyncio."""

import asyncio
from collections import deque
from typing import Iterable, Iterator, Optional

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError

import membership
import phases
from membership import Membership
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

    @staticmethod
    def member(wanted: Membership) -> None:
        asyncio.run(Aiokafka.be_a_member(wanted))

    @staticmethod
    async def be_a_member(wanted: Membership) -> None:
        class Listener(ConsumerRebalanceListener):
            def on_partitions_assigned(self, assigned):
                membership.gained(place.partition for place in assigned)

            def on_partitions_revoked(self, revoked):
                membership.gave(place.partition for place in revoked)

        assignor = {"range": RangePartitionAssignor, "sticky": StickyPartitionAssignor}
        consumer = AIOKafkaConsumer(
            bootstrap_servers=wanted.bootstrap,
            group_id=wanted.group,
            group_instance_id=wanted.instance,
            partition_assignment_strategy=[assignor[wanted.protocol]],
            session_timeout_ms=wanted.session_ms,
            heartbeat_interval_ms=wanted.heartbeat_ms,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        consumer.subscribe([wanted.topic], listener=Listener())
        await consumer.start()
        while not membership.leaving.is_set():
            messages = await consumer.getmany(timeout_ms=100, max_records=100)
            processed = {}
            for place, of_place in messages.items():
                for message in of_place:
                    membership.record(message.partition, message.offset)
                    processed[place] = message.offset + 1
            if processed:
                try:
                    await consumer.commit(processed)
                except (CommitFailedError, IllegalStateError):
                    # Whoever gets the partitions reads them again.
                    pass
        await consumer.stop()


phases.main(Aiokafka)
