//! JSON strings and the text they stand for.

use std::borrow::Cow;

use crate::Reason;

/// The text that a JSON token stands for inside other text.
pub(crate) fn of_token(token: &[u8]) -> Result<Cow<'_, str>, Reason> {
    match token {
        [b'{' | b'[', ..] => Err(Reason::NotText),
        [b'"', inside @ .., b'"'] => unescape(inside),
        _ => utf8(token).map(Cow::Borrowed),
    }
}

/// The text of a JSON string, given what stands between its quotation marks.
pub(crate) fn unescape(inside: &[u8]) -> Result<Cow<'_, str>, Reason> {
    let inside = utf8(inside)?;
    let Some(first) = inside.find('\\') else { return Ok(Cow::Borrowed(inside)) };
    let mut text = String::with_capacity(inside.len());
    text.push_str(&inside[..first]);
    let mut rest = &inside[first..];
    while let Some(escape) = rest.strip_prefix('\\') {
        let (character, behind) = unescape_one(escape)?;
        text.push(character);
        let plain = behind.find('\\').unwrap_or(behind.len());
        text.push_str(&behind[..plain]);
        rest = &behind[plain..];
    }
    Ok(Cow::Owned(text))
}

/// Whether a JSON string, given what stands between its quotation marks, stands for `text`.
pub(crate) fn stands_for(inside: &[u8], text: &str) -> bool {
    inside == text.as_bytes() && !text.contains('\\')
        || inside.contains(&b'\\') && unescape(inside).is_ok_and(|unescaped| unescaped == text)
}

/// Appends `text` as it must stand between the quotation marks of a JSON string.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..=0x1f => 0,
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[copied..at]);
        copied = at + 1;
        if short == 0 {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&text.as_bytes()[copied..]);
}

fn utf8(bytes: &[u8]) -> Result<&str, Reason> {
    std::str::from_utf8(bytes).map_err(|_| Reason::NotJson)
}

/// The character that an escape stands for, and what follows; `escape` begins behind the backslash.
fn unescape_one(escape: &str) -> Result<(char, &str), Reason> {
    let mut characters = escape.chars();
    let character = match characters.next() {
        Some(same @ ('"' | '\\' | '/')) => same,
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return unescape_code(characters.as_str()),
        _ => return Err(Reason::NotJson),
    };
    Ok((character, characters.as_str()))
}

fn unescape_code(hex: &str) -> Result<(char, &str), Reason> {
    let (unit, behind) = code_unit(hex)?;
    if let Some(character) = char::from_u32(unit) {
        return Ok((character, behind));
    }
    // Half of a surrogate pair: valid JSON, but text only together with its other half.
    let low = behind.strip_prefix("\\u").ok_or(Reason::ForbiddenCharacter)?;
    let (second, behind) = code_unit(low)?;
    if !(0xd800..0xdc00).contains(&unit) || !(0xdc00..0xe000).contains(&second) {
        return Err(Reason::ForbiddenCharacter);
    }
    let code = 0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00);
    Ok((char::from_u32(code).ok_or(Reason::ForbiddenCharacter)?, behind))
}

fn code_unit(hex: &str) -> Result<(u32, &str), Reason> {
    let (digits, behind) = hex.split_at_checked(4).ok_or(Reason::NotJson)?;
    Ok((u32::from_str_radix(digits, 16).map_err(|_| Reason::NotJson)?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        escape(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_are_undone() {
        let inside = br#"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z"#;
        assert_eq!(unescape(inside).unwrap(), "a\"\\/\u{8}\u{c}\n\r\té😀z");
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        for inside in [r"\ud83d", r"\ud83dx", r"\ude00", r"\ude00\ud83d", r"\ud83d\ud83d"] {
            assert_eq!(unescape(inside.as_bytes()), Err(Reason::ForbiddenCharacter), "{inside}");
        }
    }

    #[test]
    fn names_compare_as_text() {
        assert!(stands_for(b"amount", "amount"));
        assert!(stands_for(br"am\u006funt", "amount"));
        assert!(stands_for(br"a\\n", r"a\n"));
        assert!(!stands_for(br"a\n", r"a\n"));
        assert!(!stands_for(br"\ud83d", r"\ud83d"));
        assert!(!stands_for(b"amoun", "amount"));
    }

    #[test]
    fn what_json_forbids_is_escaped() {
        assert_eq!(
            escaped("a\"\\\u{1}\u{1f}\n\t\ré\u{7f}/"),
            r#"a\"\\\u0001\u001f\n\t\ré"#.to_owned() + "\u{7f}/"
        );
    }
}
