//! Operators: what they make of two values, as CEL has it.

use super::budget::Budget;
use super::node::Operator;
use super::value::Computed;
use crate::Reason;
use crate::value::{Fault, Kind};
use std::cmp::Ordering;

/// Applies an operator to two opened values.
pub(super) fn binary<'a>(
    operator: Operator,
    left: Computed<'a>,
    right: Computed<'a>,
    budget: &Budget,
) -> Result<Computed<'a>, Reason> {
    let sign = operator.sign();
    let order = |holds: fn(Ordering) -> bool| {
        let order = compare(sign, &left, &right, budget)?;
        // What is not a number is neither less nor more than anything.
        Ok(Computed::Bool(order.is_some_and(holds)))
    };
    match operator {
        Operator::Equal => Ok(Computed::Bool(equal(&left, &right, budget)?)),
        Operator::NotEqual => Ok(Computed::Bool(!equal(&left, &right, budget)?)),
        Operator::Less => order(Ordering::is_lt),
        Operator::LessOrEqual => order(Ordering::is_le),
        Operator::Greater => order(Ordering::is_gt),
        Operator::GreaterOrEqual => order(Ordering::is_ge),
        Operator::In => is_in(&left, &right, budget),
        Operator::Add => add(left, right, budget),
        _ => calculate(operator, &left, &right),
    }
}

pub(super) fn negate(value: &Computed) -> Result<Computed<'static>, Reason> {
    let fault = match value {
        Computed::Int(value) => match value.checked_neg() {
            Some(negative) => return Ok(Computed::Int(negative)),
            None => Fault::Overflow,
        },
        Computed::Double(value) => return Ok(Computed::Double(-value)),
        other => Fault::Operand("-", other.kind()),
    };
    Err(Reason::Uncomputable(fault))
}

fn add<'a>(left: Computed<'a>, right: Computed<'a>, budget: &Budget) -> Result<Computed<'a>, Reason> {
    match (&left, &right) {
        (Computed::Text(first), Computed::Text(second)) => {
            let (first, second) = (first.as_str(), second.as_str());
            budget.write(first.len() + second.len())?;
            Ok(Computed::made([first, second].concat()))
        }
        (Computed::Json([b'[', ..]) | Computed::List(_), Computed::Json([b'[', ..]) | Computed::List(_)) => {
            let (first, second) = (left.elements(budget)?, right.elements(budget)?);
            let both = first.iter().chain(&second).flat_map(|elements| elements.iter());
            let both = both.map(|element| budget.step().map(|()| element.clone()));
            Ok(Computed::List(both.collect::<Result<_, Reason>>()?))
        }
        _ => calculate(Operator::Add, &left, &right),
    }
}

/// Numbers of one kind. Integers never overflow, and never become doubles by themselves.
fn calculate(
    operator: Operator,
    left: &Computed<'_>,
    right: &Computed<'_>,
) -> Result<Computed<'static>, Reason> {
    let fault = match (left, right) {
        (Computed::Int(_), Computed::Int(0))
            if matches!(operator, Operator::Divide | Operator::Remainder) =>
        {
            Fault::DivisionByZero
        }
        (Computed::Int(left), Computed::Int(right)) => {
            let result = match operator {
                Operator::Add => left.checked_add(*right),
                Operator::Subtract => left.checked_sub(*right),
                Operator::Multiply => left.checked_mul(*right),
                Operator::Divide => left.checked_div(*right),
                _ => left.checked_rem(*right),
            };
            match result {
                Some(result) => return Ok(Computed::Int(result)),
                None => Fault::Overflow,
            }
        }
        (Computed::Double(left), Computed::Double(right)) if operator != Operator::Remainder => {
            return Ok(Computed::Double(match operator {
                Operator::Add => left + right,
                Operator::Subtract => left - right,
                Operator::Multiply => left * right,
                _ => left / right,
            }));
        }
        _ => Fault::operands(operator.sign(), left, right),
    };
    Err(Reason::Uncomputable(fault))
}

