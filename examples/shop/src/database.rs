//! The database of one service: a connection on a thread of its own, which does one job after the other.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::services::Business;
use crate::{Seed, barrier};

const JOBS_WAITING_MAX: usize = 256;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the database thread. The thread ends with the last handle.
#[derive(Clone)]
pub(crate) struct Database {
    jobs: mpsc::Sender<Job>,
}

/// Why a job has no result.
#[derive(Debug)]
pub(crate) enum Error {
    /// Too many jobs wait. This one was not begun; try again.
    Busy,
    /// The thread ended. Whether this job was done is not known.
    Stopped,
    /// SQLite failed. Whether this job was done is not known.
    Failed(rusqlite::Error),
}

impl Database {
    pub(crate) fn open(path: &Path, business: &dyn Business, seed: &Seed) -> rusqlite::Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // In WAL mode only FULL syncs at every commit, and only what is synced may be promised.
        connection.pragma_update(None, "synchronous", "FULL")?;
        let local = connection.transaction()?;
        local.execute_batch(barrier::SCHEMA)?;
        local.execute_batch(business.schema())?;
        business.seed(&local, seed)?;
        local.commit()?;

        let (jobs, mut queue) = mpsc::channel::<Job>(JOBS_WAITING_MAX);
        std::thread::spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut connection);
            }
        });
        Ok(Self { jobs })
    }

    /// Does a job on the database thread. A caller who goes away stops nothing.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move |connection: &mut Connection| {
            let _ = done.send(work(connection));
        });
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Stopped,
        })?;
        result.await.map_err(|_| Error::Stopped)?.map_err(Error::Failed)
    }

    /// Waits until the thread has ended, which it does early only by a panic.
    pub(crate) async fn stopped(&self) {
        self.jobs.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Service, services};

    fn open(directory: &tempfile::TempDir) -> Database {
        let business = services::business(Service::Order);
        Database::open(&directory.path().join("order.db"), business, &Seed::default()).unwrap()
    }

    #[tokio::test]
    async fn every_commit_is_synced() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(&directory);
        let pragmas = database.run(|connection| {
            let synchronous: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
            let journal: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
            Ok((synchronous, journal))
        });
        assert_eq!(pragmas.await.unwrap(), (2, "wal".to_owned()));
    }

    #[tokio::test]
    async fn beyond_its_bound_a_job_is_turned_away_before_it_begins() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(&directory);
        let (release, gate) = std::sync::mpsc::sync_channel::<()>(1);
        let (entered, inside) = oneshot::channel();
        let blocking = database.clone();
        let blocked = tokio::spawn(async move {
            blocking
                .run(move |_| {
                    let _ = entered.send(());
                    gate.recv().map_err(|_| rusqlite::Error::InvalidQuery)
                })
                .await
        });
        inside.await.unwrap();
        let waiting: Vec<_> = (0..JOBS_WAITING_MAX)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move { database.run(|_| Ok(())).await })
            })
            .collect();
        while database.jobs.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(database.run(|_| Ok(())).await, Err(Error::Busy)));
        release.send(()).unwrap();
        blocked.await.unwrap().unwrap();
        for job in waiting {
            job.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_panic_ends_the_thread_and_everybody_hears_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(&directory);
        assert!(matches!(database.run::<()>(|_| panic!("on purpose")).await, Err(Error::Stopped)));
        database.stopped().await;
        assert!(matches!(database.run(|_| Ok(())).await, Err(Error::Stopped)));
    }
}
