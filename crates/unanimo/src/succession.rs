//! A process that replaces another: it waits for the journal until the other one has let go of it.

use crate::clock;
use crate::failure::Failure;
use std::path::Path;
use std::time::Duration;
use unanimo_journal::{Disk, Files};

/// How long the other process may take beyond its drain.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the lock is tried.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until nobody owns the journal in this directory, for a bounded time. What is found then is said by whoever
/// takes it.
pub fn await_journal(directory: &Path, drain: Duration) -> Result<(), Failure> {
    let patience = drain + PATIENCE;
    let began = clock::now();
    let mut told = false;
    loop {
        let mut files = Files::open(directory).map_err(Failure::journal)?;
        // The lock goes with `files`, and is taken anew at once.
        let is_free = files.lock().map_err(|error| Failure::lock(directory, &error))?;
        if is_free || clock::now().duration_since(began) >= patience {
            return Ok(());
        }
        if !std::mem::replace(&mut told, true) {
            tracing::info!(directory = %directory.display(), at_most_s = patience.as_secs(), "another process owns the journal: waiting until it has ended");
        }
        std::thread::sleep(PAUSE);
    }
}
