//! Why the process cannot start, or had to end: whose fault it is, and what to do now.

use std::fmt;
use std::net::SocketAddr;

/// A reason to end with a code other than zero.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// Services that cannot be reached as configured.
    pub fn services(mistakes: Vec<unanimo_upstream::Invalid>) -> Failure {
        Failure(lines("the services are misconfigured", mistakes))
    }

    /// Routes that cannot stand together.
    pub fn routes(mistakes: Vec<unanimo_gateway::Invalid>) -> Failure {
        Failure(lines("the routes are misconfigured", mistakes))
    }

    /// The journal's directory cannot be opened.
    pub fn journal(error: unanimo_journal::Error) -> Failure {
        Failure(error.to_string())
    }

    /// Where services are cannot be kept beside the journal.
    pub fn memory(error: std::io::Error) -> Failure {
        Failure(format!(
            "where services are cannot be written down beside the journal: {error}; look at the disk, and at whose the directory is"
        ))
    }

    /// The journal's lock cannot be tried.
    pub fn lock(directory: &std::path::Path, error: &std::io::Error) -> Failure {
        Failure(format!("the lock of the journal in {} cannot be tried: {error}", directory.display()))
    }

    /// A socket that was given to this process is none.
    pub fn inherited(name: &str, error: &std::io::Error) -> Failure {
        Failure(format!(
            "the inherited socket `{name}` cannot be used: {error}; look at what LISTEN_FDS names"
        ))
    }

    /// A socket that was given to this process, and that no listener has.
    pub fn untaken(name: &str, address: SocketAddr) -> Failure {
        Failure(format!(
            "nobody would serve the inherited socket `{name}` at {address}: give it the name of a listener (FileDescriptorName=), or take it away"
        ))
    }

    /// The runtime refuses to start.
    pub fn start(error: unanimo_runtime::Error) -> Failure {
        Failure(error.to_string())
    }

    /// An address cannot be listened on.
    pub fn bind(address: SocketAddr, error: &std::io::Error) -> Failure {
        Failure(format!(
            "{address} cannot be listened on: {error}; end what listens there, or configure another address"
        ))
    }

    /// The operating system gives no thread, runtime or signal handler.
    pub fn thread(error: std::io::Error) -> Failure {
        Failure(format!(
            "the operating system refuses a thread or a signal handler: {error}; raise the limits"
        ))
    }

    /// A listener broke.
    pub fn serve(error: std::io::Error) -> Failure {
        Failure(format!("a listener broke: {error}; start again"))
    }

    /// The journal has failed: only a new start, which recovers from disk, can go on.
    pub fn poisoned(poison: &unanimo_journal::Poison) -> Failure {
        Failure(format!(
            "{poison}; look at the disk, and start again: what was begun is finished from the journal"
        ))
    }
}

fn lines<T: fmt::Display>(title: &str, mistakes: Vec<T>) -> String {
    mistakes.iter().fold(format!("{title}:"), |text, mistake| format!("{text}\n  {mistake}"))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}
