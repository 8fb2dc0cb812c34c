//! Thousands of seeded lives of one directory: appends, torn and reordered writes, failed writes and syncs, full
//! disks, processes that die and machines that stop; against a model that knows what was settled.

use super::common::{begun, committed, config, plan};
use crate::simulated::{Faults, Simulated};
use crate::{Append, AppendError, Config, Entry, Error, Journal, Now, Progress, SegmentNumber, Turn, open};
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use unanimo_protocol::{BranchIndex, Id, Node, Record, Shard};

/// A record that was accepted, and the batch that holds it.
struct Written {
    transaction: Id,
    record: Record,
    batch: u64,
}

/// What is known to whoever used the journal.
#[derive(Default)]
struct Model {
    written: Vec<Written>,
    /// Everything up to this batch was called durable.
    durable: u64,
    open: Vec<Id>,
    begun: u64,
    dropped: bool,
    poisoned: u64,
    torn: u64,
    image: BTreeMap<String, Vec<u8>>,
}

fn small() -> Config {
    Config { segment_size: 4096, queue_bytes: 16 * 1024, ..config(Path::new("simulated")) }
}

impl Model {
    /// What came back must be what was accepted, in order, cut somewhere behind everything durable; transactions
    /// that have ended may be missing as a whole.
    fn check(&mut self, replayed: &[(Id, Record)], seed: u64) {
        let present: BTreeSet<Id> = replayed.iter().map(|(id, _)| *id).collect();
        let least = self.written.iter().filter(|written| written.batch <= self.durable).count();
        let fits = |cut: usize| {
            let kept = &self.written[..cut];
            let ended: BTreeSet<Id> =
                kept.iter().filter(|w| w.record == Record::Ended).map(|w| w.transaction).collect();
            kept.iter().all(|w| present.contains(&w.transaction) || ended.contains(&w.transaction))
                && kept
                    .iter()
                    .filter(|w| present.contains(&w.transaction))
                    .map(|w| (w.transaction, &w.record))
                    .eq(replayed.iter().map(|(id, record)| (*id, record)))
        };
        let cut = (least..=self.written.len()).rev().find(|cut| fits(*cut));
        let Some(cut) = cut else {
            panic!(
                "seed {seed}: {} records were durable of {}, {} came back and do not fit",
                least,
                self.written.len(),
                replayed.len()
            );
        };
        self.written.truncate(cut);
        let ended: BTreeSet<Id> =
            self.written.iter().filter(|w| w.record == Record::Ended).map(|w| w.transaction).collect();
        let begun = self.written.iter().filter(|w| matches!(w.record, Record::Begun(_)));
        self.open = begun.map(|w| w.transaction).filter(|id| !ended.contains(id)).collect();
    }

    fn append(&mut self, journal: &Journal, rng: &mut Rng) {
        let named = rng.u8(..3);
        let (transaction, plan, records) = if self.open.is_empty() || rng.u8(..3) == 0 {
            self.begun += 1;
            let id = Id::new(Node(7), Shard(rng.u8(..64)), journal.epoch(), self.begun, 0);
            let calls = vec![self.begun as u8; rng.usize(..300)];
            (id, Some(plan(named)), vec![begun(named, &calls)])
        } else {
            let id = self.open[rng.usize(..self.open.len())];
            let told = Record::Told { branch: BranchIndex(rng.u8(..32)) };
            let records = match rng.u8(..4) {
                0 => vec![committed(&vec![1; rng.usize(..200)])],
                1 => vec![told.clone(), Record::Heuristic { branch: BranchIndex(3) }],
                2 => vec![told],
                _ => vec![told, Record::Ended],
            };
            (id, None, records)
        };
        let append = Append { transaction, epoch: journal.epoch(), plan, records: records.clone() };
        let appended = match journal.append(append) {
            Ok(appended) => appended,
            Err(AppendError::Full | AppendError::Poisoned(_)) => return,
            Err(other) => panic!("{other}"),
        };
        match records[0] {
            Record::Begun(_) => self.open.push(transaction),
            _ if records.contains(&Record::Ended) => self.open.retain(|id| *id != transaction),
            _ => {}
        }
        let batch = appended.position().number();
        let forced = appended.is_forced();
        let settled = appended.settle(journal.watermark()).is_ok();
        assert_eq!(settled, !forced, "nothing forced settles before a sync");
        self.written.extend(records.into_iter().map(|record| Written { transaction, record, batch }));
    }

