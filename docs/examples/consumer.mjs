// A member of a consumer group over gRPC: node consumer.mjs HOST:PORT GROUP TOPIC
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [server, group, topic] = process.argv.slice(2);
const options = { includeDirs: ["proto"], keepCase: true, longs: String, defaults: true };
const api = loader.loadSync("levada/v1/consumer.proto", options);
const { Consumer } = grpc.loadPackageDefinition(api).levada.v1;

const stream = new Consumer(server, grpc.credentials.createInsecure()).Subscribe();
stream.on("data", ({ records, revoke }) => {
  if (records) {
    const { topic_id, partition, next_offset } = records;
    for (const { offset, value } of records.records) console.log(records.topic, partition, offset, value?.toString());
    stream.write({ processed: { topic_id, partition, next_offset } });
  }
  if (revoke) stream.write({ revocation_done: { number: revoke.number } });
});
stream.on("end", () => stream.end());
stream.on("error", (error) => console.error((process.exitCode = 1), error.message));
process.on("SIGINT", () => stream.write({ leave: {} }));
const auto_offset_reset = "OFFSET_POSITION_EARLIEST";
stream.write({ join: { group_id: group, topics: [topic], client_id: "consumer.mjs", auto_offset_reset } });
