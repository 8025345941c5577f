#!/usr/bin/env bash
# Measure one workload with one implementation on a running broker that Bench has loaded.
#   side.sh BOOTSTRAP WORKLOAD LABEL COMMAND...   COMMAND gets: BOOTSTRAP WORKLOAD APP_ID STATE_DIR THREADS [key=value ...]
# BENCH_CONFIG="key=value ..." adds settings.
# Prints one line: label, workload, wall seconds until everything is consumed and committed, CPU seconds, peak memory, commits,
# and a digest of the output as read_committed consumers see it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/java.sh"
boot=$1 work=$2 label=$3; shift 3
app=bench-$work-$label-$$
state=$(mktemp -d)
topic() { java_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$boot" "$@"; }
topic --delete --if-exists --topic out >/dev/null 2>&1 || true
until topic --create --topic out --partitions 4 >/dev/null 2>&1; do :; done
in=$(inputs "$work" "$app")
start=$(date +%s.%N)
"$@" "$boot" "$work" "$app" "$state" "${THREADS:-1}" ${BENCH_CONFIG:-} >"$state.log" 2>&1 &
pid=$!
java_tool Bench watch "$boot" "$app" "$in" "${BENCH_TIMEOUT:-300}" >"$state.wall" || true
wall=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN{print b-a}')
rss=$(awk '/VmHWM/{print int($2/1024)}' /proc/$pid/status 2>/dev/null || echo 0)
cpu=$(awk -v hz="$(getconf CLK_TCK)" '{print ($14+$15)/hz}' /proc/$pid/stat 2>/dev/null || echo 0)
kill -TERM $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
commits=$(awk '$1 == "commits" {print $2}' "$state.log")
digest=$(java_tool Bench digest "$boot" out)
printf '%-12s %-10s wall=%.2f watched=%s cpu=%s rss_mb=%s commits=%s %s\n' \
  "$label" "$work" "$wall" "$(cat "$state.wall")" "$cpu" "$rss" "${commits:-?}" "$digest"
[ -n "${BENCH_KEEP:-}" ] || rm -rf "$state" "$state.log" "$state.wall"
