//! Computing a compiled expression.

use super::arithmetic;
use super::budget::Budget;
use super::functions;
use super::node::{Each, Node, Operator, Purpose};
use super::value::{Computed, Text};
use crate::value::{Fault, Kind};
use crate::{Reason, Value};

/// Why there is no result.
#[derive(Debug)]
pub(super) struct Failure {
    /// The value from outside that is at fault, by its place in the program's list.
    pub(super) need: Option<usize>,
    pub(super) reason: Reason,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { need: None, reason }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { need: None, reason: Reason::Uncomputable(fault) }
    }
}

type Outcome<'a> = Result<Computed<'a>, Failure>;

/// Computes `node` from the values that the program needs.
pub(super) fn run<'a>(
    node: &'a Node,
    values: &'a [Result<Value<'a>, Reason>],
    budget: &Budget,
) -> Outcome<'a> {
    Evaluation { values, budget, variables: Vec::new() }.node(node)
}

struct Evaluation<'a, 'b> {
    values: &'a [Result<Value<'a>, Reason>],
    budget: &'b Budget,
    variables: Vec<Computed<'a>>,
}

impl<'a> Evaluation<'a, '_> {
    fn node(&mut self, node: &'a Node) -> Outcome<'a> {
        self.budget.step()?;
        match node {
            Node::Null => Ok(Computed::Null),
            Node::Bool(value) => Ok(Computed::Bool(*value)),
            Node::Int(value) => Ok(Computed::Int(*value)),
            Node::Double(value) => Ok(Computed::Double(*value)),
            Node::Text(text) => Ok(Computed::Text(Text::Given(text))),
            Node::Outside(need) => self.outside(*need),
            Node::HasOutside(need) => self.has_outside(*need),
            Node::Variable(depth) => Ok(self.variables[*depth].clone()),
            Node::Member(of, name) => {
                let member = self.open(of)?.member(name, self.budget)?;
                member.ok_or(Fault::NoSuchMember.into())
            }
            Node::HasMember(of, name) => {
                Ok(Computed::Bool(self.open(of)?.member(name, self.budget)?.is_some()))
            }
            Node::Index(operands) => self.index(operands),
            Node::List(elements) => {
                let elements = elements.iter().map(|element| self.node(element));
                Ok(Computed::List(elements.collect::<Result<_, _>>()?))
            }
            Node::Map(members) => self.map(members),
            Node::Not(operand) => Ok(Computed::Bool(!self.truth("!", operand)?)),
            Node::Negate(operand) => Ok(arithmetic::negate(&self.open(operand)?)?),
            Node::And(operands) => self.either("&&", operands, false),
            Node::Or(operands) => self.either("||", operands, true),
            Node::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                if self.truth("? :", condition)? { self.node(yes) } else { self.node(no) }
            }
            Node::Binary(operator, operands) => self.binary(*operator, operands),
            Node::Call(function, arguments) => {
                let arguments = arguments.iter().map(|argument| self.open(argument));
                let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
                Ok(functions::call(*function, &arguments, self.budget)?)
            }
            Node::Each(each) => self.each(each),
        }
    }

    fn open(&mut self, node: &'a Node) -> Outcome<'a> {
        Ok(self.node(node)?.open(self.budget)?)
    }

    fn outside(&self, need: usize) -> Outcome<'a> {
        match &self.values[need] {
            Ok(Value::Json(token)) => Ok(Computed::Json(token)),
            Ok(Value::Text(text)) => Ok(Computed::Text(Text::Given(text))),
            Err(reason) => Err(Failure { need: Some(need), reason: *reason }),
        }
    }

    fn has_outside(&self, need: usize) -> Outcome<'a> {
        match &self.values[need] {
            Ok(_) => Ok(Computed::Bool(true)),
            Err(Reason::Missing | Reason::NotJson) => Ok(Computed::Bool(false)),
            Err(reason) => Err(Failure { need: Some(need), reason: *reason }),
        }
    }

    fn truth(&mut self, operator: &'static str, node: &'a Node) -> Result<bool, Failure> {
        match self.open(node)? {
            Computed::Bool(value) => Ok(value),
            other => Err(Fault::NotTrueOrFalse(operator, other.kind()).into()),
        }
    }

    /// `&&` and `||`: `decisive` on either side decides, even where the other side fails.
    fn either(&mut self, operator: &'static str, operands: &'a [Node; 2], decisive: bool) -> Outcome<'a> {
        let [left, right] = operands;
        let left = self.truth(operator, left);
        if matches!(left, Ok(value) if value == decisive) {
            return Ok(Computed::Bool(decisive));
        }
        let right = self.truth(operator, right);
        if matches!(right, Ok(value) if value == decisive) {
            return Ok(Computed::Bool(decisive));
        }
        left.and(right).map(Computed::Bool)
    }

    fn index(&mut self, operands: &'a [Node; 2]) -> Outcome<'a> {
        let [of, index] = operands;
        let of = self.open(of)?;
        match self.open(index)? {
            Computed::Text(name) => of.member(name.as_str(), self.budget)?.ok_or(Fault::NoSuchMember.into()),
            Computed::Int(index) => {
                let index = usize::try_from(index).map_err(|_| Fault::OutOfRange)?;
                Ok(of.element(index, self.budget)?)
            }
            // CEL takes a double that is a whole number for that number.
            Computed::Double(index) if index >= 0.0 && index.fract() == 0.0 && index < 1e9 => {
                Ok(of.element(index as usize, self.budget)?)
            }
            other => Err(Fault::NoIndex(other.kind()).into()),
        }
    }

    fn map(&mut self, members: &'a [[Node; 2]]) -> Outcome<'a> {
        let mut map: Vec<(Text, Computed)> = Vec::with_capacity(members.len());
        for [name, value] in members {
            let name = match self.open(name)? {
                Computed::Text(name) => name,
                other => return Err(Fault::NameNotText(other.kind()).into()),
            };
            self.budget.spend(map.len())?;
            if map.iter().any(|(known, _)| known.as_str() == name.as_str()) {
                return Err(Fault::NameTwice.into());
            }
            map.push((name, self.node(value)?));
        }
        Ok(Computed::Map(map.into()))
    }

    fn binary(&mut self, operator: Operator, operands: &'a [Node; 2]) -> Outcome<'a> {
        let [left, right] = operands;
        let (left, right) = (self.open(left)?, self.open(right)?);
        Ok(arithmetic::binary(operator, left, right, self.budget)?)
    }

    fn each(&mut self, each: &'a Each) -> Outcome<'a> {
        let range = self.open(&each.range)?;
        let Some(elements) = range.elements(self.budget)? else {
            return Err(Fault::NoElements(range.kind()).into());
        };
        match each.purpose {
            Purpose::All => self.decided(each, &elements, false),
            Purpose::Exists => self.decided(each, &elements, true),
            Purpose::ExistsOne => {
                let mut found = 0;
                for element in &*elements {
                    found += usize::from(self.is_taken("exists_one", &each.step, element)?);
                }
                Ok(Computed::Bool(found == 1))
            }
            Purpose::Filter => {
                let mut taken = Vec::new();
                for element in &*elements {
                    if self.is_taken("filter", &each.step, element)? {
                        taken.push(element.clone());
                    }
                }
                Ok(Computed::List(taken.into()))
            }
            Purpose::Map => {
                let mut made = Vec::new();
                for element in &*elements {
                    let is_taken = match &each.filter {
                        Some(filter) => self.is_taken("map", filter, element)?,
                        None => true,
                    };
                    if is_taken {
                        made.push(self.with(element, |it| it.node(&each.step))?);
                    }
                }
                Ok(Computed::List(made.into()))
            }
        }
    }

    /// `all` and `exists`: one decisive element decides, even where another one fails.
    fn decided(&mut self, each: &'a Each, elements: &[Computed<'a>], decisive: bool) -> Outcome<'a> {
        let operator = if decisive { "exists" } else { "all" };
        let mut failure = None;
        for element in elements {
            match self.is_taken(operator, &each.step, element) {
                Ok(value) if value == decisive => return Ok(Computed::Bool(decisive)),
                Ok(_) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(Computed::Bool(!decisive)), Err)
    }

    fn is_taken(
        &mut self,
        operator: &'static str,
        step: &'a Node,
        element: &Computed<'a>,
    ) -> Result<bool, Failure> {
        self.with(element, |it| it.truth(operator, step))
    }

    /// With `element` as the innermost variable.
    fn with<T>(&mut self, element: &Computed<'a>, then: impl FnOnce(&mut Self) -> T) -> T {
        self.variables.push(element.clone());
        let done = then(self);
        self.variables.pop();
        done
    }
}

impl Fault {
    pub(super) fn operands(operator: &'static str, left: &Computed, right: &Computed) -> Fault {
        let (left, right): (Kind, Kind) = (left.kind(), right.kind());
        Fault::Operands(operator, left, right)
    }
}
