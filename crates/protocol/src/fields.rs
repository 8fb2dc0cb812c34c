//! Numbered fields: the one shape of everything that is stored.
//!
//! A value is a run of fields, each `number (1 byte) · length (varint) · bytes`. A reader names every number that
//! it knows and refuses any other, so that an older version never drops what a newer one has written.

use bytes::{Buf, Bytes};
use std::fmt;

/// Why stored bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A field or a number goes on beyond the end.
    CutShort,
    /// A number is longer than its kind allows.
    TooLarge,
    /// A field number that this version does not know.
    UnknownField(u8),
    /// A field that must be there is not.
    MissingField(u8),
    /// A field holds a value that it may not have.
    BadValue(u8),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::CutShort => f.write_str("the value ends in the middle of a field"),
            Malformed::TooLarge => f.write_str("a number is too large for its field"),
            Malformed::UnknownField(n) => write!(f, "field {n} is not known to this version"),
            Malformed::MissingField(n) => write!(f, "field {n} is missing"),
            Malformed::BadValue(n) => write!(f, "field {n} has a value that it may not have"),
        }
    }
}

impl std::error::Error for Malformed {}

/// Appends a number in 1 to 10 bytes, seven bits each, lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number from the front of `from`.
pub fn take_varint(from: &mut Bytes) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        if from.is_empty() {
            return Err(Malformed::CutShort);
        }
        let byte = from.get_u8();
        if shift == 63 && byte > 1 {
            return Err(Malformed::TooLarge);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed::TooLarge)
}

/// Appends a field of bytes.
pub fn put_bytes(out: &mut Vec<u8>, number: u8, value: &[u8]) {
    out.push(number);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a field that holds a number.
pub fn put_number(out: &mut Vec<u8>, number: u8, value: u64) {
    let digits = (64 - value.leading_zeros()).div_ceil(7).max(1);
    out.extend_from_slice(&[number, digits as u8]);
    put_varint(out, value);
}

/// One field as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Which field it is.
    pub number: u8,
    /// Its bytes: a slice of what was read, not a copy.
    pub value: Bytes,
}

impl Field {
    /// The field's number value.
    pub fn number_value(&self) -> Result<u64, Malformed> {
        let mut value = self.value.clone();
        let number = take_varint(&mut value)?;
        if value.is_empty() { Ok(number) } else { Err(Malformed::BadValue(self.number)) }
    }

    /// The field's number value, where it must fit a smaller kind of number.
    pub fn small<T: TryFrom<u64>>(&self) -> Result<T, Malformed> {
        T::try_from(self.number_value()?).map_err(|_| Malformed::BadValue(self.number))
    }

    /// The field's text.
    pub fn text(&self) -> Result<&str, Malformed> {
        std::str::from_utf8(&self.value).map_err(|_| Malformed::BadValue(self.number))
    }

    /// The field's bytes, where they must be exactly so many.
    pub fn array<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        self.value.as_ref().try_into().map_err(|_| Malformed::BadValue(self.number))
    }
}

/// Reads the fields of a value in the order in which they stand.
pub fn read(mut from: Bytes) -> impl Iterator<Item = Result<Field, Malformed>> {
    std::iter::from_fn(move || {
        if from.is_empty() {
            return None;
        }
        let field = take_field(&mut from);
        if field.is_err() {
            from.clear();
        }
        Some(field)
    })
}

fn take_field(from: &mut Bytes) -> Result<Field, Malformed> {
    let number = from.get_u8();
    let len = usize::try_from(take_varint(from)?).map_err(|_| Malformed::TooLarge)?;
    if len > from.len() {
        return Err(Malformed::CutShort);
    }
    Ok(Field { number, value: from.split_to(len) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_come_back(fields: Vec<(u8, Vec<u8>)>, number: u64) {
            let mut out = Vec::new();
            fields.iter().for_each(|(n, value)| put_bytes(&mut out, *n, value));
            put_number(&mut out, 7, number);
            let mut back: Vec<Field> = read(Bytes::from(out)).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(back.pop().unwrap().number_value(), Ok(number));
            let pairs: Vec<_> = back.into_iter().map(|f| (f.number, f.value.to_vec())).collect();
            prop_assert_eq!(pairs, fields);
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let _ = read(Bytes::from(bytes)).collect::<Result<Vec<_>, _>>();
        }
    }

    #[test]
    fn a_cut_field_is_told_from_an_end() {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, b"abc");
        out.pop();
        assert_eq!(read(Bytes::from(out)).last(), Some(Err(Malformed::CutShort)));
    }
}
