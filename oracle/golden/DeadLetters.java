import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Consumer;
import java.util.function.Function;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.test.TestRecord;

/** Emits the dead letters that Java's built-in handlers write for a list of failures, one JSON object per failure (4.3+). */
public class DeadLetters {
    static final String HANDLERS = "org.apache.kafka.streams.errors.";
    static final Serde<String> STR = Serdes.String();
    static final Consumed<String, String> STRINGS = Consumed.with(STR, STR);
    static PrintStream out;

    /** A record of the topic `in` unless said otherwise: key and value as bytes, both may be null. */
    record Input(String topic, byte[] key, byte[] value, long timestamp) {
        Input(byte[] key, byte[] value) { this("in", key, value, 1000); }
        Input(String key, String value) { this(bytes(key), bytes(value)); }
    }

    /** Those of every input: one with a text, one without a value, and one that a dead letter has too. */
    static RecordHeaders headers() {
        return (RecordHeaders) new RecordHeaders().add("h", bytes("x")).add("null", null).add("__streams.errors.topic", bytes("before"));
    }

    static byte[] bytes(String text) { return text == null ? null : text.getBytes(StandardCharsets.UTF_8); }
    static byte[] hex(String text) { return HexFormat.of().parseHex(text); }
    static <T> T boom() { throw new RuntimeException("boom"); }

    public static void main(String[] a) throws Exception {
        out = new PrintStream(a[0], StandardCharsets.UTF_8);
        if (a.length > 1) {
            sends(a[1]);
        } else {
            undecodable();
            processing();
            punctuation();
            serialization();
        }
        out.close();
    }

    // ---------------------------------------------------------------- failures

