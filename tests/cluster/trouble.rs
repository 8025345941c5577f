//! Trouble with state: directories that vanish or fill up, changelogs that are cut or created anew, files that are damaged.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use kstreams::prelude::*;
use kstreams::{StreamThreadExceptionResponse, TopicName};
use kstreams_client::admin::NewTopic;

use super::application::{metric, runs};
use super::{PATIENCE, World, eventually, on_each_broker};

/// An application that keeps its latest value of each key in one table, and the number of its records in another.
struct Application<'a> {
    world: &'a World,
    directory: &'a Path,
    settings: &'a [(&'a str, &'a str)],
}

/// What the uncaught handler was told.
type Said = Arc<Mutex<String>>;

impl Application<'_> {
    fn start(&self) -> (KafkaStreams, Said) {
        let builder = StreamsBuilder::new();
        let input = builder.stream::<String, String>(self.world.name("in").as_str());
        let grouped = input.group_by_key();
        let counted = grouped.count().materialized(Materialized::named("counts").uncached());
        let reduced = grouped
            .reduce(|_, new| new.clone())
            .materialized(Materialized::named("latest").uncached());
        counted
            .join(&reduced, |count, latest| format!("{count} {}", latest.len()))
            .to_stream()
            .to(self.world.name("out").as_str());
        let mut config = StreamsConfig::new(&self.world.name("app"), &self.world.bootstrap)
            .set("state.dir", self.directory.display())
            .set("commit.interval.ms", 50);
        for (key, value) in self.settings {
            config = config.set(key, value);
        }
        let said = Said::default();
        let told = said.clone();
        let topology = builder.build().expect("a good topology");
        let mut streams = KafkaStreams::new(topology, config).expect("a good configuration");
        let handled = streams.set_uncaught_exception_handler(move |error| {
            *told.lock().expect("unpoisoned") = kstreams::with_causes(error);
            StreamThreadExceptionResponse::ShutdownClient
        });
        handled.expect("it is not started");
        streams.start().expect("a start");
        (streams, said)
    }

    /// Runs until `out` has this for each key, and closes. How many records were restored.
    fn run_until(&self, expected: &BTreeMap<String, String>) -> u64 {
        let (mut streams, _) = self.start();
        runs(&streams);
        eventually(|| self.world.latest("out") == *expected);
        let restored = metric(&streams, "stream-task-metrics", "restore-total");
        assert!(streams.close(None).expect("a close"));
        restored
    }

    fn state(&self) -> std::path::PathBuf {
        self.directory.join(self.world.name("app"))
    }
}

fn write(world: &World, times: usize) {
    let records: Vec<_> = (0..times)
        .flat_map(|n| ["a", "b"].map(|key| (key, Some("x"), n as i64)))
        .collect();
    world.write("in", &records);
}

fn each(value: &str) -> BTreeMap<String, String> {
    ["a", "b"].map(|key| (key.to_owned(), value.to_owned())).into()
}

fn changelog(world: &World, store: &str) -> TopicName {
    TopicName::from(format!("{}-{store}-changelog", world.name("app")))
}

#[test]
fn a_directory_deleted_while_running_is_an_error_and_is_rebuilt() {
    on_each_broker("directory-gone", |world| {
        world.topics(&["in", "out"], 1);
        let directory = tempfile::tempdir().expect("a directory");
        let application = Application {
            world,
            directory: directory.path(),
            settings: &[("processing.guarantee", "exactly_once_v2")],
        };
        let (mut streams, said) = application.start();
        runs(&streams);
        write(world, 10);
        eventually(|| world.latest("out") == each("10 1"));
        fs::remove_dir_all(application.state()).expect("a directory of ours");
        write(world, 1);
        assert!(streams.wait_for(State::Error, PATIENCE), "it is {}", streams.state());
        let expected = format!(
            "state directory {} was deleted while in use",
            application.state().display()
        );
        assert!(said.lock().expect("unpoisoned").contains(&expected), "{said:?}");
        let _ = streams.close(None);
        drop(streams);

        assert_eq!(application.run_until(&each("11 1")), 40, "both stores are rebuilt");
    });
}

