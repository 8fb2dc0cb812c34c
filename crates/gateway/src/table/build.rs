//! From the configuration to a table, with all that is wrong said at once.

use super::Table;
use super::condition::Conditions;
use super::hosts::{HostPattern, Hosts};
use super::pattern::Pattern;
use super::tree::Rival;
use crate::dispatch::{Route, Work};
use crate::named::Named;
use crate::path::Path;
use crate::proxy::{Plain, Rewrite};
use crate::status::OWN_SEGMENTS;
use crate::transaction::Transactional;
use crate::upgrade;
use crate::{Action, Config, PathMatch, ProxyConfig, RouteConfig, TransactionConfig};
use std::collections::BTreeSet;
use std::fmt;
use unanimo_contract::Plan;
use unanimo_upstream::{ServiceId, Services};

/// What is wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Which route.
    pub route: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route `{}`: {}", self.route, self.message)
    }
}

impl std::error::Error for Invalid {}

impl Table {
    /// Checks the routes, and makes a table of them; the error names all that is wrong.
    pub fn build(config: &Config, services: &Services) -> Result<Table, Vec<Invalid>> {
        let mut table = Table { hosts: Hosts::default(), routes: Vec::with_capacity(config.routes.len()) };
        let mut found = Vec::new();
        let mut names = BTreeSet::new();
        for route in &config.routes {
            let mut wrong = |message: String| found.push(Invalid { route: route.name.clone(), message });
            if !names.insert(&route.name) {
                wrong("another route has this name too".to_owned());
            }
            if let Err(message) = table.add(route, services) {
                wrong(message);
            }
        }
        if found.is_empty() { Ok(table) } else { Err(found) }
    }

    fn add(&mut self, config: &RouteConfig, services: &Services) -> Result<(), String> {
        let host = HostPattern::parse(config.matching.host.as_deref())?;
        let pattern = Pattern::parse(&config.matching.path)?;
        let conditions = Conditions::parse(&config.matching)?;
        if let Some(own) = OWN_SEGMENTS.iter().find(|own| pattern.is_below(own)) {
            return Err(format!("the paths below `/{own}/` are the gateway's own; choose another one"));
        }
        let work = match &config.action {
            Action::Proxy(plain) => {
                Work::Plain(plain_route(plain, &config.matching.path, &pattern, services)?)
            }
            Action::Transaction(transaction) => {
                Work::Transactional(transactional_route(transaction, services)?)
            }
        };
        let number = self.routes.len();
        let tree = self.hosts.tree_mut(host);
        let name = |route: usize| self.routes.get(route).map_or("another", |route| route.name.as_ref());
        tree.insert(&pattern, &config.matching.methods, conditions, number).map_err(|rival| match rival {
            Rival::Same(route) => format!(
                "route `{}` takes the same requests; change the host, path, methods, headers or query of one of them",
                name(route)
            ),
            Rival::Wider(route) => format!(
                "route `{}` takes every request that this one would, since it is listed first; list this one before it",
                name(route)
            ),
        })?;
        let parameters = pattern.parameters().map(|(name, at)| (name.into(), at)).collect();
        self.routes.push(Route { number, name: config.name.as_str().into(), parameters, work });
        Ok(())
    }
}

fn plain_route(
    config: &ProxyConfig,
    path: &PathMatch,
    pattern: &Pattern,
    services: &Services,
) -> Result<Plain, String> {
    if config.timeout.is_zero() {
        return Err("`timeout` must be longer than nothing".to_owned());
    }
    let service = service(&config.service, services)?;
    let rewrite = match (&config.rewrite_prefix, path) {
        (None, _) => None,
        (Some(_), PathMatch::Exact(_)) => {
            return Err("`rewrite_prefix` needs a path that is a prefix".to_owned());
        }
        (Some(to), PathMatch::Prefix(_)) => {
            let normal = Path::normalise(to).map_err(|why| format!("`rewrite_prefix`: {why}"))?;
            if to.contains(['?', '#']) {
                return Err(format!("`rewrite_prefix: {to}` must be a path alone"));
            }
            Some(Rewrite {
                segments: pattern.segments.len(),
                to: normal.sent().trim_end_matches('/').to_owned(),
            })
        }
    };
    let upgrades = config.upgrades.iter().map(|protocol| upgrade::check(protocol));
    let upgrades = upgrades.collect::<Result<_, _>>().map_err(|why| format!("`upgrades`: {why}"))?;
    Ok(Plain { service, timeout: config.timeout, rewrite, upgrades, retry: config.retry.clone() })
}

fn transactional_route(config: &TransactionConfig, services: &Services) -> Result<Transactional, String> {
    config.plan.outline(&[]).map_err(|error| error.to_string())?;
    for branch in &config.plan.branches {
        service(&branch.service, services).map_err(|error| format!("branch `{}`: {error}", branch.name))?;
    }
    Ok(Transactional {
        named: Named::of(&config.plan)?,
        plan: config.plan.clone(),
        digest: Plan::digest_of(&config.plan.encode()),
        pass_credentials: config.pass_credentials.clone(),
    })
}

fn service(name: &str, services: &Services) -> Result<ServiceId, String> {
    services.id(name).ok_or_else(|| format!("service `{name}` is not defined"))
}
