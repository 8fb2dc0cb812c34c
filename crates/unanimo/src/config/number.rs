//! Numbers of YAML 1.2 as JSON numbers of the same value.

/// What a plain scalar says as a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// It is no number.
    None,
    /// JSON can say it, without loss.
    Exact(serde_json::Number),
    /// It cannot, or nobody can be sure what was meant: why.
    Refused(&'static str),
}

/// Reads a plain scalar.
pub fn parse(text: &str) -> Number {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Number::Refused("is no number in JSON");
    }
    let Some(decimal) = Decimal::parse(text) else { return Number::None };
    if unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.as_bytes()[1].is_ascii_digit() {
        return Number::Refused("begins with 0, and is another number in older YAML");
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return integer(text);
    }
    let Some((number, value)) =
        text.parse().ok().and_then(|value| Some((serde_json::Number::from_f64(value)?, value)))
    else {
        return Number::Refused("is too large for a number in JSON");
    };
    // The shortest text that means this number and no other.
    match Decimal::parse(&format!("{value:e}")) {
        Some(kept) if kept == decimal => Number::Exact(number),
        _ => Number::Refused("has more digits than a number keeps on its way"),
    }
}

fn radix(digits: &str, radix: u32) -> Number {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Number::None;
    }
    match u64::from_str_radix(digits, radix) {
        Ok(number) => Number::Exact(number.into()),
        Err(_) => Number::Refused("has more digits than a number keeps on its way"),
    }
}

fn integer(text: &str) -> Number {
    let unsigned = text.parse::<u64>().map(serde_json::Number::from);
    match unsigned.or_else(|_| text.parse::<i64>().map(serde_json::Number::from)) {
        Ok(number) => Number::Exact(number),
        Err(_) => Number::Refused("has more digits than a number keeps on its way"),
    }
}

/// A decimal number by its value: two spellings of one number are equal.
#[derive(Debug, PartialEq)]
struct Decimal {
    negative: bool,
    /// Without zeros at either end.
    digits: String,
    /// The power of ten of the last digit; 0 for zero.
    exponent: i64,
}

impl Decimal {
    /// Reads what YAML 1.2 takes for a decimal number.
    fn parse(text: &str) -> Option<Decimal> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let exponent = exponent.map_or(Some(0), |text| {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            // An exponent that does not fit is no number that can be kept: any other that cannot will do.
            decimal.then(|| text.parse::<i32>().unwrap_or(i32::MAX))
        })?;
        let exponent = i64::from(exponent) - fraction.len() as i64;
        let kept = digits.trim_end_matches('0');
        let exponent = exponent + (digits.len() - kept.len()) as i64;
        let digits = kept.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Decimal { negative: false, digits, exponent: 0 });
        }
        Some(Decimal { negative: text.starts_with('-'), digits, exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        match parse(text) {
            Number::Exact(number) => number.to_string(),
            Number::None => "text".to_owned(),
            Number::Refused(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn a_number_keeps_its_value() {
        let same = [
            ("0", "0"),
            ("+5", "5"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("18446744073709551615", "18446744073709551615"),
            ("1.10", "1.1"),
            ("-0.001", "-0.001"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("1e3", "1000.0"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("0.0", "0.0"),
        ];
        for (yaml, expected) in same {
            assert_eq!(json(yaml), expected, "{yaml}");
        }
    }

    #[test]
    fn what_would_lose_digits_or_be_guessed_is_refused() {
        for text in [
            "18446744073709551616",
            "-9223372036854775809",
            "0.1234567890123456789",
            "100000000000000000.01",
            "1e999",
            "1e99999999999",
            "1e-999",
            "1e-99999999999",
            "0755",
            "-007.5",
            ".inf",
            "-.INF",
            ".nan",
            "0x10000000000000000",
        ] {
            assert_eq!(json(text), "refused", "{text}");
        }
    }

    #[test]
    fn other_words_are_text() {
        for text in
            ["1_000", "1.2.3", "12:30", "0x", "0xg", "0o8", "1e", "e5", ".", "-", "no", "inf", "NaN", "1 2"]
        {
            assert_eq!(json(text), "text", "{text}");
        }
    }
}
