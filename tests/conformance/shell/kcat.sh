#!/usr/bin/env bash
# The lines of the README for kcat: a file goes in line by line and comes back the same.
set -euo pipefail
kafka=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

seq 1 10000 | sed 's/.*/line &/' > "$work/lines"
for codec in none gzip snappy lz4 zstd; do
  kcat -b "$kafka" -P -t "kcat.$codec" -z "$codec" -X acks=all -p 0 < "$work/lines"
  kcat -b "$kafka" -C -t "kcat.$codec" -p 0 -o beginning -e -q > "$work/back"
  cmp "$work/lines" "$work/back"
  kcat -b "$kafka" -C -t "kcat.$codec" -p 0 -o 5000 -c 1 -q | grep -qx 'line 5001'
done
kcat -b "$kafka" -L -t kcat.none | grep -q 'topic "kcat.none" with 1 partitions'
