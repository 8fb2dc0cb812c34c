//! The journal on this machine's own files.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![allow(clippy::print_stdout, reason = "a child tells its parent what it did")]

mod common;

use common::{begun, committed, config, id, plan};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use unanimo_journal::{
    Append, AppendError, Committing, Config, Entry, Error, Files, Journal, Progress, Recovery, Report, open,
};
use unanimo_protocol::{Epoch, Id, Record, Settled};

/// Long enough for any machine; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// The directory that a child process works in.
const DIRECTORY: &str = "UNANIMO_JOURNAL_TEST_DIRECTORY";

fn recovery(directory: &Path) -> Result<Recovery<Files>, Error> {
    open(config(directory), Files::open(directory)?)
}

fn replay(recovery: &mut Recovery<Files>) -> (Vec<(Id, Record)>, Report) {
    let mut records = Vec::new();
    let report = recovery.replay(|replayed| {
        if let Entry::Record(settled) = replayed.entry {
            records.push((replayed.transaction, settled.record().clone()));
        }
    });
    (records, report.unwrap())
}

/// A journal with callers that wait for the disk.
#[derive(Clone)]
struct Caller {
    journal: Journal,
    told: Arc<(Mutex<()>, Condvar)>,
}

impl Caller {
    fn start(mut recovery: Recovery<Files>) -> (Caller, Committing) {
        let (_, report) = replay(&mut recovery);
        assert_eq!(report.torn, None);
        let told: Arc<(Mutex<()>, Condvar)> = Arc::default();
        let teller = told.clone();
        let listener = move |progress| {
            assert!(!matches!(progress, Progress::Poisoned(_)), "{progress:?}");
            drop(teller.0.lock());
            teller.1.notify_all();
        };
        let (journal, thread) = recovery.start(listener).unwrap();
        (Caller { journal, told }, thread)
    }

    /// Appends a decision and waits until its records are settled.
    fn commit(&self, id: Id, records: Vec<Record>) -> Vec<Settled> {
        let append = Append { transaction: id, epoch: self.journal.epoch(), plan: Some(plan(1)), records };
        let mut appended = self.journal.append(append).unwrap();
        let mut guard = self.told.0.lock().unwrap();
        loop {
            match appended.settle(self.journal.watermark()) {
                Ok(settled) => return settled,
                Err(unsettled) => appended = unsettled,
            }
            let (held, waited) = self.told.1.wait_timeout(guard, PATIENCE).unwrap();
            assert!(!waited.timed_out(), "the disk never answered");
            guard = held;
        }
    }
}

#[test]
fn what_was_settled_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let first = recovery(directory.path()).unwrap();
    let (node, epoch) = (first.node(), first.epoch());
    assert_eq!(epoch, Epoch(1));
    let (caller, thread) = Caller::start(first);
    assert_eq!(caller.commit(id(1), vec![begun(1, b"calls")]).len(), 1);
    assert_eq!(caller.commit(id(1), vec![committed(b"answer")]).len(), 1);
    assert_eq!(caller.commit(id(1), vec![Record::Ended]).len(), 1);
    caller.journal.close();
    thread.join();
    let late = Append { transaction: id(2), epoch, plan: None, records: vec![Record::Ended] };
    assert_eq!(caller.journal.append(late).unwrap_err(), AppendError::Closed);

    let mut second = recovery(directory.path()).unwrap();
    assert_eq!((second.node(), second.epoch()), (node, Epoch(2)));
    let (records, report) = replay(&mut second);
    let records: Vec<Record> = records.into_iter().map(|(_, record)| record).collect();
    assert_eq!(records, [begun(1, b"calls"), committed(b"answer"), Record::Ended]);
    assert!(report.closed && report.torn.is_none() && report.open == 0, "{report:?}");
}

#[test]
fn segments_follow_each_other_while_the_next_one_is_allocated_beside_them() {
    let directory = tempfile::tempdir().unwrap();
    let large = || {
        let config = Config { segment_size: 8 << 20, ..config(directory.path()) };
        open(config, Files::open(directory.path()).unwrap()).unwrap()
    };
    let (caller, thread) = Caller::start(large());
    for number in 1..=80 {
        caller.commit(id(number), vec![begun(1, &vec![number as u8; 256 * 1024])]);
    }
    caller.journal.close();
    thread.join();
    let mut again = large();
    let (records, report) = replay(&mut again);
    assert!(records.iter().map(|(id, _)| *id).eq((1..=80).map(id)) && report.closed, "{report:?}");
    // 4, 8 and 8 MiB: the third one holds the rest.
    assert!(directory.path().join("0000000003.journal").exists());
}

