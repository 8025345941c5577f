//! Under exactly-once Java continues what ours began and the other way round, after a clean close and after a kill in the middle
//! of a transaction: what is committed is what one pass over the input gives.

use std::time::Instant;

use kstreams_client::admin::NewTopic;
use kstreams_client::consume::Isolation;
use kstreams_tests::program::Program;
use kstreams_tests::topics::Topics;
use kstreams_tests::{java, kafka};

use super::{Side, eventually, kill_while_open, running, turn};

/// Long enough to be caught with a transaction open, shorter than Java's transaction timeout.
const SETTINGS: [&str; 2] = ["processing.guarantee=exactly_once_v2", "commit.interval.ms=2000"];
const SLICE: u32 = 2_500;

/// How it ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// SIGTERM.
    Closed,
    /// Stopped while a transaction is open, and killed.
    Killed,
}

fn start(side: Side, bootstrap: &str, state: &str) -> Program {
    running(side.command(bootstrap, "everything", "app", state).args(SETTINGS))
}

/// One run of the application after the other: each commits some, is in the middle of some more, and ends.
struct Relay<'a> {
    bootstrap: &'a str,
    topics: Topics,
    input: java::Slices,
}

impl Relay<'_> {
    fn leg(&mut self, program: Program, end: End) {
        let before = self.committed();
        self.input.load(self.bootstrap, SLICE);
        eventually("something is committed", || self.committed() > before);
        self.input.load(self.bootstrap, SLICE);
        match end {
            End::Closed => {
                eventually("a transaction is open", || self.topics.is_open("out"));
                program.signal("TERM");
                // Java ends with 143 then.
                let mut program = program;
                program.wait();
                assert!(!self.topics.is_open("out"), "a clean close leaves no transaction open");
            }
            End::Killed => kill_while_open(program, &self.topics, "out"),
        }
    }

    fn committed(&self) -> i64 {
        self.topics.length("out", Isolation::ReadCommitted)
    }
}

#[test]
fn java_and_rust_continue_one_another_under_exactly_once() {
    let _turn = turn();
    let Some(kafka) = kafka::real("java_and_rust_continue_one_another_under_exactly_once") else {
        return;
    };
    let bootstrap = kafka.bootstrap();
    let state = tempfile::tempdir().expect("a temporary folder");
    let mut relay = Relay {
        bootstrap: &bootstrap,
        topics: Topics::at(&bootstrap),
        input: java::Slices::new(2_000, 4),
    };
    relay.topics.create(NewTopic::new("out", 4));
    relay.input.load(&bootstrap, SLICE);
    let legs = [
        (Side::Java, End::Killed),
        (Side::Rust, End::Killed),
        (Side::Java, End::Closed),
        (Side::Rust, End::Closed),
    ];
    for (number, (side, end)) in legs.into_iter().enumerate() {
        let began = Instant::now();
        // Nobody finds anything of its predecessor on disk.
        let folder = state.path().join(number.to_string()).display().to_string();
        relay.leg(start(side, &bootstrap, &folder), end);
        eprintln!("leg {number}, {side:?} {end:?}: {:.1} s", began.elapsed().as_secs_f64());
    }
    let mut last = start(Side::Java, &bootstrap, &state.path().join("last").display().to_string());
    java::watch(&bootstrap, "app", "lines|events|clicks|app-.*-repartition", 120);
    last.signal("TERM");
    last.wait();

    let (found, expected) = (java::digest(&bootstrap, "out"), java::expect(&bootstrap, "everything"));
    assert_eq!(found.outcome(), expected.outcome(), "{found:?}\n{expected:?}");
}
