//! What processes and cores have used, as the kernel counts it.

use std::fs;
use std::io;
use std::ops::Sub;

/// What a process and all cores had used at a moment.
#[derive(Clone, Debug, Default)]
pub struct Use {
    /// Nanoseconds of CPU of all threads of the process, in its own code and in the kernel's for it.
    pub process_ns: u64,
    /// Of each core: ticks in which it did something, and all ticks.
    pub cores: Vec<(u64, u64)>,
}

impl Use {
    /// What this process has used so far.
    pub fn of(pid: u32) -> io::Result<Use> {
        let mut process_ns = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread that has just ended has nothing to read.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            process_ns += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Use { process_ns, cores: cores()? })
    }
}

impl Sub for &Use {
    type Output = Use;

    fn sub(self, before: &Use) -> Use {
        let cores = self.cores.iter().zip(&before.cores);
        Use {
            process_ns: self.process_ns.saturating_sub(before.process_ns),
            cores: cores.map(|(now, then)| (now.0 - then.0, now.1 - then.1)).collect(),
        }
    }
}

impl Use {
    /// The share of a core's time, from 0 to 1, in which it did something.
    pub fn busy(&self, core: usize) -> f64 {
        let (busy, all) = self.cores.get(core).copied().unwrap_or_default();
        if all == 0 { 0.0 } else { busy as f64 / all as f64 }
    }
}

fn cores() -> io::Result<Vec<(u64, u64)>> {
    let text = fs::read_to_string("/proc/stat")?;
    let lines = text.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "));
    Ok(lines
        .map(|line| {
            let ticks: Vec<u64> = line.split(' ').skip(1).filter_map(|tick| tick.parse().ok()).collect();
            // user, nice, system, idle, waiting for a disk, interrupts, and those put off
            let idle = ticks.iter().skip(3).take(2).sum::<u64>();
            let all = ticks.iter().take(8).sum::<u64>();
            (all - idle, all)
        })
        .collect())
}

/// Bytes of memory that the process has in use.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024)
}
