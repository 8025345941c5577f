#!/usr/bin/env bash
# Both sides of one workload on one real Kafka, in turn, and their ratios.
# RESTORE=1 measures the rebuilding of its state from the changelog instead.
#   versus.sh WORKLOAD [RECORDS] [KEYS]      ENGINE=fjall|rocksdb|memory chooses our engine; ROUNDS (default 1) repeats.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/java.sh"
work=${1:?workload} records=${2:-1000000} keys=${3:-100000}
dir=$(mktemp -d) port=${KAFKA_PORT:-29092}
cargo build --release -q -p kstreams-bench ${BENCH_FEATURES:+--features "$BENCH_FEATURES"} --manifest-path "$root/Cargo.toml"
bin=${CARGO_TARGET_DIR:-$root/target}/release/kstreams-bench
KAFKA_HEAP=1g "$root/scripts/kafka/kafka.sh" start "$dir" "$port" >/dev/null
trap '"$root/scripts/kafka/kafka.sh" stop "$dir"; rm -rf "$dir"' EXIT
java_tool Bench load "127.0.0.1:$port" "$records" "$keys" 4
if [ -n "${RESTORE:-}" ]; then
  "$here/restore.sh" "127.0.0.1:$port" "$work" jvm "$here/jvm.sh"
  "$here/restore.sh" "127.0.0.1:$port" "$work" kstreams "$bin" run --engine "${ENGINE:-fjall}"
  exit
fi
for _ in $(seq "${ROUNDS:-1}"); do
  "$here/side.sh" "127.0.0.1:$port" "$work" jvm "$here/jvm.sh" | tee "$dir/jvm"
  "$here/side.sh" "127.0.0.1:$port" "$work" kstreams "$bin" run --engine "${ENGINE:-fjall}" | tee "$dir/rust"
  paste -d' ' "$dir/jvm" "$dir/rust" | awk '
    { for (i = 1; i <= NF; i++) { split($i, kv, "="); n[kv[1]]++; v[kv[1], n[kv[1]]] = kv[2] }
      printf "ratio kstreams/jvm: wall %.3f cpu %.3f memory %.3f digest %s\n", v["wall",2]/v["wall",1], v["cpu",2]/v["cpu",1],
        v["rss_mb",2]/v["rss_mb",1], (v["latest",1] == v["latest",2] ? "equal" : "DIFFERS") }'
done