#[test]
fn a_changelog_created_anew_makes_its_store_anew_and_no_other() {
    on_each_broker("changelog-anew", |world| {
        world.topics(&["in", "out"], 1);
        let directory = tempfile::tempdir().expect("a directory");
        let application = Application {
            world,
            directory: directory.path(),
            settings: &[],
        };
        write(world, 10);
        application.run_until(&each("10 1"));
        let topic = changelog(world, "counts");
        world.delete(&topic);
        // As long as before, and with other counts: only its id tells that it is another topic.
        world.create(NewTopic::new(topic.clone(), 1).with_config("cleanup.policy", "compact"));
        let other: Vec<_> = (0..20).map(|_| ("c", Some("12345678"), 1)).collect();
        world.write_to(&topic, &other);

        write(world, 1);
        assert_eq!(application.run_until(&each("1 1")), 20, "the other store is kept");
    });
}

#[test]
fn a_changelog_cut_behind_the_store_makes_the_store_anew_and_no_other() {
    on_each_broker("changelog-cut", |world| {
        world.topics(&["in", "out"], 1);
        let directory = tempfile::tempdir().expect("a directory");
        let other = tempfile::tempdir().expect("a directory");
        let application = |directory| Application {
            world,
            directory,
            settings: &[],
        };
        let topic = changelog(world, "counts");
        world.create(NewTopic::new(topic.clone(), 1).with_config("cleanup.policy", "delete"));
        write(world, 10);
        application(directory.path()).run_until(&each("10 1"));
        // Another machine goes on, and the changelog is cut behind where the first one's store stands.
        write(world, 1);
        application(other.path()).run_until(&each("11 1"));
        let cut: Vec<_> = world
            .ends(&topic.to_string())
            .into_keys()
            .map(|partition| (partition, Some(21)))
            .collect();
        let cut = world.client().admin().delete_records(&cut).expect("a broker");
        assert!(cut.values().all(Result::is_ok), "{cut:?}");
        write(world, 1);
        // What was cut off is lost: the count of "a". One record of the one from its beginning, two of the other from where it stood: perhaps twice, since the task is
        // opened a second time.
        let mut expected = each("12 1");
        expected.insert("a".to_owned(), "1 1".to_owned());
        let restored = application(directory.path()).run_until(&expected);
        assert!((3..=5).contains(&restored), "{restored} records were restored");
    });
}

/// A file system of a few megabytes at a directory, as long as it lives; `None` where the tests may not mount.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn at(path: &'a Path, size: &str) -> Option<Self> {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
            .arg(path)
            .status();
        let mounted = mount.is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("SKIPPED: a full disk needs the right to mount one");
        }
        mounted.then_some(Self(path))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // What is left is the machine's affair.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_an_error_and_nothing_is_lost() {
    on_each_broker("disk-full", |world| {
        world.topics(&["in", "out"], 1);
        let directory = tempfile::tempdir().expect("a directory");
        let Some(_disk) = SmallDisk::at(directory.path(), "8m") else {
            return;
        };
        let application = Application {
            world,
            directory: directory.path(),
            settings: &[("processing.guarantee", "exactly_once_v2")],
        };
        write(world, 10);
        application.run_until(&each("10 1"));
        let (mut streams, said) = application.start();
        runs(&streams);
        // Somebody else takes all that is left.
        let hog = directory.path().join("hog");
        fs::write(&hog, vec![1; 16 << 20]).expect_err("more than the disk has");
        let long = "y".repeat(100_000);
        world.write("in", &[("a", Some(&*long), 100)]);
        assert!(streams.wait_for(State::Error, PATIENCE), "it is {}", streams.state());
        let _ = streams.close(None);
        drop(streams);
        let said = said.lock().expect("unpoisoned").clone();
        assert!(said.contains("could not write store \""), "{said}");
        assert!(said.contains(&application.state().display().to_string()), "{said}");

        fs::remove_file(hog).expect("it was written");
        let mut expected = each("10 1");
        expected.insert("a".to_owned(), format!("11 {}", long.len()));
        application.run_until(&expected);
    });
}
