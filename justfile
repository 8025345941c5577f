# `just` lists what there is. Everything here is plain cargo and bash; nothing is installed behind your back.

default:
    @just --list

# The everyday loop: everything that needs Rust alone.
test:
    cargo test --workspace

# Lints: format, clippy, dependency policy, documentation.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- --deny warnings
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --quiet
    cargo deny --log-level error check bans licenses sources

# What a change must pass before it lands.
check: lint test

# The store's tests and the conformance cases on RocksDB too (see scripts/rocksdb-deps.sh).
test-rocksdb:
    cargo test -p kstreams-store -p kstreams-conformance --features kstreams-store/rocksdb,kstreams-conformance/rocksdb

# Cases from SEED on, on Java's test driver and on ours, on every engine: a tally, and what differs (needs Java 17 and Maven).
conformance SEED COUNT PROFILE="all":
    mkdir -p target/conformance
    oracle/run.sh gen --seed {{SEED}} --count {{COUNT}} --profile {{PROFILE}} > target/conformance/cases.jsonl
    oracle/run.sh run < target/conformance/cases.jsonl > target/conformance/expected.jsonl
    cargo run --quiet -p kstreams-conformance -- check target/conformance/cases.jsonl target/conformance/expected.jsonl

# Rust and Java on one real Kafka 4.1.1, which scripts/kafka/kafka.sh fetches (needs Java 17 and Maven).
test-kafka:
    TEST_KAFKA=1 cargo test -p kstreams-tests --test interop --test chaos -- --nocapture --test-threads=1

# Kills, freezes and broker restarts for so many rounds, drawn from SEED, and the output compared with a single pass over
# the input. BROKER is embedded, kafka (three brokers) or kafka-alone (one; see ADR 9): both need Java 17 and Maven.
chaos ROUNDS SEED BROKER=env("BROKER", "embedded"):
    cargo run --quiet -p kstreams-tests --bin chaos -- run {{ROUNDS}} {{SEED}} {{BROKER}}

# One workload on both sides, on one real Kafka, in turn: pipe, stateless, wordcount, count, count-mem.
bench-vs-jvm WORKLOAD *ARGS:
    scripts/bench/versus.sh {{WORKLOAD}} {{ARGS}}

# The same in transactions, and ours at-least-once beside it, in turn: medians of ROUNDS. COMMIT_MS=100 is the default interval.
bench-eos WORKLOAD *ARGS:
    GUARANTEE=exactly_once_v2 ROUNDS=${ROUNDS:-5} scripts/bench/versus.sh {{WORKLOAD}} {{ARGS}}

# Rebuild a workload's state from its changelog, on both sides.
bench-restore WORKLOAD *ARGS:
    RESTORE=1 scripts/bench/versus.sh {{WORKLOAD}} {{ARGS}}

# Micro-benchmarks: batches, inbox, store.
bench:
    cargo bench -p kstreams-wire -p kstreams-store -p kstreams-task