#[test]
fn callers_on_many_threads_share_syncs_and_lose_nothing() {
    const CALLERS: u64 = 64;
    const EACH: u64 = 25;
    let directory = tempfile::tempdir().unwrap();
    let (caller, thread) = Caller::start(recovery(directory.path()).unwrap());
    std::thread::scope(|scope| {
        for number in 0..CALLERS {
            let caller = caller.clone();
            scope.spawn(move || {
                for round in 0..EACH {
                    let id = id(number * EACH + round);
                    caller.commit(id, vec![begun(1, &[7; 300])]);
                    caller.commit(id, vec![committed(b"yes")]);
                    caller.commit(id, vec![Record::Ended]);
                }
            });
        }
    });
    let counters = caller.journal.counters();
    assert_eq!(counters.forced.load(Relaxed), CALLERS * EACH * 2);
    assert_eq!(counters.appends.load(Relaxed), CALLERS * EACH * 3);
    let (batches, forced) = (counters.batches.load(Relaxed), counters.forced.load(Relaxed));
    assert!(batches * 4 < forced, "{batches} batches for {forced} forced records");
    assert_eq!(counters.batch_sizes.counts().iter().sum::<u64>(), batches);

    // The last handle goes without a word: what waits is written all the same.
    drop(caller);
    thread.join();
    let (records, report) = replay(&mut recovery(directory.path()).unwrap());
    assert!(report.closed && report.open == 0, "{report:?}");
    let ended = records.iter().filter(|(_, record)| *record == Record::Ended).count() as u64;
    assert_eq!((ended, records.len() as u64), (CALLERS * EACH, CALLERS * EACH * 3));
    for transaction in (0..CALLERS * EACH).map(id) {
        let mut own = records.iter().filter(|(id, _)| *id == transaction).map(|(_, record)| record);
        assert!(matches!(own.next(), Some(Record::Begun(_))), "{transaction}: its records are in order");
        assert!(matches!(own.next(), Some(Record::Concluded(_))), "{transaction}: its records are in order");
    }
}

/// Runs one of this file's tests in a process of its own, where it plays the child: see [`as_child`].
fn child(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(DIRECTORY, directory);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// The directory in which this process, if it was started by [`child`], plays its part.
fn as_child() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// The lines of its output that are not the test harness's.
fn words(line: &str) -> Option<&str> {
    line.split("child: ").nth(1)
}

#[test]
fn a_directory_has_one_owner() {
    if let Some(directory) = as_child() {
        return child_opens(&directory);
    }
    let directory = tempfile::tempdir().unwrap();
    let first = recovery(directory.path()).unwrap();
    assert!(matches!(recovery(directory.path()), Err(Error::Locked { .. })));
    let output = child("a_directory_has_one_owner", directory.path()).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.lines().find_map(words), Some("locked"), "{output}");
    drop(first);
    let output = child("a_directory_has_one_owner", directory.path()).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.lines().find_map(words), Some("opened"), "{output}");
    assert_eq!(recovery(directory.path()).unwrap().epoch(), Epoch(3));
}

/// The child's part: it says what it found.
fn child_opens(directory: &Path) {
    match recovery(directory) {
        Ok(_) => println!("\nchild: opened"),
        Err(Error::Locked { .. }) => println!("\nchild: locked"),
        Err(other) => println!("\nchild: {other}"),
    }
}

#[test]
fn a_killed_process_keeps_its_word() {
    if let Some(directory) = as_child() {
        return child_commits(&directory);
    }
    let directory = tempfile::tempdir().unwrap();
    let mut kept = BTreeSet::new();
    for round in 1..=5 {
        let mut child = child("a_killed_process_keeps_its_word", directory.path()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = lines.filter_map(|line| words(&line).map(|word| word.parse::<Id>().unwrap()));
        let before = kept.len();
        kept.extend(said.take(40 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(kept.len(), before + 40 * round);

        let mut again = recovery(directory.path()).unwrap();
        let (records, report) = replay(&mut again);
        assert!(!report.closed);
        let found: BTreeSet<Id> = records.iter().map(|(id, _)| *id).collect();
        assert!(kept.is_subset(&found), "round {round}: {} of {} came back", found.len(), kept.len());
    }
}

/// The child's part: it says what is durable, until it is killed.
fn child_commits(directory: &Path) {
    let (caller, _thread) = Caller::start(recovery(directory).unwrap());
    let epoch = u64::from(caller.journal.epoch().0);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let caller = caller.clone();
            // More than the parent ever reads: it kills long before.
            scope.spawn(move || {
                for round in 0..100_000 {
                    let id = id(epoch << 32 | number << 24 | round);
                    caller.commit(id, vec![begun(1, &[5; 700])]);
                    println!("\nchild: {id}");
                }
            });
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_system_that_forgets_is_refused() {
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        return; // No such file system here.
    }
    let directory = tempfile::tempdir_in(memory).unwrap();
    let strict = Config { accept_ephemeral: false, ..config(directory.path()) };
    let refused = open(strict, Files::open(directory.path()).unwrap()).err().unwrap();
    assert!(matches!(refused, Error::Ephemeral { file_system: "tmpfs", .. }), "{refused}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "a refusal leaves nothing");
    assert!(recovery(directory.path()).is_ok(), "unless it is accepted");
}
