//! A stack that suffices for the parser of the crate `cel`, which recurses deeply: tens of kilobytes for each bracket in
//! a debug build, more than a worker's thread has.

const STACK: usize = 16 * 1024 * 1024;

/// What `work` returns on a thread with a large stack; `None` if it panicked, or no thread could be had.
pub(super) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("expression".to_owned()).stack_size(STACK);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}
