//! Plans made ready to run: every expression parsed once.

use crate::ready_call::ReadyCall;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::plan::PlanError;
use unanimo_contract::{BranchPlan, Digest, Mode, Plan, RefusedPlan, ResponsePlan, Step};
use unanimo_expression::{JsonTemplate, Reference, Template};
use unanimo_protocol::{BranchIndex, BranchSet, Outline};

/// A plan with its expressions parsed.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) plan: Arc<Plan>,
    pub(crate) digest: Digest,
    /// The plan as the journal keeps it.
    pub(crate) stored: Bytes,
    pub(crate) outline: Arc<Outline>,
    pub(crate) branches: Vec<ReadyBranch>,
    pub(crate) respond: Option<ReadyResponse>,
    pub(crate) refused: Option<ReadyRefused>,
    /// What nobody may see: paths into the request and the answers.
    pub(crate) secrets: Vec<Reference>,
    /// Whether any call or answer names a part of the request's body.
    pub(crate) names_body: bool,
    /// Whether a later call or the client's answer names a part of the request, which is kept until then.
    pub(crate) keeps_request: bool,
    /// Whether that part is of its body.
    pub(crate) keeps_body: bool,
}

/// A branch with its expressions parsed.
#[derive(Debug)]
pub(crate) struct ReadyBranch {
    pub(crate) name: Arc<str>,
    pub(crate) service: Arc<str>,
    /// The first operation's call; the others carry the same, each to its path.
    pub(crate) call: ReadyCall,
    /// A saga's compensation, where it is a call of its own.
    pub(crate) compensate: Option<ReadyCall>,
    pub(crate) timeout: Duration,
    pub(crate) asks: bool,
    pub(crate) step: Step,
    pub(crate) unfenced: bool,
    /// Whether the client's credentials go along with its first operation.
    pub(crate) carries_credentials: bool,
    /// Whether anything names its answer.
    pub(crate) is_named: bool,
}

/// An answer to the client with its expressions parsed.
#[derive(Debug)]
pub(crate) struct ReadyResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Template)>,
    pub(crate) body: Option<JsonTemplate>,
}

/// What is told of a refusal.
#[derive(Debug)]
pub(crate) enum ReadyRefused {
    PassOn,
    Respond(ReadyResponse),
}

/// Why a plan cannot be run.
#[derive(Debug)]
pub enum InvalidPlan {
    /// Its shape.
    Plan(PlanError),
    /// An expression in it.
    Expression {
        /// Where it stands, in words.
        place: String,
        /// What is wrong with it.
        message: String,
    },
}

impl fmt::Display for InvalidPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidPlan::Plan(error) => write!(f, "{error}"),
            InvalidPlan::Expression { place, message } => write!(f, "{place}: {message}"),
        }
    }
}

impl std::error::Error for InvalidPlan {}

/// Whether an owner could run this plan: what a configuration must pass before it is served.
pub fn check(plan: &Plan) -> Result<(), InvalidPlan> {
    let stored = plan.encode();
    Ready::new(Arc::new(plan.clone()), Plan::digest_of(&stored), stored).map(|_| ())
}

/// The branches of each of a plan's waves: the order in which its calls are stored.
pub fn waves(plan: &Plan) -> Result<Vec<BranchSet>, InvalidPlan> {
    let ready = Ready::new(Arc::new(plan.clone()), Digest([0; 16]), Bytes::new())?;
    Ok(ready.outline.waves().to_vec())
}

/// The parts of the request that a plan calls secret, and that nothing which it sends or tells names. Nothing where the
/// plan cannot be run.
pub fn unnamed_secrets(plan: &Plan) -> Vec<String> {
    let stored = plan.encode();
    let Ok(ready) = Ready::new(Arc::new(plan.clone()), Plan::digest_of(&stored), stored) else {
        return Vec::new();
    };
    let is_named = |secret: &Reference| ready.references().any(|named| named.touches(secret));
    let unnamed = ready.secrets.iter().filter(|secret| is_of_the_request(secret) && !is_named(secret));
    unnamed.map(ToString::to_string).collect()
}

/// The plans that open transactions and routes need. Bounded by the plans of the configuration and the journal.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    ready: BTreeMap<Digest, Arc<Ready>>,
}

