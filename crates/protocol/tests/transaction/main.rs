//! One transaction, from outside: its state tables, its safety under every order of events, its costs, and a
//! regression test for each known way to get such a protocol wrong.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod catalogue;
mod costs;
mod print;
mod safety;
mod saga;
mod share;
mod support;
mod table;
mod waves;
mod world;
