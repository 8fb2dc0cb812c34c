//! From a directory to a running journal: take it, replay it, start.

use crate::batcher::{Batcher, Start};
use crate::clock::Clock;
use crate::committer::{Committer, Committing};
use crate::disk::{Disk, File, Identity};
use crate::journal::Shared;
use crate::manifest::{Kind, Manifest};
use crate::scan::{Found, Replay, Replayed, Report, Scan};
use crate::segments::{NEXT, Segments, Sizes, file_name, number_of};
use crate::{Config, Error, Journal, Now, Position, Progress, SegmentNumber};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use unanimo_protocol::{Epoch, Node};

/// A directory that is owned and not yet replayed.
pub struct Recovery<D: Disk> {
    config: Config,
    disk: D,
    manifest: Manifest,
    replayed: Option<Found>,
}

/// Takes the directory for this process alone, and forces the number of this start.
pub fn open<D: Disk>(config: Config, mut disk: D) -> Result<Recovery<D>, Error> {
    config.validate()?;
    let directory = config.directory.clone();
    let failed = |doing, source| Error::Io { doing, path: directory.clone(), source };
    let ephemeral = disk.ephemeral().map_err(|e| failed("examine", e))?;
    if let Some(file_system) = ephemeral.filter(|_| !config.accept_ephemeral) {
        return Err(Error::Ephemeral { directory, file_system });
    }
    if !disk.lock().map_err(|e| failed("lock", e))? {
        return Err(Error::Locked { directory });
    }
    let names = disk.list().map_err(|e| failed("list", e))?;
    // A name may be there and not be durable. The manifest is about to count on it.
    disk.sync_directory().map_err(|e| failed("sync", e))?;
    let present: BTreeSet<SegmentNumber> = names.iter().filter_map(|name| number_of(name)).collect();
    let mut manifest = match Manifest::read(&disk, &directory, Kind::Journal)? {
        Some(manifest) => manifest,
        None => first_manifest(&disk, &present, &config)?,
    };
    let identity = disk.identity().map_err(|e| failed("examine", e))?;
    if identity.is_copy_of(manifest.identity) {
        return Err(Error::Copied { directory });
    }
    manifest.identity = identity;
    check_presence(&present, &manifest, &directory)?;
    manifest.newest = present.last().copied().unwrap_or_default().max(manifest.newest);
    manifest.epoch = Epoch(manifest.epoch.0 + 1);
    if manifest.epoch > Epoch::MAX {
        return Err(Error::EpochsSpent);
    }
    manifest.write(&disk, Kind::Journal).map_err(|e| failed("replace the manifest of", e))?;
    // What an interrupted drop or allocation has left.
    let stale = present.range(..manifest.oldest).map(|number| file_name(*number));
    let next = names.iter().filter(|name| *name == NEXT).cloned();
    for name in stale.chain(next) {
        disk.remove(&name).map_err(|source| Error::Io {
            doing: "remove",
            path: directory.join(&name),
            source,
        })?;
    }
    Ok(Recovery { config, disk, manifest, replayed: None })
}

/// The manifest of a directory that has none yet.
fn first_manifest<D: Disk>(
    disk: &D,
    present: &BTreeSet<SegmentNumber>,
    config: &Config,
) -> Result<Manifest, Error> {
    if Manifest::read(disk, &config.directory, Kind::Backup)?.is_some() {
        return Err(Error::Backup { directory: config.directory.clone() });
    }
    if !present.is_empty() {
        let (path, why) =
            (config.directory.join("manifest"), "it is missing, but segments are there".to_owned());
        return Err(Error::Damaged { path, offset: 0, why });
    }
    let bits = disk.entropy();
    let bits = bits.map_err(|source| Error::Io {
        doing: "draw random bits for",
        path: config.directory.clone(),
        source,
    })?;
    Ok(Manifest {
        node: Node(bits as u32),
        epoch: Epoch(0),
        oldest: SegmentNumber(1),
        newest: SegmentNumber(0),
        durable: Position(0),
        identity: Identity::default(),
        restored: SegmentNumber(0),
    })
}

/// Every segment from the oldest on must be there.
pub(crate) fn check_presence(
    present: &BTreeSet<SegmentNumber>,
    manifest: &Manifest,
    directory: &Path,
) -> Result<(), Error> {
    let newest = present.last().copied().unwrap_or_default().max(manifest.newest);
    let missing = (manifest.oldest.0..=newest.0).map(SegmentNumber).find(|number| !present.contains(number));
    match missing {
        None => Ok(()),
        Some(number) => Err(Error::Damaged {
            path: directory.join(file_name(number)),
            offset: 0,
            why: format!("the file is missing; segments {} to {newest} must be there", manifest.oldest),
        }),
    }
}

impl<D: Disk> Recovery<D> {
    /// Whose directory it is.
    pub fn node(&self) -> Node {
        self.manifest.node
    }

    /// The number of this start; it is durable, and no former owner has it.
    pub fn epoch(&self) -> Epoch {
        self.manifest.epoch
    }

    /// Gives out everything that is remembered, in order. On an error, forget what was given out.
    pub fn replay(&mut self, each: impl FnMut(Replayed)) -> Result<Report, Error> {
        let found = Scan::new(&self.disk, &self.config.directory, &self.manifest, Replay(each)).run()?;
        let report = found.report.clone();
        self.replayed = Some(found);
        Ok(report)
    }

    /// Starts the committing thread. The listener is called on it: it must be short, and must not wait.
    pub fn start(self, listener: impl Fn(Progress) + Send + 'static) -> Result<(Journal, Committing), Error> {
        let (journal, committer) = self.assemble(Clock::new().now())?;
        Ok((journal, committer.spawn(listener)?))
    }

    /// The journal without a thread: the caller makes the [`Committer`]'s turns, and says what time it is.
    pub fn assemble(mut self, now: Now) -> Result<(Journal, Committer<D>), Error> {
        let found = self.replayed.take().ok_or(Error::NotReplayed)?;
        self.make_durable(&found)?;
        let (config, manifest) = (self.config, self.manifest);
        let sizes = Sizes::new(manifest.newest.next(), config.segment_size);
        let mut segments = Segments::new(self.disk, config.directory.clone(), sizes, manifest);
        let (last, newest) = (found.report.last, manifest.newest);
        segments.open_next(newest.next(), last, now.unix_ms / 1000)?;
        let start = Start { epoch: manifest.epoch, last, newest, ledger: found.ledger };
        let mut batcher = Batcher::new(&config, start);
        batcher.opened(newest.next());
        let shared = Arc::new(Shared::new(batcher, manifest.node, config.directory));
        Ok((Journal::new(shared.clone()), Committer::new(shared, segments)))
    }

    /// What was read may stand in the operating system's memory alone: written by a process that died before its
    /// sync, or after a sync that failed and left the memory marked as clean. The last batch is written again, byte
    /// for byte, so that this sync cannot pass it over.
    fn make_durable(&self, found: &Found) -> Result<(), Error> {
        let Some((offset, bytes)) = &found.last_batch else { return Ok(()) };
        let name = file_name(self.manifest.newest);
        let rewrite = || {
            let mut file = self.disk.open(&name)?;
            file.write_at(*offset, bytes)?;
            file.sync_data()
        };
        let path = self.config.directory.join(&name);
        rewrite().map_err(|source| Error::Io { doing: "make durable", path, source })
    }
}
