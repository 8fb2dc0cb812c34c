//! What the program can be told to do, one file for each command.

pub mod check;
pub mod run;
pub mod transactions;
