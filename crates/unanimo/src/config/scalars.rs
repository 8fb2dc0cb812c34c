//! Single values: durations, sizes, counts, names, addresses.

use super::cursor::Cursor;
use super::likely::suggestion;
use super::yaml::Value;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

const SIZE_UNITS: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// The longest name that may be given to anything.
const NAME_BYTES: usize = 64;

/// The shortest and the longest time that a client or a service may be given.
pub const PATIENCE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);

impl<'a> Cursor<'a> {
    /// The value's text. What stands without quotation marks is taken as it was written.
    pub fn text(self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar(scalar) if !self.node.is_nothing() => Some(&scalar.text),
            Value::Scalar(_) => {
                self.wrong("a value is missing here");
                None
            }
            _ => {
                self.wrong(format!("a single value is needed here, not {}", self.node.kind()));
                None
            }
        }
    }

    /// One of some known words.
    pub fn word<T: Clone>(self, what: &str, known: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = known.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            self.unknown(what, text, known.iter().map(|(word, _)| *word));
        }
        found.map(|(_, value)| value.clone())
    }

    /// Notes that `text` is none of the known words.
    pub fn unknown<'k>(self, what: &str, text: &str, known: impl IntoIterator<Item = &'k str> + Clone) {
        let help = suggestion(text, known);
        self.wrong_but(format!("`{text}` is not {what}"), help);
    }

    /// `true` or `false`.
    pub fn boolean(self) -> Option<bool> {
        self.word("`true` or `false`", &[("true", true), ("false", false)])
    }

    /// A duration such as `250ms`.
    pub fn duration(self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let example = "write a whole number and a unit, such as `250ms`, `5s`, `2m`, `1h` or `7d`";
        let micros = self.quantity("a duration", example, &DURATION_UNITS)?;
        self.within(Duration::from_micros(micros), &range, |duration| spell_duration(*duration))
    }

    /// Some milliseconds, at least one and none of them broken.
    pub fn milliseconds(self) -> Option<Duration> {
        let duration = self.duration(PATIENCE)?;
        if duration.subsec_micros() % 1_000 != 0 {
            self.wrong("whole milliseconds are needed here");
            return None;
        }
        Some(duration)
    }

    /// A size such as `64MiB`, in bytes.
    pub fn size(self, range: RangeInclusive<u64>) -> Option<u64> {
        let example = "write a whole number and a unit, such as `512B`, `64KiB`, `64MiB` or `4GiB`";
        let bytes = self.quantity("a size", example, &SIZE_UNITS)?;
        self.within(bytes, &range, |bytes| spell_size(*bytes))
    }

    /// A whole number.
    pub fn count(self, range: RangeInclusive<usize>) -> Option<usize> {
        let text = self.text()?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let Some(count) = text.parse().ok().filter(|_| digits) else {
            self.wrong(format!("`{text}` is not a whole number"));
            return None;
        };
        self.within(count, &range, ToString::to_string)
    }

    /// A number that may be broken, such as `0.2`.
    pub fn number(self, range: RangeInclusive<f64>) -> Option<f64> {
        let text = self.text()?;
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let Some(number) = text.parse().ok().filter(|_| plain) else {
            self.wrong(format!("`{text}` is not a number such as `0.2`"));
            return None;
        };
        self.within(number, &range, ToString::to_string)
    }

    /// A name of the operator's choice.
    pub fn name(self, what: &str) -> Option<&'a str> {
        let text = self.text()?;
        match check_name(what, text) {
            Ok(()) => Some(text),
            Err(message) => {
                self.wrong(message);
                None
            }
        }
    }

    /// An address to listen on.
    pub fn address(self) -> Option<SocketAddr> {
        let text = self.text()?;
        let address = text.parse().ok();
        if address.is_none() {
            let help =
                "write an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:80` or `[::1]:8080`";
            self.wrong_but(format!("`{text}` is not an address to listen on"), help);
        }
        address
    }

    fn quantity(self, what: &str, example: &str, units: &[(&'static str, u64)]) -> Option<u64> {
        let text = self.text()?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let known = units.iter().find(|(name, _)| *name == unit);
        let help = match likely_unit(unit, units) {
            _ if number.is_empty() || known.is_some() => None,
            Some(unit) => Some(format!("did you mean `{number}{unit}`?")),
            None => None,
        };
        let value = known.filter(|_| !number.is_empty()).map(|(_, factor)| {
            // What is too large for the number is too large for every setting.
            number.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(*factor)
        });
        if value.is_none() {
            self.wrong_but(format!("`{text}` is not {what}"), help.unwrap_or_else(|| example.to_owned()));
        }
        value
    }

    fn within<T: PartialOrd>(
        self,
        value: T,
        range: &RangeInclusive<T>,
        spell: impl Fn(&T) -> String,
    ) -> Option<T> {
        if range.contains(&value) {
            return Some(value);
        }
        let text = self.text()?;
        self.wrong(format!("`{text}` is out of range: {} to {}", spell(range.start()), spell(range.end())));
        None
    }
}

/// Whether `text` may be somebody's name, and why not.
pub fn check_name(what: &str, text: &str) -> Result<(), String> {
    let mut bytes = text.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
    if begins && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        if text.len() <= NAME_BYTES {
            return Ok(());
        }
        return Err(format!("a name has at most {NAME_BYTES} characters"));
    }
    Err(format!(
        "`{text}` cannot be the name of {what}: a name is lower-case letters, digits and `-`, and begins with a letter"
    ))
}

/// The unit that was meant, where case or the decimal unit is the only difference.
fn likely_unit(unit: &str, units: &[(&'static str, u64)]) -> Option<&'static str> {
    let folded = unit.to_ascii_lowercase();
    let same = |name: &str| {
        let name = name.to_ascii_lowercase();
        name == folded || name.replace("ib", "b") == folded || name.replace("ib", "") == folded
    };
    let long = [
        ("sec", "s"),
        ("min", "m"),
        ("hour", "h"),
        ("day", "d"),
        ("milli", "ms"),
        ("micro", "us"),
        ("byte", "B"),
    ];
    units.iter().map(|(name, _)| *name).find(|name| same(name)).or_else(|| {
        let named = long.iter().find(|(word, _)| folded.starts_with(word)).map(|(_, unit)| *unit);
        named.filter(|named| units.iter().any(|(name, _)| name == named))
    })
}

/// A duration as it would be written in a configuration.
pub fn spell_duration(duration: Duration) -> String {
    spell(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX), &DURATION_UNITS)
}

/// A size as it would be written in a configuration.
pub fn spell_size(bytes: u64) -> String {
    spell(bytes, &SIZE_UNITS)
}

/// The number in the largest unit that leaves it whole.
fn spell(number: u64, units: &[(&'static str, u64)]) -> String {
    let unit = units.iter().rev().find(|(_, factor)| number >= *factor && number.is_multiple_of(*factor));
    let (unit, factor) = unit.or(units.first()).copied().unwrap_or(("", 1));
    format!("{}{unit}", number / factor)
}

/// A duration that was checked to be whole milliseconds within a day or two.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
