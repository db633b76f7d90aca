import io.grpc.*;
import io.grpc.stub.BlockingClientCall;
import levada.v1.*;

/** A member of a consumer group over gRPC: GroupConsumer HOST:PORT GROUP TOPIC */
public final class GroupConsumer {
  public static void main(String[] args) throws Exception {
    var channel = Grpc.newChannelBuilder(args[0], InsecureChannelCredentials.create()).build();
    var stream = ConsumerGrpc.newBlockingV2Stub(channel).subscribe();
    var reader = Thread.currentThread();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try { say(stream, SubscribeRequest.newBuilder().setLeave(LeaveSubscription.newBuilder())); reader.join(); }
      catch (Exception over) { } // the reader tells why
    }));
    say(stream, SubscribeRequest.newBuilder().setJoin(JoinSubscription.newBuilder().setGroupId(args[1]).addTopics(args[2])
        .setClientId("GroupConsumer.java").setAutoOffsetReset(OffsetPosition.OFFSET_POSITION_EARLIEST)));
    while (stream.hasNext()) {
      var heard = stream.read();
      var batch = heard.getRecords();
      for (var record : batch.getRecordsList()) System.out.printf("%s %d %d %s%n",
          batch.getTopic(), batch.getPartition(), record.getOffset(), record.getValue().toStringUtf8());
      if (heard.hasRecords()) say(stream, SubscribeRequest.newBuilder().setProcessed(ProcessedRecords.newBuilder()
          .setTopicId(batch.getTopicId()).setPartition(batch.getPartition()).setNextOffset(batch.getNextOffset())));
      if (heard.hasRevoke()) say(stream, SubscribeRequest.newBuilder().setRevocationDone(
          RevocationDone.newBuilder().setNumber(heard.getRevoke().getNumber())));
    }
  }

  // A stream takes one message at a time, and Ctrl-C is heard on a thread of its own.
  static synchronized void say(BlockingClientCall<SubscribeRequest, ?> stream, SubscribeRequest.Builder request)
      throws Exception { stream.write(request.build()); }
}
