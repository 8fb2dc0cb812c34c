//! What the program can be told to do, one file for each command.

pub mod check;
pub mod demo;
pub mod doctor;
pub mod run;
pub mod schema;
pub mod shop;
pub mod tied;
pub mod transactions;
