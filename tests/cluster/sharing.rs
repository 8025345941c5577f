//! Instances of one application come and go while it works: nothing is lost, nothing is counted twice.

use kstreams::{KafkaStreams, State};

use super::application::WordCount;
use super::{PATIENCE, on_each_broker};

const WORDS: [&str; 7] = ["all", "streams", "lead", "to", "kafka", "hello", "world"];

#[test]
fn instances_take_turns_and_every_word_is_counted_once() {
    on_each_broker("turns", |world| {
        let app = WordCount::new(world, 8);
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let start = |folder: usize| app.start(folders[folder].path(), 2);
        let mut running = start(0);
        // Nobody waits for a rebalance to end; and the next but one finds the state that was left in its folder.
        for folder in [1, 0, 1, 0, 2] {
            app.write(&WORDS, 500);
            let next = start(folder);
            app.write(&WORDS, 500);
            close(running);
            running = next;
        }
        app.settle();
        close(running);
        let counts = app.counts();
        assert_eq!(counts.len(), WORDS.len());
        assert!(counts.values().all(|count| *count == 5_000), "{counts:?}");
    });
}

#[test]
fn instance_that_is_closed_while_it_starts_leaves_everything_to_the_next() {
    on_each_broker("hasty", |world| {
        let app = WordCount::new(world, 4);
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        app.write(&WORDS, 100);
        close(app.start(folders[0].path(), 2));
        let last = app.start(folders[1].path(), 1);
        close(app.start(folders[0].path(), 3));
        app.settle();
        close(last);
        let counts = app.counts();
        assert!(counts.values().all(|count| *count == 100), "{counts:?}");
    });
}

fn close(mut instance: KafkaStreams) {
    assert!(instance.close(Some(PATIENCE)).expect("to close"), "closed in time");
    assert_eq!(instance.state(), State::NotRunning);
}
