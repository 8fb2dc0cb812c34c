//! A route's transaction as resolved when it began. A transaction ends under the plan it began with.

use crate::{Digest, Mode, Operation};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;
use unanimo_protocol::{BranchIndex, BranchOutline, BranchSet, Outline, OutlineError, Step};

/// The version of the language in which the plan's expressions are written. 1 has paths alone; 2 has CEL too, and
/// reads every expression of 1 as 1 does.
pub const LANGUAGE: u32 = 2;

/// The longest call that is sent, in bytes of path, headers and body.
pub const CALL_LIMIT: usize = 64 * 1024;

/// The most bytes that the rendered calls of one transaction may have.
pub const CALLS_LIMIT: usize = 256 * 1024;

/// The largest answer of a participant that is kept for `respond`.
pub const ANSWER_LIMIT: usize = 64 * 1024;

/// The largest body of an answer that a route gives its clients; a larger one becomes null.
pub const RESPONSE_LIMIT: usize = 256 * 1024;

/// Everything about a route's transaction that must outlive a change of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`LANGUAGE`] of the program that made the plan. An older one is still read.
    pub language: u32,
    /// The route's name.
    pub route: String,
    /// The mode's word.
    pub mode: String,
    /// How long branches may take to vote, in milliseconds.
    pub deadline_ms: u64,
    /// How long a client waits before it is told the address where the answer will be, in milliseconds.
    pub answer_timeout_ms: u64,
    /// When a client whose transaction commits is answered.
    #[serde(default, skip_serializing_if = "AnswerAt::is_finished")]
    pub answer_at: AnswerAt,
    /// The branches.
    pub branches: Vec<BranchPlan>,
    /// What is kept sealed and shown to nobody: paths into the request and into the branches' answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret: Vec<String>,
    /// What a client is told when the transaction committed; 200 with the id where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond: Option<ResponsePlan>,
    /// What a client is told when a branch refused; a `refused` problem where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedPlan>,
}

/// When a client whose transaction commits is answered. A rollback is always answered at the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerAt {
    /// When every branch has acknowledged the verdict: what was committed can be read.
    #[default]
    Finished,
    /// As soon as the verdict is durable.
    Verdict,
}

impl AnswerAt {
    fn is_finished(&self) -> bool {
        *self == AnswerAt::Finished
    }
}

/// One participant's share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchPlan {
    /// The branch's name, unique in its plan.
    pub name: String,
    /// The service that carries it.
    pub service: String,
    /// Places of the branches that must have voted before this one is called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<u8>,
    /// The path, to which `/<operation>` is added.
    pub path: String,
    /// Paths of operations that do not follow that rule: the operation's word, and its path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<(String, String)>,
    /// Header names (lower case) and their expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body, with expressions in its strings; no body where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// How long one call may take, in milliseconds.
    pub call_timeout_ms: u64,
    /// Whether the service asks for the verdict of what it has prepared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks: bool,
    /// What it is to a saga.
    #[serde(default, skip_serializing_if = "is_compensatable", with = "step_word")]
    pub step: Step,
    /// Whether `path` is an action's own, to which nothing is added.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// The method of the first operation; POST where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The compensation, where it is another call than the action's path and body make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<CallPlan>,
    /// Whether the service keeps none of a participant's duties: it knows neither transactions nor repeated calls.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfenced: bool,
    /// How often a saga asks for the action until it gives up; until the deadline where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<NonZeroU32>,
    /// Whether a saga's action carries a credential of the client: it cannot be repeated after a crash.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_client: bool,
}

/// A call that says all of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallPlan {
    /// The method; POST where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path.
    pub path: String,
    /// Header names (lower case) and their expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body, with expressions in its strings; no body where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// The methods with which a participant may be called.
pub const METHODS: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];

fn is_compensatable(step: &Step) -> bool {
    *step == Step::Compensatable
}

