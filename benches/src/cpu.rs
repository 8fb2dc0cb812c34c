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
        Ok(Use { process_ns: threads_ns(pid)?, cores: cores()? })
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

/// Nanoseconds of CPU that these processes have used so far, and all that they have started, as long as those live.
pub fn of_trees(roots: &[u32]) -> io::Result<u64> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process that has just ended has nothing to read.
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // Behind the name, which is in brackets and may hold anything: the state, then the parent.
        let parent = text.rsplit(')').next().and_then(|rest| rest.split(' ').nth(2));
        parents.push((pid, parent.and_then(|parent| parent.parse::<u32>().ok()).unwrap_or(0)));
    }
    let mut tree = roots.to_vec();
    let mut at = 0;
    while let Some(parent) = tree.get(at).copied() {
        tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    tree.into_iter().map(threads_ns).sum()
}

fn threads_ns(pid: u32) -> io::Result<u64> {
    // One of a tree that has just ended counts for nothing.
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Ok(0) };
    let mut sum = 0;
    for task in tasks {
        // A thread that has just ended has nothing to read.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        sum += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// Bytes of memory that the process has in use.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024)
}
