//! One transaction with all that is kept of it.

use super::{Timeline, View};
use crate::{BranchIndex, Operation};
use bytes::Bytes;
use serde_json::{Value, json};

/// A transaction with its timeline, and with what each branch was asked and has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// What a list shows of it.
    pub view: View,
    /// What happened, and when.
    pub timeline: Timeline,
    /// What was said between us and each branch, in the order of the plan.
    pub exchanges: Vec<Exchange>,
}

/// What one branch was asked, and what it has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The call of its operations, once it is rendered: each carries the same.
    pub asked: Option<Asked>,
    /// Its last answer, as far as that is kept.
    pub heard: Option<Heard>,
}

/// A call as it was rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The path to which `/<operation>` is added.
    pub path: String,
    /// Header names and values of the plan's own; credentials are never among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// To which operation.
    pub operation: Operation,
    /// The HTTP status; `None` where no answer came.
    pub status: Option<u16>,
    /// The media type of the body, where one was given.
    pub content_type: Option<String>,
    /// The body, where it was kept: a transaction keeps what a call, an answer or a refusal needs.
    pub body: Option<Body>,
}

/// A body as it is shown: masked, and no longer than a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its beginning.
    pub bytes: Bytes,
    /// How many bytes there were in all.
    pub size: usize,
}

impl Body {
    /// The longest beginning that is shown, in bytes.
    pub const LIMIT: usize = 4096;

    /// The beginning of these bytes. Where it is cut a copy is kept, and not the whole.
    pub fn of(bytes: &Bytes) -> Body {
        let kept = if bytes.len() > Body::LIMIT {
            Bytes::copy_from_slice(&bytes[..Body::LIMIT])
        } else {
            bytes.clone()
        };
        Body { bytes: kept, size: bytes.len() }
    }

    /// The body as JSON. What is no UTF-8 is replaced by a sign for that.
    pub fn to_json(&self) -> Value {
        json!({
            "text": String::from_utf8_lossy(&self.bytes),
            "size": self.size,
            "cut": self.size > self.bytes.len(),
        })
    }
}

impl Detail {
    /// All of it as JSON: the members of a view, `timeline`, and in each branch `request` and `answer`.
    pub fn to_json(&self) -> Value {
        let name = |branch: BranchIndex| self.view.branches.get(branch.at()).map(|branch| &*branch.name);
        let mut json = self.view.to_json();
        let mut branches: Vec<Value> = Vec::with_capacity(self.view.branches.len());
        for (at, branch) in self.view.branches.iter().enumerate() {
            let exchange = self.exchanges.get(at);
            let mut branch = branch.to_json();
            branch["request"] = exchange.and_then(|said| said.asked.as_ref()).map(Asked::to_json).into();
            branch["answer"] = exchange.and_then(|said| said.heard.as_ref()).map(Heard::to_json).into();
            branches.push(branch);
        }
        json["branches"] = branches.into();
        json["timeline"] = self.timeline.moments().iter().map(|moment| moment.to_json(name)).collect();
        json["timeline_left_out"] = self.timeline.left_out().into();
        json["answer"] = self.view.answer.as_ref().map(|answer| {
            json!({ "status": answer.status, "headers": pairs(&answer.headers), "body": Body::of(&answer.body).to_json() })
        }).into();
        json
    }
}

impl Asked {
    fn to_json(&self) -> Value {
        json!({ "path": self.path, "headers": pairs(&self.headers), "body": self.body.to_json() })
    }
}

impl Heard {
    fn to_json(&self) -> Value {
        json!({
            "operation": self.operation.as_str(),
            "status": self.status,
            "content_type": self.content_type,
            "body": self.body.as_ref().map(Body::to_json),
        })
    }
}

/// Pairs of names and values, in their order: a name may come twice.
fn pairs(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| json!([name, value])).collect()
}
