# Sourced: the JVM's side. Compiles Bench.java once and gives `java_tool CLASS ARGS...`.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
classes=${BENCH_CLASSES:-$root/target/bench-classes}
class_path="$classes:$("$root/scripts/kafka/kafka.sh" jars)"
if [ ! "$classes/Bench.class" -nt "$root/scripts/bench/Bench.java" ]; then
  mkdir -p "$classes"
  javac -cp "$class_path" -d "$classes" "$root/scripts/bench/Bench.java"
fi
java_tool() { java -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$class_path" "$@"; }

# The topics that a workload of an application reads, its own included, as a regular expression.
inputs() {
  case $1 in
    wordcount) echo "lines|$2-.*-repartition" ;;
    enrich) echo "events|profiles" ;;
    stream-join) echo "events|clicks" ;;
    fk-join) echo "orders|profiles|$2-.*-(REGISTRATION|RESPONSE)-.*-topic" ;;
    *) echo events ;;
  esac
}
