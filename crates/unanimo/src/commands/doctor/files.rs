//! `open-files`: whether the process may have as many files and sockets as the configuration can come to.

use super::finding::{Check, Finding};
use super::proc::{self, Process};
use crate::commands::units::grouped;
use crate::config::Config;
use rustix::process::{Resource, getrlimit};

/// What a worker has beside its sockets: its events, timers, signals.
const OF_A_WORKER: usize = 8;
/// The journal's files, standard streams, and what a library opens for a moment.
const OF_THE_PROCESS: usize = 32;
/// With fewer connections than this nothing can be served.
const LEAST_CONNECTIONS: usize = 64;

/// Looks at the limit of the gateway that runs, or at the one that it would get from this shell.
pub fn examine(config: &Config, gateway: Option<&Process>) -> Finding {
    let running = gateway.and_then(|process| proc::file_limit_of(process.pid));
    let limit = running.unwrap_or_else(|| getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX));
    judge(limit, Needs::of(config), running.is_some())
}

/// In files and sockets.
#[derive(Clone, Copy, Debug)]
struct Needs {
    /// To start and to serve hardly anybody.
    least: u64,
    /// Where every bound of the configuration is reached.
    most: u64,
}

impl Needs {
    fn of(config: &Config) -> Needs {
        let workers = config.workers;
        let sockets = config.gateway.listeners.len() + usize::from(config.participants.is_some());
        let own = workers * (sockets + OF_A_WORKER) + OF_THE_PROCESS;
        let clients = workers * config.gateway.limits.connections;
        let pools = config.upstream.services.values();
        let all = pools.clone().map(|it| workers * it.endpoints.len() * it.connections).sum::<usize>();
        let idle = pools.map(|it| workers * it.endpoints.len() * it.idle_connections.min(it.connections));
        let branches = config.gateway.plans().map(|plan| plan.branches.len()).max().unwrap_or(0);
        // Every call is a transaction's, or a client's on a plain route; what is idle comes on top.
        let calls = config.open_transactions * branches + clients + idle.sum::<usize>();
        Needs { least: (own + LEAST_CONNECTIONS) as u64, most: (own + clients + all.min(calls)) as u64 }
    }
}

fn judge(limit: u64, Needs { least, most }: Needs, is_running: bool) -> Finding {
    const CHECK: Check = Check::OpenFiles;
    let whose = if is_running { ", for the gateway that runs" } else { "" };
    let advice = format!("`LimitNOFILE={most}`, or `ulimit -n {most}` in a shell");
    if limit < least {
        let said = format!("{}{whose}, and {} are needed at least", grouped(limit), grouped(least));
        return Finding::fail(CHECK, said, advice);
    }
    if limit < most {
        let said = format!("{}{whose}, and {} may be wanted at a time", grouped(limit), grouped(most));
        return Finding::warn(CHECK, said, advice);
    }
    let limit = if limit == u64::MAX { "any number".to_owned() } else { grouped(limit) };
    Finding::ok(CHECK, format!("{limit}{whose}; {} may be wanted at a time", grouped(most)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Judgement;

    #[test]
    fn a_limit_is_too_low_to_serve_at_all_or_only_for_all_that_may_come() {
        let needs = Needs { least: 114, most: 26_198 };
        for (limit, judgement) in [
            (64, Judgement::Fail),
            (1024, Judgement::Warn),
            (26_198, Judgement::Ok),
            (u64::MAX, Judgement::Ok),
        ] {
            assert_eq!(judge(limit, needs, false).judgement, judgement, "{limit}");
        }
        assert_eq!(
            judge(1024, needs, true).said,
            "1,024, for the gateway that runs, and 26,198 may be wanted at a time"
        );
    }
}
