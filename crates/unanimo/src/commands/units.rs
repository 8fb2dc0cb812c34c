//! Numbers as people read them.

use std::time::Duration;

/// `1 route`, `2 routes`.
pub fn counted(number: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(number as u64), if number == 1 { "" } else { "s" })
}

/// `26,198`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes, rounded down: `38 GiB`, `512 B`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut number, mut unit) = (bytes, 0);
    while number >= 10 * 1024 && unit + 1 < UNITS.len() {
        (number, unit) = (number / 1024, unit + 1);
    }
    format!("{} {}", grouped(number), UNITS[unit])
}

/// Milliseconds with two digits that count: `0.21 ms`, `4.3 ms`, `120 ms`.
pub fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    let digits = match ms {
        ..0.0995 => 3,
        ..0.995 => 2,
        ..9.95 => 1,
        _ => 0,
    };
    format!("{ms:.digits$} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_say_their_units() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 5 << 20, 4 << 30, 38 << 30].map(size), ["0 B", "5,120 KiB", "4,096 MiB", "38 GiB"]);
        let times = [5, 210, 4_300, 120_000].map(|micros| milliseconds(Duration::from_micros(micros)));
        assert_eq!(times, ["0.005 ms", "0.21 ms", "4.3 ms", "120 ms"]);
        assert_eq!([counted(1, "route"), counted(1000, "route")], ["1 route", "1,000 routes"]);
    }
}
