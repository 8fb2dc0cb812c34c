//! Routes by their paths: one node for each segment, so that a look-up costs as many steps as the path has segments.
//!
//! A node is reached by one path alone, and a look-up visits a node at most once: no path can make it slow.

use super::pattern::{Pattern, Segment};
use http::Method;
use std::ops::ControlFlow::{self, Break, Continue};

/// A node and all below it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Sorted by text.
    literals: Vec<(Box<str>, Node)>,
    parameter: Option<Box<Node>>,
    /// Routes whose path ends here.
    here: Choices,
    /// Routes whose path is this prefix.
    below: Choices,
}

/// Routes of one path, told apart by method.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choices(Vec<Choice>);

#[derive(Clone, Debug)]
struct Choice {
    /// Empty means any.
    methods: Vec<Method>,
    route: usize,
}

impl Choices {
    /// The route that takes this method: by name before by taking any.
    pub(crate) fn taking(&self, method: &Method) -> Option<usize> {
        let named = self.0.iter().find(|choice| choice.methods.contains(method));
        named.or_else(|| self.0.iter().find(|choice| choice.methods.is_empty())).map(|choice| choice.route)
    }

    /// The methods that are taken by name.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.0.iter().flat_map(|choice| &choice.methods)
    }

    fn rival(&self, methods: &[Method]) -> Option<usize> {
        let clashes = |choice: &&Choice| match (choice.methods.as_slice(), methods) {
            ([], []) => true,
            (theirs, ours) => theirs.iter().any(|method| ours.contains(method)),
        };
        self.0.iter().find(clashes).map(|choice| choice.route)
    }
}

impl Node {
    /// Adds a route. The error is a route that takes the same requests.
    pub(crate) fn insert(
        &mut self,
        pattern: &Pattern,
        methods: &[Method],
        route: usize,
    ) -> Result<(), usize> {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Parameter(_) => node.parameter.get_or_insert_default(),
                Segment::Literal(text) => node.literal_mut(text),
            };
        }
        let choices = if pattern.is_prefix { &mut node.below } else { &mut node.here };
        if let Some(rival) = choices.rival(methods) {
            return Err(rival);
        }
        choices.0.push(Choice { methods: methods.to_vec(), route });
        Ok(())
    }

    fn literal_mut(&mut self, text: &str) -> &mut Node {
        let at = match self.literals.binary_search_by(|(literal, _)| literal.as_ref().cmp(text)) {
            Ok(at) => at,
            Err(at) => {
                self.literals.insert(at, (text.into(), Node::default()));
                at
            }
        };
        &mut self.literals[at].1
    }

    /// Shows all that match the path, the most specific first, until somebody has seen enough. `rest` is what follows
    /// the slash after this node; `None` at the path's end.
    pub(crate) fn visit<'t, B>(
        &'t self,
        rest: Option<&str>,
        see: &mut impl FnMut(&'t Choices) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let Some(rest) = rest else {
            see(&self.here)?;
            return see(&self.below);
        };
        let (segment, rest) = match rest.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (rest, None),
        };
        if let Ok(at) = self.literals.binary_search_by(|(literal, _)| literal.as_ref().cmp(segment)) {
            self.literals[at].1.visit(rest, see)?;
        }
        if let Some(parameter) = self.parameter.as_ref().filter(|_| !segment.is_empty()) {
            parameter.visit(rest, see)?;
        }
        see(&self.below)
    }

    /// The most specific route that takes this method on this path.
    pub(crate) fn find(&self, path: &str, method: &Method) -> Option<usize> {
        let mut see = |choices: &Choices| match choices.taking(method) {
            Some(route) => Break(route),
            None => Continue(()),
        };
        self.visit(path.strip_prefix('/'), &mut see).break_value()
    }
}
