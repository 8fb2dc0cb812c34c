//! What the batcher decides: pacing, rotation, bounds, retention.

use super::common::{begun, committed, id, plan};
use super::story::{Running, read, small};
use crate::allocation::PIECE;
use crate::batcher::Due;
use crate::pacing::{Pacing, Waiting};
use crate::simulated::Simulated;
use crate::{Append, AppendError, Config, Now, Progress, SegmentNumber, Turn};
use std::time::Duration;
use unanimo_protocol::{BranchIndex, Record, Time};

/// Microseconds.
const MS: u64 = 1000;

#[test]
fn when_a_sync_is_due() {
    // The last batch was taken at 0, with records or without; so much waits, seen first at `now`.
    let table: [(bool, u64, u64, u64, Due); 14] = [
        (false, 0, 0, 5, Due::Never),
        (true, 0, 0, 5, Due::At(Time(50 * MS))),
        (true, 0, 0, 50 * MS, Due::Now),
        (false, 0, 0, 50 * MS, Due::Never),
        (false, 1, 0, 5, Due::Now),
        (true, 7, 0, 5, Due::Now),
        (true, 8, 0, 5, Due::At(Time(MS))),
        (false, 64, 0, 999, Due::At(Time(MS))),
        (false, 64, 0, MS, Due::Now),
        (false, 0, 1, 5, Due::At(Time(100 * MS + 5))),
        (true, 0, 1, 5, Due::At(Time(50 * MS))),
        (false, 0, 1000, 60 * MS, Due::At(Time(160 * MS))),
        (false, 1, 1000, 5, Due::Now),
        (false, 8, 1000, 5, Due::At(Time(MS))),
    ];
    for (records, forced, lazy, now, due) in table {
        let mut pacing = Pacing::new(Duration::from_millis(1));
        pacing.taken(Time(0), records);
        let found = pacing.due(Waiting { forced, lazy }, Time(now));
        assert_eq!(found, due, "records {records}, forced {forced}, lazy {lazy}, at {now}");
    }
}

#[test]
fn lazy_records_wait_for_company_and_no_longer_than_a_tenth_of_a_second() {
    let mut running = Running::start(&Simulated::new(1));
    running.commit(id(1), Some(plan(1)), vec![begun(1, b"")]);
    running.later(Duration::from_secs(1));
    running.run(); // The watermark is carried on.
    let syncs = |running: &Running| running.journal.counters().batch_sizes.counts().iter().sum::<u64>();
    let before = syncs(&running);
    let told = Record::Told { branch: BranchIndex(0) };
    let position = running.append(id(1), None, vec![told]);
    assert_eq!(running.run(), []);
    running.later(Duration::from_millis(99));
    assert_eq!(running.run(), []);
    running.later(Duration::from_millis(1));
    assert!(matches!(running.run()[..], [Progress::Synced(watermark)] if watermark.covers(position)));
    // Then one empty batch, and no more.
    running.later(Duration::from_millis(49));
    assert_eq!(running.run(), []);
    running.later(Duration::from_millis(1));
    assert_eq!(running.run().len(), 1);
    running.later(Duration::from_secs(100));
    assert_eq!(running.run(), []);
    assert_eq!(syncs(&running) - before, 2);
    assert_eq!(running.committer.turn(running.now), Turn::Idle(None));
}

#[test]
fn after_idling_even_the_last_batch_cannot_be_damaged_unseen() {
    let mut running = Running::start(&Simulated::new(1));
    running.commit(id(1), Some(plan(1)), vec![begun(1, b"calls")]);
    running.later(Duration::from_millis(50));
    running.run();
    let mut image = running.disk.image();
    image.get_mut("0000000001.journal").unwrap()[600] ^= 1;
    assert!(read(&image).is_err());
}