impl Plans {
    /// These plans, with their expressions parsed: once, for every owner that gets a copy.
    pub fn of<'a>(plans: impl IntoIterator<Item = &'a Arc<Plan>>) -> Result<Plans, InvalidPlan> {
        let mut made = Plans::default();
        for plan in plans {
            made.get_or_make(Plan::digest_of(&plan.encode()), plan)?;
        }
        Ok(made)
    }

    /// The plan of a submission, made ready on its first use.
    pub(crate) fn get_or_make(
        &mut self,
        digest: Digest,
        plan: &Arc<Plan>,
    ) -> Result<Arc<Ready>, InvalidPlan> {
        if let Some(ready) = self.ready.get(&digest) {
            return Ok(ready.clone());
        }
        let ready = Arc::new(Ready::new(plan.clone(), digest, plan.encode())?);
        self.ready.insert(digest, ready.clone());
        Ok(ready)
    }

    /// A plan from the journal.
    pub(crate) fn insert_stored(&mut self, digest: Digest, stored: Bytes) -> Result<(), InvalidPlan> {
        if self.ready.contains_key(&digest) {
            return Ok(());
        }
        let plan = Plan::decode(&stored).map_err(InvalidPlan::Plan)?;
        let ready = Ready::new(Arc::new(plan), digest, stored)?;
        self.ready.insert(digest, Arc::new(ready));
        Ok(())
    }

    /// The plan of this hash, where it is known.
    pub(crate) fn get(&self, digest: Digest) -> Option<Arc<Ready>> {
        self.ready.get(&digest).cloned()
    }
}

impl Ready {
    pub(crate) fn new(plan: Arc<Plan>, digest: Digest, stored: Bytes) -> Result<Ready, InvalidPlan> {
        let mode = Mode::parse(&plan.mode).ok_or_else(|| unknown_mode(&plan))?;
        let branch = |branch: &BranchPlan| ReadyBranch::new(branch, mode);
        let branches = plan.branches.iter().map(branch).collect::<Result<Vec<_>, _>>()?;
        let needs = branches.iter().map(|branch| branch.needs(&branches)).collect::<Result<Vec<_>, _>>()?;
        let outline = Arc::new(plan.outline(&needs).map_err(InvalidPlan::Plan)?);
        let respond = plan.respond.as_ref().map(|r| ReadyResponse::new(r, "respond")).transpose()?;
        let refused = match &plan.refused {
            None => None,
            Some(RefusedPlan::PassOn) => Some(ReadyRefused::PassOn),
            Some(RefusedPlan::Respond(r)) => Some(ReadyRefused::Respond(ReadyResponse::new(r, "refused")?)),
        };
        let secret = |path: &String| Reference::parse(path).map_err(|error| invalid("secret", &error));
        let secrets = plan.secret.iter().map(secret).collect::<Result<Vec<_>, _>>()?;
        let (names_body, keeps_request, keeps_body) = (false, false, false);
        let mut ready = Ready {
            plan,
            digest,
            stored,
            outline,
            branches,
            respond,
            refused,
            secrets,
            names_body,
            keeps_request,
            keeps_body,
        };
        let is_of_the_body = |reference: &Reference| matches!(reference, Reference::RequestBody(_));
        let names_body = ready.references().any(is_of_the_body);
        let keeps_request = ready.later_references().any(is_of_the_request);
        let keeps_body = ready.later_references().any(is_of_the_body);
        (ready.names_body, ready.keeps_request, ready.keeps_body) = (names_body, keeps_request, keeps_body);
        let named: Vec<bool> = ready.branches.iter().map(|branch| ready.names(&branch.name)).collect();
        ready.branches.iter_mut().zip(named).for_each(|(branch, named)| branch.is_named = named);
        Ok(ready)
    }

    /// Whether anything names this branch's answer.
    fn names(&self, name: &str) -> bool {
        self.references().any(|r| matches!(r, Reference::BranchResponse { branch, .. } if **branch == *name))
    }

    /// Every reference in the plan.
    fn references(&self) -> impl Iterator<Item = &Reference> {
        let first = self.outline.rendered(1);
        let first = first.iter().flat_map(|branch| self.branches[branch.at()].call.references());
        first.chain(self.later_references())
    }

