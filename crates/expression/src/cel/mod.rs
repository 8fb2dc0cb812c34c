//! What is more than a path: an expression in CEL, the Common Expression Language.
//!
//! The crate `cel` reads the text; what it has read is made into nodes of our own, and computed here under a
//! budget. A client's text is never compiled, and a client's values never cost more than [`budget`] allows.

mod arithmetic;
mod budget;
mod evaluate;
mod functions;
mod lower;
mod node;
mod stack;
mod syntax;
mod value;

use crate::value::Fault;
use crate::{ParseError, Reason, Reference, Scope, Unrenderable};
use node::Node;

/// How much of an expression is repeated where it failed, in characters.
const SHOWN: usize = 80;

/// An expression, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    source: Box<str>,
    node: Node,
    needs: Box<[Need]>,
}

/// A value that an expression takes from outside.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub(crate) reference: Reference,
    /// Whether the expression asks with `has` before it takes it.
    pub(crate) is_optional: bool,
}

impl Program {
    /// Compiles the text between `from` and `to`.
    pub(crate) fn compile(text: &str, from: usize, to: usize) -> Result<Program, ParseError> {
        let source = &text[from..to];
        let (node, needs) = syntax::parse(source, from)?;
        Ok(Program { source: source.trim().into(), node, needs: needs.into() })
    }

    pub(crate) fn needs(&self) -> impl Iterator<Item = &Need> {
        self.needs.iter()
    }

    /// Appends the result as JSON, or leaves `out` as it was.
    pub(crate) fn push_json(&self, scope: &dyn Scope, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
        let start = out.len();
        let pushed = self.run(scope, |value, budget| value.push_json(budget, out));
        pushed.inspect_err(|_| out.truncate(start))
    }

    /// Gives the result's text to `place`.
    pub(crate) fn with_text(
        &self,
        scope: &dyn Scope,
        place: impl FnOnce(&str) -> Result<(), Reason>,
    ) -> Result<(), Unrenderable> {
        self.run(scope, |value, budget| match value.text(budget)?.as_str() {
            text if text.len() > budget::MAX_RESULT => Err(Reason::Uncomputable(Fault::TooLarge)),
            text => place(text),
        })
    }

    // Bare paths are by far the most, and are rendered beside this: it must not weigh on them.
    #[inline(never)]
    fn run(
        &self,
        scope: &dyn Scope,
        take: impl FnOnce(&value::Computed<'_>, &budget::Budget) -> Result<(), Reason>,
    ) -> Result<(), Unrenderable> {
        let values: Vec<_> = self.needs.iter().map(|need| scope.value(&need.reference)).collect();
        let budget = budget::Budget::new();
        let computed = evaluate::run(&self.node, &values, &budget);
        computed.and_then(|value| Ok(take(&value, &budget)?)).map_err(|failure| match failure.need {
            Some(need) => Unrenderable::new(&self.needs[need].reference, failure.reason),
            None => Unrenderable::new(self.shown(), failure.reason),
        })
    }

    fn shown(&self) -> String {
        let mut shown: String = self.source.chars().take(SHOWN).collect();
        if shown.len() < self.source.len() {
            shown.push('…');
        }
        shown
    }
}
