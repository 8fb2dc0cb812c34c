//! What the program can be told to do, one file for each command.

pub mod check;
pub mod completions;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod health;
pub mod journal;
pub mod manual;
pub mod run;
pub mod schema;
pub mod shop;
pub mod tied;
pub mod transactions;
mod units;
