//! Looks, backups, restored and copied directories.

use super::common::{begun, committed, id, plan};
use super::story::{Image, Remembered, Running, read, small};
use crate::disk::Disk;
use crate::manifest::Manifest;
use crate::segments::file_name;
use crate::simulated::{Faults, Simulated, SimulatedFile};
use crate::{
    Entry, Error, Identity, Inspection, Kind, Now, Position, Restored, SegmentNumber, backup, inspect, open,
    restore,
};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use unanimo_protocol::{Node, Record};

const HERE: &str = "simulated";

fn look(disk: &Simulated) -> Result<(Remembered, Inspection), Error> {
    let mut records = Vec::new();
    let found = inspect(disk, Path::new(HERE), |seen| {
        if let Entry::Record(settled) = seen.replayed.entry {
            records.push((seen.replayed.transaction, settled.record().clone()));
        }
    })?;
    Ok((records, found))
}

fn backed_up(disk: &Simulated) -> Result<Simulated, Error> {
    let to = Simulated::new(3);
    backup((disk, Path::new(HERE)), (&to, Path::new("backup"))).map(|_| to)
}

fn restored(disk: &Simulated, how: Restored) -> Result<Simulated, Error> {
    let mut to = Simulated::new(4);
    restore((disk, Path::new(HERE)), (&mut to, Path::new("new")), how)?;
    Ok(Simulated::of(4, &to.image()))
}

/// Twelve transactions over several segments, every third of them left open.
fn filled(running: &mut Running) {
    for number in 0..12 {
        running.commit(id(number), Some(plan(1)), vec![begun(1, &[number as u8; 300])]);
        if number % 3 > 0 {
            running.commit(id(number), None, vec![committed(&[9; 200])]);
            running.commit(id(number), None, vec![Record::Ended]);
        }
    }
    idle(running);
}

/// The empty batch that calls the one before it durable.
fn idle(running: &mut Running) {
    running.later(Duration::from_millis(100));
    running.run();
}

#[test]
fn a_look_sees_what_replay_gives_and_changes_nothing() {
    let mut running = Running::start(&Simulated::new(1));
    filled(&mut running);
    let before = running.disk.image();
    let (seen, found) = look(&running.disk).unwrap();
    assert_eq!(running.disk.image(), before);
    assert_eq!((found.kind, found.node, found.report.open), (Kind::Journal, running.journal.node(), 4));
    assert_eq!(found.report.durable.number() + 1, running.journal.watermark().position().number());
    let closed = running.close();
    let (replayed, report) = read(&closed.image()).unwrap();
    assert_eq!((seen, found.report.records), (replayed, report.records));
    assert!(found.segments.len() > 1);
}

#[test]
fn a_backup_of_a_running_journal_has_what_was_durable_and_not_what_is_being_written() {
    let mut running = Running::start(&Simulated::new(1));
    filled(&mut running);
    let last = running.journal.watermark().position();
    let (before, _) = look(&running.disk).unwrap();
    // Written, and its sync has failed: nobody will ever be told of it.
    running.append(id(99), Some(plan(1)), vec![begun(1, b"unsynced")]);
    running.disk.set_faults(Faults { sync: 1.0, ..Faults::default() });
    running.run();
    assert!(running.journal.poison().is_some());
    running.disk.set_faults(Faults::default());
    let (all, _) = look(&running.disk).unwrap();
    assert_eq!(all.len(), before.len() + 1, "the batch can be read");
    let copy = backed_up(&running.disk).unwrap();
    let (held, found) = look(&copy).unwrap();
    assert_eq!((held, found.kind, found.report.last), (before, Kind::Backup, last));
    // Without an owner the same bytes are what a start would find, and all of them are taken.
    let copy = backed_up(&running.disk.restart()).unwrap();
    assert_eq!(look(&copy).unwrap().0, all);
}

#[test]
fn no_gateway_starts_on_a_backup_and_no_backup_overwrites_anything() {
    let mut running = Running::start(&Simulated::new(1));
    filled(&mut running);
    let copy = backed_up(&running.disk).unwrap();
    assert!(matches!(open(small(), Simulated::of(5, &copy.image())), Err(Error::Backup { .. })));
    let again = backup((&running.disk, Path::new(HERE)), (&copy, Path::new("backup")));
    assert!(matches!(again, Err(Error::NotEmpty { .. })));
}

