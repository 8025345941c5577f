//! The rounds one after the other, and the verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kstreams::TopicName;
use kstreams_client::Client;
use kstreams_client::admin::NewTopic;
use kstreams_client::consume::Isolation;

use super::brokers::{Broker, Fall, Kind};
use super::event::{Blow, PROCESSES, Round, Target};
use super::evidence::{self, Evidence};
use super::feed::Feed;
use super::fleet::Process;
use super::model::{self, LEFT, OUTPUTS, PARTITIONS, RIGHT};
use super::outputs;
use super::watch::Watch;

/// Nothing may stand still for longer.
const STALL_MAX: Duration = Duration::from_secs(120);

/// Numbers written a second.
const PER_SECOND: u64 = 300;

/// Differences shown of a topic.
const LINES_MAX: usize = 5;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What happens, one after the other.
    pub rounds: Vec<Round>,
    /// Where the dice began that drew the rounds, if they were drawn: what a repeat needs.
    pub seed: u64,
    /// On which broker.
    pub kind: Kind,
    /// The program that is a process of the application, or the broker.
    pub program: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Tally {
    plan: Plan,
    folder: PathBuf,
    took: Duration,
    kinds: BTreeMap<&'static str, usize>,
    numbers: u64,
    outputs: u64,
    longest_stall: Duration,
    evidence: Evidence,
    /// What must not be.
    faults: Vec<String>,
}

/// Runs the rounds. What processes and broker leave behind, logs and data, is kept under `target/chaos` if anything is not
/// as it must be.
pub fn run(plan: &Plan) -> Tally {
    let folder = fresh_folder(plan);
    fs::create_dir_all(&folder).expect("the folder can be made");
    log_to(&folder);
    let mut world = World::start(plan, &folder);
    let mut kinds = BTreeMap::new();
    for (number, round) in (1..).zip(&plan.rounds) {
        let before = Instant::now();
        let settled = world.play(round);
        println!(
            "round {number}: {} in {:.1} s: {:?}",
            round.kind(),
            before.elapsed().as_secs_f64(),
            round.events
        );
        *kinds.entry(round.kind()).or_default() += 1;
        if let Err(fault) = settled {
            world.faults.push(format!("round {number}: {fault}"));
            break;
        }
    }
    world.finish(kinds)
}

/// The driver's own clients are part of what is tried out: what they do is written down, too. Only the first run of a process
/// can have that.
fn log_to(folder: &Path) {
    let log = fs::File::create(folder.join("driver.log")).expect("the folder can be written to");
    let _ = tracing_subscriber::fmt()
        .with_env_filter("info,kstreams_client::produce=debug")
        .with_writer(Mutex::new(log))
        .with_ansi(false)
        .try_init();
}

fn fresh_folder(plan: &Plan) -> PathBuf {
    let name = format!("{:?}-{}-{}", plan.kind, plan.seed, std::process::id()).to_lowercase();
    crate::root().join("target/chaos").join(name)
}

/// Everything that runs.
struct World {
    plan: Plan,
    folder: PathBuf,
    begin: Instant,
    client: Client,
    watch: Watch,
    feed: Feed,
    fleet: Vec<Process>,
    broker: Broker,
    faults: Vec<String>,
}

