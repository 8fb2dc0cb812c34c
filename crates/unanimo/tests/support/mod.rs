//! What the tests of the real program share: processes that can be killed, clients that do not give up, and a judge.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "each test uses a part of it, and a test may stop at the first surprise"
)]

pub mod banks;
pub mod clients;
pub mod clock;
pub mod counter;
pub mod gateway;
pub mod http;
pub mod judge;
pub mod night;
pub mod page;
pub mod past;
pub mod ports;
pub mod process;
pub mod runs;
pub mod scripted;
pub mod shop;
pub mod storm;
pub mod world;
