//! What holds for the journal as a whole, on a simulated disk.

#[path = "../tests/common/mod.rs"]
mod common;
mod copies;
mod crashes;
mod damage;
mod decisions;
mod faults;
mod follow;
mod records;
mod story;