    fn hear(&mut self, progress: Progress) {
        match progress {
            Progress::Synced(watermark) => self.durable = self.durable.max(watermark.position().number()),
            Progress::Dropped { .. } => self.dropped = true,
            Progress::Poisoned(_) => self.poisoned += 1,
        }
    }
}

fn some_faults(rng: &mut Rng) -> Faults {
    match rng.u8(..8) {
        0 => Faults { write: 0.05, ..Faults::default() },
        1 => Faults { sync: 0.1, ..Faults::default() },
        2 => Faults { space: Some(rng.u64(4096..40_000)), ..Faults::default() },
        3..=6 => Faults { off_after: Some(rng.u64(..60)), ..Faults::default() },
        _ => Faults::default(),
    }
}

/// Opens and replays until it works: only the faults that were put in may stop it, and never by calling the disk
/// damaged.
fn come_back(
    disk: &mut Simulated,
    model: &mut Model,
    rng: &mut Rng,
    seed: u64,
) -> crate::Recovery<Simulated> {
    loop {
        let mut replayed = Vec::new();
        let opened = open(small(), disk.clone()).and_then(|mut recovery| {
            let report = recovery.replay(|found| {
                if let Entry::Record(settled) = found.entry {
                    replayed.push((found.transaction, settled.record().clone()));
                }
            })?;
            Ok((recovery, report))
        });
        match opened {
            Ok((recovery, report)) => {
                model.torn += u64::from(report.torn.is_some());
                model.check(&replayed, seed);
                assert_eq!(report.open, model.open.len(), "seed {seed}");
                return recovery;
            }
            Err(Error::Io { .. }) => {
                disk.set_faults(Faults::default());
                *disk = if rng.bool() { disk.crash() } else { disk.restart() };
            }
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
}

/// Some lives of one directory; says what happened, so that a test can see that anything did.
fn live(seed: u64) -> Model {
    let mut rng = Rng::with_seed(seed);
    let mut disk = Simulated::new(seed);
    let mut model = Model::default();
    let mut now = Now::default();
    for _ in 0..rng.u8(2..7) {
        if rng.u8(..4) == 0 {
            disk.set_faults(some_faults(&mut rng));
        }
        let recovery = come_back(&mut disk, &mut model, &mut rng, seed);
        if rng.u8(..4) > 0 {
            disk.set_faults(some_faults(&mut rng));
        }
        if let Ok((journal, mut committer)) = recovery.assemble(now) {
            for _ in 0..rng.u16(..120) {
                if rng.u8(..8) == 0 {
                    // Four segments stay, and those with something open.
                    let kept = journal.durable().newest.0.saturating_sub(3);
                    journal.release(SegmentNumber(kept));
                }
                match rng.u8(..4) {
                    0 => {
                        let step = Duration::from_micros(rng.u64(..200_000));
                        now = Now { time: now.time + step, unix_ms: now.unix_ms + rng.u64(..2000) };
                    }
                    1 => {
                        if let Turn::Did(Some(progress)) = committer.turn(now) {
                            model.hear(progress);
                        }
                    }
                    _ => model.append(&journal, &mut rng),
                }
            }
            if rng.u8(..3) == 0 {
                journal.close();
                while let Turn::Did(progress) = committer.turn(now) {
                    progress.into_iter().for_each(|progress| model.hear(progress));
                }
            }
        }
        disk.set_faults(Faults::default());
        disk = if rng.u8(..3) > 0 { disk.crash() } else { disk.restart() };
    }
    disk = disk.crash();
    come_back(&mut disk, &mut model, &mut rng, seed);
    model.image = disk.image();
    model
}

#[test]
fn what_was_settled_survives_every_crash() {
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4000);
    let (mut dropped, mut poisoned, mut torn, mut durable) = (0, 0, 0, 0);
    for seed in 0..seeds {
        let model = live(seed);
        dropped += u64::from(model.dropped);
        poisoned += model.poisoned;
        torn += model.torn;
        durable += model.durable;
    }
    // The faults did happen, or this test would prove nothing.
    assert!(
        dropped > seeds / 50 && poisoned > seeds / 4 && torn > seeds / 10 && durable > seeds * 10,
        "dropped {dropped}, poisoned {poisoned}, torn {torn}, durable {durable}"
    );
}

#[test]
fn a_seed_is_a_life() {
    assert_eq!(live(12).image, live(12).image);
}
