//! Writes and syncs that fail.

use super::common::{begun, committed, id, plan};
use super::story::{Running, read, small};
use crate::simulated::{Faults, Simulated};
use crate::{Append, AppendError, Error, Progress, open};
use std::time::Duration;
use unanimo_protocol::Record;

fn append(running: &Running, records: Vec<Record>) -> Append {
    Append { transaction: id(1), epoch: running.journal.epoch(), plan: Some(plan(1)), records }
}

/// The first failure ends it: told once, nothing settles, nothing is tried again, nothing is taken.
fn poisoned_by(faults: Faults, reason: &str) {
    let mut running = Running::start(&Simulated::new(5));
    running.commit(id(1), Some(plan(1)), vec![begun(1, b"calls")]);
    let before = running.journal.watermark();
    let waiting = running.journal.append(append(&running, vec![committed(b"yes")])).unwrap();
    running.disk.set_faults(faults);
    running.later(Duration::from_millis(100));
    let told = running.run();
    running.disk.set_faults(Faults::default());
    assert!(
        matches!(&told[..], [Progress::Poisoned(poison)] if poison.to_string().contains(reason)),
        "{told:?}"
    );
    running.later(Duration::from_secs(10));
    assert_eq!(running.run(), []);
    assert_eq!(running.journal.watermark(), before);
    assert!(waiting.settle(running.journal.watermark()).is_err());
    let refused = running.journal.append(append(&running, vec![Record::Ended])).unwrap_err();
    assert!(matches!(refused, AppendError::Poisoned(poison) if poison.to_string().contains(reason)));
}

#[test]
fn a_failed_sync_poisons() {
    poisoned_by(Faults { sync: 1.0, ..Faults::default() }, "could not sync");
}

#[test]
fn a_failed_write_poisons() {
    poisoned_by(Faults { write: 1.0, ..Faults::default() }, "could not write");
}

#[test]
fn a_full_disk_poisons_and_says_so() {
    let mut running = Running::start(&Simulated::new(5));
    running.disk.set_faults(Faults { space: Some(5000), ..Faults::default() });
    let mut told = Vec::new();
    while told.is_empty() {
        let _ = running.append(id(1), Some(plan(1)), vec![begun(1, &[0; 900])]);
        told = running.run();
        told.retain(|progress| !matches!(progress, Progress::Synced(_)));
    }
    assert!(
        matches!(&told[..], [Progress::Poisoned(poison)] if poison.to_string().contains("No space left"))
    );
    // What was settled before is there.
    let durable = running.journal.watermark().position();
    assert!(read(&running.disk.crash().image()).unwrap().1.last >= durable);
}

/// A sync fails, and the system's memory marks as clean what the disk never got. The next process reads it from
/// memory; the machine stops after that.
#[test]
fn what_only_the_memory_knows_is_written_again() {
    for seed in 0..200 {
        let mut first = Running::start(&Simulated::new(seed));
        first.commit(id(1), Some(plan(1)), vec![begun(1, &[1; 700])]);
        let _ = first.append(id(1), None, vec![committed(&[2; 900])]);
        first.disk.set_faults(Faults { sync: 1.0, ..Faults::default() });
        first.run();
        let disk = first.disk.restart();
        disk.set_faults(Faults::default());
        let seen = read(&disk.image()).unwrap().0;
        let second = Running::start(&disk);
        assert_eq!(read(&second.disk.crash().image()).unwrap().0, seen, "seed {seed}");
    }
}

#[test]
fn a_former_owner_is_refused() {
    let first = Running::start(&Simulated::new(5));
    let old = first.journal.epoch();
    let second = Running::start(&first.close());
    let fenced = Append { epoch: old, ..append(&second, vec![begun(1, b"")]) };
    assert_eq!(second.journal.append(fenced).unwrap_err(), AppendError::Fenced);
    // And the directory has one owner at a time.
    assert!(matches!(open(small(), second.disk.clone()), Err(Error::Locked { .. })));
}
