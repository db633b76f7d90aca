"""A member of a consumer group over gRPC: python consumer.py HOST:PORT GROUP TOPIC"""
import queue, signal, sys
import grpc
from levada.v1 import consumer_pb2_grpc, offset_pb2, subscription_pb2 as levada

server, group, topic = sys.argv[1:]
say = queue.SimpleQueue()
tell = lambda **kind: say.put(levada.SubscribeRequest(**kind))
tell(join=levada.JoinSubscription(group_id=group, topics=[topic], client_id="consumer.py",
                                  auto_offset_reset=offset_pb2.OFFSET_POSITION_EARLIEST))
signal.signal(signal.SIGINT, lambda *_: tell(leave=levada.LeaveSubscription()))

stream = consumer_pb2_grpc.ConsumerStub(grpc.insecure_channel(server)).Subscribe(iter(say.get, None))
for heard in stream:
    match heard.WhichOneof("kind"):
        case "records":
            batch = heard.records
            for record in batch.records:
                print(batch.topic, batch.partition, record.offset, record.value.decode(), flush=True)
            tell(processed=levada.ProcessedRecords(topic_id=batch.topic_id, partition=batch.partition,
                                                   next_offset=batch.next_offset))
        case "revoke":
            tell(revocation_done=levada.RevocationDone(number=heard.revoke.number))
