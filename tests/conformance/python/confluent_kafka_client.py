"""confluent-kafka: librdkafka with its Python face."""

from typing import Iterable, Iterator, Optional

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import membership
import phases
from membership import Membership
from phases import Acknowledged, Entry, Stored

SECONDS = 30

# Why a commit may fail in the midst of a rebalance: whoever gets the partition reads it again.
OVERTAKEN = {
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.FENCED_MEMBER_EPOCH,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError._STATE,
}


class ConfluentKafka(phases.Client):
    def __init__(self, bootstrap: str):
        self.bootstrap = bootstrap
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "unused: assignment is manual",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "check.crcs": True,
                "fetch.wait.max.ms": phases.MAX_WAIT_MS,
            }
        )

    def create_topic(self, topic: str, partitions: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(SECONDS)

    def produce(self, topic: str, compression: str, entries: Iterable[Entry], acknowledged: Acknowledged) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "acks": "all",
                "compression.type": compression,
                "linger.ms": 5,
                "message.timeout.ms": SECONDS * 1000,
            }
        )
        for entry in entries:

            def delivered(error, message, index=entry.index):
                if error:
                    raise KafkaException(error)
                acknowledged(message.partition(), message.offset(), index)

            while True:
                try:
                    producer.produce(topic, entry.value, entry.key, on_delivery=delivered)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        phases.check(producer.flush(SECONDS * 4) == 0, "not everything was acknowledged in time")

    def partitions(self, topic: str) -> list[int]:
        return sorted(self.consumer.list_topics(topic, SECONDS).topics[topic].partitions)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return self.consumer.get_watermark_offsets(TopicPartition(topic, partition), SECONDS)

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Stored]:
        self.consumer.assign([TopicPartition(topic, partition, start)])
        while start < end:
            message = self.consumer.poll(SECONDS)
            phases.check(message is not None, f"nothing came from {topic}-{partition} at {start}")
            if message.error():
                raise KafkaException(message.error())
            start = message.offset() + 1
            yield Stored(message.offset(), message.timestamp()[1], message.key(), message.value())

    def offset_at_time(self, topic: str, partition: int, timestamp: int) -> Optional[int]:
        (found,) = self.consumer.offsets_for_times([TopicPartition(topic, partition, timestamp)], SECONDS)
        return found.offset if found.offset >= 0 else None

    @staticmethod
    def member(wanted: Membership) -> None:
        settings = {
            "bootstrap.servers": wanted.bootstrap,
            "group.id": wanted.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
        if wanted.protocol == "consumer":
            settings["group.protocol"] = "consumer"
        else:
            settings["partition.assignment.strategy"] = wanted.protocol
            settings["session.timeout.ms"] = wanted.session_ms
            settings["heartbeat.interval.ms"] = wanted.heartbeat_ms
        if wanted.instance:
            settings["group.instance.id"] = wanted.instance
        consumer = Consumer(settings)
        consumer.subscribe(
            [wanted.topic],
            on_assign=lambda _, places: membership.gained(place.partition for place in places),
            on_revoke=lambda _, places: membership.gave(place.partition for place in places),
            on_lost=lambda _, places: membership.lost(place.partition for place in places),
        )
        while not membership.leaving.is_set():
            messages = consumer.consume(100, 0.1)
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                membership.record(message.partition(), message.offset())
            if messages:
                try:
                    consumer.commit(asynchronous=False)
                except KafkaException as exception:
                    if exception.args[0].code() not in OVERTAKEN:
                        raise
        consumer.close()


phases.main(ConfluentKafka)
