//! A broker that is killed leaves a prefix of what it wrote: wherever that ends, the log is what it was then.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What happens to a log.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A producer writes some records, within a transaction or not.
    Write {
        producer: usize,
        records: i32,
        transactional: bool,
    },
    /// A producer's transaction ends, with the next epoch as in version 2 of the protocol or with the same.
    End {
        producer: usize,
        outcome: Outcome,
        bumps: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![Just(Outcome::Commit), Just(Outcome::Abort)];
    prop_oneof![
        3 => (0..3_usize, 1..4_i32, any::<bool>())
            .prop_map(|(producer, records, transactional)| Step::Write { producer, records, transactional }),
        1 => (0..3_usize, outcome, any::<bool>())
            .prop_map(|(producer, outcome, bumps)| Step::End { producer, outcome, bumps }),
    ]
}

/// What a log knows, for comparison.
#[derive(Debug, PartialEq)]
struct Picture {
    end: i64,
    stable_end: i64,
    aborted: Vec<Aborted>,
    epochs: Vec<(i32, i64)>,
    /// By id; their last batch as the log would recognise it.
    producers: Vec<ActiveProducer>,
    records: Vec<(i64, String, Option<String>)>,
}

impl Picture {
    fn of(log: &PartitionLog) -> Self {
        let mut producers: Vec<_> = log.active_producers().collect();
        producers.sort_by_key(|producer| producer.producer_id);
        // A file remembers when it was written, not its batches.
        producers.iter_mut().for_each(|producer| producer.seen_ms = 0);
        Self {
            end: log.end(),
            stable_end: log.stable_end(),
            aborted: log.aborted_between(0, i64::MAX),
            epochs: log.epochs.clone(),
            producers,
            records: everything(log),
        }
    }
}

/// A log that keeps a picture of each of its states.
struct Filmed {
    log: PartitionLog,
    epochs: [i16; 3],
    sequences: [i32; 3],
    pictures: Vec<Picture>,
}

impl Filmed {
    fn new(directory: &Path) -> Self {
        let log = PartitionLog::open(small(directory), settings(&[]), NOW).unwrap();
        Self {
            pictures: vec![Picture::of(&log)],
            log,
            epochs: [0; 3],
            sequences: [0; 3],
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Write {
                producer,
                records,
                transactional,
            } => {
                let stamp = self.stamp(producer, transactional);
                self.log.append(records_of(records, stamp), NOW).unwrap();
                self.sequences[producer] += records;
            }
            Step::End {
                producer,
                outcome,
                bumps,
            } => {
                if bumps {
                    self.epochs[producer] += 1;
                    self.sequences[producer] = 0;
                }
                let marker = TransactionMarker {
                    producer_id: producer as i64,
                    producer_epoch: self.epochs[producer],
                    outcome,
                    coordinator_epoch: 0,
                };
                self.log.append_marker(marker, NOW).unwrap();
            }
        }
        self.pictures.push(Picture::of(&self.log));
    }

    fn stamp(&self, producer: usize, transactional: bool) -> ProducerStamp {
        ProducerStamp {
            producer_id: producer as i64,
            epoch: self.epochs[producer],
            base_sequence: self.sequences[producer],
            transactional,
        }
    }
}

fn small(directory: &Path) -> Place {
    Place {
        segment_bytes_max: 400,
        ..place(Some(directory), 0)
    }
}

fn records_of(count: i32, stamp: ProducerStamp) -> Bytes {
    let records: Vec<_> = (0..count).map(|_| ("k", Some("value"))).collect();
    batch_of(&records, NOW, stamp, Compression::None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_log_cut_anywhere_is_what_it_was(steps in vec(step(), 1..20)) {
        let written = tempfile::tempdir().unwrap();
        let mut filmed = Filmed::new(written.path());
        steps.iter().for_each(|step| filmed.take(*step));
        let next: Vec<_> = (0..3).map(|producer| filmed.stamp(producer, false)).collect();
        let last = filmed.log.segments.back().unwrap();
        let (name, bytes) = (segment::file_name(last.base_offset()), last.index().end());
        let ends: Vec<_> = last.index().entries().iter().map(|entry| (entry.position, entry.base_offset)).collect();
        drop(filmed.log);

        let whole = fs::read(written.path().join(&name)).unwrap();
        prop_assert_eq!(whole.len() as u64, bytes);
        for cut in 0..=whole.len() {
            let file = written.path().join(&name);
            fs::write(&file, &whole[..cut]).unwrap();
            // The first batch that is not whole is where the log ends.
            let positions = ends.iter().map(|(position, _)| *position).skip(1).chain([bytes]);
            let end = positions.zip(&ends).find(|(until, _)| *until > cut as u64).map(|(_, (_, begins))| *begins);
            let expected = filmed.pictures.iter().rfind(|picture| end.is_none_or(|end| picture.end <= end)).unwrap();
            let mut log = PartitionLog::open(small(written.path()), settings(&[]), NOW).unwrap();
            prop_assert_eq!(&Picture::of(&log), expected, "cut at {} of {}", cut, whole.len());
            prop_assert_eq!(fs::metadata(&file).unwrap().len() > cut as u64, false);
            if end.is_none() {
                for stamp in &next {
                    log.append(records_of(1, *stamp), NOW).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_log_with_a_damaged_end_never_shows_the_damage(
        steps in vec(step(), 1..8),
        flipped in 0..8_usize,
        at in any::<prop::sample::Index>(),
    ) {
        let written = tempfile::tempdir().unwrap();
        let mut filmed = Filmed::new(written.path());
        steps.iter().for_each(|step| filmed.take(*step));
        let last = filmed.log.segments.back().unwrap();
        let file = written.path().join(segment::file_name(last.base_offset()));
        drop(filmed.log);
        let mut bytes = fs::read(&file).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << flipped;
        fs::write(&file, bytes).unwrap();
        let log = PartitionLog::open(small(written.path()), settings(&[]), NOW).unwrap();
        let records = everything(&log);
        let genuine = filmed.pictures.iter().any(|picture| picture.records == records);
        prop_assert!(genuine, "{records:?}");
    }
}