fn compare(
    sign: &'static str,
    left: &Computed,
    right: &Computed,
    budget: &Budget,
) -> Result<Option<Ordering>, Reason> {
    match (left, right) {
        (Computed::Text(left), Computed::Text(right)) => {
            budget.read(left.as_str().len().min(right.as_str().len()))?;
            Ok(Some(left.as_str().cmp(right.as_str())))
        }
        (Computed::Bool(left), Computed::Bool(right)) => Ok(Some(left.cmp(right))),
        (Computed::Int(_) | Computed::Double(_), Computed::Int(_) | Computed::Double(_)) => {
            Ok(numbers(left, right))
        }
        _ => Err(Reason::Uncomputable(Fault::operands(sign, left, right))),
    }
}

/// Numbers of both kinds stand on one line.
fn numbers(left: &Computed, right: &Computed) -> Option<Ordering> {
    match (left, right) {
        (Computed::Int(left), Computed::Int(right)) => Some(left.cmp(right)),
        (Computed::Double(left), Computed::Double(right)) => left.partial_cmp(right),
        (Computed::Int(left), Computed::Double(right)) => int_and_double(*left, *right),
        (Computed::Double(left), Computed::Int(right)) => {
            int_and_double(*right, *left).map(Ordering::reverse)
        }
        _ => None,
    }
}

fn int_and_double(int: i64, double: f64) -> Option<Ordering> {
    /// The first double beyond every integer.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        return None;
    }
    if double >= BEYOND {
        return Some(Ordering::Less);
    }
    if double < -BEYOND {
        return Some(Ordering::Greater);
    }
    let whole = double.trunc();
    Some(int.cmp(&(whole as i64)).then(0.0_f64.partial_cmp(&(double - whole))?))
}

/// Whether two values are equal. Values of different kinds are not; numbers of both kinds may be.
fn equal(left: &Computed, right: &Computed, budget: &Budget) -> Result<bool, Reason> {
    budget.step()?;
    let (left, right) = (left.clone().open(budget)?, right.clone().open(budget)?);
    Ok(match (&left, &right) {
        (Computed::Null, Computed::Null) => true,
        (Computed::Bool(left), Computed::Bool(right)) => left == right,
        (Computed::Text(left), Computed::Text(right)) => {
            budget.read(left.as_str().len().min(right.as_str().len()))?;
            left.as_str() == right.as_str()
        }
        (Computed::Int(_) | Computed::Double(_), Computed::Int(_) | Computed::Double(_)) => {
            numbers(&left, &right) == Some(Ordering::Equal)
        }
        _ if left.kind() != right.kind() || left.count(budget)? != right.count(budget)? => false,
        _ => {
            let is_map = left.kind() == Kind::Map;
            let (firsts, seconds) = (left.elements(budget)?, right.elements(budget)?);
            let (firsts, seconds) = (firsts.unwrap_or_default(), seconds.unwrap_or_default());
            for (first, second) in firsts.iter().zip(&*seconds) {
                let same = if is_map {
                    same_member(first, &left, &right, budget)?
                } else {
                    equal(first, second, budget)?
                };
                if !same {
                    return Ok(false);
                }
            }
            true
        }
    })
}

/// Whether two maps have the same value under the name.
fn same_member(name: &Computed, left: &Computed, right: &Computed, budget: &Budget) -> Result<bool, Reason> {
    let name = name.clone().open(budget)?.text(budget)?;
    let (left, right) = (left.member(name.as_str(), budget)?, right.member(name.as_str(), budget)?);
    match (left, right) {
        (Some(left), Some(right)) => equal(&left, &right, budget),
        _ => Ok(false),
    }
}

fn is_in(item: &Computed, range: &Computed, budget: &Budget) -> Result<Computed<'static>, Reason> {
    let elements = match range.kind() {
        Kind::List => range.elements(budget)?.unwrap_or_default(),
        Kind::Map => {
            return match (item, item.kind()) {
                (Computed::Text(name), _) => {
                    Ok(Computed::Bool(range.member(name.as_str(), budget)?.is_some()))
                }
                (_, Kind::List | Kind::Map) => Err(Reason::Uncomputable(Fault::operands("in", item, range))),
                // No member has such a name.
                _ => Ok(Computed::Bool(false)),
            };
        }
        _ => return Err(Reason::Uncomputable(Fault::operands("in", item, range))),
    };
    for element in &*elements {
        if equal(item, element, budget)? {
            return Ok(Computed::Bool(true));
        }
    }
    Ok(Computed::Bool(false))
}
