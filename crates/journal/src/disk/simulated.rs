//! A disk of memory that does, by a seed, what real ones do at their worst.
//!
//! What was not synced before a crash may be there or not, sector by sector and name by name, in any order. A sync
//! that fails has written some sectors and marks all of them as clean, so that trying again would succeed and lie.
//! Only a sector is written as a whole or not at all: the format's one assumption.

use super::{Disk, File, Identity};
use crate::Position;
use crate::layout::{BATCH_HEADER, BatchHeader};
use fastrand::Rng;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unanimo_protocol::Epoch;

const SECTOR: usize = 512;

/// A body as somebody might send it who knows the format: a batch, were it not for the salt.
pub fn lookalike() -> Vec<u8> {
    let (salt, far) = (0, Position(u64::MAX >> 1));
    let mut batch = vec![0; BATCH_HEADER];
    BatchHeader { salt, number: far, synced_up_to: far, epoch: Epoch(1), closing: false, tenths: 0 }
        .seal(&mut batch);
    batch
}

/// What goes wrong, from when it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// How likely a write, a new file, a rename or a removal fails: 0.0 to 1.0.
    pub write: f64,
    /// How likely a sync fails.
    pub sync: f64,
    /// Bytes that fit in all files together; `None` for no limit.
    pub space: Option<u64>,
    /// After so many changes nothing more is carried out, as if the power had gone; `None` for never. A write, a sync, a
    /// new file, a rename and a removal each change something.
    pub off_after: Option<u64>,
}

/// A machine's disk, as one process sees it. Clones see the same disk.
#[derive(Debug)]
pub struct Simulated {
    world: Arc<Mutex<World>>,
    /// Which process this is: those that a crash or a restart has ended can do nothing more.
    boot: u64,
    holds_lock: bool,
}

#[derive(Debug)]
struct World {
    rng: Rng,
    faults: Faults,
    boot: u64,
    locked: bool,
    next_file: u64,
    files: BTreeMap<u64, Contents>,
    identity: Identity,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    /// What is read.
    seen: Vec<u8>,
    /// What the last successful sync left.
    durable: Vec<u8>,
    /// What each sector was made to hold since then.
    dirty: BTreeMap<usize, Vec<Vec<u8>>>,
}

impl Simulated {
    /// An empty disk.
    pub fn new(seed: u64) -> Simulated {
        Simulated::of(seed, &BTreeMap::new())
    }

    /// A disk that durably holds these files.
    pub fn of(seed: u64, image: &BTreeMap<String, Vec<u8>>) -> Simulated {
        let names: BTreeMap<String, u64> = image.keys().cloned().zip(0..).collect();
        let contents =
            |bytes: &Vec<u8>| Contents { seen: bytes.clone(), durable: bytes.clone(), ..Contents::default() };
        let world = World {
            rng: Rng::with_seed(seed),
            faults: Faults::default(),
            boot: 0,
            locked: false,
            next_file: image.len() as u64,
            identity: Identity::default(),
            files: (0..).zip(image.values().map(contents)).collect(),
            durable_names: names.clone(),
            names,
        };
        Simulated { world: Arc::new(Mutex::new(world)), boot: 0, holds_lock: false }
    }

    /// All files as they are read now.
    pub fn image(&self) -> BTreeMap<String, Vec<u8>> {
        let world = self.world();
        world.names.iter().map(|(name, file)| (name.clone(), world.files[file].seen.clone())).collect()
    }

    /// What tells this disk's directory from a copy, from now on.
    pub fn set_identity(&self, identity: Identity) {
        self.world().identity = identity;
    }

    /// What goes wrong now.
    pub fn faults(&self) -> Faults {
        self.world().faults
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.world().faults = faults;
    }

    /// The process ends, the machine goes on: nothing written is lost, and the memory may know more than the disk.
    pub fn restart(&self) -> Simulated {
        let mut world = self.world();
        world.boot += 1;
        world.locked = false;
        world.faults.off_after = None;
        Simulated { world: self.world.clone(), boot: world.boot, holds_lock: false }
    }

    /// The machine stops, and comes back with what is durable and any part of what is not.
    pub fn crash(&self) -> Simulated {
        let rebooted = self.restart();
        let mut world = rebooted.world();
        let World { rng, files, names, durable_names, .. } = &mut *world;
        files.values_mut().for_each(|contents| contents.crash(rng));
        let all: BTreeSet<String> = names.keys().chain(durable_names.keys()).cloned().collect();
        for name in all {
            let (new, old) = (names.get(&name).copied(), durable_names.get(&name).copied());
            match if rng.bool() { new } else { old } {
                Some(file) => names.insert(name, file),
                None => names.remove(&name),
            };
        }
        *durable_names = names.clone();
        world.forget_unnamed();
        drop(world);
        rebooted
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, for one more look of this process.
    fn look(&self) -> io::Result<MutexGuard<'_, World>> {
        look(&self.world, self.boot)
    }

    /// The world, for one more change by this process.
    fn change(&self, likely: impl Fn(&Faults) -> f64) -> io::Result<MutexGuard<'_, World>> {
        change(&self.world, self.boot, likely)
    }

    fn file(&self, file: u64) -> SimulatedFile {
        SimulatedFile { world: self.world.clone(), boot: self.boot, file }
    }
}

fn look(world: &Mutex<World>, boot: u64) -> io::Result<MutexGuard<'_, World>> {
    let world = world.lock().unwrap_or_else(PoisonError::into_inner);
    if world.boot != boot || world.faults.off_after == Some(0) { Err(Errno::IO.into()) } else { Ok(world) }
}

