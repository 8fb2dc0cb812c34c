//! The least that group commit can be.

use super::{Log, hear, news};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Bytes of the file, which is written from its start again when it is full.
const FILE: u64 = 64 << 20;

/// Takes bytes, and makes them durable in groups.
pub struct BareLoop {
    shared: Arc<Shared>,
    news: Receiver<()>,
    appended: Vec<u8>,
    thread: JoinHandle<io::Result<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    came: Condvar,
    durable: AtomicU64,
}

struct Queue {
    waiting: Vec<u8>,
    /// The number of the group that is being filled.
    group: u64,
    ends: bool,
}

impl BareLoop {
    /// A loop over appends of so many bytes.
    pub fn start(directory: &Path, appended: usize) -> io::Result<BareLoop> {
        fs::create_dir_all(directory)?;
        let file = File::create(directory.join("log"))?;
        let zeros = vec![0; 1 << 20];
        for at in 0..FILE / zeros.len() as u64 {
            file.write_all_at(&zeros, at * zeros.len() as u64)?;
        }
        file.sync_all()?;
        let queue = Queue { waiting: Vec::new(), group: 1, ends: false };
        let shared =
            Arc::new(Shared { queue: Mutex::new(queue), came: Condvar::new(), durable: AtomicU64::new(0) });
        let (tell, news) = news();
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || shared.commit(&file, &tell)
        });
        Ok(BareLoop { shared, news, appended: vec![b'r'; appended], thread })
    }

    /// Ends its thread.
    pub fn end(self) {
        self.shared.lock().ends = true;
        self.shared.came.notify_one();
        // What it has to say was heard by whoever waited.
        let _ = self.thread.join();
    }

    fn append(&self) -> u64 {
        let mut queue = self.shared.lock();
        let is_first = queue.waiting.is_empty();
        queue.waiting.extend_from_slice(&self.appended);
        let group = queue.group;
        drop(queue);
        if is_first {
            self.shared.came.notify_one();
        }
        group
    }
}

impl Log for BareLoop {
    type Transaction = ();

    fn begin(&self) -> io::Result<(u64, ())> {
        Ok((self.append(), ()))
    }

    fn conclude(&self, (): ()) -> io::Result<u64> {
        Ok(self.append())
    }

    fn durable(&self) -> u64 {
        self.shared.durable.load(Acquire)
    }

    fn wait(&self) -> io::Result<()> {
        hear(&self.news, || None)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(&self, file: &File, tell: &SyncSender<()>) -> io::Result<()> {
        let mut group = Vec::new();
        let mut at = 0;
        loop {
            group.clear();
            let quiet = |queue: &mut Queue| queue.waiting.is_empty() && !queue.ends;
            let mut queue = self.came.wait_while(self.lock(), quiet).unwrap_or_else(PoisonError::into_inner);
            if queue.ends {
                return Ok(());
            }
            std::mem::swap(&mut queue.waiting, &mut group);
            let number = queue.group;
            queue.group += 1;
            drop(queue);
            if at + group.len() as u64 > FILE {
                at = 0;
            }
            file.write_all_at(&group, at)?;
            file.sync_data()?;
            at += group.len() as u64;
            self.durable.store(number, Release);
            // Full when the news has not been heard yet: then it will be.
            let _ = tell.try_send(());
        }
    }
}
