//! Files that were touched: everything durable comes back, or the start is refused and says where.

use super::common::{begun, committed, id, plan};
use super::story::{Image, Running, read, small};
use crate::layout::{BATCH_HEADER, BatchHeader, SECTOR, SegmentHeader};
use crate::simulated::Simulated;
use crate::{Error, Position, Report, open};
use std::ops::Range;
use unanimo_protocol::planted::{Mistake, Plant};
use unanimo_protocol::{BranchIndex, Epoch, Id, Record};

/// A journal of two starts and a rotation, with what it remembers.
struct Small {
    image: Image,
    records: Vec<(Id, Record)>,
    /// The newest segment, and the batches in it that nothing outside of it proves: each with how many records are
    /// remembered before it.
    newest: String,
    unproven: Vec<(Range<usize>, usize)>,
}

/// Two starts; the second one ends in the middle, or closes the journal.
fn two_starts(closed: bool) -> Small {
    let mut first = Running::start(&Simulated::new(1));
    first.commit(id(1), Some(plan(1)), vec![begun(1, &[1; 900])]);
    first.commit(id(2), Some(plan(1)), vec![begun(1, &[2; 1500])]);
    // This one opens a second segment.
    first.commit(id(1), None, vec![committed(&[3; 1200])]);
    first.commit(id(1), None, vec![Record::Told { branch: BranchIndex(0) }, Record::Ended]);
    let mut second = Running::start(&first.disk.crash());
    second.commit(id(3), Some(plan(2)), vec![begun(2, b"third")]);
    second.commit(id(2), None, vec![committed(&[4; 700])]);
    second.commit(id(3), None, vec![committed(b"last")]);
    let image = if closed { second.close().image() } else { second.disk.image() };
    let (records, report) = read(&image).unwrap();
    assert_eq!((records.len(), report.torn.clone(), report.closed), (8, None, closed));

    let (newest, bytes) = image.iter().rfind(|(name, _)| name.ends_with(".journal")).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let salt = SegmentHeader::decode(bytes).unwrap().salt;
    let starts: Vec<usize> = memchr::memmem::find_iter(bytes, &BatchHeader::mark(salt)).collect();
    let ends = starts.iter().copied().skip(1).chain([end]);
    let places = starts.iter().copied().zip(ends).map(|(start, end)| start..end);
    let unproven = if closed { Vec::new() } else { places.zip(5..).collect() };
    assert!(closed || unproven.len() == 3);
    Small { records, newest: newest.clone(), unproven, image: image.clone() }
}

impl Small {
    fn files(&self) -> Vec<String> {
        self.image.keys().filter(|name| name.ends_with(".journal") || *name == "manifest").cloned().collect()
    }

    /// Damages one file within `touched`, and sees that nothing durable is forgotten in silence, save where the
    /// damage reaches from a batch of the newest segment to every batch behind it.
    fn damage(&self, name: &str, touched: Range<usize>, damage: impl FnOnce(&mut Vec<u8>)) {
        let mut image = self.image.clone();
        damage(image.get_mut(name).unwrap());
        if image == self.image {
            return;
        }
        match read(&image) {
            Ok((records, _)) if records == self.records => {}
            Ok((records, report)) => {
                let hit = |place: &Range<usize>| place.start < touched.end && touched.start < place.end;
                let lost = self.unproven.iter().filter(|(_, before)| *before >= records.len());
                assert!(
                    name == self.newest
                        && lost.clone().count() > 0
                        && lost.clone().all(|(place, _)| hit(place)),
                    "{name} at {touched:?}: {} records of {}, {report:?}",
                    records.len(),
                    self.records.len()
                );
                assert_eq!(records, self.records[..records.len()], "a prefix");
            }
            Err(Error::Damaged { path, offset, .. }) => {
                assert!(path.ends_with(name), "{name} was damaged, {} is named", path.display());
                assert!(
                    offset as usize <= touched.start.max(SECTOR),
                    "byte {offset} is named, {touched:?} is damaged"
                );
            }
            Err(Error::UnknownVersion { .. }) => assert!((8..12).contains(&touched.start)),
            Err(other) => panic!("{name} at {touched:?}: {other}"),
        }
    }
}

