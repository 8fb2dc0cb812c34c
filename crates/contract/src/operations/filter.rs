//! Which transactions a list shows, or a watcher hears of.

use crate::{Digest, Id, Mode, State, Verdict};

/// Which transactions are wanted: those that every member takes. A member that says nothing takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those in one of these states.
    pub states: Vec<State>,
    /// Those with this verdict; `Some(None)` for those without one yet.
    pub verdict: Option<Option<Verdict>>,
    /// Those of this mode.
    pub mode: Option<Mode>,
    /// Those of this route.
    pub route: Option<String>,
    /// Those of which this service carries a branch.
    pub service: Option<String>,
    /// Those that began at this time or later, in milliseconds since 1970.
    pub began_from_unix_ms: Option<u64>,
    /// Those that began before this time.
    pub began_before_unix_ms: Option<u64>,
    /// The one that began under this idempotency key: the key's [`crate::Key::scope`].
    pub key: Option<Digest>,
    /// Those whose id begins with this text, or of which the route, a service or a branch has it in its name. Letters
    /// count as the same in upper and lower case (of ASCII). At most [`Filter::TEXT_LIMIT`] bytes.
    pub text: Option<String>,
    /// Those with any of these flags.
    pub flags: Flags,
}

/// What a filter looks at, of one transaction.
#[derive(Clone, Copy, Debug)]
pub struct Traits<'a> {
    /// The transaction.
    pub id: Id,
    /// Where it stands.
    pub state: State,
    /// The verdict, once there is one.
    pub verdict: Option<Verdict>,
    /// Its mode.
    pub mode: Mode,
    /// The route that it came by.
    pub route: &'a str,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// The scope of its idempotency key.
    pub key: Option<Digest>,
    /// What stands beside its state.
    pub flags: Flags,
}

impl Filter {
    /// The longest text, in bytes.
    pub const TEXT_LIMIT: usize = 128;

    /// Whether the transaction is wanted. `branches` gives the name and the service of each of its branches.
    pub fn takes<'a>(
        &self,
        traits: &Traits<'_>,
        branches: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> bool {
        let Filter { states, verdict, mode, route, service, key, text, flags, .. } = self;
        let from = self.began_from_unix_ms.is_none_or(|from| traits.began_unix_ms >= from);
        let before = self.began_before_unix_ms.is_none_or(|before| traits.began_unix_ms < before);
        from && before
            && (states.is_empty() || states.contains(&traits.state))
            && verdict.is_none_or(|verdict| verdict == traits.verdict)
            && mode.is_none_or(|mode| mode == traits.mode)
            && route.as_deref().is_none_or(|route| route == traits.route)
            && key.is_none_or(|key| traits.key == Some(key))
            && (flags.is_empty() || flags.meets(traits.flags))
            && service.as_deref().is_none_or(|wanted| branches.clone().any(|(_, service)| service == wanted))
            && text.as_deref().is_none_or(|text| has_text(text, traits, branches))
    }
}

fn has_text<'a>(
    text: &str,
    traits: &Traits<'_>,
    mut branches: impl Iterator<Item = (&'a str, &'a str)>,
) -> bool {
    let begins = |id: String| id.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
    holds(traits.route, text)
        || branches.any(|(name, service)| holds(name, text) || holds(service, text))
        || begins(traits.id.to_string())
}

fn holds(name: &str, text: &str) -> bool {
    text.is_empty()
        || name.as_bytes().windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()))
}

/// What stands beside a transaction's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// Not finished beyond a threshold: still retried.
    Stuck,
    /// A branch ended against the verdict.
    Heuristic,
    /// A branch has prepared, and has not acknowledged a verdict.
    InDoubt,
    /// It was found in a restored journal: nothing is called before an operator has chosen.
    Quarantined,
    /// A person has ended some of it by hand.
    Resolved,
}

impl Flag {
    /// Every flag.
    pub const ALL: [Flag; 5] =
        [Flag::Stuck, Flag::Heuristic, Flag::InDoubt, Flag::Quarantined, Flag::Resolved];

    /// The word that APIs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Flag::Stuck => "stuck",
            Flag::Heuristic => "heuristic",
            Flag::InDoubt => "in-doubt",
            Flag::Quarantined => "quarantined",
            Flag::Resolved => "resolved",
        }
    }

    /// The flag of a word; `None` where there is no such flag.
    pub fn parse(word: &str) -> Option<Flag> {
        Flag::ALL.into_iter().find(|flag| flag.as_str() == word)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Several flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);

    /// These flags and one more, if it holds.
    #[must_use]
    pub const fn with(self, flag: Flag, holds: bool) -> Flags {
        if holds { Flags(self.0 | flag.bit()) } else { self }
    }

    /// Whether the flag is among them.
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any flag is in both.
    pub const fn meets(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// The flags as bits, in the order of [`Flag::ALL`] from the lowest: how a store may keep them.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The flags of these bits; others are dropped.
    pub const fn from_bits(bits: u8) -> Flags {
        Flags(bits & 0b1_1111)
    }

    /// The flags, in the order of [`Flag::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.into_iter().filter(move |flag| self.has(*flag))
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Flags {
        flags.into_iter().fold(Flags::NONE, |all, flag| all.with(flag, true))
    }
}