impl World {
    fn start(plan: &Plan, folder: &Path) -> Self {
        let place = folder.join("broker");
        fs::create_dir_all(&place).expect("the folder can be made");
        let broker = Broker::start(plan.kind, &plan.program, &place);
        let bootstrap = broker.bootstrap();
        let client = super::client(&bootstrap);
        let topics: Vec<NewTopic> = [LEFT, RIGHT]
            .into_iter()
            .chain(OUTPUTS)
            .map(|topic| NewTopic::new(TopicName::from(topic), PARTITIONS))
            .collect();
        for (topic, created) in client.admin().create_topics(&topics).expect("a broker") {
            created.unwrap_or_else(|error| panic!("{topic} could not be created: {error}"));
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let feed = Feed::start(&bootstrap, PER_SECOND, since.as_millis() as i64);
        let mut fleet: Vec<Process> = (0..PROCESSES)
            .map(|number| Process::new(&plan.program, &bootstrap, folder.join(format!("process-{number}")), &[]))
            .collect();
        fleet.iter_mut().for_each(Process::start);
        let world = Self {
            plan: plan.clone(),
            folder: folder.to_owned(),
            begin: Instant::now(),
            watch: Watch::start(&client),
            client,
            feed,
            fleet,
            broker,
            faults: Vec::new(),
        };
        world
            .settle()
            .unwrap_or_else(|fault| panic!("the application does not begin: {fault}"));
        world
    }

    /// Everything that happens in a round; an error if the output stands still.
    fn play(&mut self, round: &Round) -> Result<(), String> {
        let begin = Instant::now();
        for event in &round.events {
            match (event.target, event.blow) {
                (Target::Process(number), blow) => {
                    let Some(process) = self.fleet.get_mut(number) else {
                        continue;
                    };
                    match blow {
                        Blow::Down(fall) => process.fall(fall),
                        Blow::Freeze => process.freeze(true),
                    }
                }
                (Target::Broker, Blow::Down(fall)) => self.broker.fall(fall),
                (Target::Broker, Blow::Freeze) => {}
            }
        }
        let mut events = round.events.clone();
        events.sort_by_key(|event| event.lasts);
        for event in events {
            std::thread::sleep((begin + event.lasts).saturating_duration_since(Instant::now()));
            match (event.target, event.blow) {
                (Target::Process(number), blow) => {
                    let Some(process) = self.fleet.get_mut(number) else {
                        continue;
                    };
                    match blow {
                        Blow::Down(_) => process.start(),
                        Blow::Freeze => process.freeze(false),
                    }
                }
                (Target::Broker, _) => self.broker.rise(),
            }
        }
        std::thread::sleep(round.pause);
        self.fleet.iter_mut().for_each(Process::look);
        if let Some(fault) = self.fault_of_a_process() {
            return Err(fault);
        }
        if round.settles { self.settle() } else { self.moving() }
    }

    /// Waits until every output partition has something new.
    fn settle(&self) -> Result<(), String> {
        let before = self.watch.counts();
        while self
            .watch
            .counts()
            .iter()
            .any(|(partition, count)| before.get(partition) == Some(count))
        {
            self.moving()?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// An error if an output partition stands still.
    fn moving(&self) -> Result<(), String> {
        let (partition, stalled) = self.watch.stalled();
        if stalled > STALL_MAX {
            return Err(format!(
                "{partition} has had no record for {:.0} s",
                stalled.as_secs_f64()
            ));
        }
        Ok(())
    }

    fn fault_of_a_process(&self) -> Option<String> {
        let failed = self.fleet.iter().enumerate();
        failed
            .filter_map(|(number, process)| Some(format!("process {number}: {}", process.failures().first()?)))
            .next()
    }

    /// Waits for all of the output, ends everything, and looks at what there is.
    fn finish(mut self, kinds: BTreeMap<&'static str, usize>) -> Tally {
        let numbers = match self.feed.stop() {
            Ok(numbers) => numbers,
            Err(error) => {
                self.faults.push(format!("the input could not be written: {error}"));
                0
            }
        };
        let expected = model::single_pass(numbers);
        let total: u64 = expected
            .iter()
            .flat_map(BTreeMap::values)
            .map(|values| values.len() as u64)
            .sum();
        wait_for(total, &self.watch, &mut self.faults);
        self.fleet.iter_mut().for_each(|process| process.fall(Fall::Stop));
        for (number, process) in self.fleet.iter().enumerate() {
            let failures = process.failures().iter();
            self.faults
                .extend(failures.map(|failure| format!("process {number}: {failure}")));
        }
        let client = &self.client;
        for topic in [LEFT, RIGHT] {
            let found = outputs::values(client, topic, PARTITIONS, Isolation::ReadUncommitted);
            self.faults
                .extend(model::differences(topic, &input(topic, numbers), &found, LINES_MAX));
            self.faults.extend(outputs::disorder(client, topic));
        }
        let seen = self.watch.stop();
        self.faults.extend(
            seen.failures
                .iter()
                .map(|failure| format!("the reader all along: {failure}")),
        );
        let none = model::Values::new();
        for (topic, expected) in OUTPUTS.into_iter().zip(&expected) {
            let found = outputs::values(client, topic, PARTITIONS, Isolation::ReadCommitted);
            self.faults
                .extend(model::differences(topic, expected, &found, LINES_MAX));
            let all_along = seen.values.get(topic).unwrap_or(&none);
            let differences = model::differences(topic, expected, all_along, LINES_MAX);
            self.faults
                .extend(differences.iter().map(|line| format!("read all along: {line}")));
        }
        let logs: Vec<PathBuf> = self.fleet.iter().map(Process::log).collect();
        let evidence = evidence::read(client, &logs);
        self.faults.extend(evidence.complaints.iter().cloned());
        let tally = Tally {
            took: self.begin.elapsed(),
            plan: self.plan,
            folder: self.folder,
            kinds,
            numbers,
            outputs: total,
            longest_stall: seen.longest_stall,
            evidence,
            faults: self.faults,
        };
        drop((self.fleet, self.broker));
        if tally.is_good() {
            fs::remove_dir_all(&tally.folder).expect("the folder can be removed");
        }
        tally
    }
}

/// Waits until so many records are put out, unless there is a fault already.
fn wait_for(total: u64, watch: &Watch, faults: &mut Vec<String>) {
    let mut last = (watch.total(), Instant::now());
    while faults.is_empty() && watch.total() < total {
        std::thread::sleep(Duration::from_millis(100));
        let now = watch.total();
        if now != last.0 {
            last = (now, Instant::now());
        } else if last.1.elapsed() > STALL_MAX {
            faults.push(format!("the output ends at {now} records of {total}"));
        }
    }
}

/// What an input topic is to hold.
fn input(topic: &str, numbers: u64) -> model::Values {
    let numbers = (0..numbers).filter(|number| topic == LEFT || model::is_right(*number));
    numbers
        .map(|number| (number.to_string(), vec![number.to_string()]))
        .collect()
}

impl Tally {
    /// What logs and state directories told.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Whether everything was as it must be.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plan, evidence) = (&self.plan, &self.evidence);
        let rounds: usize = self.kinds.values().sum();
        writeln!(
            f,
            "{:?} broker, seed {}: {rounds} rounds in {:.0} s",
            plan.kind,
            plan.seed,
            self.took.as_secs_f64()
        )?;
        for (kind, times) in &self.kinds {
            writeln!(f, "  {kind:20} {times:6}")?;
        }
        writeln!(f, "numbers written        {:6}", self.numbers)?;
        writeln!(f, "records put out        {:6}", self.outputs)?;
        writeln!(
            f,
            "longest stall          {:6.1} s of one output partition",
            self.longest_stall.as_secs_f64()
        )?;
        writeln!(
            f,
            "tasks taken on         {:6}, {} of them by the process that had them last",
            evidence.taken_on, evidence.by_the_last
        )?;
        writeln!(
            f,
            "restored of their own  {:6} records, at most {} at once",
            evidence.restored_own, evidence.restored_own_max
        )?;
        writeln!(f, "restored from others   {:6} records", evidence.restored_from_others)?;
        for fault in &self.faults {
            writeln!(f, "FAULT {fault}")?;
        }
        if self.is_good() {
            return write!(f, "verdict: exactly once, no state wiped");
        }
        write!(
            f,
            "verdict: {} faults; the evidence is in {}",
            self.faults.len(),
            self.folder.display()
        )
    }
}
