//! Routes by their paths: one node for each segment, so that a look-up costs as many steps as the path has segments.
//!
//! A node is reached by one path alone, and a look-up visits a node at most once: no path can make it slow.

use super::Sought;
use super::condition::Conditions;
use super::pattern::{Pattern, Segment};
use http::Method;
use std::cmp::Reverse;
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

/// Routes of one path, told apart by method, headers and query.
///
/// Invariant: sorted by [`Choice::rank`], and those of the same rank as they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choices(Vec<Choice>);

/// Two routes of which one would never be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rival {
    /// This one takes the same requests.
    Same(usize),
    /// This one, added earlier, takes all requests of the later one.
    Wider(usize),
}

#[derive(Clone, Debug)]
struct Choice {
    /// Empty means any.
    methods: Vec<Method>,
    conditions: Conditions,
    route: usize,
}

impl Choice {
    fn takes(&self, sought: Sought<'_>) -> bool {
        (self.methods.is_empty() || self.methods.contains(sought.method))
            && self.conditions.hold(sought.headers, sought.query)
    }

    /// Smaller is more specific: a method that is named, then more headers, then more parameters of the query.
    fn rank(&self) -> (bool, Reverse<(usize, usize)>) {
        (self.methods.is_empty(), Reverse(self.conditions.weight()))
    }

    /// Whether some requests are taken by both as far as methods go, and neither is more specific by them.
    fn shares_methods(&self, other: &Choice) -> bool {
        match (self.methods.as_slice(), other.methods.as_slice()) {
            ([], []) => true,
            (theirs, ours) => theirs.iter().any(|method| ours.contains(method)),
        }
    }
}

impl Choices {
    /// The route that takes this request.
    fn taking(&self, sought: Sought<'_>) -> Option<usize> {
        self.0.iter().find(|choice| choice.takes(sought)).map(|choice| choice.route)
    }

    /// The methods that are taken by name, if the request had them.
    pub(crate) fn methods(&self, sought: Sought<'_>) -> impl Iterator<Item = &Method> {
        let meant = self.0.iter().filter(move |choice| choice.conditions.hold(sought.headers, sought.query));
        meant.flat_map(|choice| &choice.methods)
    }

    fn add(&mut self, choice: Choice) -> Result<(), Rival> {
        // Whoever is implied by a more specific one, or by one of the same rank that came earlier, has the same rank:
        // so only those that are there already can hide the new one.
        for other in self.0.iter().filter(|other| other.shares_methods(&choice)) {
            if choice.conditions.imply(&other.conditions) && other.rank() == choice.rank() {
                let same = other.conditions.imply(&choice.conditions);
                return Err(if same { Rival::Same(other.route) } else { Rival::Wider(other.route) });
            }
        }
        let at = self.0.partition_point(|other| other.rank() <= choice.rank());
        self.0.insert(at, choice);
        Ok(())
    }
}

impl Node {
    /// Adds a route. The error is a route because of which this one would never be reached.
    pub(crate) fn insert(
        &mut self,
        pattern: &Pattern,
        methods: &[Method],
        conditions: Conditions,
        route: usize,
    ) -> Result<(), Rival> {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Parameter(_) => node.parameter.get_or_insert_default(),
                Segment::Literal(text) => node.literal_mut(text),
            };
        }
        let choices = if pattern.is_prefix { &mut node.below } else { &mut node.here };
        choices.add(Choice { methods: methods.to_vec(), conditions, route })
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

    /// The most specific route that takes this request.
    pub(crate) fn find(&self, sought: Sought<'_>) -> Option<usize> {
        let mut see = |choices: &Choices| match choices.taking(sought) {
            Some(route) => Break(route),
            None => Continue(()),
        };
        self.visit(sought.path.strip_prefix('/'), &mut see).break_value()
    }
}