/// A step as its word.
mod step_word {
    use super::Step;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(step: &Step, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(step.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Step, D::Error> {
        let word = String::deserialize(deserializer)?;
        let step = Step::ALL.into_iter().find(|step| step.as_str() == word);
        step.ok_or_else(|| de::Error::custom(format!("a saga has no step `{word}`")))
    }
}

/// An answer to a client, with expressions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponsePlan {
    /// The HTTP status.
    pub status: u16,
    /// Header names (lower case) and their expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body, with expressions in its strings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// What a client is told of a refusal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedPlan {
    /// The refusing branch's own status and body.
    PassOn,
    /// An answer of the route's own.
    Respond(ResponsePlan),
}

/// Why stored bytes are no plan of ours.
#[derive(Debug)]
pub enum PlanError {
    /// Not the JSON that a plan is written in.
    Malformed(serde_json::Error),
    /// A language that this version does not speak.
    Language(u32),
    /// A mode that this version does not speak.
    Mode(String),
    /// Branches that cannot be run.
    Outline(OutlineError),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::Malformed(error) => write!(f, "the plan cannot be read: {error}"),
            PlanError::Language(found) => {
                write!(f, "the plan's expressions are of version {found}, this program knows 1 to {LANGUAGE}")
            }
            PlanError::Mode(mode) => write!(f, "the plan's mode `{mode}` is not known to this program"),
            PlanError::Outline(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for PlanError {}

impl Plan {
    /// The plan as it is stored. The same plan gives the same bytes.
    pub fn encode(&self) -> Bytes {
        // A plan is strings, numbers and JSON values: nothing that JSON could not hold.
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a stored plan.
    pub fn decode(stored: &[u8]) -> Result<Plan, PlanError> {
        let plan: Plan = serde_json::from_slice(stored).map_err(PlanError::Malformed)?;
        if !(1..=LANGUAGE).contains(&plan.language) {
            return Err(PlanError::Language(plan.language));
        }
        Ok(plan)
    }

    /// The content hash under which a stored plan is found.
    pub fn digest_of(stored: &[u8]) -> Digest {
        digest(&[stored])
    }

    /// What the core needs to know of it. `needs` says for each branch whose answers its call names.
    pub fn outline(&self, needs: &[BranchSet]) -> Result<Outline, PlanError> {
        let mode = Mode::parse(&self.mode).ok_or_else(|| PlanError::Mode(self.mode.clone()))?;
        let branch = |(at, branch): (usize, &BranchPlan)| BranchOutline {
            after: branch
                .after
                .iter()
                .copied()
                .map(BranchIndex)
                .filter(|it| it.at() < BranchSet::CAPACITY)
                .collect(),
            needs: needs.get(at).copied().unwrap_or_default(),
            asks: branch.asks,
            step: branch.step,
            unfenced: branch.unfenced,
            attempts: branch.attempts,
            needs_client: branch.needs_client,
        };
        let branches = self.branches.iter().enumerate().map(branch).collect();
        Outline::new(mode, Duration::from_millis(self.deadline_ms), branches).map_err(PlanError::Outline)
    }

    /// The branch at this place.
    pub fn branch(&self, branch: BranchIndex) -> Option<&BranchPlan> {
        self.branches.get(branch.at())
    }
}

impl BranchPlan {
    /// The expression for an operation's path, where it does not follow the rule `<path>/<operation>`.
    pub fn own_path(&self, operation: Operation) -> Option<&str> {
        self.paths.iter().find(|(word, _)| word == operation.as_str()).map(|(_, path)| path.as_str())
    }
}

/// The first 128 bits of the SHA-256 over these parts, each preceded by its length.
pub fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let hash = hasher.finalize();
    let mut first = [0u8; 16];
    first.copy_from_slice(&hash[..16]);
    Digest(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_comes_back_and_keeps_its_hash() {
        let plan = Plan {
            language: LANGUAGE,
            route: "transfer".into(),
            mode: "two-phase".into(),
            deadline_ms: 5000,
            answer_timeout_ms: 7000,
            answer_at: AnswerAt::Verdict,
            branches: vec![BranchPlan {
                name: "debit".into(),
                service: "bank-a".into(),
                after: vec![],
                path: "/debits".into(),
                paths: vec![("commit".into(), "/done".into())],
                headers: vec![("x-tenant".into(), "${request.headers.tenant}".into())],
                body: Some(serde_json::json!({ "z": 1.10, "a": "${request.body.amount}" })),
                call_timeout_ms: 2000,
                asks: true,
                step: Step::Pivot,
                exact: true,
                method: Some("PUT".into()),
                compensate: Some(CallPlan { path: "/debits".into(), ..CallPlan::default() }),
                unfenced: true,
                attempts: NonZeroU32::new(3),
                needs_client: true,
            }],
            secret: vec!["request.body.pin".into()],
            respond: None,
            refused: Some(RefusedPlan::PassOn),
        };
        let stored = plan.encode();
        let back = Plan::decode(&stored).unwrap();
        assert_eq!(back, plan);
        assert_eq!(Plan::digest_of(&back.encode()), Plan::digest_of(&stored));
    }

    #[test]
    fn an_older_language_is_read_and_a_later_one_refused_by_name() {
        let plan = |language: u32| {
            let stored = serde_json::json!({
                "language": language, "route": "r", "mode": "tcc", "deadline_ms": 1, "answer_timeout_ms": 1,
                "branches": [{ "name": "b", "service": "s", "path": "/b", "call_timeout_ms": 1 }],
            });
            Plan::decode(stored.to_string().as_bytes())
        };
        assert_eq!(plan(1).unwrap().language, 1);
        assert_eq!(plan(2).unwrap().language, 2);
        for unknown in [0, 3] {
            assert_eq!(
                plan(unknown).unwrap_err().to_string(),
                format!("the plan's expressions are of version {unknown}, this program knows 1 to 2")
            );
        }
    }
}
