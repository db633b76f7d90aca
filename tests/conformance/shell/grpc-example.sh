#!/usr/bin/env bash
# One of the consumers of docs/examples, as docs/grpc-groups.md starts it: it reads, goes on where its group stopped, shares a
# topic with another of its kind, and takes over from one that leaves. Started as `grpc-example.sh COMMAND… KAFKA GRPC`.
set -euo pipefail
# Each consumer is a job of its own, which hears an interrupt.
set -m
consumer=("${@:1:$#-2}") grpc=${*: -1}
levada=${LEVADA_BIN:-levada}
group=examples topic=numbers
work=$(mktemp -d)
declare -A started
end() {
  for process in "${started[@]}"; do kill -9 "$process" 2> /dev/null || true; done
  rm -rf "$work"
}
trap end EXIT

fail() {
  echo "grpc-example.sh ${consumer[*]}: $*" >&2
  tail -n 5 "$work"/*.out "$work"/*.err >&2 || true
  exit 1
}

# Starts a consumer that prints to NAME.out.
start() {
  "${consumer[@]}" "$grpc" "$group" "$topic" > "$work/$1.out" 2> "$work/$1.err" &
  started[$1]=$!
}

# Presses Ctrl-C: the consumer leaves and ends. A Java that was interrupted ends with 130 whatever it does.
interrupt() {
  local status=0
  kill -INT "${started[$1]}"
  wait "${started[$1]}" || status=$?
  [ "$status" = 0 ] || [ "$status" = 130 ] || fail "$1 ended with $status after an interrupt"
}

# Produces the numbers from $1 to $2.
produce() {
  seq "$1" "$2" | sed 's/.*/&:number &/' | "$levada" produce "$topic" --key-separator : --server "$grpc" > /dev/null
}

# Waits until what the consumers of $3 and on have printed together is the numbers from $1 to $2, each once.
printed() {
  local first=$1 last=$2
  shift 2
  for _ in $(seq 600); do
    [ "$(cat "${@/#/$work/}" | wc -l)" -ge $((last - first + 1)) ] && break
    sleep 0.1
  done
  cat "${@/#/$work/}" | sed -E "s/^$topic [0-2] [0-9]+ number //" | sort -n > "$work/seen"
  seq "$first" "$last" | diff "$work/seen" - > "$work/differs" || fail "not $first to $last: $(head -5 "$work/differs")"
}

read -r -d '' describe << 'END' || true
import collections, json, sys
for group in json.load(sys.stdin):
    owned = collections.Counter({member["member_id"]: 0 for member in group["members"]})
    owned.update(offset["member_id"] for offset in group["offsets"] if offset["member_id"])
    print(*sorted(owned.values()), sum(offset["lag"] for offset in group["offsets"]))
END

# Waits until the group has members that own this many partitions, fewest first, and this lag in all.
described() {
  local described
  for _ in $(seq 600); do
    described=$("$levada" group describe "$group" --server "$grpc" --output json 2> /dev/null | python3 -c "$describe")
    [ "$described" = "$*" ] && return
    sleep 0.1
  done
  fail "partitions of the members and lag are '$described', not '$*'"
}

"$levada" topic create "$topic" --partitions 3 --server "$grpc" > /dev/null
produce 1 300
start one
printed 1 300 one.out
interrupt one
described 0

# The next one goes on where that one stopped.
produce 301 400
start two
printed 301 400 two.out
described 3 0

# Two share, and what one gives up comes to the other once.
start three
described 1 2 0
produce 401 700
printed 301 700 two.out three.out
[ -s "$work/three.out" ] || fail "the third one got nothing"
interrupt two
described 3 0
produce 701 800
printed 301 800 two.out three.out
interrupt three
described 0

# What cannot go well is told, and ends the program as a failure.
group=''
start wrong
if wait "${started[wrong]}"; then fail "a group without a name was no failure"; fi
[ -s "$work/wrong.err" ] || fail "a failure was not told"