#[test]
fn a_file_that_is_shorter_is_refused_at_every_byte() {
    let small = two_starts(false);
    for name in small.files() {
        for len in 0..small.image[&name].len() {
            let mut image = small.image.clone();
            image.get_mut(&name).unwrap().truncate(len);
            match read(&image) {
                Err(Error::Damaged { path, offset, .. }) => {
                    assert!(path.ends_with(&name) && offset as usize <= len, "{name} cut at {len}: {offset}");
                }
                other => panic!("{name} cut at {len}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_file_that_is_missing_is_refused() {
    let small = two_starts(false);
    for name in small.files() {
        let mut image = small.image.clone();
        image.remove(&name);
        let refused = read(&image).unwrap_err();
        assert!(matches!(&refused, Error::Damaged { path, .. } if path.ends_with(name)), "{refused}");
    }
}

#[test]
fn a_sector_of_zeros_is_never_passed_over() {
    for small in [two_starts(false), two_starts(true)] {
        for name in small.files() {
            for at in 0..small.image[&name].len() {
                let end = ((at / SECTOR + 1) * SECTOR).min(small.image[&name].len());
                small.damage(&name, at..end, |bytes| bytes[at..end].fill(0));
            }
        }
    }
}

#[test]
fn no_flipped_bit_is_passed_over() {
    for small in [two_starts(false), two_starts(true)] {
        for name in small.files() {
            let bytes = &small.image[&name];
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + BATCH_HEADER;
            for at in 0..bytes.len() {
                // Where nothing was written one bit of a byte is as good as another.
                for bit in if at < used { 0..8 } else { 3..4 } {
                    small.damage(&name, at..at + 1, |bytes| bytes[at] ^= 1 << bit);
                }
            }
        }
    }
}

/// Zeros to the end of a file: in any segment but the newest they are damage. In the newest one they look like a
/// place where nothing was ever written, so that what stood before them must come back, and nothing else can.
#[test]
fn zeros_to_the_end_leave_what_stands_before_them() {
    let open = two_starts(false);
    for name in open.files() {
        for at in 0..open.image[&name].len() {
            open.damage(&name, at..open.image[&name].len(), |bytes| bytes[at..].fill(0));
        }
    }
    // A journal that was closed knows its end.
    let closed = two_starts(true);
    for name in closed.files() {
        for at in 0..closed.image[&name].len() {
            closed.damage(&name, at..closed.image[&name].len(), |bytes| bytes[at..].fill(0));
        }
    }
}

#[test]
fn what_was_cut_stays_cut() {
    let small = two_starts(false);
    let name = &small.newest;
    let (last, before) = small.unproven.last().cloned().unwrap();
    // A start finds the last batch torn, and cuts it.
    let mut image = small.image.clone();
    image.get_mut(name).unwrap()[last.start + 20] ^= 1;
    let disk = Simulated::of(1, &image);
    let mut third = Running::start(&disk);
    third.commit(id(3), None, vec![committed(b"another")]);
    // Now the tail is readable again: it must not come back beside what was decided without it.
    let mut image = third.disk.image();
    image.insert(name.clone(), small.image[name].clone());
    let (records, _) = read(&image).unwrap();
    assert_eq!(records.last(), Some(&(id(3), committed(b"another"))));
    assert_eq!(records[..records.len() - 1], small.records[..before]);
    // What the third start has relied on must be there.
    image.get_mut(name).unwrap()[last.start - 1] ^= 1;
    assert!(matches!(read(&image), Err(Error::Damaged { path, .. }) if path.ends_with(name)));
}

#[test]
fn another_version_or_another_journal_is_refused() {
    let small = two_starts(true);
    for name in small.files() {
        let mut image = small.image.clone();
        image.get_mut(&name).unwrap()[8] = 3;
        let refused = read(&image).unwrap_err();
        assert!(matches!(refused, Error::UnknownVersion { found: 3, known: 2, .. }), "{refused}");
    }
    // A manifest from before the last start would number starts twice.
    let mut image = small.image.clone();
    let first = Running::start(&Simulated::new(1)).disk.image();
    image.insert("manifest".to_owned(), first["manifest"].clone());
    let refused = read(&image).unwrap_err();
    assert!(refused.to_string().contains("old copy"), "{refused}");
    // A segment of another directory.
    let other = Running::start(&Simulated::new(99)).disk.image();
    let mut image = small.image.clone();
    image.insert("0000000001.journal".to_owned(), other["0000000001.journal"].clone());
    let refused = read(&image).unwrap_err();
    assert!(refused.to_string().contains("does not belong here"), "{refused}");
}

/// A batch as a client might send one in a body.
fn forged(salt: u64, number: u64, synced_up_to: u64) -> Vec<u8> {
    let mut batch = vec![0; BATCH_HEADER];
    let (number, synced_up_to) = (Position(number), Position(synced_up_to));
    BatchHeader { salt, number, synced_up_to, epoch: Epoch(1), closing: false, tenths: 0 }.seal(&mut batch);
    batch
}

/// One durable batch, then one whose first sector was lost and whose body holds `body`.
fn torn_over(body: impl Fn(u64) -> Vec<u8>) -> Result<Report, Error> {
    let mut running = Running::start(&Simulated::new(3));
    let name = "0000000001.journal";
    let salt = SegmentHeader::decode(&running.disk.image()[name]).unwrap().salt;
    running.commit(id(1), Some(plan(1)), vec![begun(1, b"calls")]);
    running.commit(id(1), None, vec![committed(&[vec![0; 600], body(salt)].concat())]);
    let mut image = running.disk.image();
    let bytes = image.get_mut(name).unwrap();
    let at = memchr::memmem::find_iter(bytes.as_slice(), &BatchHeader::mark(salt)).nth(1).unwrap();
    bytes[at..at + 300].fill(0);
    read(&image).map(|(_, report)| report)
}

#[test]
fn a_body_that_looks_like_a_batch_proves_nothing() {
    let torn = torn_over(|salt| forged(salt ^ 1, 3, u64::MAX)).unwrap();
    assert!(torn.torn.is_some() && torn.last == Position(1), "{torn:?}");
    // With the segment's salt, which no client can guess, it would.
    assert!(matches!(torn_over(|salt| forged(salt, 3, 2)), Err(Error::Damaged { .. })));
}

/// The tests above have teeth: each of these mistakes makes one of them fail.
#[test]
fn planted_mistakes_are_found() {
    for (mistake, test) in [
        (Mistake::DamageIsTorn, no_flipped_bit_is_passed_over as fn()),
        (
            Mistake::TornIsDamage,
            a_later_batch_proves_damage_only_if_it_was_written_when_the_bad_one_was_durable,
        ),
        (Mistake::NoSalt, a_body_that_looks_like_a_batch_proves_nothing),
    ] {
        let _plant = Plant::new(Some(mistake));
        assert!(std::panic::catch_unwind(test).is_err(), "{} was not found", mistake.as_str());
    }
}

#[test]
fn a_later_batch_proves_damage_only_if_it_was_written_when_the_bad_one_was_durable() {
    // Sectors of unsynced batches reach the disk in any order: the third is whole, the second never was.
    let torn = torn_over(|salt| forged(salt, 3, 1)).unwrap();
    assert!(torn.torn.is_some() && torn.last == Position(1), "{torn:?}");
    let refused = torn_over(|salt| forged(salt, 7, 2)).unwrap_err().to_string();
    assert!(refused.contains("batch 2 is not readable, but batch 7"), "{refused}");
}

#[test]
fn a_batch_out_of_turn_is_not_read() {
    let mut running = Running::start(&Simulated::new(3));
    running.commit(id(1), Some(plan(1)), vec![begun(1, b"calls")]);
    let mut image = running.disk.image();
    let bytes = image.get_mut("0000000001.journal").unwrap();
    let salt = SegmentHeader::decode(bytes).unwrap().salt;
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let stray = forged(salt, 3, 1);
    bytes[end..end + stray.len()].copy_from_slice(&stray);
    let (_, report) = read(&image).unwrap();
    assert_eq!((report.last, report.torn.map(|torn| torn.offset)), (Position(1), Some(end as u64)));
}

#[test]
fn nothing_is_started_over_damage() {
    let small_journal = two_starts(true);
    let mut image = small_journal.image.clone();
    image.get_mut("0000000001.journal").unwrap()[600] ^= 1;
    let disk = Simulated::of(1, &image);
    let mut recovery = open(small(), disk.clone()).unwrap();
    assert!(recovery.replay(|_| ()).is_err());
    assert!(matches!(recovery.assemble(crate::Now::default()), Err(Error::NotReplayed)));
    let segments = |image: &Image| {
        image
            .iter()
            .filter(|(name, _)| name.ends_with(".journal"))
            .map(|(n, b)| (n.clone(), b.clone()))
            .collect()
    };
    let (before, after): (Vec<_>, Vec<_>) = (segments(&image), segments(&disk.image()));
    assert_eq!(before, after, "a refused start changes no segment");
}
