#!/usr/bin/env bash
# A throw-away Apache Kafka (KRaft, one node) for tests and measurements. Needs Java 17 or later, and Maven to fetch the jars.
#
#   kafka.sh jars               fetch the jars once (Maven), print the class path
#   kafka.sh start [DIR] [PORT] start a broker, wait until it answers, print its pid
#   kafka.sh stop  [DIR]        stop it and wait for its end
#   kafka.sh tool CLASS ARGS... run one of Kafka's own tools, e.g. org.apache.kafka.tools.TopicCommand
#
# KAFKA_VERSION chooses the version (default 4.1.1). EXTRA_PROPS adds server properties, one a line.
# KAFKA_KEEP_DATA=1 starts on the data that DIR already holds, and adds to its log. KAFKA_JAVA adds options of Java.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=${KAFKA_VERSION:-4.1.1}
cache=${KAFKA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kstreams-kafka/$version}

jars() {
  if ! ls "$cache"/kafka-server-"$version".jar >/dev/null 2>&1; then
    mkdir -p "$cache"
    mvn -q -f "$here/pom.xml" -Dkafka.version="$version" dependency:copy-dependencies -DoutputDirectory="$cache" >&2
  fi
  echo "$cache/*"
}

log_opts="-Dorg.slf4j.simpleLogger.defaultLogLevel=${LOG_LEVEL:-warn} -Dorg.slf4j.simpleLogger.showDateTime=true"

start() {
  local dir=${1:-/tmp/kstreams-kafka} port=${2:-9092} cp
  cp=$(jars)
  mkdir -p "$dir"
  [ -n "${KAFKA_KEEP_DATA:-}" ] || rm -rf "$dir/data" "$dir/server.log"
  cat > "$dir/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$dir/data
num.partitions=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.ms=-1
${EXTRA_PROPS:-}
P
  local id=5L6g3nShT-eMCtK--X86sw
  [ -d "$dir/data" ] || java ${KAFKA_JAVA:-} $log_opts -cp "$cp" kafka.tools.StorageTool format -t $id -c "$dir/server.properties" >"$dir/format.log" 2>&1
  setsid nohup java -Xms${KAFKA_HEAP:-512m} -Xmx${KAFKA_HEAP:-512m} ${KAFKA_JAVA:-} $log_opts -cp "$cp" kafka.Kafka "$dir/server.properties" >>"$dir/server.log" 2>&1 &
  echo $! > "$dir/pid"
  for _ in $(seq 1 120); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      exec 3>&- 2>/dev/null || true
      cat "$dir/pid"; return 0
    fi
    kill -0 "$(cat "$dir/pid")" 2>/dev/null || { tail -20 "$dir/server.log" >&2; return 1; }
    sleep 0.5
  done
  echo "broker did not answer on port $port" >&2; tail -20 "$dir/server.log" >&2; return 1
}

stop() {
  local dir=${1:-/tmp/kstreams-kafka} pid
  [ -f "$dir/pid" ] || return 0
  pid=$(cat "$dir/pid")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 1 60); do kill -0 "$pid" 2>/dev/null || break; sleep 0.5; done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$dir/pid"
}

case "${1:-}" in
  jars) jars ;;
  start) shift; start "$@" ;;
  stop) shift; stop "$@" ;;
  tool) shift; exec java $log_opts -cp "$(jars)" "$@" ;;
  *) sed -n '2,9p' "$0"; exit 2 ;;
esac