#[test]
fn a_damaged_journal_is_not_backed_up() {
    let mut running = Running::start(&Simulated::new(1));
    filled(&mut running);
    let mut image = running.close().image();
    image.get_mut("0000000001.journal").unwrap()[700] ^= 1;
    let damaged = Simulated::of(1, &image);
    assert!(matches!(backed_up(&damaged), Err(Error::Damaged { .. })));
    assert!(matches!(look(&damaged), Err(Error::Damaged { offset: 512, .. })));
}

#[test]
fn a_restored_journal_has_a_node_of_its_own_and_all_that_the_backup_held() {
    let mut running = Running::start(&Simulated::new(1));
    filled(&mut running);
    let node = running.journal.node();
    let copy = backed_up(&running.disk).unwrap();
    let (held, _) = look(&copy).unwrap();
    let made = restored(&copy, Restored::Quarantined).unwrap();
    let mut second = Running::start(&made);
    assert_ne!(second.journal.node(), node);
    // What was open there can still be ended here, and stays ended.
    second.commit(id(3), None, vec![Record::Ended]);
    let disk = second.close();
    let (records, found) = look(&disk).unwrap();
    assert_eq!(records[..held.len()], held);
    assert_eq!((found.report.open, found.restored.is_some()), (3, true));
    // And once more, over two former nodes.
    let twice = restored(&backed_up(&disk).unwrap(), Restored::Quarantined).unwrap();
    assert_eq!(look(&Running::start(&twice).close()).unwrap().0, records);
}

#[test]
fn a_segment_of_a_stranger_is_refused_also_behind_restored_ones() {
    let mut running = Running::start(&Simulated::new(1));
    filled(&mut running);
    let made = restored(&backed_up(&running.disk).unwrap(), Restored::Quarantined).unwrap();
    let mut image = Running::start(&made).close().image();
    let newest = image.keys().rfind(|name| name.ends_with(".journal")).cloned().unwrap();
    let bytes = image.get_mut(&newest).unwrap();
    bytes[12..16].copy_from_slice(&Node(1).0.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..60]).to_le_bytes();
    bytes[60..64].copy_from_slice(&sum);
    let refused = look(&Simulated::of(1, &image)).unwrap_err();
    assert!(refused.to_string().contains("does not belong here"), "{refused}");
}

#[test]
fn only_what_was_closed_is_moved_and_nothing_is_taken_from_a_gateway_that_runs() {
    let mut running = Running::start(&Simulated::new(1));
    filled(&mut running);
    let node = running.journal.node();
    assert!(matches!(restored(&running.disk, Restored::Quarantined), Err(Error::Locked { .. })));
    let killed = Simulated::of(1, &running.disk.image());
    assert!(matches!(restored(&killed, Restored::Moved), Err(Error::NotClosed { .. })));
    let moved = restored(&running.close(), Restored::Moved).unwrap();
    let second = Running::start(&moved);
    assert_eq!((second.journal.node(), look(&second.disk).unwrap().1.restored), (node, None));
}

#[test]
fn a_copied_directory_is_found_out_and_a_moved_one_is_not_taken_for_a_copy() {
    let disk = Simulated::new(1);
    disk.set_identity(Identity { directory: 10, lock: 11 });
    let image = Running::start(&disk).close().image();
    let start = |directory, lock| {
        let disk = Simulated::of(1, &image);
        disk.set_identity(Identity { directory, lock });
        open(small(), disk).map(drop)
    };
    assert!(matches!(start(20, 21), Err(Error::Copied { .. })));
    for (directory, lock) in [(10, 11), (10, 21), (20, 11), (0, 21), (20, 0)] {
        assert!(start(directory, lock).is_ok(), "{directory} {lock}");
    }
}

