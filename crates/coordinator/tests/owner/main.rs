//! An owner of shards, from outside: what clients are told and when, what leaves and how often, and what a crash leaves.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod answers;
mod asking;
mod beginnings;
mod changed;
mod chaos;
mod computed;
mod ends;
mod fixtures;
mod keys;
mod recovering;
mod replay;
mod retried;
mod retries;
mod saga;
mod sealed;
mod shell;
mod views;
mod waves;
