"""kafka-python: the protocol in pure Python."""

from collections import deque
from typing import Iterable, Iterator, Optional

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import CommitFailedError, RebalanceInProgressError

import membership
import phases
from membership import Membership
from phases import Acknowledged, Entry, Stored

SECONDS = 30
# How many records may wait for their acknowledgement here.
IN_FLIGHT = 1000


class KafkaPython(phases.Client):
    def __init__(self, bootstrap: str):
        self.bootstrap = bootstrap
        self.consumer = KafkaConsumer(
            bootstrap_servers=bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="none",
            check_crcs=True,
            fetch_max_wait_ms=phases.MAX_WAIT_MS,
            consumer_timeout_ms=SECONDS * 1000,
        )

    def create_topic(self, topic: str, partitions: int) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        admin.create_topics([NewTopic(topic, partitions, 1)])
        admin.close()

    def produce(self, topic: str, compression: str, entries: Iterable[Entry], acknowledged: Acknowledged) -> None:
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap,
            acks="all",
            compression_type=None if compression == "none" else compression,
            linger_ms=5,
        )
        waiting: deque = deque()

        def settle(limit: int) -> None:
            while len(waiting) > limit or (waiting and waiting[0][0].is_done):
                future, index = waiting.popleft()
                metadata = future.get(SECONDS)
                acknowledged(metadata.partition, metadata.offset, index)

        for entry in entries:
            waiting.append((producer.send(topic, value=entry.value, key=entry.key), entry.index))
            settle(IN_FLIGHT)
        producer.flush(SECONDS * 4)
        settle(0)
        producer.close()

    def partitions(self, topic: str) -> list[int]:
        return sorted(self.consumer.partitions_for_topic(topic))

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        place = TopicPartition(topic, partition)
        return self.consumer.beginning_offsets([place])[place], self.consumer.end_offsets([place])[place]

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Stored]:
        place = TopicPartition(topic, partition)
        self.consumer.assign([place])
        self.consumer.seek(place, start)
        while start < end:
            message = next(self.consumer)
            start = message.offset + 1
            yield Stored(message.offset, message.timestamp, message.key, message.value)

    def offset_at_time(self, topic: str, partition: int, timestamp: int) -> Optional[int]:
        place = TopicPartition(topic, partition)
        found = self.consumer.offsets_for_times({place: timestamp})[place]
        return found.offset if found else None

    @staticmethod
    def member(wanted: Membership) -> None:
        class Listener(ConsumerRebalanceListener):
            def on_partitions_assigned(self, assigned):
                membership.gained(place.partition for place in assigned)

            def on_partitions_revoked(self, revoked):
                membership.gave(place.partition for place in revoked)

            def on_partitions_lost(self, lost):
                membership.lost(place.partition for place in lost)

        assignor = {"range": RangePartitionAssignor, "cooperative-sticky": CooperativeStickyAssignor}
        consumer = KafkaConsumer(
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
        while not membership.leaving.is_set():
            # Longer than a join takes: kafka-python 3.0.12 forgets what it was assigned if the poll ends before the answer comes.
            messages = consumer.poll(timeout_ms=1000, max_records=100)
            for message in (message for of_place in messages.values() for message in of_place):
                membership.record(message.partition, message.offset)
            if messages:
                try:
                    consumer.commit()
                except (CommitFailedError, RebalanceInProgressError):
                    # Whoever gets the partitions reads them again.
                    pass
        consumer.close(autocommit=False)


phases.main(KafkaPython)
