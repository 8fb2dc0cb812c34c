//! The zeros of the segment to come: written here, or on a thread beside the batches, so that no append waits for them.

use crate::disk::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// Zeros are written in pieces of so many bytes, each synced.
pub(crate) const PIECE: u64 = 1 << 20;

static ZEROS: [u8; PIECE as usize] = [0; PIECE as usize];

/// A new file on its way to its full size.
pub(crate) enum Allocation<F> {
    Here(Zeroed<F>),
    Beside(Beside<F>),
}

impl<F: File + 'static> Allocation<F> {
    /// One that is carried out by whoever asks for it.
    pub(crate) fn here(file: F) -> Allocation<F> {
        Allocation::Here(Zeroed { file, written: 0 })
    }

    /// One with a thread of its own.
    pub(crate) fn beside(file: F) -> io::Result<Allocation<F>> {
        let (bell, heard) = sync_channel(1);
        let goal = Arc::new(AtomicU64::new(0));
        let followed = goal.clone();
        let run = move || Zeroed { file, written: 0 }.follow(&followed, &heard);
        let thread = std::thread::Builder::new().name("journal zeros".to_owned()).spawn(run)?;
        Ok(Allocation::Beside(Beside { goal, bell: Some(bell), thread: Some(thread) }))
    }

    /// Sees to it that so many zeros will be durable when it is finished. Fails if that is known to be impossible.
    pub(crate) fn reach(&mut self, up_to: u64) -> io::Result<()> {
        match self {
            Allocation::Here(zeroed) => zeroed.reach(up_to),
            Allocation::Beside(beside) => beside.reach(up_to),
        }
    }

    /// The file, with all zeros that were asked for.
    pub(crate) fn finish(self) -> io::Result<F> {
        match self {
            Allocation::Here(zeroed) => Ok(zeroed.file),
            Allocation::Beside(mut beside) => Ok(beside.join()?.file),
        }
    }
}

/// A file with so many zeros in it, durable.
pub(crate) struct Zeroed<F> {
    file: F,
    written: u64,
}

impl<F: File> Zeroed<F> {
    fn reach(&mut self, up_to: u64) -> io::Result<()> {
        while self.written < up_to {
            let piece = (up_to - self.written).min(PIECE);
            self.file.write_at(self.written, &ZEROS[..piece as usize])?;
            self.file.sync_data()?;
            self.written += piece;
        }
        Ok(())
    }

    /// Goes up to the goal as often as the bell rings, until nobody can ring it any more.
    fn follow(mut self, goal: &AtomicU64, bell: &Receiver<()>) -> io::Result<Zeroed<F>> {
        for () in bell {
            self.reach(goal.load(Acquire))?;
        }
        self.reach(goal.load(Acquire))?;
        Ok(self)
    }
}

/// The thread that has the file, and how it hears how far to go.
pub(crate) struct Beside<F> {
    goal: Arc<AtomicU64>,
    bell: Option<SyncSender<()>>,
    thread: Option<JoinHandle<io::Result<Zeroed<F>>>>,
}

impl<F> Beside<F> {
    fn reach(&mut self, up_to: u64) -> io::Result<()> {
        self.goal.fetch_max(up_to, Release);
        match self.bell.as_ref().map(|bell| bell.try_send(())) {
            // It has rung, or will be heard: the goal is read afterwards.
            Some(Ok(()) | Err(TrySendError::Full(()))) => Ok(()),
            // Nobody listens: the thread has failed.
            Some(Err(TrySendError::Disconnected(()))) | None => self.join().map(drop),
        }
    }

    /// Waits until the goal is reached.
    fn join(&mut self) -> io::Result<Zeroed<F>> {
        self.bell = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(io::Error::other("the thread that allocates has died")),
        }
    }
}

impl<F> Drop for Beside<F> {
    /// Nobody needs the file any more. Once the directory is free, no thread may still write into it.
    fn drop(&mut self) {
        let _ = self.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    use crate::simulated::{Faults, Simulated};

    #[test]
    fn a_file_has_all_that_was_asked_for_when_it_is_finished() {
        let disk = Simulated::new(1);
        let mut next = Allocation::beside(disk.create("next").unwrap()).unwrap();
        for up_to in [PIECE, 2 * PIECE, 3 * PIECE + 7] {
            next.reach(up_to).unwrap();
        }
        assert_eq!(next.finish().unwrap().len().unwrap(), 3 * PIECE + 7);
        disk.sync_directory().unwrap();
        assert_eq!(disk.crash().image()["next"].len() as u64, 3 * PIECE + 7, "and durable");
    }

    #[test]
    fn a_failure_beside_is_told_at_the_latest_when_it_is_finished() {
        let disk = Simulated::new(1);
        let mut next = Allocation::beside(disk.create("next").unwrap()).unwrap();
        disk.set_faults(Faults { sync: 1.0, ..Faults::default() });
        let told = next.reach(PIECE).and_then(|()| next.finish().map(drop));
        assert!(told.is_err());
    }

    #[test]
    fn dropping_it_waits_for_its_thread() {
        let disk = Simulated::new(1);
        let mut next = Allocation::beside(disk.create("next").unwrap()).unwrap();
        next.reach(2 * PIECE).unwrap();
        drop(next);
        assert_eq!(disk.image()["next"].len() as u64, 2 * PIECE);
    }
}
