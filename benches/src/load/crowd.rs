//! Services on a thread of their own, for measurements that wait for the gateway instead of asking it.

use super::message::Target;
use super::world::World;
use crate::clock;
use crate::process;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long it goes on before it looks whether it is to end.
const TURN: Duration = Duration::from_millis(5);

/// What all services of a crowd do, one for each number.
pub type Behaviour = fn(mood: u8, target: Target<'_>) -> Option<&'static [u8]>;

/// Services that change their behaviour together, when they are told to.
pub struct Crowd {
    /// In the order of their behaviours.
    pub addresses: Vec<SocketAddr>,
    mood: Arc<AtomicU8>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Crowd {
    /// Starts a service for each behaviour, all in mood 0, where this thread runs.
    pub fn start(behaviours: &'static [Behaviour]) -> io::Result<Crowd> {
        Crowd::begin(behaviours, None)
    }

    /// Starts them on this core.
    pub fn start_on(behaviours: &'static [Behaviour], core: usize) -> io::Result<Crowd> {
        Crowd::begin(behaviours, Some(core))
    }

    fn begin(behaviours: &'static [Behaviour], core: Option<usize>) -> io::Result<Crowd> {
        let (mood, ends) = (Arc::new(AtomicU8::new(0)), Arc::new(AtomicBool::new(false)));
        let (tell, addresses) = sync_channel(1);
        let (their_mood, their_end) = (mood.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            core.map_or(Ok(()), process::pin)?;
            let mut world = World::new()?;
            let serve = |behave: &Behaviour| {
                let (behave, mood) = (*behave, their_mood.clone());
                world.serve(move |target| behave(mood.load(Relaxed), target))
            };
            let addresses = behaviours.iter().map(serve).collect::<io::Result<Vec<_>>>()?;
            // Whoever starts a crowd waits for it.
            let _ = tell.send(addresses);
            while !their_end.load(Relaxed) {
                world.serve_until(clock::now() + TURN)?;
            }
            Ok(())
        });
        let addresses = addresses.recv().map_err(io::Error::other)?;
        Ok(Crowd { addresses, mood, ends, thread: Some(thread) })
    }

    /// From now on they behave so.
    pub fn turn(&self, mood: u8) {
        self.mood.store(mood, Relaxed);
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.ends.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it has failed with, whoever waits for an answer has seen.
            let _ = thread.join();
        }
    }
}