#[test]
fn real_directories_have_an_identity_that_a_copy_has_not() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let config = |directory: &Path| crate::Config { accept_ephemeral: true, ..crate::Config::new(directory) };
    let start = |directory: &Path| {
        let mut recovery = open(config(directory), crate::Files::open(directory)?)?;
        recovery.replay(|_| ())?;
        recovery.assemble(Now::default()).map(drop)
    };
    start(&here).unwrap();
    let copied = std::process::Command::new("cp").arg("-a").args([&here, &there]).status().unwrap();
    assert!(copied.success());
    if crate::Files::open(&here).unwrap().identity().unwrap().directory == 0 {
        return; // This file system does not say when a file was born.
    }
    assert!(matches!(start(&there), Err(Error::Copied { .. })));
    std::fs::remove_dir_all(&there).unwrap();
    std::fs::rename(&here, &there).unwrap();
    start(&there).unwrap();
    std::fs::remove_file(there.join("lock")).unwrap();
    start(&there).unwrap();
}

/// Each prefix of a directory's history gives a backup whose records are a prefix.
#[test]
fn backups_taken_at_any_time_are_prefixes() {
    let mut running = Running::start(&Simulated::new(7));
    let mut taken: Vec<(Position, Image)> = Vec::new();
    for number in 0..12 {
        running.commit(id(number), Some(plan(1)), vec![begun(1, &[number as u8; 300])]);
        idle(&mut running);
        taken.push((running.journal.watermark().position(), backed_up(&running.disk).unwrap().image()));
    }
    let (all, _) = look(&running.disk).unwrap();
    for (durable, image) in taken {
        let (held, found) = look(&Simulated::of(1, &image)).unwrap();
        assert_eq!(held[..], all[..held.len()]);
        assert_eq!(found.report.last.number() + 1, durable.number());
    }
}

/// A disk whose owner does something when the so-manieth file is opened.
struct Meddled<F> {
    disk: Simulated,
    opens_left: AtomicU32,
    meddle: F,
}

impl<F: Fn(&Simulated) + Send + 'static> Disk for Meddled<F> {
    type File = SimulatedFile;

    fn lock(&mut self) -> io::Result<bool> {
        self.disk.lock()
    }

    fn is_locked(&self) -> io::Result<bool> {
        self.disk.is_locked()
    }

    fn ephemeral(&self) -> io::Result<Option<&'static str>> {
        self.disk.ephemeral()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        self.disk.create(name)
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        if self.opens_left.fetch_sub(1, Relaxed) == 0 {
            (self.meddle)(&self.disk);
        }
        self.disk.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }

    fn entropy(&self) -> io::Result<u64> {
        self.disk.entropy()
    }
}

/// Drops the two oldest segments, as their owner does.
fn drop_two(disk: &Simulated) {
    let mut manifest = Manifest::read(disk, Path::new(HERE), Kind::Journal).unwrap().unwrap();
    let oldest = manifest.oldest.0;
    manifest.oldest = SegmentNumber(oldest + 2);
    manifest.write(disk, Kind::Journal).unwrap();
    (oldest..oldest + 2).for_each(|number| disk.remove(&file_name(SegmentNumber(number))).unwrap());
}

#[test]
fn segments_may_be_dropped_at_any_moment_of_a_look_or_a_backup() {
    let mut running = Running::start(&Simulated::new(1));
    filled(&mut running);
    let image = running.close().image();
    let (before, whole) = look(&Simulated::of(1, &image)).unwrap();
    let (after, _) = {
        let disk = Simulated::of(1, &image);
        drop_two(&disk);
        look(&disk).unwrap()
    };
    assert!(after.len() < before.len());
    let meddled =
        |at| Meddled { disk: Simulated::of(1, &image), opens_left: AtomicU32::new(at), meddle: drop_two };
    let mut dropped = 0;
    for at in 0..40 {
        let disk = meddled(at);
        let to = Simulated::new(3);
        backup((&disk, Path::new(HERE)), (&to, Path::new("backup"))).unwrap();
        let (held, found) = look(&to).unwrap();
        assert!(held == before || held == after, "at {at}: {} records", held.len());
        assert_eq!(found.report.last, whole.report.last, "at {at}");
        dropped += u32::from(held == after);
        let mut places = Vec::new();
        inspect(&meddled(at), Path::new(HERE), |seen| {
            places.push((seen.replayed.batch, seen.replayed.offset))
        })
        .unwrap();
        assert!(places.is_sorted_by(|one, next| one < next), "at {at}: {places:?}");
    }
    assert!((4..40).contains(&dropped), "{dropped} backups saw it");
}
