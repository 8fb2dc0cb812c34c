//! Which route takes a request: host, then path, then method, then headers and query; the most specific wins.
//!
//! Among all routes that match host, path and method, the host decides first: the host itself, then the longest
//! wildcard, then any. Then the path, segment by segment from the left: a literal, then a parameter, then the end of a
//! prefix. Then a method that is named; then more headers, then more parameters of the query; then what is listed first. A
//! route thus never hides another one that takes other requests: what does not take it leaves it to the next.

mod build;
mod condition;
mod hosts;
mod pattern;
mod tree;

pub use build::Invalid;

use crate::dispatch::Route;
use hosts::Hosts;
use http::{HeaderMap, Method};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// All routes, ready to be looked up: shared by the workers, and never changed.
#[derive(Clone, Debug)]
pub struct Table {
    hosts: Hosts,
    routes: Vec<Route>,
}

/// What a request is looked up by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought<'a> {
    /// In lower case, without port.
    pub(crate) host: Option<&'a str>,
    /// As it is matched.
    pub(crate) path: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    /// As it came.
    pub(crate) query: Option<&'a str>,
}

/// What a look-up comes to.
pub(crate) enum Found<'a> {
    /// This route takes the request.
    Route(&'a Route),
    /// The path has routes, but only for these methods, as the header `Allow` lists them.
    OtherMethods(String),
    /// No route has this path.
    Nothing,
}

impl Table {
    /// The route for a request.
    pub(crate) fn find(&self, sought: Sought<'_>) -> Found<'_> {
        let found = self.hosts.trees(sought.host).find_map(|tree| tree.find(sought));
        match found.and_then(|route| self.routes.get(route)) {
            Some(route) => Found::Route(route),
            None => self.other_methods(sought),
        }
    }

    fn other_methods(&self, sought: Sought<'_>) -> Found<'_> {
        let mut methods = BTreeSet::new();
        for tree in self.hosts.trees(sought.host) {
            let _: ControlFlow<()> = tree.visit(sought.path.strip_prefix('/'), &mut |choices| {
                methods.extend(choices.methods(sought).map(Method::as_str));
                ControlFlow::Continue(())
            });
        }
        if methods.is_empty() {
            return Found::Nothing;
        }
        Found::OtherMethods(Vec::from_iter(methods).join(", "))
    }

    /// The routes' names, in the order of their numbers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.routes.iter().map(|route| &route.name)
    }
}

#[cfg(test)]
mod tests;
