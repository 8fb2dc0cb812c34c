//! Transaction ids: 128 bits that say where a transaction lives, and 26 characters that say them.
//!
//! From the highest bit: node 32 · shard 8 · epoch 24 · counter 40 · random 24. A look-up is thus a function of
//! the id alone. The random part makes ids of a copied journal differ; the id is no secret, the [`Token`] is.

use std::fmt;
use std::str::FromStr;

/// Crockford's base 32 in lower case: no `i`, `l`, `o`, `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The journal directory that an id was minted in: random, made with the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub u32);

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A slice of the transactions with exactly one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u8);

impl Shard {
    /// How many shards there are. Fixed in the journal's manifest.
    pub const COUNT: u8 = 64;

    /// The shard that a hash belongs to.
    pub fn of_hash(hash: u64) -> Shard {
        Shard((hash % u64::from(Shard::COUNT)) as u8)
    }

    /// Every shard.
    pub fn all() -> impl Iterator<Item = Shard> {
        (0..Shard::COUNT).map(Shard)
    }

    /// The worker that owns this shard, of so many.
    pub fn worker(self, workers: usize) -> usize {
        usize::from(self.0) % workers.max(1)
    }
}

/// The number of a journal's start, which fences off every former owner. 24 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The last epoch that an id can hold.
    pub const MAX: Epoch = Epoch((1 << 24) - 1);
}

/// A transaction's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u128);

impl Id {
    /// How many characters an id has as text.
    pub const TEXT_LEN: usize = 26;

    /// Puts an id together. Epoch, counter and random keep their lowest 24, 40 and 24 bits.
    pub fn new(node: Node, shard: Shard, epoch: Epoch, counter: u64, random: u32) -> Id {
        let low = |value: u64, bits: u32| u128::from(value & ((1 << bits) - 1));
        Id(u128::from(node.0) << 96
            | u128::from(shard.0) << 88
            | low(u64::from(epoch.0), 24) << 64
            | low(counter, 40) << 24
            | low(u64::from(random), 24))
    }

    /// The id of these bits.
    pub const fn from_bits(bits: u128) -> Id {
        Id(bits)
    }

    /// The id as bits.
    pub fn bits(self) -> u128 {
        self.0
    }

    /// Whose journal it was minted in.
    pub fn node(self) -> Node {
        Node((self.0 >> 96) as u32)
    }

    /// The shard that it lives in.
    pub fn shard(self) -> Shard {
        Shard((self.0 >> 88) as u8)
    }

    /// The epoch in which it was minted.
    pub fn epoch(self) -> Epoch {
        Epoch((self.0 >> 64) as u32 & Epoch::MAX.0)
    }

    /// Its number within shard and epoch.
    pub fn counter(self) -> u64 {
        (self.0 >> 24) as u64 & ((1 << 40) - 1)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; Id::TEXT_LEN];
        write_base32(self.0, &mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no id and no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a transaction id: 26 characters of 0-9 and a-z without i, l, o, u are expected")
    }
}

impl std::error::Error for NotAnId {}

impl FromStr for Id {
    type Err = NotAnId;

    /// Exactly the 26 characters that [`fmt::Display`] writes: one spelling for one id.
    fn from_str(text: &str) -> Result<Id, NotAnId> {
        read_base32(text, Id::TEXT_LEN).map(Id)
    }
}

/// 64 random bits, kept in `Begun`: whoever shows them may read the transaction's public status.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token(pub u64);

impl Token {
    /// How many characters a token has as text.
    pub const TEXT_LEN: usize = 13;

    /// Whether the two are equal, in a time that does not depend on where they differ.
    pub fn matches(self, other: Token) -> bool {
        std::hint::black_box(self.0 ^ other.0) == 0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; Token::TEXT_LEN];
        write_base32(u128::from(self.0), &mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Token {
    /// Hidden: a token in a log would let its reader in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl FromStr for Token {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Token, NotAnId> {
        let bits = read_base32(text, Token::TEXT_LEN)?;
        u64::try_from(bits).map(Token).map_err(|_| NotAnId)
    }
}

/// Writes the number, highest digit first, over the whole of `text`.
fn write_base32(mut bits: u128, text: &mut [u8]) {
    for digit in text.iter_mut().rev() {
        *digit = ALPHABET[(bits & 31) as usize];
        bits >>= 5;
    }
}

/// Reads exactly `len` digits. A number beyond 128 bits is refused.
fn read_base32(text: &str, len: usize) -> Result<u128, NotAnId> {
    if text.len() != len {
        return Err(NotAnId);
    }
    text.bytes().try_fold(0u128, |bits, byte| {
        let digit = ALPHABET.iter().position(|letter| *letter == byte).ok_or(NotAnId)?;
        let shifted = bits.checked_mul(32).ok_or(NotAnId)?;
        Ok(shifted | digit as u128)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_come_back() {
        let id = Id::new(Node(0xdead_beef), Shard(63), Epoch(0x12_3456), 0xff_0000_0001, 0xab_cdef);
        assert_eq!(id.node(), Node(0xdead_beef));
        assert_eq!(id.shard(), Shard(63));
        assert_eq!(id.epoch(), Epoch(0x12_3456));
        assert_eq!(id.counter(), 0xff_0000_0001);
    }

    #[test]
    fn one_spelling_only() {
        let text = Id::from_bits(u128::MAX).to_string();
        assert_eq!(text, "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(text.to_uppercase().parse::<Id>(), Err(NotAnId));
        assert_eq!("8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<Id>(), Err(NotAnId));
        assert_eq!("".parse::<Id>(), Err(NotAnId));
    }

    proptest! {
        #[test]
        fn text_comes_back(bits: u128) {
            let id = Id::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<Id>(), Ok(id));
        }

        #[test]
        fn tokens_come_back(bits: u64) {
            prop_assert_eq!(Token(bits).to_string().parse::<Token>(), Ok(Token(bits)));
        }

        #[test]
        fn text_orders_as_bits(a: u128, b: u128) {
            let (a, b) = (Id::from_bits(a), Id::from_bits(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
