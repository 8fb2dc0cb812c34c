//! What can be measured: one file each.

pub mod bad_participants;
pub mod history;
pub mod journal;
pub mod memory;
pub mod overload;
pub mod peers;
pub mod proxy;
pub mod recovery;
pub mod recovery_load;
pub mod soak;
pub mod tax;

use crate::rounds::Cores;
use std::io;
use std::path::PathBuf;

/// What every bench is told.
#[derive(Clone, Debug)]
pub struct Context {
    /// The gateway's program, built with its feature `bench`.
    pub program: PathBuf,
    /// The program of dtmrs, for the bench that needs it.
    pub dtmrs: Option<PathBuf>,
    /// Where reports go, and private directories are made.
    pub directory: PathBuf,
    pub cores: Cores,
    /// Of which rows alone: those that contain this text.
    pub only: String,
    /// How many transactions a soak has; its own number where nothing is said.
    pub transactions: Option<u64>,
    /// Whether it is only to be seen that everything works: fewest rounds, shortest windows.
    pub quick: bool,
    /// Whether tables are written in Markdown.
    pub markdown: bool,
}

impl Context {
    /// Whether the row with these words is wanted.
    pub fn wants(&self, row: &str) -> bool {
        row.contains(&self.only)
    }
}

/// A bench by its name.
pub struct Bench {
    pub name: &'static str,
    pub run: fn(&Context) -> io::Result<()>,
}

/// All benches, in the order in which they run.
pub const ALL: [Bench; 11] = [
    Bench { name: tax::NAME, run: tax::run },
    Bench { name: journal::NAME, run: journal::run },
    Bench { name: proxy::NAME, run: proxy::run },
    Bench { name: recovery::NAME, run: recovery::run },
    Bench { name: memory::NAME, run: memory::run },
    Bench { name: bad_participants::NAME, run: bad_participants::run },
    Bench { name: overload::NAME, run: overload::run },
    Bench { name: recovery_load::NAME, run: recovery_load::run },
    Bench { name: history::NAME, run: history::run },
    Bench { name: soak::NAME, run: soak::run },
    Bench { name: peers::NAME, run: peers::run },
];
