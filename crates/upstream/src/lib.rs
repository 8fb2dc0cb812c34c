//! Reach a service by name: resolve, balance, pool.
//!
//! **Owns** the connections to services: each worker has its own, and no lock stands between a request and
//! an idle one. It knows whether a request that failed can have been acted upon.
//!
//! **Never** sends a request a second time unless the first time not one byte of it left, or the service has said that it
//! has not looked at it; never follows a
//! redirect, and never judges an answer beyond what an endpoint's circuit is told to count: what a status means is for the
//! caller to say. What must stay at one endpoint never reaches another.
//!
//! **Read next** [`Upstream::send`], then `rotation.rs` for which endpoint, `circuit.rs` for when one is left alone, `checker.rs` for who asks
//! whether it is well, `pool.rs` for which
//! connection, `multiplex.rs` for those that requests share.

mod affinity;
mod answer;
mod aside;
mod body;
mod checker;
mod circuit;
mod clock;
mod config;
mod connect;
mod connection;
mod credential;
mod error;
mod framing;
mod health;
mod metrics;
mod multiplex;
mod pool;
mod replay;
mod rotation;
mod services;
mod standing;
mod stats;
mod stream;
mod trial;
mod tunnel;
mod upstream;

pub use affinity::Affinity;
pub use answer::Answer;
pub use body::{Body, Broken};
pub use checker::check;
pub use circuit::{CircuitConfig, CircuitState};
pub use config::{Balance, Config, Invalid, Protocol, ServiceConfig, Statuses};
pub use credential::{Credential, InvalidToken, Token};
pub use error::{Error, Kind, Sent};
pub use health::HealthConfig;
pub use metrics::Metrics;
pub use services::{ServiceId, Services};
pub use standing::EndpointState;
pub use stats::Stats;
pub use trial::Trial;
pub use tunnel::{Place, Tunnel};
pub use upstream::Upstream;
