"""confluent-kafka: librdkafka with its Python face."""

from typing import Iterable, Iterator, Optional

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import phases
from phases import Acknowledged, Entry, Stored

SECONDS = 30


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


phases.main(ConfluentKafka)
