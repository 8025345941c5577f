#!/usr/bin/env bash
# Both sides of one workload on one real Kafka, in turn, and their ratios.
# RESTORE=1 measures the rebuilding of its state from the changelog instead.
#   versus.sh WORKLOAD [RECORDS] [KEYS]
# ENGINE=fjall|rocksdb|memory chooses our engine. ROUNDS (default 1) repeats; the ratios are those of the medians.
# GUARANTEE=exactly_once_v2 runs both sides in transactions, and ours at-least-once, too, in the same rounds.
# COMMIT_MS sets the commit interval (default 1000), ALO_COMMIT_MS another one for at-least-once.
# SIDES (default all) chooses among them: "jvm kstreams kstreams-alo".
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/java.sh"
work=${1:?workload} records=${2:-1000000} keys=${3:-100000}
guarantee=${GUARANTEE:-at_least_once} commit=${COMMIT_MS:-1000}
dir=$(mktemp -d) port=${KAFKA_PORT:-29092}
cargo build --release -q -p kstreams-bench ${BENCH_FEATURES:+--features "$BENCH_FEATURES"} --manifest-path "$root/Cargo.toml"
bin=${CARGO_TARGET_DIR:-$root/target}/release/kstreams-bench
ours=("$bin" run --engine "${ENGINE:-fjall}")
KAFKA_HEAP=1g "$root/scripts/kafka/kafka.sh" start "$dir" "$port" >/dev/null
trap '"$root/scripts/kafka/kafka.sh" stop "$dir"; rm -rf "$dir"' EXIT
java_tool Bench load "127.0.0.1:$port" "$records" "$keys" 4
if [ -n "${RESTORE:-}" ]; then
  "$here/restore.sh" "127.0.0.1:$port" "$work" jvm "$here/jvm.sh"
  "$here/restore.sh" "127.0.0.1:$port" "$work" kstreams "${ours[@]}"
  exit
fi
sides="jvm kstreams"
[ "$guarantee" = at_least_once ] || sides="$sides kstreams-alo"
for _ in $(seq "${ROUNDS:-1}"); do
  for side in ${SIDES:-$sides}; do
    config="processing.guarantee=$guarantee commit.interval.ms=$commit"
    case $side in
      jvm) run=("$here/jvm.sh") ;;
      kstreams) run=("${ours[@]}") ;;
      kstreams-alo)
        run=("${ours[@]}")
        config="processing.guarantee=at_least_once commit.interval.ms=${ALO_COMMIT_MS:-$commit}" ;;
    esac
    BENCH_CONFIG=$config "$here/side.sh" "127.0.0.1:$port" "$work" "$side" "${run[@]}" | tee -a "$dir/results"
  done
done
echo "guarantee $guarantee, commit interval $commit ms, at-least-once ${ALO_COMMIT_MS:-$commit} ms"
awk -f "$here/medians.awk" "$dir/results"
