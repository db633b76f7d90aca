package levada.conformance;

import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a consumer group that tells what happens to it, a line for each thing. */
final class Member implements ConsumerRebalanceListener {
    private static final Map<String, String> ASSIGNORS = Map.of(
            "range", "org.apache.kafka.clients.consumer.RangeAssignor",
            "cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");

    private volatile boolean leaving;

    static void run(Map<String, String> options) {
        new Member().consume(options);
    }

    private void consume(Map<String, String> options) {
        Map<String, Object> settings = new HashMap<>(Map.of(
                "bootstrap.servers", options.get("--bootstrap"),
                "group.id", options.get("--group"),
                "enable.auto.commit", false,
                "auto.offset.reset", "earliest",
                "max.poll.records", 100));
        String protocol = options.get("--protocol");
        if (protocol.equals("consumer")) {
            settings.put("group.protocol", "consumer");
        } else {
            int session = Integer.parseInt(options.get("--session-ms"));
            settings.put("partition.assignment.strategy", ASSIGNORS.get(protocol));
            settings.put("session.timeout.ms", session);
            settings.put("heartbeat.interval.ms", session / 6);
        }
        if (options.containsKey("--instance")) {
            settings.put("group.instance.id", options.get("--instance"));
        }
        Thread watch = new Thread(this::watchStandardInput);
        watch.setDaemon(true);
        try (var consumer =
                new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(options.get("--topic")), this);
            watch.start();
            while (!leaving) {
                var records = consumer.poll(Duration.ofMillis(100));
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    say("record " + record.partition() + " " + record.offset());
                }
                if (!records.isEmpty()) {
                    try {
                        consumer.commitSync();
                    } catch (CommitFailedException | RebalanceInProgressException overtaken) {
                        // Whoever gets the partitions reads them again.
                    }
                }
            }
        }
        say("left");
    }

    private void watchStandardInput() {
        try {
            while (System.in.read() >= 0) {
                // Only its end means something.
            }
        } catch (IOException e) {
            throw new IllegalStateException("standard input", e);
        }
        leaving = true;
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        say("gained", partitions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        say("gave", partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        say("lost", partitions);
    }

    private static void say(String event, Collection<TopicPartition> partitions) {
        say(event + partitions.stream().map(place -> " " + place.partition()).collect(Collectors.joining()));
    }

    private static void say(String words) {
        System.out.println(System.currentTimeMillis() + " " + words + " .");
        System.out.flush();
    }
}
