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

/// An age as it is typed: `500ms`, `10s`, `5m`, `2h`, `7d`. In milliseconds.
pub fn parse(text: &str) -> Result<u64, String> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &text[end..] {
        "ms" => Some(1),
        "s" => Some(SECOND),
        "m" => Some(MINUTE),
        "h" => Some(HOUR),
        "d" => Some(DAY),
        _ => None,
    };
    let number = text[..end].parse::<u64>().ok();
    let ms = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    ms.ok_or_else(|| "an age is a whole number with ms, s, m, h or d, such as `5m`".to_owned())
}

/// A time of day in UTC, to the millisecond.
pub fn clock(unix_ms: u64) -> String {
    let of_day = unix_ms % DAY;
    let part = |unit: u64, most: u64| of_day / unit % most;
    format!("{:02}:{:02}:{:02}.{:03}", part(HOUR, 24), part(MINUTE, 60), part(SECOND, 60), of_day % SECOND)
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
    fn an_age_is_read_as_it_is_typed() {
        for (text, ms) in
            [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("2h", 2 * HOUR), ("7d", 7 * DAY)]
        {
            assert_eq!(parse(text), Ok(ms));
        }
        for text in ["", "s", "5", "5 m", "1.5h", "-1s", "99999999999999999999s", "5µ"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_of_day_is_said_to_the_millisecond() {
        assert_eq!(clock(1_700_000_000_042), "22:13:20.042");
    }

    #[test]
    fn a_moment_is_said_in_utc() {
        assert_eq!(moment(1_700_000_000_000), "Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(moment(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
