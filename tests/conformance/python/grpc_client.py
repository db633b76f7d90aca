"""gRPC with nothing but the `.proto` files: the stubs are generated from proto/levada/v1 by grpcio-tools."""

from collections import deque
from queue import SimpleQueue
from typing import Iterable, Iterator, Optional

import grpc
from levada.v1 import admin_pb2, admin_pb2_grpc, consumer_pb2, consumer_pb2_grpc, offset_pb2, producer_pb2
from levada.v1 import producer_pb2_grpc, record_pb2

import phases
from phases import Acknowledged, Entry, Stored

SECONDS = 30
# How many batches may wait for their answer here.
IN_FLIGHT = 64
# How much goes into one batch, in bytes of values.
BATCH_BYTES = 256 * 1024


class Grpc(phases.Client):
    def __init__(self, bootstrap: str):
        channel = grpc.insecure_channel(
            bootstrap, options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        )
        self.admin = admin_pb2_grpc.AdminStub(channel)
        self.producer = producer_pb2_grpc.ProducerStub(channel)
        self.consumer = consumer_pb2_grpc.ConsumerStub(channel)

    def create_topic(self, topic: str, partitions: int) -> None:
        # Friendly records have no compression of their own: the topic says how they are stored.
        compression = topic.rsplit(".", 1)[-1]
        request = admin_pb2.CreateTopicRequest(
            name=topic,
            partition_count=partitions,
            configs={"compression.type": "uncompressed" if compression == "none" else compression},
        )
        created = self.admin.CreateTopic(request, timeout=SECONDS)
        phases.check(created.partition_count == partitions, f"{topic} has {created.partition_count} partitions")

    def produce(self, topic: str, compression: str, entries: Iterable[Entry], acknowledged: Acknowledged) -> None:
        waiting: deque = deque()
        requests: SimpleQueue = SimpleQueue()
        open_stream = producer_pb2.ProduceStreamOpen(acks=producer_pb2.ACKS_ALL)
        requests.put(producer_pb2.ProduceStreamRequest(open=open_stream))
        answers = self.producer.ProduceStream(iter(requests.get, None))

        def settle(limit: int) -> None:
            while len(waiting) > limit:
                batch, answer = waiting.popleft(), next(answers)
                phases.check(not answer.HasField("error"), f"a batch was refused: {answer.error}")
                for result in answer.results:
                    phases.check(not result.HasField("error"), f"partition {result.partition}: {result.error}")
                    places = result.record_indexes or range(result.record_count)
                    for position, place in enumerate(places):
                        acknowledged(result.partition, result.base_offset + position, batch[place].index)

        for batch in batches(entries):
            records = [record_pb2.Record(key=entry.key, value=entry.value) for entry in batch]
            content = producer_pb2.ProduceBatch(
                topic=record_pb2.TopicRef(name=topic), records=record_pb2.RecordList(records=records)
            )
            requests.put(producer_pb2.ProduceStreamRequest(batch=content))
            waiting.append(batch)
            settle(IN_FLIGHT)
        settle(0)
        requests.put(None)

    def partitions(self, topic: str) -> list[int]:
        request = admin_pb2.DescribeTopicRequest(topic=record_pb2.TopicRef(name=topic))
        return [found.partition for found in self.admin.DescribeTopic(request, timeout=SECONDS).partitions]

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        earliest = self.list_offset(topic, partition, position=offset_pb2.OFFSET_POSITION_EARLIEST)
        return earliest, self.list_offset(topic, partition, position=offset_pb2.OFFSET_POSITION_LATEST)

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Stored]:
        request = consumer_pb2.FetchRequest(
            partitions=[
                consumer_pb2.FetchPartition(topic=record_pb2.TopicRef(name=topic), partition=partition, offset=start)
            ]
        )
        stream = self.consumer.Fetch(request)
        while start < end:
            for record in next(stream).records.records:
                start = record.offset + 1
                yield Stored(record.offset, record.timestamp_ms, record.key, record.value)
        stream.cancel()

    def offset_at_time(self, topic: str, partition: int, timestamp: int) -> Optional[int]:
        found = self.list_offset(topic, partition, timestamp_ms=timestamp)
        return found if found >= 0 else None

    def list_offset(self, topic: str, partition: int, **target) -> int:
        request = admin_pb2.ListOffsetsRequest(
            topic=record_pb2.TopicRef(name=topic), partitions=[partition], **target
        )
        (found,) = self.admin.ListOffsets(request, timeout=SECONDS).offsets
        phases.check(not found.HasField("error"), f"{topic}-{partition}: {found.error}")
        return found.offset


def batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if batch and size + len(entry.value) > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += len(entry.value)
    if batch:
        yield batch


phases.main(Grpc)