fn change(
    world: &Mutex<World>,
    boot: u64,
    likely: impl Fn(&Faults) -> f64,
) -> io::Result<MutexGuard<'_, World>> {
    let mut world = look(world, boot)?;
    if let Some(left) = &mut world.faults.off_after {
        *left -= 1;
    }
    let probability = likely(&world.faults);
    if probability > 0.0 && world.rng.f64() < probability { Err(Errno::IO.into()) } else { Ok(world) }
}

impl Clone for Simulated {
    fn clone(&self) -> Simulated {
        Simulated { world: self.world.clone(), boot: self.boot, holds_lock: false }
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let mut world = self.world();
        if self.holds_lock && world.boot == self.boot {
            world.locked = false;
        }
    }
}

impl World {
    fn forget_unnamed(&mut self) {
        let World { files, names, durable_names, .. } = self;
        files.retain(|file, _| names.values().chain(durable_names.values()).any(|named| named == file));
    }

    fn contents(&mut self, file: u64) -> io::Result<&mut Contents> {
        self.files.get_mut(&file).ok_or_else(|| Errno::NOENT.into())
    }
}

impl Contents {
    fn sector(&self, sector: usize) -> Vec<u8> {
        let end = self.seen.len().min((sector + 1) * SECTOR);
        self.seen[sector * SECTOR..end].to_vec()
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            let now = self.sector(sector);
            self.dirty.entry(sector).or_default().push(now);
        }
    }

    fn keep(&mut self, sector: usize, bytes: &[u8]) {
        let at = sector * SECTOR;
        if self.durable.len() < at + bytes.len() {
            self.durable.resize(at + bytes.len(), 0);
        }
        self.durable[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Any of the states that a sector had may be the one that is kept.
    fn settle_at_random(&mut self, rng: &mut Rng) {
        for (sector, mut states) in std::mem::take(&mut self.dirty) {
            let kept = rng.usize(..=states.len());
            if kept > 0 {
                self.keep(sector, &states.swap_remove(kept - 1));
            }
        }
    }

    fn crash(&mut self, rng: &mut Rng) {
        self.settle_at_random(rng);
        self.seen.clone_from(&self.durable);
    }

    /// Writes what is dirty, and that alone: what a failed sync has marked as clean stays lost.
    fn sync(&mut self) {
        for (sector, states) in std::mem::take(&mut self.dirty) {
            states.last().into_iter().for_each(|last| self.keep(sector, last));
        }
    }
}

impl Disk for Simulated {
    type File = SimulatedFile;

    fn lock(&mut self) -> io::Result<bool> {
        let mut world = self.look()?;
        let free = !std::mem::replace(&mut world.locked, true);
        drop(world);
        self.holds_lock |= free;
        Ok(free)
    }

    fn is_locked(&self) -> io::Result<bool> {
        Ok(self.look()?.locked)
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(self.look()?.identity)
    }

    fn ephemeral(&self) -> io::Result<Option<&'static str>> {
        Ok(None)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.look()?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        let mut world = self.change(|faults| faults.write)?;
        let file = world.next_file;
        world.next_file += 1;
        world.files.insert(file, Contents::default());
        world.names.insert(name.to_owned(), file);
        Ok(self.file(file))
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let world = self.look()?;
        let file = world.names.get(name).copied().ok_or(Errno::NOENT)?;
        Ok(self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.change(|faults| faults.write)?;
        let file = world.names.remove(from).ok_or(Errno::NOENT)?;
        world.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(|faults| faults.write)?.names.remove(name).ok_or(Errno::NOENT)?;
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut world = self.change(|faults| faults.sync)?;
        world.durable_names = world.names.clone();
        world.forget_unnamed();
        Ok(())
    }

    fn entropy(&self) -> io::Result<u64> {
        Ok(self.look()?.rng.u64(..))
    }
}

/// A file of [`Simulated`].
#[derive(Debug)]
pub struct SimulatedFile {
    world: Arc<Mutex<World>>,
    boot: u64,
    file: u64,
}

impl File for SimulatedFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = change(&self.world, self.boot, |_| 0.0)?;
        let fails = world.rng.f64() < world.faults.write;
        let used: usize = world.files.values().map(|contents| contents.seen.len()).sum();
        let space = world.faults.space.map_or(usize::MAX, |space| space as usize);
        let part = world.rng.usize(..=bytes.len());
        let contents = world.contents(self.file)?;
        let grown = (offset as usize + bytes.len()).saturating_sub(contents.seen.len());
        if fails || used + grown > space {
            contents.write(offset as usize, &bytes[..part]);
            return Err(if fails { Errno::IO } else { Errno::NOSPC }.into());
        }
        contents.write(offset as usize, bytes);
        Ok(())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut world = look(&self.world, self.boot)?;
        let from = world.contents(self.file)?.seen.get(offset as usize..).unwrap_or_default();
        let len = from.len().min(into.len());
        into[..len].copy_from_slice(&from[..len]);
        Ok(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(look(&self.world, self.boot)?.contents(self.file)?.seen.len() as u64)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut world = change(&self.world, self.boot, |_| 0.0)?;
        let fails = world.rng.f64() < world.faults.sync;
        let World { rng, files, .. } = &mut *world;
        let contents = files.get_mut(&self.file).ok_or(Errno::NOENT)?;
        if fails {
            contents.settle_at_random(rng);
            return Err(Errno::IO.into());
        }
        contents.sync();
        Ok(())
    }
}
