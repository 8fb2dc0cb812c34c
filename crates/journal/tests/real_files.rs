//! The journal on this machine's own files.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::{begun, committed, config, id, plan};
use std::sync::mpsc;
use std::time::Duration;
use unanimo_journal::{Append, AppendError, Entry, Error, Files, Journal, Progress, Recovery, Report, open};
use unanimo_protocol::{Epoch, Id, Record};

fn recovery(directory: &std::path::Path) -> Result<Recovery<Files>, Error> {
    open(config(directory), Files::open(directory)?)
}

fn replay(recovery: &mut Recovery<Files>) -> (Vec<(Id, Entry)>, Report) {
    let mut entries = Vec::new();
    let report = recovery.replay(|replayed| entries.push((replayed.transaction, replayed.entry))).unwrap();
    (entries, report)
}

/// Appends a decision and waits until its records are settled.
fn commit(journal: &Journal, synced: &mpsc::Receiver<Progress>, append: Append) -> usize {
    let mut appended = journal.append(append).unwrap();
    loop {
        match appended.settle(journal.watermark()) {
            Ok(settled) => return settled.len(),
            Err(unsettled) => appended = unsettled,
        }
        synced.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}

#[test]
fn what_was_settled_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = recovery(directory.path()).unwrap();
    assert_eq!(replay(&mut first), (Vec::new(), Report::default()));
    let (node, epoch) = (first.node(), first.epoch());
    assert_eq!(epoch, Epoch(1));

    let (tell, synced) = mpsc::sync_channel(1024);
    let (journal, thread) = first.start(move |progress| tell.send(progress).unwrap()).unwrap();
    let append = |id, plan, records| Append { transaction: id, epoch, plan, records };
    assert_eq!(commit(&journal, &synced, append(id(1), Some(plan(1)), vec![begun(1, b"calls")])), 1);
    assert_eq!(commit(&journal, &synced, append(id(1), None, vec![committed(b"answer")])), 1);
    // Lazy: settled at once.
    let lazy = journal.append(append(id(1), None, vec![Record::Ended])).unwrap();
    assert_eq!(lazy.settle(journal.watermark()).unwrap().len(), 1);
    assert_eq!(
        journal.append(Append { epoch: Epoch(7), ..append(id(1), None, vec![]) }).unwrap_err(),
        AppendError::Fenced
    );
    journal.close();
    thread.join();
    assert_eq!(journal.append(append(id(2), None, vec![Record::Ended])).unwrap_err(), AppendError::Closed);

    let mut second = recovery(directory.path()).unwrap();
    assert_eq!((second.node(), second.epoch()), (node, Epoch(2)));
    let (entries, report) = replay(&mut second);
    let (digest, bytes) = plan(1);
    assert_eq!(entries[0], (id(1), Entry::Plan { digest, bytes }));
    let records: Vec<Record> = entries[1..]
        .iter()
        .map(|(_, entry)| match entry {
            Entry::Record(settled) => settled.record().clone(),
            Entry::Plan { .. } => panic!("the plan came twice"),
        })
        .collect();
    assert_eq!(records, [begun(1, b"calls"), committed(b"answer"), Record::Ended]);
    assert!(report.closed && report.torn.is_none() && report.open == 0, "{report:?}");
}

#[test]
fn a_directory_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let first = recovery(directory.path()).unwrap();
    assert!(matches!(recovery(directory.path()), Err(Error::Locked { .. })));
    drop(first);
    assert_eq!(recovery(directory.path()).unwrap().epoch(), Epoch(2));
}
