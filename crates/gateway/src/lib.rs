//! The data plane: listeners, routes, proxying.

pub mod config;
pub use config::{Action, Config, Limits, ListenerConfig, Match, PathMatch, ProxyConfig, RouteConfig, TransactionConfig};
