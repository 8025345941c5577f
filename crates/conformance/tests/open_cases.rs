//! The oracle's open cases come out on every engine as Kafka Streams 4.1.1 brought them out. No Java is needed.

use std::path::Path;

use kstreams_conformance::{Engine, check, read_lines};

#[test]
fn open_cases_come_out_as_in_java() {
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../oracle/cases");
    let cases = read_lines(&oracle.join("open.jsonl")).expect("the cases can be read");
    let expected = read_lines(&oracle.join("expected.jsonl.gz")).expect("the results can be read");
    let mut good = true;
    for engine in Engine::all() {
        let tally = check(&cases, &expected, engine);
        for failure in &tally.failures {
            println!("FAIL {failure}");
        }
        println!("{engine}: {tally}");
        good &= tally.is_clean();
    }
    assert!(good, "cases differ from what Kafka Streams does");
}
