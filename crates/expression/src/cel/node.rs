//! A compiled expression.

use super::functions::Function;

/// How deep an expression may nest, counted in operations inside each other. Evaluation recurses as deep.
pub(super) const MAX_DEPTH: usize = 64;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
    /// What is needed at this place of the program's list.
    Outside(usize),
    /// Whether there is something at this place of the program's list.
    HasOutside(usize),
    /// The variable of the macro that is so many macros deep.
    Variable(usize),
    Member(Box<Node>, Box<str>),
    HasMember(Box<Node>, Box<str>),
    Index(Box<[Node; 2]>),
    List(Box<[Node]>),
    Map(Box<[[Node; 2]]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Conditional(Box<[Node; 3]>),
    Binary(Operator, Box<[Node; 2]>),
    Call(Function, Box<[Node]>),
    Each(Box<Each>),
}

/// A macro: something that is done for each element of a list, or for each name in a map.
#[derive(Clone, Debug)]
pub(super) struct Each {
    pub(super) purpose: Purpose,
    pub(super) range: Node,
    /// Which elements `map` takes.
    pub(super) filter: Option<Node>,
    pub(super) step: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Operator {
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Remainder => "%",
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::In => "in",
        }
    }

    /// The operator that the reader of CEL calls so.
    pub(super) fn parse(name: &str) -> Option<Operator> {
        Some(match name {
            "_+_" => Operator::Add,
            "_-_" => Operator::Subtract,
            "_*_" => Operator::Multiply,
            "_/_" => Operator::Divide,
            "_%_" => Operator::Remainder,
            "_==_" => Operator::Equal,
            "_!=_" => Operator::NotEqual,
            "_<_" => Operator::Less,
            "_<=_" => Operator::LessOrEqual,
            "_>_" => Operator::Greater,
            "_>=_" => Operator::GreaterOrEqual,
            "@in" => Operator::In,
            _ => return None,
        })
    }
}

impl Purpose {
    pub(super) fn parse(name: &str) -> Option<Purpose> {
        Some(match name {
            "all" => Purpose::All,
            "exists" => Purpose::Exists,
            "exists_one" | "existsOne" => Purpose::ExistsOne,
            "filter" => Purpose::Filter,
            "map" => Purpose::Map,
            _ => return None,
        })
    }
}
