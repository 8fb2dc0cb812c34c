//! The functions that an expression may call.

use super::budget::Budget;
use super::value::Computed;
use crate::Reason;
use crate::value::Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Bool,
    Contains,
    Double,
    EndsWith,
    Int,
    Size,
    StartsWith,
    String,
}

/// The functions' names, for whoever has misspelled one.
pub(super) const NAMES: [&str; 15] = [
    "all",
    "bool",
    "contains",
    "double",
    "endsWith",
    "exists",
    "existsOne",
    "exists_one",
    "filter",
    "has",
    "int",
    "map",
    "size",
    "startsWith",
    "string",
];

/// What CEL has besides, and this program has not.
pub(super) const ABSENT: [&str; 7] = ["bytes", "duration", "dyn", "matches", "timestamp", "type", "uint"];

impl Function {
    pub(super) fn parse(name: &str) -> Option<Function> {
        Some(match name {
            "bool" => Function::Bool,
            "contains" => Function::Contains,
            "double" => Function::Double,
            "endsWith" => Function::EndsWith,
            "int" => Function::Int,
            "size" => Function::Size,
            "startsWith" => Function::StartsWith,
            "string" => Function::String,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Function::Bool => "bool",
            Function::Contains => "contains",
            Function::Double => "double",
            Function::EndsWith => "endsWith",
            Function::Int => "int",
            Function::Size => "size",
            Function::StartsWith => "startsWith",
            Function::String => "string",
        }
    }

    /// How it is written, where it is called with what it does not take.
    pub(super) const fn usage(self) -> &'static str {
        match self {
            Function::Bool => "bool(text)",
            Function::Contains => "text.contains(part)",
            Function::Double => "double(value)",
            Function::EndsWith => "text.endsWith(part)",
            Function::Int => "int(value)",
            Function::Size => "size(value)",
            Function::StartsWith => "text.startsWith(part)",
            Function::String => "string(value)",
        }
    }

    /// Whether it takes this many arguments, the one before the dot counted.
    pub(super) const fn takes(self, arguments: usize, is_member: bool) -> bool {
        match self {
            Function::Contains | Function::EndsWith | Function::StartsWith => arguments == 2 && is_member,
            Function::Size => arguments == 1,
            Function::Bool | Function::Double | Function::Int | Function::String => {
                arguments == 1 && !is_member
            }
        }
    }
}

/// Calls a function with opened values, as many as it takes.
pub(super) fn call<'a>(
    function: Function,
    arguments: &[Computed<'a>],
    budget: &Budget,
) -> Result<Computed<'a>, Reason> {
    match arguments {
        [value] => convert(function, value, budget),
        [Computed::Text(text), Computed::Text(part)] => {
            let (text, part) = (text.as_str(), part.as_str());
            budget.read(text.len())?;
            Ok(Computed::Bool(match function {
                Function::Contains => text.contains(part),
                Function::EndsWith => text.ends_with(part),
                _ => text.starts_with(part),
            }))
        }
        [left, right] => Err(Reason::Uncomputable(Fault::operands(function.name(), left, right))),
        _ => Err(Reason::Uncomputable(Fault::NoSuchMember)),
    }
}

fn convert<'a>(function: Function, value: &Computed<'a>, budget: &Budget) -> Result<Computed<'a>, Reason> {
    let unfit = Reason::Uncomputable(Fault::Operand(function.name(), value.kind()));
    let unreadable = Reason::Uncomputable(Fault::Conversion(function.name()));
    if let Computed::Text(text) = value {
        budget.read(text.as_str().len())?;
    }
    match (function, value) {
        (Function::Size, Computed::Text(text)) => length(text.as_str().chars().count()),
        (Function::Size, _) => value.count(budget)?.map_or(Err(unfit), length),
        (Function::Bool, Computed::Bool(_))
        | (Function::Int, Computed::Int(_))
        | (Function::Double, Computed::Double(_))
        | (Function::String, Computed::Text(_)) => Ok(value.clone()),
        (Function::Bool, Computed::Text(text)) => match text.as_str() {
            "true" | "True" | "TRUE" | "t" | "1" => Ok(Computed::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Ok(Computed::Bool(false)),
            _ => Err(unreadable),
        },
        (Function::Int, Computed::Text(text)) => {
            text.as_str().parse().map(Computed::Int).map_err(|_| unreadable)
        }
        (Function::Int, Computed::Double(double)) => {
            // The bounds themselves are left out: near them a double is no longer one integer.
            let is_within = *double > i64::MIN as f64 && *double < i64::MAX as f64;
            if is_within {
                Ok(Computed::Int(*double as i64))
            } else {
                Err(Reason::Uncomputable(Fault::Overflow))
            }
        }
        (Function::Double, Computed::Int(int)) => Ok(Computed::Double(*int as f64)),
        (Function::Double, Computed::Text(text)) => match text.as_str().parse::<f64>() {
            Ok(double) if double.is_finite() => Ok(Computed::Double(double)),
            _ => Err(unreadable),
        },
        (Function::String, Computed::Int(_) | Computed::Double(_) | Computed::Bool(_)) => {
            Ok(Computed::Text(value.text(budget)?))
        }
        _ => Err(unfit),
    }
}

fn length(count: usize) -> Result<Computed<'static>, Reason> {
    i64::try_from(count).map(Computed::Int).map_err(|_| Reason::Uncomputable(Fault::Overflow))
}
