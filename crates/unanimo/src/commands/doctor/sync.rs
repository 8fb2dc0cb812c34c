//! `journal-sync`: how long the disk takes to keep a batch, which is what every transaction waits for.

use super::finding::{Check, Finding};
use crate::clock;
use crate::commands::units::{grouped, milliseconds};
use std::io;
use std::path::Path;
use std::time::Duration;
use unanimo_journal::disk::File;
use unanimo_journal::{Disk, Files};

/// As many syncs as tell one in a hundred.
const SYNCS: usize = 200;

/// When measuring ends, however few there were.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of a batch with a few records.
const BATCH: usize = 4096;

/// Above this, a person notices each transaction.
const SLOW: Duration = Duration::from_millis(10);
/// Above this, one in a hundred makes a call time out sooner or later.
const STALLS: Duration = Duration::from_millis(100);
/// Below this nothing was kept: no bus is so fast.
const TOO_FAST: Duration = Duration::from_micros(5);

/// How often a client's answer waits for the disk: once for the beginning, once for the verdict.
const SYNCS_A_TRANSACTION: u32 = 2;

/// Measures by the journal's own way of writing, in a file that is removed.
pub fn examine(files: &Files, place: &Path) -> Finding {
    let keeps = files.ephemeral().is_ok_and(|kind| kind.is_none());
    match measure(files) {
        Ok(times) => judge(times, keeps),
        Err(error) => Finding::fail(
            Check::JournalSync,
            format!("{} takes no writes and syncs: {error}", place.display()),
            "see to the disk",
        ),
    }
}

/// The file that is measured with; it goes when this is dropped.
struct Sample<'a> {
    files: &'a Files,
    name: String,
}

impl Drop for Sample<'_> {
    fn drop(&mut self) {
        // Whether it was made or not: nothing of this name may stay.
        let _ = self.files.remove(&self.name);
    }
}

fn measure(files: &Files) -> io::Result<Vec<Duration>> {
    // A name that nobody can have prepared.
    let sample = Sample { files, name: format!(".doctor-{:016x}", files.entropy()?) };
    let mut file = files.create(&sample.name)?;
    // As in a segment, there is room already: no sync has to make any.
    file.write_at(0, &vec![0; SYNCS * BATCH])?;
    file.sync_data()?;
    let began = clock::now();
    let mut times = Vec::new();
    for number in 0..SYNCS {
        let before = clock::now();
        file.write_at((number * BATCH) as u64, &[0xa5; BATCH])?;
        file.sync_data()?;
        let after = clock::now();
        times.push(after.duration_since(before));
        if after.duration_since(began) >= PATIENCE {
            break;
        }
    }
    Ok(times)
}

fn judge(mut times: Vec<Duration>, keeps: bool) -> Finding {
    const CHECK: Check = Check::JournalSync;
    times.sort();
    let at = |hundredth: usize| times.get((times.len() * hundredth / 100).min(times.len().saturating_sub(1)));
    let (Some(median), Some(late)) = (at(50), at(99)) else {
        return Finding::fail(CHECK, "no sync has ended", "see to the disk");
    };
    let measured = format!("{}, {} at p99", milliseconds(*median), milliseconds(*late));
    let wait = *median * SYNCS_A_TRANSACTION;
    if *median >= SLOW {
        let a_second = (1.0 / wait.as_secs_f64().max(0.000_001)) as u64;
        let said = format!(
            "{measured}: at least {} a transaction, {} a second for one client alone",
            milliseconds(wait),
            grouped(a_second)
        );
        let advice = "put the journal on a faster disk, one with a write cache that outlives power; \
                      many clients at a time share syncs";
        return Finding::warn(CHECK, said, advice);
    }
    if *late >= STALLS {
        let said = format!("{measured}: one transaction in fifty waits that long");
        return Finding::warn(
            CHECK,
            said,
            "find who else writes to this disk, or give the journal one of its own",
        );
    }
    if keeps && *median < TOO_FAST {
        let said = format!("{measured}: faster than any disk keeps a thing");
        let advice =
            "find the layer that answers before it has written: a virtual disk with an unsafe cache, or none";
        return Finding::warn(CHECK, said, advice);
    }
    Finding::ok(CHECK, format!("{measured}: at least {} a transaction", milliseconds(wait)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Judgement;

    fn judged(micros: &[u64]) -> Finding {
        judge(micros.iter().map(|micros| Duration::from_micros(*micros)).collect(), true)
    }

    #[test]
    fn a_disk_is_judged_by_its_median_and_by_its_worst() {
        assert_eq!(judged(&[200; 100]).judgement, Judgement::Ok);
        assert_eq!(judged(&[200; 100]).said, "0.20 ms, 0.20 ms at p99: at least 0.40 ms a transaction");
        let slow = judged(&[12_500; 50]);
        assert_eq!(slow.judgement, Judgement::Warn);
        assert!(
            slow.said.ends_with("at least 25 ms a transaction, 40 a second for one client alone"),
            "{}",
            slow.said
        );
        let mut stalls = vec![200; 98];
        stalls.extend([150_000; 2]);
        assert_eq!(judged(&stalls).judgement, Judgement::Warn);
        assert_eq!(judged(&[2; 100]).judgement, Judgement::Warn);
        assert_eq!(judge(vec![Duration::from_micros(2); 9], false).judgement, Judgement::Ok);
        assert_eq!(judged(&[]).judgement, Judgement::Fail);
    }

    #[test]
    fn what_is_measured_with_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path()).unwrap();
        let times = measure(&files).unwrap();
        assert!((1..=SYNCS).contains(&times.len()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
