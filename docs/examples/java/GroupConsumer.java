import io.grpc.*;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.CompletableFuture;
import levada.v1.*;

/** A member of a consumer group over gRPC: GroupConsumer HOST:PORT GROUP TOPIC */
public final class GroupConsumer implements StreamObserver<SubscribeResponse> {
  private final CompletableFuture<Void> ended = new CompletableFuture<>();
  private final StreamObserver<SubscribeRequest> stream;

  GroupConsumer(Channel channel) { stream = ConsumerGrpc.newStub(channel).subscribe(this); }

  // Records are heard on another thread than Ctrl-C, and a stream takes one message at a time.
  synchronized void say(SubscribeRequest.Builder request) { stream.onNext(request.build()); }

  public void onNext(SubscribeResponse heard) {
    if (heard.hasRecords()) {
      var batch = heard.getRecords();
      for (var record : batch.getRecordsList()) System.out.printf("%s %d %d %s%n",
          batch.getTopic(), batch.getPartition(), record.getOffset(), record.getValue().toStringUtf8());
      say(SubscribeRequest.newBuilder().setProcessed(ProcessedRecords.newBuilder()
          .setTopicId(batch.getTopicId()).setPartition(batch.getPartition()).setNextOffset(batch.getNextOffset())));
    }
    if (heard.hasRevoke()) say(SubscribeRequest.newBuilder().setRevocationDone(
        RevocationDone.newBuilder().setNumber(heard.getRevoke().getNumber())));
  }

  public void onCompleted() { ended.complete(null); }

  public void onError(Throwable error) { ended.completeExceptionally(error); }

  public static void main(String[] args) {
    var consumer = new GroupConsumer(Grpc.newChannelBuilder(args[0], InsecureChannelCredentials.create()).build());
    consumer.say(SubscribeRequest.newBuilder().setJoin(JoinSubscription.newBuilder()
        .setGroupId(args[1]).addTopics(args[2]).setClientId("GroupConsumer.java")
        .setAutoOffsetReset(OffsetPosition.OFFSET_POSITION_EARLIEST)));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      consumer.say(SubscribeRequest.newBuilder().setLeave(LeaveSubscription.newBuilder()));
      consumer.ended.exceptionally(error -> null).join();
    }));
    consumer.ended.join();
  }
}
