#!/usr/bin/env bash
# Kafka's own tools against a cluster of three controllers and three brokers. `$KAFKA_TOOLS` is the directory of their jars;
# the phases are those of the Java administration client, see tests/conformance/README.md.
set -euo pipefail
phase=$1
shift
while [ $# -gt 1 ]; do
  case $1 in
    --bootstrap) bootstrap=$2 ;;
    --broker) broker=$2 ;;
  esac
  shift 2
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What a tool prints, both streams; ends the script if the tool fails.
tool() {
  local class=$1
  shift
  java -XX:TieredStopAtLevel=1 -cp "$KAFKA_TOOLS/*" "$class" "$@" > "$work/out" 2>&1 || fail "$class $*"
  cat "$work/out"
}
topics() { tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$bootstrap" "$@"; }
reassign() { tool org.apache.kafka.tools.reassign.ReassignPartitionsCommand --bootstrap-server "$bootstrap" "$@"; }
elect() { tool org.apache.kafka.tools.LeaderElectionCommand --bootstrap-server "$bootstrap" "$@"; }
quorum() { tool org.apache.kafka.tools.MetadataQuorumCommand --bootstrap-server "$bootstrap" "$@"; }
features() { tool org.apache.kafka.tools.FeatureCommand --bootstrap-server "$bootstrap" "$@"; }
configs() { tool kafka.admin.ConfigCommand --bootstrap-server "$bootstrap" "$@"; }
cluster() { local what=$1; shift; tool org.apache.kafka.tools.ClusterTool "$what" --bootstrap-server "$bootstrap" "$@"; }
produce() {
  tool org.apache.kafka.tools.ProducerPerformance --bootstrap-server "$bootstrap" --throughput -1 "$@" > /dev/null
}
log_dirs() { tool org.apache.kafka.tools.LogDirsCommand --bootstrap-server "$bootstrap" "$@"; }

fail() {
  echo "kafka-tools: $*" >&2
  [ ! -f "$work/out" ] || cat "$work/out" >&2
  exit 1
}

# The text on stdin has a line that matches.
says() {
  local text
  text=$(cat)
  grep -qE -- "$1" <<< "$text" || fail "no line like '$1' in: $text"
}

# A tool that must fail, and say why.
refused() {
  local why=$1
  shift
  local text
  if text=$("$@" 2>&1) && ! grep -qE -- "$why" <<< "$text"; then
    fail "$* was to be refused with '$why': $text"
  fi
  grep -qE -- "$why" <<< "$text" || fail "$* was refused with: $text"
}

# Runs a tool until it says something.
await() {
  local what=$1
  shift
  for _ in $(seq 60); do
    if "$@" | grep -qE -- "$what"; then return; fi
    sleep 0.5
  done
  fail "waited in vain for '$what' from $*"
}

# A plan for `kafka-reassign-partitions`: partition 0 of the topic goes to these brokers.
plan() {
  printf '{"version":1,"partitions":[{"topic":"%s","partition":0,"replicas":[%s]}]}' "${2-tools}" "$1" > "$work/plan.json"
}

administer() {
  topics --create --topic tools --replica-assignment 1:2:3,2:3:1 | says '^Created topic tools'
  refused 'broker 9, which is not registered' topics --create --topic wrong --replica-assignment 1:9
  topics --describe --topic tools | says 'Partition: 1.*Leader: 2.*Replicas: 2,3,1.*Isr: 2,3,1.*Elr:.*LastKnownElr:'
  topics --create --topic slow --replica-assignment 1:2:3 | says '^Created topic slow'
  topics --alter --topic tools --partitions 3 --replica-assignment 1:2:3,2:3:1,3:1:2
  topics --describe --topic tools | says 'Partition: 2.*Leader: 3.*Replicas: 3,1,2'
  [ -z "$(topics --describe --under-replicated-partitions)" ] || fail 'somebody is out of sync'

  printf '{"version":1,"topics":[{"topic":"tools"}]}' > "$work/topics.json"
  reassign --generate --topics-to-move-json-file "$work/topics.json" --broker-list 1,2,3 | says 'Proposed partition reassignment'
  plan 3,2
  reassign --execute --reassignment-json-file "$work/plan.json" --throttle 10000000 \
    | says 'Successfully started partition reassignment for tools-0'
  await 'Reassignment of partition tools-0 is completed' reassign --verify --reassignment-json-file "$work/plan.json"
  topics --describe --topic tools | says 'Partition: 0.*Replicas: 3,2'
  configs --describe --entity-type topics --entity-name tools | says '^Dynamic configs for topic tools are:$'
  if configs --describe --entity-type topics --entity-name tools | grep -q throttled; then fail 'a throttle was left'; fi
  reassign --list | says 'No partition reassignments found'
  plan 1,2,3
  reassign --execute --reassignment-json-file "$work/plan.json" | says 'Successfully started'
  await 'Reassignment of partition tools-0 is completed' reassign --verify --reassignment-json-file "$work/plan.json"

  # What moves slowly can be given up.
  produce --topic slow --num-records 10000 --record-size 1000
  plan 1,2 slow
  reassign --execute --reassignment-json-file "$work/plan.json" | says 'Successfully started'
  await 'Reassignment of partition slow-0 is completed' reassign --verify --reassignment-json-file "$work/plan.json"
  plan 1,3 slow
  reassign --execute --reassignment-json-file "$work/plan.json" --throttle 1000 | says 'The inter-broker throttle limit was set'
  reassign --list | says 'slow-0: replicas: 1,3,2. adding: 3. removing: 2.'
  reassign --cancel --reassignment-json-file "$work/plan.json" \
    | says 'Successfully cancelled partition reassignment for: slow-0'
  reassign --list | says 'No partition reassignments found'
  topics --describe --topic slow | says 'Partition: 0.*Replicas: 1,2'

  elect --election-type preferred --topic tools --partition 0 \
    | says 'Successfully completed leader election|Valid replica already elected'
  topics --describe --topic tools | says 'Partition: 0.*Leader: 1'
  elect --election-type preferred --all-topic-partitions > /dev/null
  elect --election-type unclean --topic tools --partition 0 | says 'Valid replica already elected'

  quorum describe --status | says '^CurrentVoters:.*"id": 1003'
  quorum describe --replication | says 'Leader'
  features describe | says 'metadata.level.*FinalizedVersionLevel: 2'
  refused 'metadata.version|UPDATE|INVALID|Could not' features upgrade --feature metadata.version=27

  configs --alter --entity-type brokers --entity-name 2 --add-config log.retention.ms=3600000 > /dev/null
  await 'log.retention.ms=3600000.*DYNAMIC_BROKER_CONFIG' configs --describe --entity-type brokers --entity-name 2
  configs --alter --entity-type brokers --entity-default --add-config log.retention.ms=7200000 > /dev/null
  await 'log.retention.ms=7200000' configs --describe --entity-type brokers --entity-default
  configs --alter --entity-type brokers --entity-name 2 --delete-config log.retention.ms > /dev/null
  configs --alter --entity-type brokers --entity-default --delete-config log.retention.ms > /dev/null
  log_dirs --describe --broker-list 1,2,3 --topic-list tools | says '"broker":3'
  cluster list-endpoints | says '^1 '
  tool org.apache.kafka.tools.BrokerApiVersionsCommand --bootstrap-server "$bootstrap" | says 'AlterPartitionReassignments\(45\): 0 to 1'
  refused 'is running' cluster unregister --id 1
}

take_out() {
  await "^$broker .*fenced" cluster list-endpoints --include-fenced-brokers
  await "Isr: [12](,[12])?[^,0-9]" topics --describe --topic tools --under-replicated-partitions
  plan 1,2
  reassign --execute --reassignment-json-file "$work/plan.json" | says 'Successfully started'
  await 'No partition reassignments found' reassign --list
  topics --describe --topic tools | says 'Partition: 0.*Replicas: 1,2'
  cluster unregister --id "$broker" | says "Broker $broker is no longer registered"
  refused "not registered" cluster unregister --id "$broker"
}

case $phase in
  administer) administer ;;
  take-out) take_out ;;
  *) fail "no phase $phase" ;;
esac
