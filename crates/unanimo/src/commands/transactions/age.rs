//! How long ago something was, and when, as people say it.

use std::time::{Duration, UNIX_EPOCH};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Milliseconds as their two largest units: `850 ms`, `12 s`, `3 min 20 s`, `5 h 1 min`, `2 d 3 h`.
pub fn spell(ms: u64) -> String {
    let pair = |large: u64, name: &str, small: u64, small_name: &str| match ms % large / small {
        0 => format!("{} {name}", ms / large),
        rest => format!("{} {name} {rest} {small_name}", ms / large),
    };
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..MINUTE => format!("{} s", ms / SECOND),
        MINUTE..HOUR => pair(MINUTE, "min", SECOND, "s"),
        HOUR..DAY => pair(HOUR, "h", MINUTE, "min"),
        DAY.. => pair(DAY, "d", HOUR, "h"),
    }
}

/// A moment as a date and time of day, in UTC.
pub fn moment(unix_ms: u64) -> String {
    // A wall clock that stands beyond the year 9999 has no date.
    let latest = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs((unix_ms / SECOND).min(latest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_its_two_largest_units() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (200_000, "3 min 20 s"),
            (HOUR, "1 h"),
            (5 * HOUR + MINUTE, "5 h 1 min"),
            (2 * DAY + 3 * HOUR + 59 * MINUTE, "2 d 3 h"),
        ];
        for (ms, expected) in cases {
            assert_eq!(spell(ms), expected);
        }
    }

    #[test]
    fn a_moment_is_said_in_utc() {
        assert_eq!(moment(1_700_000_000_000), "Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(moment(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
