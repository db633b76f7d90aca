package levada.conformance;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The Java client against Levada; the phases are told in tests/conformance/README.md. */
public final class Client {
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private record Entry(int index, String key, byte[] value) {}

    private record Place(long offset, long timestamp) {}

    private final String bootstrap;
    private final String topic;
    private final String compression;
    private final List<Entry> corpus;

    private Client(Map<String, String> options) throws IOException {
        bootstrap = options.get("--bootstrap");
        topic = options.get("--topic");
        compression = options.get("--compression");
        corpus = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(options.get("--corpus")))) {
            String[] parts = line.split("\t");
            corpus.add(new Entry(corpus.size(), parts[0], Files.readAllBytes(Path.of(parts[1]))));
        }
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 1; i + 1 < arguments.length; i += 2) {
            options.put(arguments[i], arguments[i + 1]);
        }
        if (arguments[0].equals("member")) {
            Member.run(options);
            return;
        }
        Client client = new Client(options);
        switch (arguments[0]) {
            case "produce" -> {
                client.createTopic();
                client.produce(false);
            }
            case "produce-endlessly" -> client.produce(true);
            case "verify" -> client.verify();
            default -> throw new IllegalArgumentException("no phase " + arguments[0]);
        }
    }

    private void createTopic() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1)))
                    .all()
                    .get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        }
    }

    private void produce(boolean endless) {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrap,
                "acks", "all",
                "compression.type", compression,
                "linger.ms", 5,
                "delivery.timeout.ms", 60_000,
                "request.timeout.ms", 30_000);
        PrintStream out = System.out;
        AtomicReference<Exception> failure = new AtomicReference<>();
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer())) {
            do {
                for (Entry entry : corpus) {
                    producer.send(new ProducerRecord<>(topic, entry.key, entry.value), (metadata, error) -> {
                        if (error != null) {
                            failure.compareAndSet(null, error);
                        } else if (endless) {
                            out.printf("%d %d %d .%n", metadata.partition(), metadata.offset(), entry.index);
                            out.flush();
                        }
                    });
                }
            } while (endless && failure.get() == null);
            producer.flush();
        }
        if (failure.get() != null) {
            throw new IllegalStateException("a record was not acknowledged", failure.get());
        }
    }

    private void verify() {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrap,
                "enable.auto.commit", false,
                "auto.offset.reset", "none",
                "fetch.max.wait.ms", 20,
                "check.crcs", true);
        Map<String, byte[]> expected = new HashMap<>();
        corpus.forEach(entry -> expected.put(entry.key, entry.value));
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(info -> new TopicPartition(topic, info.partition()))
                    .toList();
            check(partitions.size() == 3, topic + " has the partitions " + partitions);
            Map<TopicPartition, Long> starts = consumer.beginningOffsets(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            for (TopicPartition partition : partitions) {
                long start = starts.get(partition);
                List<Place> places = new ArrayList<>();
                read(consumer, partition, start, ends.get(partition), record -> {
                    long due = start + places.size();
                    check(record.offset() == due, partition + ": offset " + record.offset() + " came, due was " + due);
                    byte[] value = expected.remove(record.key());
                    check(
                            value != null && Arrays.equals(value, record.value()),
                            partition + ": `" + record.key() + "` twice, unknown or changed");
                    places.add(new Place(record.offset(), record.timestamp()));
                });
                if (!places.isEmpty()) {
                    seekByOffset(consumer, partition, places);
                    seekByTime(consumer, partition, places);
                }
            }
        }
        check(expected.isEmpty(), expected.size() + " records did not come back");
    }

    /** Reads from {@code start} up to but without {@code end}. */
    private static void read(
            KafkaConsumer<String, byte[]> consumer,
            TopicPartition partition,
            long start,
            long end,
            Consumer<ConsumerRecord<String, byte[]>> each) {
        consumer.assign(List.of(partition));
        consumer.seek(partition, start);
        long next = start;
        while (next < end) {
            var records = consumer.poll(PATIENCE).records(partition);
            check(!records.isEmpty(), "nothing came from " + partition + " at " + next);
            for (ConsumerRecord<String, byte[]> record : records) {
                if (record.offset() < end) {
                    each.accept(record);
                }
                next = record.offset() + 1;
            }
        }
    }

    private static void seekByOffset(
            KafkaConsumer<String, byte[]> consumer, TopicPartition partition, List<Place> places) {
        for (Place place : List.of(places.get(0), places.get(places.size() / 2), places.get(places.size() - 1))) {
            List<Long> found = new ArrayList<>();
            read(consumer, partition, place.offset, place.offset + 1, record -> found.add(record.offset()));
            check(found.equals(List.of(place.offset)), partition + ": seeking to " + place.offset + " gave " + found);
        }
    }

    private static void seekByTime(
            KafkaConsumer<String, byte[]> consumer, TopicPartition partition, List<Place> places) {
        long[] times = places.stream().mapToLong(Place::timestamp).sorted().toArray();
        long last = times[times.length - 1];
        for (long time : new long[] {times[0] - 1, times[times.length / 2], last, last + 1}) {
            Long expected = places.stream()
                    .filter(place -> place.timestamp >= time)
                    .map(Place::offset)
                    .findFirst()
                    .orElse(null);
            OffsetAndTimestamp answer = consumer.offsetsForTimes(Map.of(partition, time)).get(partition);
            Long found = answer == null ? null : Long.valueOf(answer.offset());
            check(
                    java.util.Objects.equals(found, expected),
                    partition + " at time " + time + ": " + found + ", and " + expected + " is right");
        }
    }

    private static void check(boolean condition, String message) {
        if (!condition) {
            throw new IllegalStateException(message);
        }
    }
}
