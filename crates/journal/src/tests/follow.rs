//! A reader behind the committing thread sees what replay would, when it is durable and not before.

use super::common::{begun, id, plan};
use super::story::{Remembered, Running, read, small};
use crate::simulated::Simulated;
use crate::{Durable, Entry, Error, Followed, Follower, Now, SegmentNumber};
use fastrand::Rng;
use std::path::PathBuf;
use std::time::Duration;
use unanimo_protocol::Record;

fn follower(disk: &Simulated, from: u64) -> Follower<Simulated> {
    Follower::new(disk.clone(), PathBuf::from("simulated"), SegmentNumber(from))
}

/// Reads all that is durable; says where the last batch stood.
fn follow(
    follower: &mut Follower<Simulated>,
    durable: Durable,
    into: &mut Remembered,
) -> Result<Option<Followed>, Error> {
    let mut last = None;
    while let Some(batch) = follower.read(durable, |_, id, entry| {
        if let Entry::Record(settled) = entry {
            into.push((id, settled.record().clone()));
        }
    })? {
        assert!(durable.watermark.covers(batch.position));
        last = Some(batch);
    }
    Ok(last)
}

#[test]
fn a_follower_reads_what_replay_gives_over_segments_starts_and_crashes() {
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        let mut disk = Simulated::new(seed);
        let mut next = 0;
        for life in 0..3 {
            let mut running = Running::with(small(), &disk, Now { unix_ms: 1000 * life, ..Now::default() });
            let (mut follower, mut followed) = (follower(&disk, 1), Vec::new());
            for _ in 0..rng.u8(1..40) {
                next += 1;
                let calls = vec![0; rng.usize(..900)];
                running.commit(id(next), Some(plan(1)), vec![begun(1, &calls)]);
                if rng.bool() {
                    running.commit(id(next), None, vec![Record::Ended]);
                }
                if rng.u8(..4) == 0 {
                    follow(&mut follower, running.journal.durable(), &mut followed).unwrap();
                }
            }
            running.later(Duration::from_secs(1));
            running.run();
            let durable = running.journal.durable();
            follow(&mut follower, durable, &mut followed).unwrap();
            let again = follow(&mut follower, durable, &mut followed).unwrap();
            assert_eq!(again, None, "seed {seed}: nothing is read twice");
            disk = if rng.bool() { disk.crash() } else { disk.restart() };
            let (replayed, _) = read(&disk.image()).unwrap();
            assert_eq!(followed, replayed, "seed {seed}, life {life}");
        }
    }
}

#[test]
fn what_is_not_durable_is_not_read() {
    let mut running = Running::start(&Simulated::new(1));
    let (mut follower, mut followed) = (follower(&running.disk, 1), Vec::new());
    running.commit(id(1), Some(plan(1)), vec![begun(1, b"calls")]);
    let before = running.journal.durable();
    running.now.unix_ms = 7650;
    running.commit(id(2), Some(plan(1)), vec![begun(1, b"calls")]);
    follow(&mut follower, before, &mut followed).unwrap();
    assert_eq!(followed.iter().map(|(found, _)| *found).collect::<Vec<_>>(), [id(1)]);
    let last = follow(&mut follower, running.journal.durable(), &mut followed).unwrap().unwrap();
    assert_eq!((followed.len(), last.unix_ms, last.segment), (2, 7700, SegmentNumber(1)));
}

#[test]
fn a_durable_batch_that_cannot_be_read_is_damage_and_is_read_once_it_can_be() {
    let mut running = Running::start(&Simulated::new(1));
    running.commit(id(1), Some(plan(1)), vec![begun(1, b"calls")]);
    let durable = running.journal.durable();
    let mut image = running.disk.image();
    let segment = image.get_mut("0000000001.journal").unwrap();
    segment[600] ^= 1;
    let mut broken = follower(&Simulated::of(1, &image), 1);
    let error = broken.read(durable, |_, _, _| unreachable!("it is damaged")).unwrap_err();
    assert!(matches!(&error, Error::Damaged { offset: 512, .. }), "{error}");
    let mut whole = follower(&running.disk, 1);
    assert!(whole.read(durable, |_, _, _| ()).unwrap().is_some());
}
