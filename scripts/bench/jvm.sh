#!/usr/bin/env bash
# The command of the JVM's side, for side.sh and restore.sh.
set -euo pipefail
. "$(cd "$(dirname "$0")" && pwd)/java.sh"
exec java -Xmx2g -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$class_path" Bench run "$@"
