//! A call with its expressions parsed: what is sent to a participant.

use crate::plans::{InvalidPlan, body_template, header_templates, invalid, path_template};
use crate::scope::RequestScope;
use bytes::Bytes;
use http::Method;
use std::sync::Arc;
use unanimo_contract::plan::{CallPlan, METHODS};
use unanimo_contract::{BranchPlan, Operation, RenderedCall};
use unanimo_expression::{Dependency, JsonTemplate, MASK, Reference, Scope, Template, Unrenderable};

/// A call with its expressions parsed.
#[derive(Debug)]
pub(crate) struct ReadyCall {
    method: Option<Method>,
    path: Template,
    /// The one operation whose path this is, where nothing is added to it.
    only: Option<Operation>,
    paths: Vec<(String, Template)>,
    headers: Vec<(String, Template)>,
    body: Option<JsonTemplate>,
}

impl ReadyCall {
    /// The call of a branch's first operation, which the others follow where they are not described.
    pub(crate) fn of_branch(branch: &BranchPlan, first: Operation) -> Result<ReadyCall, InvalidPlan> {
        let place = |part: &str| format!("branch {}: {part}", branch.name);
        let paths =
            branch.paths.iter().map(|(word, path)| Ok((word.clone(), path_template(path, &place("path"))?)));
        Ok(ReadyCall {
            method: method(branch.method.as_deref(), &place("method"))?,
            path: path_template(&branch.path, &place("path"))?,
            only: branch.exact.then_some(first),
            paths: paths.collect::<Result<_, _>>()?,
            headers: header_templates(&branch.headers, &place("headers"))?,
            body: branch.body.as_ref().map(|body| body_template(body, &place("body"))).transpose()?,
        })
    }

    /// A call that says all of itself. What it names of answers it must be able to do without.
    pub(crate) fn compensation(call: &CallPlan, branch: &str) -> Result<ReadyCall, InvalidPlan> {
        let place = |part: &str| format!("branch {branch}: compensate: {part}");
        let ready = ReadyCall {
            method: method(call.method.as_deref(), &place("method"))?,
            path: path_template(&call.path, &place("path"))?,
            only: Some(Operation::Compensate),
            paths: Vec::new(),
            headers: header_templates(&call.headers, &place("headers"))?,
            body: call.body.as_ref().map(|body| body_template(body, &place("body"))).transpose()?,
        };
        let blind = |it: &Dependency| !it.is_optional && is_an_answer(it.reference);
        let named = ready.dependencies().find(blind).map(|dependency| dependency.reference.to_string());
        if let Some(named) = named {
            let why = format!("`{named}` may never have come: ask for it with has()");
            return Err(invalid(&format!("branch {branch}: compensate"), &why));
        }
        Ok(ready)
    }

    /// What it names, and whether it can do without.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = Dependency<'_>> {
        let paths = std::iter::once(&self.path).chain(self.paths.iter().map(|(_, path)| path));
        let headers = self.headers.iter().map(|(_, value)| value);
        let body = self.body.iter().flat_map(JsonTemplate::dependencies);
        paths.chain(headers).flat_map(Template::dependencies).chain(body)
    }

    /// What it names.
    pub(crate) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.dependencies().map(|dependency| dependency.reference)
    }

    /// Renders it.
    pub(crate) fn render(&self, scope: &dyn Scope) -> Result<RenderedCall, Unrenderable> {
        let mut body = Vec::new();
        if let Some(template) = &self.body {
            template.render(scope, &mut body)?;
        }
        let paths = self.paths.iter().map(|(word, path)| Ok((word.clone(), path.render_path(scope)?)));
        let header = |(name, value): &(String, Template)| Ok((name.clone(), value.render_header(scope)?));
        let headers = match self.headers.as_slice() {
            [] => Arc::default(),
            headers => headers.iter().map(header).collect::<Result<_, _>>()?,
        };
        let mut paths = paths.collect::<Result<Vec<_>, _>>()?;
        let mut path = self.path.render_path(scope)?;
        if let Some(only) = self.only {
            paths.push((only.as_str().to_owned(), std::mem::take(&mut path)));
        }
        Ok(RenderedCall { method: self.method.clone(), path, paths, headers, body: Bytes::from(body) })
    }

    /// A call that it has rendered, without what names a secret.
    pub(crate) fn masked(&self, call: &RenderedCall, is_secret: impl Fn(&Reference) -> bool) -> RenderedCall {
        let hides = |template: &Template| template.references().any(&is_secret);
        let shown =
            |template: &Template, text: &str| if hides(template) { MASK.into() } else { text.to_owned() };
        let of = |templates: &[(String, Template)], pairs: &[(String, String)]| {
            let pair = |(name, text): &(String, String)| {
                let hides = templates.iter().any(|(known, template)| known == name && hides(template));
                (name.clone(), if hides { MASK.to_owned() } else { text.clone() })
            };
            pairs.iter().map(pair).collect::<Vec<_>>()
        };
        let own = |word: &str| self.only.is_some_and(|only| only.as_str() == word);
        let (only, paths): (Vec<_>, Vec<_>) = call.paths.iter().cloned().partition(|(word, _)| own(word));
        let only = only.into_iter().map(|(word, path)| (word, shown(&self.path, &path)));
        RenderedCall {
            method: call.method.clone(),
            path: shown(&self.path, &call.path),
            paths: of(&self.paths, &paths).into_iter().chain(only).collect(),
            headers: of(&self.headers, &call.headers).into(),
            body: self.body.as_ref().map_or(Bytes::new(), |body| body.mask(&call.body, &is_secret)),
        }
    }

    /// Renders what it makes of the request alone, and says how long that is: what is wrong with it is better said before
    /// anything has begun.
    pub(crate) fn probe(&self, scope: &RequestScope) -> Result<usize, Unrenderable> {
        let of_request = |reference: &Reference| !is_an_answer(reference);
        let mut size = self.path.probe_path(scope, of_request)?;
        for (_, path) in &self.paths {
            size += path.probe_path(scope, of_request)?;
        }
        for (name, value) in &self.headers {
            size += name.len() + value.probe_header(scope, of_request)?;
        }
        match &self.body {
            Some(body) => Ok(size + body.probe(scope, of_request)?),
            None => Ok(size),
        }
    }
}

fn is_an_answer(reference: &Reference) -> bool {
    matches!(reference, Reference::BranchResponse { .. })
}

fn method(word: Option<&str>, place: &str) -> Result<Option<Method>, InvalidPlan> {
    let Some(word) = word else { return Ok(None) };
    let known = METHODS.contains(&word).then(|| Method::from_bytes(word.as_bytes()).ok()).flatten();
    known.map(Some).ok_or_else(|| invalid(place, &format!("a participant is not called with `{word}`")))
}
