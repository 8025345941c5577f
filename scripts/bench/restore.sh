#!/usr/bin/env bash
# Time to rebuild the state of a finished workload from its changelog, into an empty state directory.
#   restore.sh BOOTSTRAP WORKLOAD LABEL COMMAND...   COMMAND as in side.sh; it prints "state RUNNING at S s".
# Prints: label, workload, seconds from REBALANCING to the last RUNNING, CPU seconds, changelog records and MB.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/java.sh"
boot=$1 work=$2 label=$3; shift 3
app=restore-$work-$label-$$ s=$(mktemp -d)
"$@" "$boot" "$work" "$app" "$s/first" 1 >"$s/log1" 2>&1 & pid=$!
in=$(inputs "$work" "$app")
java_tool Bench watch "$boot" "$app" "$in" "${BENCH_TIMEOUT:-300}" >/dev/null
kill -TERM $pid; wait $pid 2>/dev/null || true
# Java stays in its group after a close: its successor would wait for the session to expire, which is not what is measured.
[ "$label" != jvm ] || sleep 46
size=$(java_tool Bench size "$boot" "$app-.*-changelog")
"$@" "$boot" "$work" "$app" "$s/second" 1 >"$s/log2" 2>&1 & pid=$!
until grep -q 'state RUNNING at' "$s/log2"; do kill -0 $pid; sleep 0.1; done
sleep 1
cpu=$(awk -v hz="$(getconf CLK_TCK)" '{print ($14+$15)/hz}' /proc/$pid/stat)
kill -TERM $pid; wait $pid 2>/dev/null || true
t=$(awk '/state REBALANCING at/{if(!a)a=$4} /state RUNNING at/{b=$4} END{print b-a}' "$s/log2")
echo "$label $work restore_s=$t cpu=$cpu $size"
rm -rf "$s"