#[test]
fn records_of_one_decision_settle_together() {
    let mut running = Running::start(&Simulated::new(1));
    let answered = Record::Answered {
        branch: BranchIndex(0),
        operation: unanimo_protocol::Operation::Prepare,
        outcome: unanimo_protocol::Outcome::Done,
    };
    let settled = running.commit(id(1), Some(plan(1)), vec![begun(1, b"calls")]);
    assert_eq!(settled.len(), 1);
    let append = |records| Append { transaction: id(1), epoch: running.journal.epoch(), plan: None, records };
    // Volatile alone: nothing is written.
    let volatile = running.journal.append(append(vec![answered.clone()])).unwrap();
    assert!(running.journal.watermark().covers(volatile.position()), "it is in no batch to come");
    assert_eq!(volatile.settle(running.journal.watermark()).unwrap().len(), 1);
    assert_eq!(
        running.committer.turn(running.now),
        Turn::Idle(Some(running.now.time + Duration::from_millis(50)))
    );
    // With a forced one it waits.
    let both = running.journal.append(append(vec![answered.clone(), committed(b"yes")])).unwrap();
    let both = both.settle(running.journal.watermark()).unwrap_err();
    running.run();
    let settled = both.settle(running.journal.watermark()).unwrap();
    assert_eq!(settled[0].record(), &answered);
    assert_eq!(settled.len(), 2);
}

#[test]
fn what_does_not_fit_is_refused() {
    let running = Running::start(&Simulated::new(1));
    let append = |plan, records| Append { transaction: id(1), epoch: running.journal.epoch(), plan, records };
    let refused = |append| running.journal.append(append).unwrap_err();
    assert!(matches!(
        refused(append(Some(plan(1)), vec![begun(1, &[0; 4096])])),
        AppendError::TooLarge { bytes: 4097.., limit: 0..4096 }
    ));
    assert_eq!(refused(append(None, vec![begun(1, b"")])), AppendError::PlanMissing);
    assert_eq!(refused(append(Some(plan(2)), vec![begun(1, b"")])), AppendError::PlanMissing);
}

#[test]
fn a_full_queue_refuses_what_begins_and_never_what_goes_on() {
    let config = Config { queue_bytes: 8 * 1024, ..small() };
    let mut running = Running::with(config, &Simulated::new(1), Now::default());
    let epoch = running.journal.epoch();
    let append = |records| Append { transaction: id(1), epoch, plan: Some(plan(1)), records };
    let fill = |running: &Running| {
        let taken =
            (0..100).take_while(|_| running.journal.append(append(vec![begun(1, &[0; 100])])).is_ok());
        taken.count()
    };
    let taken = fill(&running);
    assert!((10..100).contains(&taken), "the queue's bound is at {taken}");
    assert_eq!(running.journal.append(append(vec![begun(1, &[0; 100])])).unwrap_err(), AppendError::Full);
    for _ in 0..100 {
        assert!(running.journal.append(append(vec![committed(&[b'y'; 200])])).is_ok());
    }
    running.run();
    let again = fill(&running);
    assert!(again > taken / 2, "what was written makes room: {again} of {taken}");
}

/// Fills segments with transactions that end, but for the first one.
fn fill(running: &mut Running, transactions: std::ops::Range<u64>) {
    for number in transactions {
        running.commit(id(number), Some(plan(1)), vec![begun(1, &[0; 900])]);
        running.commit(id(number), None, vec![Record::Ended]);
    }
}

fn dropped(told: &[Progress]) -> Option<SegmentNumber> {
    told.iter().rev().find_map(|progress| match progress {
        Progress::Dropped { oldest } => Some(*oldest),
        _ => None,
    })
}

#[test]
fn a_segment_with_something_open_stays() {
    let mut running = Running::start(&Simulated::new(1));
    running.commit(id(1), Some(plan(1)), vec![begun(1, b"calls")]);
    fill(&mut running, 2..30);
    let segments =
        |running: &Running| running.disk.image().keys().filter(|n| n.ends_with(".journal")).count();
    running.journal.release(SegmentNumber(8));
    assert!(dropped(&running.run()).is_none(), "kept, though released, for the first transaction");
    assert!(segments(&running) > 10);
    let (records, report) = read(&running.disk.image()).unwrap();
    assert_eq!((records[0].0, report.open), (id(1), 1));
    running.commit(id(1), None, vec![Record::Ended]);
    assert_eq!(dropped(&running.run()), None, "it was dropped with the commit");
    assert_eq!(running.journal.durable().oldest, SegmentNumber(8));
    assert_eq!(read(&running.disk.image()).unwrap().1.open, 0);
}

