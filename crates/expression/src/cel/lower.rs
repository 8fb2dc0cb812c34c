//! From the tree of the crate `cel` to nodes: every name is looked up here, once.

use super::Need;
use super::functions::{ABSENT, Function, NAMES};
use super::node::{Each, MAX_DEPTH, Node, Operator, Purpose};
use crate::likely::likely;
use crate::{ParseError, Reference, Step, path};
use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, MapExpr, SelectExpr, SourceInfo};

/// The names that are always there.
const ROOTS: [&str; 3] = ["branches", "request", "transaction"];

type Lowered = Result<Node, ParseError>;

/// An expression on its way into nodes.
pub(super) struct Lowering<'a> {
    source: &'a str,
    /// Where the source begins in the text that errors are about.
    offset: usize,
    places: &'a SourceInfo,
    needs: Vec<Need>,
    /// The macros' variables, the innermost last.
    variables: Vec<&'a str>,
    depth: usize,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(source: &'a str, offset: usize, places: &'a SourceInfo) -> Self {
        Self { source, offset, places, needs: Vec::new(), variables: Vec::new(), depth: 0 }
    }

    pub(super) fn run(mut self, tree: &'a IdedExpr) -> Result<(Node, Vec<Need>), ParseError> {
        let node = self.node(tree)?;
        let asked: Vec<_> =
            self.needs.iter().filter(|need| need.is_optional).map(|need| need.reference.clone()).collect();
        for need in &mut self.needs {
            need.is_optional |= asked.iter().any(|asked| need.reference.is_within(asked));
        }
        Ok((node, self.needs))
    }

    fn node(&mut self, tree: &'a IdedExpr) -> Lowered {
        if self.depth == MAX_DEPTH {
            let message = format!("an expression nests at most {MAX_DEPTH} operations deep");
            return Err(self.wrong(tree, message));
        }
        self.depth += 1;
        let node = self.shallow(tree);
        self.depth -= 1;
        node
    }

    fn boxed(&mut self, tree: &'a IdedExpr) -> Result<Box<Node>, ParseError> {
        self.node(tree).map(Box::new)
    }

    fn shallow(&mut self, tree: &'a IdedExpr) -> Lowered {
        if let Some(reference) = self.outside(tree)? {
            return Ok(Node::Outside(self.need(reference, false)));
        }
        match &tree.expr {
            Expr::Ident(name) => match self.variables.iter().rposition(|known| known == name) {
                Some(depth) => Ok(Node::Variable(depth)),
                None => Err(self.unknown(tree, name)),
            },
            Expr::Literal(literal) => self.literal(tree, literal),
            Expr::Select(SelectExpr { operand, field, .. }) => {
                Ok(Node::Member(self.boxed(operand)?, field.as_str().into()))
            }
            Expr::List(list) => {
                let elements = list.elements.iter().map(|element| self.node(element));
                Ok(Node::List(elements.collect::<Result<_, _>>()?))
            }
            Expr::Map(map) => self.map(tree, map),
            Expr::Call(call) => self.call(tree, call),
            Expr::Struct(_) | Expr::Comprehension(_) | Expr::Unspecified => {
                Err(self.wrong(tree, "this cannot be used in an expression here"))
            }
        }
    }

    /// What the tree names outside of the expression, if it is a path and nothing else.
    fn outside(&self, tree: &'a IdedExpr) -> Result<Option<Reference>, ParseError> {
        let mut steps = Vec::new();
        let mut here = tree;
        let root = loop {
            match &here.expr {
                Expr::Ident(name) => break name.as_str(),
                Expr::Select(select) => {
                    steps.push((self.at(here), Step::Member(select.field.clone())));
                    here = &select.operand;
                }
                Expr::Call(CallExpr { func_name, args, .. }) if func_name == "_[_]" => {
                    let [of, index] = args.as_slice() else { return Ok(None) };
                    let step = match &index.expr {
                        Expr::Literal(LiteralValue::String(name)) => Step::Member(name.inner().to_owned()),
                        Expr::Literal(LiteralValue::Int(at)) => match usize::try_from(*at.inner()) {
                            Ok(at) => Step::Index(at),
                            Err(_) => return Err(self.wrong(here, "an index is counted from 0")),
                        },
                        _ => return Ok(None),
                    };
                    steps.push((self.at(here), step));
                    here = of;
                }
                _ => return Ok(None),
            }
        };
        if !ROOTS.contains(&root) {
            return Ok(None);
        }
        steps.reverse();
        path::resolve(root, self.at(here), steps, self.end(tree)).map(Some)
    }

    fn need(&mut self, reference: Reference, is_optional: bool) -> usize {
        self.needs.push(Need { reference, is_optional });
        self.needs.len() - 1
    }

    fn literal(&self, tree: &IdedExpr, literal: &LiteralValue) -> Lowered {
        Ok(match literal {
            LiteralValue::Null => Node::Null,
            LiteralValue::Boolean(value) => Node::Bool(*value.inner()),
            LiteralValue::Int(value) => Node::Int(*value.inner()),
            LiteralValue::Double(value) => Node::Double(*value.inner()),
            LiteralValue::String(text) => Node::Text(text.inner().into()),
            LiteralValue::UInt(_) => {
                return Err(self.wrong(tree, "JSON has no unsigned numbers: leave out the `u`"));
            }
            LiteralValue::Bytes(_) => return Err(self.wrong(tree, "JSON has no bytes: leave out the `b`")),
        })
    }

    fn map(&mut self, tree: &'a IdedExpr, map: &'a MapExpr) -> Lowered {
        let mut members = Vec::with_capacity(map.entries.len());
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(self.wrong(tree, "this cannot be used in an expression here"));
            };
            members.push([self.node(&entry.key)?, self.node(&entry.value)?]);
        }
        Ok(Node::Map(members.into()))
    }

    fn call(&mut self, tree: &'a IdedExpr, call: &'a CallExpr) -> Lowered {
        let name = call.func_name.as_str();
        match (name, call.target.as_deref(), call.args.as_slice()) {
            ("!_", None, [operand]) => Ok(Node::Not(self.boxed(operand)?)),
            ("-_", None, [operand]) => Ok(Node::Negate(self.boxed(operand)?)),
            ("_&&_", None, [left, right]) => Ok(Node::And(self.pair(left, right)?)),
            ("_||_", None, [left, right]) => Ok(Node::Or(self.pair(left, right)?)),
            ("_[_]", None, [of, index]) => {
                self.check_indexed(of)?;
                Ok(Node::Index(self.pair(of, index)?))
            }
            ("_?_:_", None, [condition, yes, no]) => {
                Ok(Node::Conditional(Box::new([self.node(condition)?, self.node(yes)?, self.node(no)?])))
            }
            ("has", None, [what]) => self.has(tree, what),
            (_, None, [left, right]) if Operator::parse(name).is_some() => {
                let operands = self.pair(left, right)?;
                Operator::parse(name)
                    .map(|it| Node::Binary(it, operands))
                    .ok_or_else(|| self.no_function(tree, name))
            }
            (_, Some(range), arguments) if Purpose::parse(name).is_some() => {
                let purpose = Purpose::parse(name).ok_or_else(|| self.no_function(tree, name))?;
                self.each(tree, purpose, range, arguments)
            }
            (_, target, arguments) => self.function(tree, name, target, arguments),
        }
    }

    fn pair(&mut self, left: &'a IdedExpr, right: &'a IdedExpr) -> Result<Box<[Node; 2]>, ParseError> {
        Ok(Box::new([self.node(left)?, self.node(right)?]))
    }

    /// What an expression names must be known before it runs: only in a value may brackets hold something computed.
    fn check_indexed(&self, of: &'a IdedExpr) -> Result<(), ParseError> {
        match self.outside(of) {
            Err(error) if error.offset == self.end(of) => {
                let message = format!("{}, as a text in quotes: it cannot be computed", error.message);
                Err(ParseError::new(error.offset, message))
            }
            other => other.map(|_| ()),
        }
    }

    fn has(&mut self, tree: &'a IdedExpr, what: &'a IdedExpr) -> Lowered {
        if let Some(reference) = self.outside(what)? {
            return Ok(Node::HasOutside(self.need(reference, true)));
        }
        match &what.expr {
            Expr::Select(SelectExpr { operand, field, .. }) => {
                Ok(Node::HasMember(self.boxed(operand)?, field.as_str().into()))
            }
            _ => Err(self.wrong(tree, "`has` asks for a path, such as `has(request.body.note)`")),
        }
    }

    fn each(
        &mut self,
        tree: &'a IdedExpr,
        purpose: Purpose,
        range: &'a IdedExpr,
        arguments: &'a [IdedExpr],
    ) -> Lowered {
        let (variable, filter, step) = match arguments {
            [variable, step] => (variable, None, step),
            [variable, filter, step] if purpose == Purpose::Map => (variable, Some(filter), step),
            _ => return Err(self.wrong(tree, "this is written with a variable: `items.map(item, item.sku)`")),
        };
        let Expr::Ident(name) = &variable.expr else {
            return Err(self.wrong(variable, "a variable is a plain name: `items.map(item, item.sku)`"));
        };
        if ROOTS.contains(&name.as_str()) {
            return Err(
                self.wrong(variable, format!("`{name}` has a meaning already, and cannot be a variable"))
            );
        }
        let range = self.node(range)?;
        self.variables.push(name);
        let filter = filter.map(|filter| self.node(filter)).transpose();
        let step = self.node(step);
        self.variables.pop();
        Ok(Node::Each(Box::new(Each { purpose, range, filter: filter?, step: step? })))
    }

    fn function(
        &mut self,
        tree: &'a IdedExpr,
        name: &str,
        target: Option<&'a IdedExpr>,
        arguments: &'a [IdedExpr],
    ) -> Lowered {
        let function = Function::parse(name).ok_or_else(|| self.no_function(tree, name))?;
        let count = arguments.len() + usize::from(target.is_some());
        if !function.takes(count, target.is_some()) {
            return Err(self.wrong(tree, format!("`{name}` is written `{}`", function.usage())));
        }
        let arguments = target.into_iter().chain(arguments).map(|argument| self.node(argument));
        Ok(Node::Call(function, arguments.collect::<Result<_, _>>()?))
    }

    fn no_function(&self, tree: &IdedExpr, name: &str) -> ParseError {
        let message = match ABSENT.contains(&name) {
            true => format!("the function `{name}` is not in this version"),
            false => format!("unknown function `{name}`: known are {}", NAMES.join(", ")),
        };
        ParseError { likely: likely(name, &NAMES).map(str::to_owned), ..self.wrong(tree, message) }
    }

    fn unknown(&self, tree: &IdedExpr, name: &str) -> ParseError {
        let at = self.at(tree);
        let before = self.source.get(..at - self.offset).unwrap_or_default();
        if before.ends_with('-') {
            let message = format!(
                "unknown name `{name}`; a name with a hyphen is written in brackets: `[\"x-tenant\"]`"
            );
            return ParseError::new(at, message);
        }
        let known: Vec<_> = self.variables.iter().chain(&ROOTS).copied().collect();
        path::unknown(at, name, &known)
    }

    fn wrong(&self, tree: &IdedExpr, message: impl Into<String>) -> ParseError {
        ParseError::new(self.at(tree), message)
    }

    /// Where the node stands: for an operator or a step, the sign itself.
    fn at(&self, tree: &IdedExpr) -> usize {
        self.offset + self.places.offset_for(tree.id).map_or(0, |(start, _)| start as usize)
    }

    /// Where a path ends.
    fn end(&self, tree: &IdedExpr) -> usize {
        self.at(tree)
            + match &tree.expr {
                Expr::Ident(name) => name.len(),
                Expr::Select(select) => ".".len() + select.field.len(),
                _ => 1,
            }
    }
}
