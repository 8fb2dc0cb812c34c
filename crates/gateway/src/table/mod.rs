//! Which route takes a request: host, then path, then method; the most specific wins.
//!
//! Among all routes that match host, path and method, the host decides first: the host itself, then the longest
//! wildcard, then any. Then the path, segment by segment from the left: a literal, then a parameter, then the end of a
//! prefix. Then a method that is named. A route thus never hides another one that takes other methods.

mod build;
mod hosts;
mod pattern;
mod tree;

pub use build::Invalid;

use crate::dispatch::Route;
use hosts::Hosts;
use http::Method;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// All routes, ready to be looked up: shared by the workers, and never changed.
#[derive(Clone, Debug)]
pub struct Table {
    hosts: Hosts,
    routes: Vec<Route>,
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
    /// The route for a request: its host (lower case, without port), its path as matched, its method.
    pub(crate) fn find(&self, host: Option<&str>, path: &str, method: &Method) -> Found<'_> {
        let found = self.hosts.trees(host).find_map(|tree| tree.find(path, method));
        match found.and_then(|route| self.routes.get(route)) {
            Some(route) => Found::Route(route),
            None => self.other_methods(host, path),
        }
    }

    fn other_methods(&self, host: Option<&str>, path: &str) -> Found<'_> {
        let mut methods = BTreeSet::new();
        for tree in self.hosts.trees(host) {
            let _: ControlFlow<()> = tree.visit(path.strip_prefix('/'), &mut |choices| {
                methods.extend(choices.methods().map(Method::as_str));
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
