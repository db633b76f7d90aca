#!/usr/bin/env bash
# The lines of the README for grpcurl: reflection, a topic, a record, and the record again.
set -euo pipefail
grpc=$2

services=$(grpcurl -plaintext "$grpc" list)
for service in levada.v1.Producer levada.v1.Consumer levada.v1.Admin grpc.health.v1.Health; do
  grep -qx "$service" <<< "$services"
done
if grep -q internal <<< "$services"; then
  echo "reflection lists an internal service" >&2
  exit 1
fi
grpcurl -plaintext "$grpc" grpc.health.v1.Health/Check | grep -q SERVING
grpcurl -plaintext -d '{"name": "hello", "partition_count": 1}' "$grpc" levada.v1.Admin/CreateTopic | grep -q topicId
grpcurl -plaintext -d '{"batch": {"topic": {"name": "hello"}, "records": {"records": [{"key": "aw==", "value": "d29ybGQ="}]}}}' \
  "$grpc" levada.v1.Producer/Produce | grep -q '"recordCount": 1'
grpcurl -plaintext -d '{"partitions": [{"topic": {"name": "hello"}}], "stop_at_end": true}' \
  "$grpc" levada.v1.Consumer/Fetch | grep -q '"value": "d29ybGQ="'
if grpcurl -plaintext -d '{"name": "no/slashes"}' "$grpc" levada.v1.Admin/CreateTopic 2> /dev/null; then
  echo "a topic name outside the rules was accepted" >&2
  exit 1
fi
