//! A step that panics ends the process: a transaction that nobody drives is worse than a restart.

/// Aborts when it is dropped by a panic. Made before a step, and dropped after it.
pub(crate) struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "a step of the coordinator panicked: the process ends, and recovers at its next start"
            );
            std::process::abort();
        }
    }
}
