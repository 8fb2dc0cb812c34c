//! A word by hand: what a person may end, and how it is remembered who did, and why.

use super::{Flags, view};
use crate::{BranchIndex, Id, Verdict};
use bytes::Bytes;
use serde_json::{Value, json};
use std::fmt;
use unanimo_protocol::fields::{self, Malformed};
use unanimo_protocol::{Resolution, State, Unresolvable};

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// What is to be ended.
    pub wish: Wish,
    /// Who says so.
    pub who: String,
    /// Why.
    pub why: String,
}

/// What is to be ended, with branches by name: see [`Resolution`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The branch's heuristic end is signed off.
    SignOff {
        /// The branch's name.
        branch: String,
    },
    /// The branch was brought to the verdict by other means.
    Told {
        /// The branch's name.
        branch: String,
    },
    /// A quarantined transaction without a verdict gets this one.
    Choose(Verdict),
    /// A quarantined transaction tells its verdict.
    Release,
}

impl Wish {
    /// The words of all wishes.
    pub const WORDS: [&'static str; 5] = ["sign-off", "told", "commit", "rollback", "release"];

    /// The wish of these words; the error says what is wrong with them.
    pub fn parse(word: &str, branch: Option<String>) -> Result<Wish, String> {
        let named = |branch: Option<String>| branch.ok_or_else(|| format!("`{word}` needs a `branch`"));
        let alone = |wish: Wish| match &branch {
            None => Ok(wish),
            Some(_) => Err(format!("`{word}` is said of the whole transaction, and takes no `branch`")),
        };
        match word {
            "sign-off" => Ok(Wish::SignOff { branch: named(branch)? }),
            "told" => Ok(Wish::Told { branch: named(branch)? }),
            "commit" => alone(Wish::Choose(Verdict::Commit)),
            "rollback" => alone(Wish::Choose(Verdict::Rollback)),
            "release" => alone(Wish::Release),
            _ => Err(format!("`what` may be {}; not `{word}`", Wish::WORDS.join(", "))),
        }
    }

    /// The same with the branch's place, as its record has it; `None` where `place` knows no such branch.
    pub fn resolution(&self, place: impl Fn(&str) -> Option<BranchIndex>) -> Option<Resolution> {
        Some(match self {
            Wish::SignOff { branch } => Resolution::SignOff(place(branch)?),
            Wish::Told { branch } => Resolution::Told(place(branch)?),
            Wish::Choose(verdict) => Resolution::Choose(*verdict),
            Wish::Release => Resolution::Release,
        })
    }

    /// The branch's name, where it is about one.
    pub fn branch(&self) -> Option<&str> {
        match self {
            Wish::SignOff { branch } | Wish::Told { branch } => Some(branch),
            Wish::Choose(_) | Wish::Release => None,
        }
    }
}

/// Who ended something by hand, when and why: what the journal keeps of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Who. The admin listener asks for no credential: it is what somebody said.
    pub who: String,
    /// Why.
    pub why: String,
    /// When, in milliseconds since 1970 on the wall clock.
    pub at_unix_ms: u64,
}

const WHO: u8 = 1;
const WHY: u8 = 2;
const AT: u8 = 3;

impl Word {
    /// The longest name, in bytes.
    pub const WHO_LIMIT: usize = 128;

    /// The longest reason, in bytes.
    pub const WHY_LIMIT: usize = 1024;

    /// Checks a name and a reason: both are there, fit, and hold nothing that a terminal would obey.
    pub fn check(who: &str, why: &str) -> Result<(), String> {
        for (name, text, limit) in [("who", who, Word::WHO_LIMIT), ("why", why, Word::WHY_LIMIT)] {
            if text.trim().is_empty() {
                return Err(format!(
                    "`{name}` is required: it stands in the journal for whoever looks later"
                ));
            }
            if text.len() > limit {
                return Err(format!("`{name}` has {} bytes, of {limit}", text.len()));
            }
            if text.chars().any(char::is_control) {
                return Err(format!("`{name}` holds a control character"));
            }
        }
        Ok(())
    }

    /// The word as it is stored.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.who.len() + self.why.len() + 24);
        fields::put_bytes(&mut out, WHO, self.who.as_bytes());
        fields::put_bytes(&mut out, WHY, self.why.as_bytes());
        fields::put_number(&mut out, AT, self.at_unix_ms);
        Bytes::from(out)
    }

    /// Reads a stored word.
    pub fn decode(stored: Bytes) -> Result<Word, Malformed> {
        let (mut who, mut why, mut at_unix_ms) = (None, None, None);
        for field in fields::read(stored) {
            let field = field?;
            match field.number {
                WHO => who = Some(field.text()?.to_owned()),
                WHY => why = Some(field.text()?.to_owned()),
                AT => at_unix_ms = Some(field.number_value()?),
                unknown => return Err(Malformed::UnknownField(unknown)),
            }
        }
        Ok(Word {
            who: who.ok_or(Malformed::MissingField(WHO))?,
            why: why.ok_or(Malformed::MissingField(WHY))?,
            at_unix_ms: at_unix_ms.ok_or(Malformed::MissingField(AT))?,
        })
    }
}

/// What came of a word by hand, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The transaction.
    pub id: Id,
    /// Where it stands now.
    pub state: State,
    /// Its verdict.
    pub verdict: Option<Verdict>,
    /// What stands beside its state.
    pub flags: Flags,
}

impl Resolved {
    /// What came of it as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "state": self.state.as_str(),
            "verdict": Verdict::number(self.verdict),
            "flags": view::flag_words(self.flags),
        })
    }
}

/// Why a word by hand was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It makes no sense where the transaction stands.
    State(Unresolvable),
    /// The branch is not stuck: it is asked again by itself, and may acknowledge at any moment.
    NotStuck,
    /// Something of it is being written at this moment: ask again.
    Busy,
}

impl From<Unresolvable> for Refusal {
    fn from(why: Unresolvable) -> Refusal {
        Refusal::State(why)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::State(why) => write!(f, "{why}"),
            Refusal::NotStuck => f.write_str(
                "it is not stuck: the branch is asked again by itself, and may answer at any moment",
            ),
            Refusal::Busy => f.write_str("something of it is being written at this moment; ask again"),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_comes_back() {
        let word = Word { who: "ann".into(), why: "paid by hand, ticket 7".into(), at_unix_ms: 7 };
        assert_eq!(Word::decode(word.encode()), Ok(word));
        assert_eq!(Word::decode(Bytes::new()), Err(Malformed::MissingField(WHO)));
    }

    #[test]
    fn who_and_why_are_required_and_bounded() {
        assert_eq!(Word::check("ann", "because"), Ok(()));
        let long = "x".repeat(Word::WHY_LIMIT + 1);
        for (who, why) in [("", "b"), (" ", "b"), ("a", ""), ("a", "\u{1b}[2J"), ("a\n", "b"), ("a", &long)] {
            assert!(Word::check(who, why).is_err(), "{who:?} {why:?}");
        }
    }

    #[test]
    fn a_wish_names_a_branch_where_it_is_about_one() {
        for word in Wish::WORDS {
            let about_one = matches!(word, "sign-off" | "told");
            assert_eq!(Wish::parse(word, Some("a".into())).is_ok(), about_one, "{word}");
            assert_eq!(Wish::parse(word, None).is_ok(), !about_one, "{word}");
        }
        assert!(Wish::parse("abort", None).is_err());
    }
}
