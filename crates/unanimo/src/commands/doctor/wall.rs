//! `clock`: whether the machine believes in a time that can be.

use super::finding::{Check, Finding};
use crate::clock;
use std::time::{Duration, UNIX_EPOCH};

/// The first second of 2026, when there was no gateway yet.
const FIRST: u64 = 1_767_225_600;
/// The first second of 2100.
const LAST: u64 = 4_102_444_800;

/// Looks at the wall clock.
pub fn examine() -> Finding {
    judge(clock::unix_ms() / 1000)
}

fn judge(unix_seconds: u64) -> Finding {
    // What has no date is as far away as a date can be.
    let moment = UNIX_EPOCH + Duration::from_secs(unix_seconds.min(253_402_300_799));
    let said = httpdate::fmt_http_date(moment);
    if (FIRST..LAST).contains(&unix_seconds) {
        return Finding::ok(Check::Clock, said);
    }
    let advice = "set it, and keep it by NTP: how long history and keys are kept goes by it, and all times that are shown";
    Finding::fail(Check::Clock, format!("it says {said}"), advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Judgement;

    #[test]
    fn a_clock_without_a_battery_is_found() {
        for (unix_seconds, judgement) in [
            (0, Judgement::Fail),
            (FIRST - 1, Judgement::Fail),
            (FIRST, Judgement::Ok),
            (LAST, Judgement::Fail),
            (u64::MAX, Judgement::Fail),
        ] {
            assert_eq!(judge(unix_seconds).judgement, judgement, "{unix_seconds}");
        }
        assert_eq!(judge(0).said, "it says Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
