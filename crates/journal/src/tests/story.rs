//! Small journals with a known content, to damage and to read again.

use super::common::config;
use crate::simulated::Simulated;
use crate::{Append, Committer, Config, Entry, Error, Journal, Now, Position, Progress, Report, Turn, open};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use unanimo_protocol::{Digest, Id, Record, Settled};

pub type Image = BTreeMap<String, Vec<u8>>;
pub type Remembered = Vec<(Id, Record)>;

/// The smallest segments that there are.
pub fn small() -> Config {
    Config { segment_size: 4096, ..config(Path::new("simulated")) }
}

/// What a directory remembers: plans left out.
pub fn read(image: &Image) -> Result<(Remembered, Report), Error> {
    let mut recovery = open(small(), Simulated::of(0, image))?;
    let mut records = Vec::new();
    let report = recovery.replay(|found| {
        if let Entry::Record(settled) = found.entry {
            records.push((found.transaction, settled.record().clone()));
        }
    })?;
    Ok((records, report))
}

/// A journal whose turns the test makes.
pub struct Running {
    pub disk: Simulated,
    pub journal: Journal,
    pub committer: Committer<Simulated>,
    pub now: Now,
}

impl Running {
    pub fn start(disk: &Simulated) -> Running {
        Running::with(small(), disk, Now::default())
    }

    pub fn with(config: Config, disk: &Simulated, now: Now) -> Running {
        let mut recovery = open(config, disk.clone()).unwrap();
        recovery.replay(|_| ()).unwrap();
        let (journal, committer) = recovery.assemble(now).unwrap();
        Running { disk: disk.clone(), journal, committer, now }
    }

    pub fn later(&mut self, by: Duration) {
        self.now.time = self.now.time + by;
    }

    /// Makes turns until nothing is due, and says what was told.
    pub fn run(&mut self) -> Vec<Progress> {
        let mut told = Vec::new();
        while let Turn::Did(progress) = self.committer.turn(self.now) {
            told.extend(progress);
        }
        told
    }

    pub fn append(&self, transaction: Id, plan: Option<(Digest, Bytes)>, records: Vec<Record>) -> Position {
        let append = Append { transaction, epoch: self.journal.epoch(), plan, records };
        self.journal.append(append).unwrap().position()
    }

    /// Appends, commits, and checks that it settles.
    pub fn commit(&mut self, id: Id, plan: Option<(Digest, Bytes)>, records: Vec<Record>) -> Vec<Settled> {
        let append = Append { transaction: id, epoch: self.journal.epoch(), plan, records };
        let appended = self.journal.append(append).unwrap();
        self.later(Duration::from_millis(100));
        self.run();
        appended.settle(self.journal.watermark()).unwrap()
    }

    pub fn close(mut self) -> Simulated {
        self.journal.close();
        self.run();
        self.disk.restart()
    }
}
