#!/usr/bin/env bash
# The lag of a group, as a tool that is not ours sees it and as `levada group describe` tells it: they agree. Started as
# `lag.sh TOOL KAFKA GRPC`; `TOOL` is `kafka` for kafka-consumer-groups (jars in `$KAFKA_TOOLS`) or `burrow`, which reads
# `__consumer_offsets` itself, and does not start without a ZooKeeper (jars in `$ZOOKEEPER`).
set -euo pipefail
tool=$1 kafka=$2 grpc=$3
levada=${LEVADA_BIN:-levada}
group=readers topic=letters
work=$(mktemp -d)
started=()
end() {
  for process in "${started[@]}"; do kill "$process" 2> /dev/null || true; done
  rm -rf "$work"
}
trap end EXIT

fail() {
  echo "lag.sh $tool: $*" >&2
  exit 1
}

# Commits an offset for every partition.
commit() {
  "$levada" group reset-offsets "$group" --topic "$topic" --to-offset "$1" --execute --server "$grpc" > /dev/null
}

# `partition lag` of each partition, as Levada tells it.
ours() {
  "$levada" group describe "$group" --server "$grpc" --output json 2> /dev/null |
    python3 -c 'import json, sys; [print(o["partition"], o["lag"]) for g in json.load(sys.stdin) for o in g["offsets"]]' | sort
}

theirs_kafka() {
  java -XX:TieredStopAtLevel=1 -cp "$KAFKA_TOOLS/*" org.apache.kafka.tools.consumer.group.ConsumerGroupCommand \
    --bootstrap-server "$kafka" --group "$group" "$@" 2> "$work/errors" || fail "$*: $(cat "$work/errors")"
}

theirs() {
  if [ "$tool" = kafka ]; then
    theirs_kafka --describe | awk -v group="$group" '$1 == group { print $3, $6 }' | sort
  else
    python3 - "$port" "$group" << 'END' | sort
import json, sys, urllib.request
try:
    with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/v3/kafka/local/consumer/{sys.argv[2]}/lag") as answer:
        for partition in json.load(answer)["status"]["partitions"]:
            print(partition["partition"], partition["current_lag"])
except OSError:
    pass
END
  fi
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_burrow() {
  local zookeeper
  zookeeper=$(free_port)
  java -XX:TieredStopAtLevel=1 -cp "$ZOOKEEPER/*" -Dzookeeper.admin.enableServer=false \
    org.apache.zookeeper.server.ZooKeeperServerMain "$zookeeper" "$work/zookeeper" > "$work/zookeeper.out" 2>&1 &
  started+=($!)
  for _ in $(seq 100); do
    (echo > "/dev/tcp/127.0.0.1/$zookeeper") 2> /dev/null && break
    sleep 0.2
  done
  port=$(free_port)
  cat > "$work/burrow.toml" << END
[general]
pidfile="$work/burrow.pid"
[logging]
filename="$work/burrow.log"
level="info"
[zookeeper]
servers=["127.0.0.1:$zookeeper"]
timeout=6
root-path="/burrow"
[client-profile.plain]
client-id="burrow"
kafka-version="2.0.0"
[cluster.local]
class-name="kafka"
servers=["$kafka"]
client-profile="plain"
topic-refresh=2
offset-refresh=1
[consumer.local]
class-name="kafka"
cluster="local"
servers=["$kafka"]
client-profile="plain"
[httpserver.default]
address="127.0.0.1:$port"
[storage.default]
class-name="inmemory"
min-distance=0
END
  Burrow --config-dir "$work" > "$work/burrow.out" 2>&1 &
  started+=($!)
}

"$levada" topic create "$topic" --partitions 3 --server "$grpc" > /dev/null
for number in $(seq 300); do echo "$number:letter $number"; done |
  "$levada" produce "$topic" --key-separator : --server "$grpc" > /dev/null
commit 10
if [ "$tool" = burrow ]; then start_burrow; fi

# Burrow asks for the ends of partitions now and then, and needs a few commits to make up its mind.
for offset in $(seq 11 70); do
  commit "$offset"
  told=$(ours)
  seen=$(theirs)
  [ "$seen" = "$told" ] && break
  sleep 1
done
[ "$(wc -l <<< "$told")" = 3 ] || fail "not three partitions: $told"
[ "$seen" = "$told" ] || fail "partition and lag: $seen; told by levada: $told; $(tail -3 "$work"/burrow.{log,out} 2> /dev/null)"

if [ "$tool" = kafka ]; then
  theirs_kafka --describe --state | grep -q Empty || fail "the state is not Empty"
  java -XX:TieredStopAtLevel=1 -cp "$KAFKA_TOOLS/*" org.apache.kafka.tools.consumer.group.ConsumerGroupCommand \
    --bootstrap-server "$kafka" --list | grep -qx "$group" || fail "the group is not listed"
  theirs_kafka --topic "$topic" --reset-offsets --to-earliest --execute > /dev/null
  ours | awk '{ left += $2 } END { exit left != 300 }' || fail "after a reset to the start: $(ours)"
  theirs_kafka --topic "$topic:0" --delete-offsets > /dev/null
  [ "$(ours | wc -l)" = 2 ] || fail "after the offsets of a partition were deleted: $(ours)"
  theirs_kafka --delete > /dev/null
  if "$levada" group describe "$group" --server "$grpc" > "$work/described" 2>&1; then fail "the group is still there"; fi
fi