#[test]
fn a_segment_stays_until_it_is_released() {
    let mut running = Running::start(&Simulated::new(1));
    running.commit(id(9), Some(plan(1)), vec![begun(1, b"calls")]);
    fill(&mut running, 1..5); // Opens the second segment.
    running.commit(id(9), None, vec![committed(b"yes"), Record::Ended]);
    assert_eq!(dropped(&running.run()), None);
    assert!(matches!(running.committer.turn(running.now), Turn::Idle(_)));
    running.journal.release(SegmentNumber(2));
    assert_eq!(dropped(&running.run()), Some(SegmentNumber(2)));
    running.journal.release(SegmentNumber(1));
    assert_eq!(dropped(&running.run()), None, "an older word changes nothing");
    // What is left of the dropped transactions is no beginning of new ones.
    let (records, report) = read(&running.disk.image()).unwrap();
    assert!(records.iter().all(|(found, _)| *found == id(3) || *found == id(4)));
    assert!(report.leftovers == 2, "{report:?}");
}

#[test]
fn the_segment_that_is_open_stays_whatever_is_released() {
    let mut running = Running::start(&Simulated::new(1));
    fill(&mut running, 1..9);
    running.journal.release(SegmentNumber(99));
    running.run();
    let durable = running.journal.durable();
    assert_eq!(durable.oldest, durable.newest);
}

#[test]
fn each_segment_holds_the_plans_of_its_own_beginnings() {
    let mut running = Running::start(&Simulated::new(1));
    fill(&mut running, 1..20);
    let mark = plan(1).1;
    for (name, bytes) in running.disk.image().iter().filter(|(name, _)| name.ends_with(".journal")) {
        let plans = memchr::memmem::find_iter(bytes, &mark).count();
        assert_eq!(plans, 1, "{name}");
    }
}

#[test]
fn the_next_segment_is_allocated_before_it_is_needed() {
    const SIZE: u64 = 4 << 20;
    let mut running =
        Running::with(Config { segment_size: SIZE, ..small() }, &Simulated::new(1), Now::default());
    let allocated = |running: &Running| running.disk.image().get("next.segment").map_or(0, Vec::len) as u64;
    let mut before = 0;
    for round in 1..=15u64 {
        let used = round * SIZE / 16;
        running.commit(id(round), Some(plan(1)), vec![begun(1, &vec![0; SIZE as usize / 16])]);
        running.run();
        let now = allocated(&running);
        match used {
            _ if used < SIZE / 8 => assert_eq!(now, 0, "round {round}"),
            _ if used < SIZE / 2 => assert!(now > 0 && now < SIZE, "round {round}: {now}"),
            _ if used < SIZE / 8 * 7 => assert!(now > SIZE / 2, "round {round}: {now}"),
            _ => assert_eq!(now, SIZE, "round {round}"),
        }
        assert!(
            before <= now && now <= before + 2 * PIECE,
            "little by little: {before} to {now} in round {round}"
        );
        before = now;
    }
    assert!(!running.disk.image().contains_key("0000000002.journal"), "and not opened before");
}

#[test]
fn what_an_interrupted_drop_has_left_is_removed() {
    let mut running = Running::start(&Simulated::new(1));
    let first = running.disk.image()["0000000001.journal"].clone();
    fill(&mut running, 1..20);
    running.journal.release(SegmentNumber(2));
    running.run();
    let mut image = running.disk.image();
    assert_eq!(image.insert("0000000001.journal".to_owned(), first), None, "it was dropped");
    let again = Running::start(&Simulated::of(1, &image));
    assert!(!again.disk.image().contains_key("0000000001.journal"));
}