    static void undecodable() throws Exception {
        Map<String, Serde<?>> serdes = new LinkedHashMap<>();
        serdes.put("short", Serdes.Short());
        serdes.put("integer", Serdes.Integer());
        serdes.put("long", Serdes.Long());
        serdes.put("float", Serdes.Float());
        serdes.put("double", Serdes.Double());
        serdes.put("boolean", Serdes.Boolean());
        serdes.put("uuid", Serdes.UUID());
        serdes.put("void", Serdes.Void());
        serdes.put("string", STR);
        serdes.put("bytes", Serdes.Bytes());
        serdes.put("list", Serdes.ListSerde(ArrayList.class, Serdes.Integer()));
        serdes.put("time_windowed", WindowedSerdes.timeWindowedSerdeFrom(String.class, 10));
        serdes.put("session_windowed", WindowedSerdes.sessionWindowedSerdeFrom(String.class));
        byte[] poison = hex("ff0102"), fine = bytes("fine");
        for (var serde : serdes.entrySet()) {
            both("key/" + serde.getKey(), b -> b.stream("in", Consumed.with(serde.getValue(), Serdes.ByteArray())).to("out", produced(serde.getValue(), Serdes.ByteArray())), new Input(poison, fine));
            both("value/" + serde.getKey(), b -> b.stream("in", Consumed.with(Serdes.ByteArray(), serde.getValue())).to("out", produced(Serdes.ByteArray(), serde.getValue())), new Input(fine, poison));
        }
        Consumed<byte[], Boolean> booleans = Consumed.with(Serdes.ByteArray(), Serdes.Boolean());
        both("value/boolean_of_two", b -> b.stream("in", booleans).to("out"), new Input(fine, hex("02")));
        both("value/boolean_of_minus_two", b -> b.stream("in", booleans).to("out"), new Input(fine, hex("fe")));
        both("value/list_of_nothing", b -> b.stream("in", Consumed.with(Serdes.ByteArray(), Serdes.ListSerde(ArrayList.class, Serdes.Integer()))).to("out"), new Input(fine, hex("")));
        both("value/uuid_of_text", b -> b.stream("in", Consumed.with(Serdes.ByteArray(), Serdes.UUID())).to("out"), new Input(fine, bytes("not-a-uuid")));
        both("null_key", b -> b.stream("in", Consumed.with(Serdes.Long(), Serdes.Long())).to("out"), new Input((byte[]) null, hex("ff")));
        both("key_and_value", b -> b.stream("in", Consumed.with(Serdes.Long(), Serdes.Long())).to("out"), new Input(hex("01"), hex("02")));
        both("table", b -> b.table("in", Consumed.with(STR, Serdes.Long())), new Input(fine, poison));
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static Produced produced(Serde key, Serde value) { return Produced.with(key, value); }

    static void processing() throws Exception {
        Input input = new Input("k", "v");
        both("map_values", b -> b.stream("in", STRINGS).mapValues(v -> DeadLetters.<String>boom()).to("out"), input);
        both("filter", b -> b.stream("in", STRINGS).filter((k, v) -> boom()).to("out"), input);
        both("flat_map", b -> b.stream("in", STRINGS).flatMap((k, v) -> DeadLetters.<List<KeyValue<String, String>>>boom()).to("out"), input);
        both("null_key_and_value", b -> b.stream("in", STRINGS).mapValues(v -> DeadLetters.<String>boom()).to("out"), new Input((byte[]) null, null));
        both("processor", b -> b.stream("in", STRINGS).process(Failing::new).to("out"), input);
        both("second_processor", b -> b.stream("in", STRINGS).mapValues(v -> v + v).mapValues(v -> DeadLetters.<String>boom()).to("out"), input);
        both("after_an_output", b -> {
            KStream<String, String> in = b.stream("in", STRINGS);
            in.to("out");
            in.mapValues(v -> DeadLetters.<String>boom()).to("other");
        }, input);
        both("after_a_changelog", b -> b.stream("in", STRINGS).groupByKey().count(uncached(true)).toStream().mapValues(v -> DeadLetters.<Long>boom()).to("out"), input);
        both("after_a_store", b -> b.stream("in", STRINGS).groupByKey().count(uncached(false)).toStream().mapValues(v -> DeadLetters.<Long>boom()).to("out"), input);
        both("aggregator", b -> b.stream("in", STRINGS).groupByKey().aggregate(() -> "", (k, v, agg) -> DeadLetters.<String>boom(), Materialized.with(STR, STR)).toStream().to("out"), input);
        both("initializer", b -> b.stream("in", STRINGS).groupByKey().aggregate(() -> DeadLetters.<String>boom(), (k, v, agg) -> v, Materialized.with(STR, STR)).toStream().to("out"), input);
        both("after_a_repartition", b -> b.stream("in", STRINGS).repartition(Repartitioned.with(STR, STR).withName("again")).mapValues(v -> DeadLetters.<String>boom()).to("out"), input);
        both("table_mapper", b -> b.table("in", STRINGS).mapValues(v -> DeadLetters.<String>boom()).toStream().to("out"), input);
        both("joiner", b -> b.stream("in", STRINGS).join(b.table("table", STRINGS), (l, r) -> DeadLetters.<String>boom()).to("out"),
            new Input("table", bytes("k"), bytes("t"), 900), input);
        both("second_record", b -> b.stream("in", STRINGS).mapValues(v -> v.equals("bad") ? boom() : v).to("out"),
            new Input("in", bytes("k"), bytes("good"), 500), new Input("in", bytes("k"), bytes("bad"), 700), new Input("in", bytes("k"), bytes("good"), 900));
        both("cached_table_mapper", b -> b.stream("in", STRINGS).groupByKey().count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")).withCachingEnabled().withKeySerde(STR).withValueSerde(Serdes.Long()))
            .toStream().mapValues(v -> DeadLetters.<Long>boom()).to("out"), input);
    }

    static class Failing implements Processor<String, String, String, String> {
        @Override public void process(org.apache.kafka.streams.processor.api.Record<String, String> record) { boom(); }
    }

    static Materialized<String, Long, org.apache.kafka.streams.state.KeyValueStore<org.apache.kafka.common.utils.Bytes, byte[]>> uncached(boolean logged) {
        Materialized<String, Long, org.apache.kafka.streams.state.KeyValueStore<org.apache.kafka.common.utils.Bytes, byte[]>> m =
            Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")).withCachingDisabled().withKeySerde(STR).withValueSerde(Serdes.Long());
        return logged ? m.withLoggingEnabled(Map.of()) : m.withLoggingDisabled();
    }

    static void punctuation() throws Exception {
        for (PunctuationType type : PunctuationType.values())
            both(type == PunctuationType.STREAM_TIME ? "stream_time_punctuation" : "wall_clock_punctuation",
                b -> b.stream("in", STRINGS).process(() -> new Processor<String, String, String, String>() {
                    ProcessorContext<String, String> context;
                    @Override public void init(ProcessorContext<String, String> context) {
                        this.context = context;
                        context.schedule(Duration.ofMillis(100), type, time -> boom());
                    }
                    @Override public void process(org.apache.kafka.streams.processor.api.Record<String, String> record) { context.forward(record); }
                }).to("out"), new Input("k", "v"));
    }

    static void serialization() throws Exception {
        Serializer<String> refuses = (topic, data) -> { throw new SerializationException("will not write " + data); };
        Serializer<String> fails = (topic, data) -> boom();
        Serde<String> refusing = Serdes.serdeFrom(refuses, STR.deserializer()), failing = Serdes.serdeFrom(fails, STR.deserializer());
        Input input = new Input("k", "v");
        both("sink_key", b -> b.stream("in", STRINGS).to("out", Produced.with(refusing, STR)), input);
        both("sink_value", b -> b.stream("in", STRINGS).to("out", Produced.with(STR, refusing)), input);
        both("sink_value_runtime_exception", b -> b.stream("in", STRINGS).to("out", Produced.with(STR, failing)), input);
        both("sink_value_below_a_processor", b -> b.stream("in", STRINGS).mapValues(v -> v + v).to("out", Produced.with(STR, refusing)), input);
        both("repartition_value", b -> b.stream("in", STRINGS).repartition(Repartitioned.with(STR, refusing).withName("again")).to("out"), input);
        both("store_value", b -> b.stream("in", STRINGS).groupByKey().aggregate(() -> "", (k, v, agg) -> v,
            Materialized.<String, String>as(Stores.inMemoryKeyValueStore("store")).withCachingDisabled().withKeySerde(STR).withValueSerde(refusing)), input);
        both("sink_partitioner", b -> b.stream("in", STRINGS).to("out", Produced.with(STR, STR, (topic, k, v, n) -> boom())), input);
        both("topic_extractor", b -> b.stream("in", STRINGS).to((k, v, c) -> DeadLetters.<String>boom(), Produced.with(STR, STR)), input);
    }

    /**
     * What a real broker, or the client before it, refuses. A first record goes to the dead letters on purpose: Java asks the
     * handler on the very thread that would look the topic up, and a topic that it does not know yet costs it a minute and the letter.
     */
    static void sends(String bootstrap) throws Exception {
        Input small = new Input("k", "v");
        Function<KStream<String, String>, KStream<String, String>> grow = in -> in.mapValues(v -> v.equals("first") ? v : v.repeat(3000)), keep = in -> in;
        send(bootstrap, "too_large_for_the_client", Map.of("producer.max.request.size", "2000"), Map.of(), grow, small);
        send(bootstrap, "too_large_for_the_topic", Map.of(), Map.of("max.message.bytes", "2000"), grow, small);
        send(bootstrap, "no_key_for_a_compacted_topic", Map.of(), Map.of("cleanup.policy", "compact"), keep, new Input(null, "v"));
        send(bootstrap, "time_out_of_range", Map.of(), Map.of("message.timestamp.before.max.ms", "1000"), keep, small);
        send(bootstrap, "exactly_once", Map.of("processing.guarantee", "exactly_once_v2", "producer.max.request.size", "2000"), Map.of(), grow, small);
    }

    static void send(String bootstrap, String name, Map<String, String> config, Map<String, String> topic, Function<KStream<String, String>, KStream<String, String>> between, Input input) throws Exception {
        String in = name + "-in", to = name + "-out", dead = name + "-dead";
        Map<String, Object> client = Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest");
        Map<String, Object> line = new LinkedHashMap<>(Map.of("name", name));
        try (Admin admin = Admin.create(client); Producer<byte[], byte[]> producer = new KafkaProducer<>(client, new ByteArraySerializer(), new ByteArraySerializer())) {
            admin.createTopics(List.of(new NewTopic(in, 1, (short) 1), new NewTopic(to, 1, (short) 1).configs(topic), new NewTopic(dead, 1, (short) 1))).all().get();
            producer.send(new ProducerRecord<>(in, 0, 0L, null, bytes("first"))).get();
        }
        Properties p = config(dead);
        p.putAll(config);
        p.putAll(client);
        p.put("application.id", name);
        p.put("commit.interval.ms", "100");
        StreamsBuilder b = new StreamsBuilder();
        between.apply(b.stream(in, STRINGS)).to((k, v, context) -> context.offset() == 0 ? dead : to, Produced.with(STR, STR));
        CompletableFuture<Throwable> failed = new CompletableFuture<>();
        try (KafkaStreams streams = new KafkaStreams(b.build(p), p)) {
            streams.setUncaughtExceptionHandler(e -> {
                failed.complete(e);
                return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            while (read(client, dead, "read_committed").isEmpty()) Thread.sleep(100);
            try (Producer<byte[], byte[]> producer = new KafkaProducer<>(client, new ByteArraySerializer(), new ByteArraySerializer())) {
                producer.send(new ProducerRecord<>(in, 0, input.timestamp(), input.key(), input.value(), headers())).get();
            }
            line.put("error", chain(failed.get(60, TimeUnit.SECONDS)));
        }
        line.put("dead", read(client, dead, "read_uncommitted").stream().skip(1).toList());
        line.put("committed", read(client, dead, "read_committed").size() - 1);
        out.println(GoldenFormats.j(line));
    }

    static List<Map<String, Object>> read(Map<String, Object> client, String topic, String isolation) {
        Map<String, Object> config = new HashMap<>(client);
        config.put("isolation.level", isolation);
        TopicPartition partition = new TopicPartition(topic, 0);
        List<Map<String, Object>> letters = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            while (consumer.position(partition) < end)
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200)))
                    letters.add(letter(new TestRecord<>(r)));
        }
        return letters;
    }

    // ---------------------------------------------------------------- running

    static void both(String name, Consumer<StreamsBuilder> build, Input... inputs) throws Exception {
        run(name, "continue", build, inputs);
        run(name, "fail", build, inputs);
    }

    static void run(String name, String handler, Consumer<StreamsBuilder> build, Input... inputs) throws Exception {
        Properties p = config("dead");
        boolean goesOn = handler.equals("continue");
        p.put("deserialization.exception.handler", HANDLERS + (goesOn ? "LogAndContinueExceptionHandler" : "LogAndFailExceptionHandler"));
        p.put("processing.exception.handler", HANDLERS + (goesOn ? "LogAndContinueProcessingExceptionHandler" : "LogAndFailProcessingExceptionHandler"));
        StreamsBuilder builder = new StreamsBuilder();
        build.accept(builder);
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("name", name);
        line.put("handler", handler);
        line.put("inputs", Arrays.stream(inputs).map(DeadLetters::input).toList());
        try (TopologyTestDriver driver = new TopologyTestDriver(builder.build(p), p, java.time.Instant.ofEpochMilli(5000))) {
            line.put("error", chain(failure(() -> {
                for (Input i : inputs)
                    driver.createInputTopic(i.topic(), new ByteArraySerializer(), new ByteArraySerializer())
                        .pipeInput(new TestRecord<>(i.key(), i.value(), headers(), i.timestamp()));
                driver.advanceWallClockTime(Duration.ofMillis(100));
            })));
            // What was sent before a failure is handed out by the next call only.
            failure(() -> driver.advanceWallClockTime(Duration.ZERO));
            line.put("dead", driver.producedTopicNames().contains("dead")
                ? driver.createOutputTopic("dead", new ByteArrayDeserializer(), new ByteArrayDeserializer()).readRecordsToList().stream().map(DeadLetters::letter).toList()
                : List.of());
            line.put("out", driver.producedTopicNames().contains("out")
                ? driver.createOutputTopic("out", new ByteArrayDeserializer(), new ByteArrayDeserializer()).readRecordsToList().size()
                : 0);
        } catch (Throwable e) { System.err.println(name + " " + handler + ": closing: " + e); }
        out.println(GoldenFormats.j(line));
    }

    static Properties config(String dead) throws Exception {
        Properties p = new Properties();
        p.put("application.id", "app");
        p.put("bootstrap.servers", "unused:1");
        p.put("default.key.serde", Serdes.StringSerde.class);
        p.put("default.value.serde", Serdes.StringSerde.class);
        p.put("state.dir", java.nio.file.Files.createTempDirectory("dead-letters").toString());
        p.put("errors.dead.letter.queue.topic.name", dead);
        return p;
    }

    /** The failure of the action, null if it succeeds. */
    static Throwable failure(Runnable action) {
        try {
            action.run();
            return null;
        } catch (Throwable e) { return e; }
    }

    /** A failure and its causes, each as class and message. */
    static List<List<String>> chain(Throwable failure) {
        List<List<String>> chain = new ArrayList<>();
        for (Throwable t = failure; t != null; t = t.getCause()) chain.add(Arrays.asList(t.getClass().getName(), t.getMessage()));
        return chain;
    }

    static Map<String, Object> letter(TestRecord<byte[], byte[]> record) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("key", GoldenFormats.hex(record.key()));
        m.put("value", GoldenFormats.hex(record.value()));
        m.put("timestamp", record.timestamp());
        List<List<String>> headers = new ArrayList<>();
        for (Header h : record.headers()) {
            String text = h.value() == null ? null : new String(h.value(), StandardCharsets.UTF_8);
            // Of a stack trace, what names the failure: the rest is Java's own inside.
            if (h.key().equals("__streams.errors.stacktrace")) text = text.lines().filter(l -> !l.startsWith("\tat ") && !l.startsWith("\t...")).collect(java.util.stream.Collectors.joining("\n"));
            headers.add(Arrays.asList(h.key(), text));
        }
        m.put("headers", headers);
        return m;
    }

    static Map<String, Object> input(Input i) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("topic", i.topic());
        m.put("key", GoldenFormats.hex(i.key()));
        m.put("value", GoldenFormats.hex(i.value()));
        m.put("timestamp", i.timestamp());
        return m;
    }
}
