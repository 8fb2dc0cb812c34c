//! The data plane: requests come in, find their route, and go to a service or become a transaction.
//!
//! **Owns** listeners and clients' connections, the routing table, the one form of each path, which headers may pass,
//! the bounds of every input, and what clients are told when something goes wrong.
//!
//! **Never** decides what becomes of a transaction, sends a request to a service twice unless its route says so, believes what a client says of
//! itself in a forwarding header, or lets one request's trouble reach another.
//!
//! **Read next** [`serve`] for a worker's life, `dispatch.rs` for a request's way, `table/mod.rs` for which route wins.

mod access;
mod answer;
mod authority;
mod clock;
pub mod config;
mod connection;
mod dispatch;
mod hygiene;
mod idle;
mod inquiry;
mod key;
mod listener;
mod metrics;
mod multiplexed;
mod named;
mod parts;
mod path;
mod proxy;
mod pulse;
mod retry;
mod rules;
mod server;
mod status;
mod table;
mod trace;
mod transaction;
mod tunnel;
mod upgrade;
mod upload;

pub use config::{
    Action, Config, Limits, ListenerConfig, Match, PathMatch, ProxyConfig, RouteConfig, TransactionConfig,
    ValueMatch,
};
pub use key::scope as key_scope;
pub use listener::{Socket, bind};
pub use metrics::Metrics;
pub use retry::RetryConfig;
pub use rules::{Governed, Rules};
pub use server::{Drained, Worker, serve};
pub use table::{Invalid, Table};
pub use upgrade::check as check_upgrade;
