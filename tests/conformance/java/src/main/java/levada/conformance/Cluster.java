package levada.conformance;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AddRaftVoterOptions;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterPartitionReassignmentsOptions;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListConfigResourcesOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.PartitionReassignment;
import org.apache.kafka.clients.admin.QuorumInfo;
import org.apache.kafka.clients.admin.RaftVoterEndpoint;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.BrokerIdNotRegisteredException;
import org.apache.kafka.common.errors.DuplicateVoterException;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidRequestException;
import org.apache.kafka.common.errors.InvalidUpdateVersionException;
import org.apache.kafka.common.errors.LogDirNotFoundException;
import org.apache.kafka.common.errors.NoReassignmentInProgressException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The Java administration client against a cluster of three controllers and three brokers; see tests/conformance/README.md. */
public final class Cluster implements AutoCloseable {
    private static final long PATIENCE_MS = 60_000;
    private static final String TOPIC = "administered";

    private final String bootstrap;
    private final Admin admin;

    private Cluster(String bootstrap) {
        this.bootstrap = bootstrap;
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 1; i + 1 < arguments.length; i += 2) {
            options.put(arguments[i], arguments[i + 1]);
        }
        try (Cluster cluster = new Cluster(options.get("--bootstrap"))) {
            switch (arguments[0]) {
                case "administer" -> cluster.administer();
                case "take-out" -> cluster.takeOut(Integer.parseInt(options.get("--broker")));
                default -> throw new IllegalArgumentException("no phase " + arguments[0]);
            }
        }
    }

    @Override
    public void close() {
        admin.close();
    }

    /** Everything that a cluster of which nobody is missing can be asked. */
    private void administer() throws Exception {
        check(brokers(false).equals(Set.of(1, 2, 3)), "the brokers are " + brokers(false));
        assignments();
        reassignments();
        elections();
        directories();
        configs();
        features();
        quorum();
        refused(InvalidRequestException.class, admin.unregisterBroker(1).all());
    }

    private void assignments() throws Exception {
        admin.createTopics(List.of(new NewTopic(TOPIC, Map.of(0, List.of(1, 2, 3), 1, List.of(2, 3, 1)))))
                .all()
                .get();
        for (Map<Integer, List<Integer>> wrong : List.of(
                Map.of(0, List.of(1, 9)),
                Map.of(0, List.of(1, 1)),
                Map.of(0, List.of(1, 2), 1, List.of(3)),
                Map.of(0, List.of(1), 2, List.of(1)))) {
            refused(
                    InvalidReplicaAssignmentException.class,
                    admin.createTopics(List.of(new NewTopic("wrong", wrong))).all());
        }
        refused(InvalidReplicationFactorException.class, admin.createTopics(List.of(new NewTopic("wrong", 1, (short) 4)))
                .all());
        refused(
                InvalidReplicaAssignmentException.class,
                admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(3, List.of(List.of(3, 1)))))
                        .all());
        admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(3, List.of(List.of(3, 1, 2)))))
                .all()
                .get();
        for (int partition = 0; partition < 3; partition++) {
            TopicPartitionInfo info = describe(partition);
            List<Integer> expected = List.of(partition + 1, (partition + 1) % 3 + 1, (partition + 2) % 3 + 1);
            check(ids(info.replicas()).equals(expected), info + " was to be assigned to " + expected);
            check(info.leader().id() == partition + 1, info + " has another leader");
            check(info.elr().isEmpty() && info.lastKnownElr().isEmpty(), info + " lacks nobody");
        }
        try (var producer = new KafkaProducer<>(
                Map.<String, Object>of("bootstrap.servers", bootstrap), new ByteArraySerializer(), new ByteArraySerializer())) {
            List<java.util.concurrent.Future<?>> sent = new ArrayList<>();
            for (int i = 0; i < 3_000; i++) {
                sent.add(producer.send(new ProducerRecord<>(TOPIC, i % 3, null, new byte[1_000])));
            }
            for (var future : sent) {
                future.get();
            }
        }
    }

    private void reassignments() throws Exception {
        reassign(0, List.of(1, 2));
        await("partition 0 to leave broker 3", () -> reassigning().isEmpty());
        check(ids(describe(0).replicas()).equals(List.of(1, 2)), "after shrinking: " + describe(0));
        reassign(0, List.of(3, 2));
        await("partition 0 to move to broker 3", () -> reassigning().isEmpty());
        await("broker 3 to be in sync", () -> Set.copyOf(ids(describe(0).isr())).equals(Set.of(2, 3)));
        reassign(0, List.of(1, 2, 3));
        await("partition 0 to have three replicas again", () -> reassigning().isEmpty());

        refused(InvalidReplicaAssignmentException.class, reassignment(new TopicPartition(TOPIC, 0), List.of(1, 9)));
        refused(InvalidReplicaAssignmentException.class, reassignment(new TopicPartition(TOPIC, 0), List.of(1, 1)));
        refused(
                UnknownTopicOrPartitionException.class, reassignment(new TopicPartition("absent", 0), List.of(1)));
        refused(NoReassignmentInProgressException.class, cancellation(new TopicPartition(TOPIC, 0)));
        refused(
                InvalidReplicationFactorException.class,
                admin.alterPartitionReassignments(
                                Map.of(
                                        new TopicPartition(TOPIC, 0),
                                        Optional.of(new NewPartitionReassignment(List.of(1, 2)))),
                                new AlterPartitionReassignmentsOptions().allowReplicationFactorChange(false))
                        .all());
    }

    private void elections() throws Exception {
        // The order of the replicas says who is preferred; changing it moves nothing.
        reassign(1, List.of(3, 2, 1));
        TopicPartition partition = new TopicPartition(TOPIC, 1);
        check(describe(1).leader().id() == 2, "the leader moved by itself: " + describe(1));
        admin.electLeaders(ElectionType.PREFERRED, Set.of(partition)).all().get();
        check(describe(1).leader().id() == 3, "the preferred leader does not lead: " + describe(1));
        for (ElectionType type : ElectionType.values()) {
            elected(ElectionNotNeededException.class, type, partition);
            elected(UnknownTopicOrPartitionException.class, type, new TopicPartition("absent", 0));
        }
        check(describe(0).leader().id() != 1, "broker 1 leads partition 0 without an election: " + describe(0));
        var all = admin.electLeaders(ElectionType.PREFERRED, null).partitions().get();
        check(
                all.getOrDefault(new TopicPartition(TOPIC, 0), Optional.of(new IllegalStateException()))
                        .isEmpty(),
                "electing everywhere: " + all);
        check(describe(0).leader().id() == 1, "the preferred leader does not lead: " + describe(0));
    }

    private void directories() throws Exception {
        var described = admin.describeLogDirs(List.of(1, 2, 3)).allDescriptions().get();
        check(described.values().stream().allMatch(directories -> !directories.isEmpty()), "directories: " + described);
        refused(
                LogDirNotFoundException.class,
                admin.alterReplicaLogDirs(Map.of(new TopicPartitionReplica(TOPIC, 0, 1), "/no/such/directory"))
                        .all());
    }

    private void configs() throws Exception {
        ConfigResource one = new ConfigResource(ConfigResource.Type.BROKER, "2");
        ConfigResource all = new ConfigResource(ConfigResource.Type.BROKER, "");
        set(one, "log.retention.ms", "3600000");
        set(all, "log.retention.ms", "7200000");
        await("broker 2 to have its own value", () -> configured(one, ConfigEntry.ConfigSource.DYNAMIC_BROKER_CONFIG));
        await("the default of all brokers to be told", () ->
                configured(all, ConfigEntry.ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG));
        admin.incrementalAlterConfigs(Map.of(
                        one, List.of(delete("log.retention.ms")), all, List.of(delete("log.retention.ms"))))
                .all()
                .get();

        Collection<ConfigResource> resources = admin.listConfigResources().all().get();
        check(resources.contains(new ConfigResource(ConfigResource.Type.TOPIC, TOPIC)), "resources: " + resources);
        check(resources.contains(one), "resources: " + resources);
        Collection<ConfigResource> brokers = admin.listConfigResources(
                        Set.of(ConfigResource.Type.BROKER), new ListConfigResourcesOptions())
                .all()
                .get();
        check(brokers.size() == 3, "brokers: " + brokers);
    }

    private void features() throws Exception {
        FeatureMetadata features = admin.describeFeatures().featureMetadata().get();
        var level = features.finalizedFeatures().get("metadata.level");
        var supported = features.supportedFeatures().get("metadata.level");
        check(level != null && supported != null && level.maxVersionLevel() <= supported.maxVersion(), "features: " + features);
        check(features.finalizedFeaturesEpoch().isPresent(), "features: " + features);
        update("metadata.level", level.maxVersionLevel()).get();
        refused(InvalidUpdateVersionException.class, update("metadata.version", (short) 27));
        refused(InvalidUpdateVersionException.class, update("metadata.level", (short) (supported.maxVersion() + 1)));
    }

    private void quorum() throws Exception {
        QuorumInfo quorum = admin.describeMetadataQuorum().quorumInfo().get();
        check(quorum.voters().size() == 3 && quorum.highWatermark() > 0, "the quorum: " + quorum);
        check(quorum.nodes().values().stream().allMatch(node -> node.endpoints().size() == 1), "the quorum: " + quorum);
        QuorumInfo.ReplicaState follower = quorum.voters().stream()
                .filter(voter -> voter.replicaId() != quorum.leaderId())
                .findFirst()
                .orElseThrow();
        admin.removeRaftVoter(follower.replicaId(), follower.replicaDirectoryId()).all().get();
        await("a controller to lose its vote", () -> voters().size() == 2);
        Set<RaftVoterEndpoint> endpoints = quorum.nodes().get(follower.replicaId()).endpoints().stream()
                .map(endpoint -> new RaftVoterEndpoint(endpoint.listener(), endpoint.host(), endpoint.port()))
                .collect(Collectors.toSet());
        admin.addRaftVoter(
                        follower.replicaId(), follower.replicaDirectoryId(), endpoints, new AddRaftVoterOptions())
                .all()
                .get();
        await("the controller to vote again", () -> voters().size() == 3);
        refused(
                DuplicateVoterException.class,
                admin.addRaftVoter(follower.replicaId(), follower.replicaDirectoryId(), endpoints)
                        .all());
    }

    /** A broker has stopped for good: what it holds is moved, and it is forgotten. */
    private void takeOut(int broker) throws Exception {
        await("the broker to be missing", () -> !brokers(false).contains(broker));
        check(brokers(true).contains(broker), "a fenced broker is told to those who ask");
        await("it to be out of sync", () -> !ids(describe(0).isr()).contains(broker));

        // A replica that cannot come keeps a reassignment open until somebody gives it up.
        List<Integer> others = List.of(1, 2, 3).stream().filter(id -> id != broker).toList();
        reassign(0, others);
        await("partition 0 to do without it", () -> reassigning().isEmpty());
        TopicPartition partition = new TopicPartition(TOPIC, 0);
        reassign(0, List.of(others.get(0), broker));
        PartitionReassignment moving = reassigning().get(partition);
        check(
                moving != null
                        && moving.addingReplicas().equals(List.of(broker))
                        && moving.removingReplicas().equals(List.of(others.get(1))),
                "under way: " + reassigning());
        check(admin.listPartitionReassignments(Set.of(new TopicPartition(TOPIC, 1))).reassignments().get().isEmpty(),
                "partition 1 does not move");
        cancellation(partition).get();
        check(reassigning().isEmpty(), "after it was given up: " + reassigning());
        check(Set.copyOf(ids(describe(0).replicas())).equals(Set.copyOf(others)), "after that: " + describe(0));

        reassign(1, others);
        reassign(2, others);
        await("the others to hold everything", () -> reassigning().isEmpty());
        admin.unregisterBroker(broker).all().get();
        check(!brokers(true).contains(broker), "the brokers are " + brokers(true));
        refused(BrokerIdNotRegisteredException.class, admin.unregisterBroker(broker).all());
    }

    private Set<Integer> brokers(boolean fencedToo) throws Exception {
        var cluster = admin.describeCluster(new DescribeClusterOptions().includeFencedBrokers(fencedToo));
        return cluster.nodes().get().stream().map(Node::id).collect(Collectors.toCollection(TreeSet::new));
    }

    private TopicPartitionInfo describe(int partition) throws Exception {
        return admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC).partitions().get(partition);
    }

    private static List<Integer> ids(List<Node> nodes) {
        return nodes.stream().map(Node::id).toList();
    }

    private KafkaFuture<Void> reassignment(TopicPartition partition, List<Integer> replicas) {
        return admin.alterPartitionReassignments(
                        Map.of(partition, Optional.of(new NewPartitionReassignment(replicas))))
                .all();
    }

    private KafkaFuture<Void> cancellation(TopicPartition partition) {
        return admin.alterPartitionReassignments(Map.of(partition, Optional.empty())).all();
    }

    private void reassign(int partition, List<Integer> replicas) throws Exception {
        reassignment(new TopicPartition(TOPIC, partition), replicas).get();
    }

    private Map<TopicPartition, PartitionReassignment> reassigning() throws Exception {
        return admin.listPartitionReassignments().reassignments().get();
    }

    private void elected(Class<? extends Exception> expected, ElectionType type, TopicPartition partition)
            throws Exception {
        var result = admin.electLeaders(type, Set.of(partition)).partitions().get().get(partition);
        check(result.isPresent() && expected.isInstance(result.get()), type + " of " + partition + ": " + result);
    }

    private void set(ConfigResource resource, String name, String value) throws Exception {
        var change = new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
    }

    private static AlterConfigOp delete(String name) {
        return new AlterConfigOp(new ConfigEntry(name, ""), AlterConfigOp.OpType.DELETE);
    }

    private boolean configured(ConfigResource resource, ConfigEntry.ConfigSource source) throws Exception {
        var entry = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("log.retention.ms");
        return entry != null && entry.source() == source;
    }

    private KafkaFuture<Void> update(String feature, short level) {
        return admin.updateFeatures(
                        Map.of(feature, new FeatureUpdate(level, FeatureUpdate.UpgradeType.UPGRADE)),
                        new UpdateFeaturesOptions())
                .all();
    }

    private List<QuorumInfo.ReplicaState> voters() throws Exception {
        return admin.describeMetadataQuorum().quorumInfo().get().voters();
    }

    private static void refused(Class<? extends Exception> expected, KafkaFuture<?> answer) throws Exception {
        try {
            answer.get(PATIENCE_MS, TimeUnit.MILLISECONDS);
        } catch (ExecutionException error) {
            check(expected.isInstance(error.getCause()), "due was " + expected.getSimpleName() + ", not " + error.getCause());
            return;
        }
        throw new IllegalStateException("due was " + expected.getSimpleName() + ", and it was done");
    }

    private static void await(String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PATIENCE_MS);
        while (!condition.call()) {
            check(System.nanoTime() < deadline, "waited in vain for " + what);
            Thread.sleep(50);
        }
    }

    private static void check(boolean condition, String message) {
        if (!condition) {
            throw new IllegalStateException(message);
        }
    }
}