    /// Every reference that is looked up after the first wave: in later ones, in compensations, and in the client's answer.
    fn later_references(&self) -> impl Iterator<Item = &Reference> {
        let later = self.outline.waves().iter().skip(1).flat_map(|wave| wave.iter());
        let calls = later.flat_map(|branch| self.branches[branch.at()].call.references());
        let respond = self.respond.iter().flat_map(ReadyResponse::references);
        let refused = self.refused.iter().flat_map(|refused| match refused {
            ReadyRefused::PassOn => None,
            ReadyRefused::Respond(response) => Some(response.references()),
        });
        let compensate = self.branches.iter().flat_map(|branch| branch.compensate.iter());
        let compensate = compensate.flat_map(ReadyCall::references);
        calls.chain(compensate).chain(respond).chain(refused.flatten())
    }
}

fn unknown_mode(plan: &Plan) -> InvalidPlan {
    InvalidPlan::Plan(PlanError::Mode(plan.mode.clone()))
}

impl ReadyBranch {
    fn new(branch: &BranchPlan, mode: Mode) -> Result<ReadyBranch, InvalidPlan> {
        let compensation = |call| ReadyCall::compensation(call, &branch.name);
        Ok(ReadyBranch {
            name: Arc::from(branch.name.as_str()),
            service: Arc::from(branch.service.as_str()),
            call: ReadyCall::of_branch(branch, mode.first())?,
            compensate: branch.compensate.as_ref().map(compensation).transpose()?,
            timeout: Duration::from_millis(branch.call_timeout_ms),
            asks: branch.asks,
            step: branch.step,
            unfenced: branch.unfenced,
            carries_credentials: mode != Mode::Saga || branch.needs_client,
            is_named: false,
        })
    }

    /// The branches whose answers this one's call names.
    fn needs(&self, branches: &[ReadyBranch]) -> Result<BranchSet, InvalidPlan> {
        let named = self.call.references().filter_map(|reference| match reference {
            Reference::BranchResponse { branch, .. } => Some(branch),
            _ => None,
        });
        let place = |name: &String| {
            let at = branches.iter().position(|branch| *branch.name == **name);
            let known = at.and_then(|at| u8::try_from(at).ok()).map(BranchIndex);
            known.filter(|at| at.at() < BranchSet::CAPACITY).ok_or_else(|| {
                invalid(&format!("branch {}", self.name), &format!("there is no branch {name}"))
            })
        };
        named.map(place).collect()
    }
}

impl ReadyResponse {
    fn new(response: &ResponsePlan, place: &str) -> Result<ReadyResponse, InvalidPlan> {
        Ok(ReadyResponse {
            status: response.status,
            headers: header_templates(&response.headers, &format!("{place}: headers"))?,
            body: response
                .body
                .as_ref()
                .map(|body| body_template(body, &format!("{place}: body")))
                .transpose()?,
        })
    }

    pub(crate) fn references(&self) -> impl Iterator<Item = &Reference> {
        let headers = self.headers.iter().flat_map(|(_, value)| value.references());
        headers.chain(self.body.iter().flat_map(JsonTemplate::references))
    }
}

fn is_of_the_request(reference: &Reference) -> bool {
    !matches!(reference, Reference::BranchResponse { .. } | Reference::TransactionId)
}

pub(crate) fn path_template(text: &str, place: &str) -> Result<Template, InvalidPlan> {
    let checked = Template::parse(text).and_then(|template| template.check_path().map(|()| template));
    checked.map_err(|error| invalid(place, &error))
}

pub(crate) fn header_templates(
    headers: &[(String, String)],
    place: &str,
) -> Result<Vec<(String, Template)>, InvalidPlan> {
    let parse =
        |text: &str| Template::parse(text).and_then(|template| template.check_header().map(|()| template));
    let template = |(name, text): &(String, String)| match parse(text) {
        Ok(template) => Ok((name.clone(), template)),
        Err(error) => Err(invalid(place, &error)),
    };
    headers.iter().map(template).collect()
}

pub(crate) fn body_template(body: &serde_json::Value, place: &str) -> Result<JsonTemplate, InvalidPlan> {
    JsonTemplate::compile(body).map_err(|error| invalid(place, &error))
}

pub(crate) fn invalid(place: &str, error: &dyn fmt::Display) -> InvalidPlan {
    InvalidPlan::Expression { place: place.to_owned(), message: error.to_string() }
}
