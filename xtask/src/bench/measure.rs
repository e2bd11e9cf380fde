//! What a tree of processes has used: of one process or of a server that is made of many.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Jiffies of `/proc/PID/stat` in a second: fixed by the kernel's interface, whatever its timer is.
const TICKS_PER_SECOND: u32 = 100;
/// How often memory is looked at for its peak.
const PEAK_STEP: Duration = Duration::from_millis(100);

/// A process and all that it started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessTree {
    pub(crate) root: u32,
}

impl ProcessTree {
    /// CPU time used so far by all of it, children that have ended included.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub(crate) fn cpu(self) -> Result<Duration> {
        let processes = processes()?;
        let ticks: u32 = members(self.root, &processes)
            .into_iter()
            .filter_map(|id| processes.get(&id))
            .map(|process| process.ticks)
            .sum();
        Ok(Duration::from_secs(1) * ticks / TICKS_PER_SECOND)
    }

    /// Resident octets of all of it, pages that several share counted once.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub(crate) fn memory_octets(self) -> Result<u64> {
        let processes = processes()?;
        let members = members(self.root, &processes);
        // A process that has ended meanwhile holds nothing.
        Ok(members.into_iter().filter_map(proportional_octets).sum())
    }

    /// Watches the memory until [`Peak::stop`].
    pub(crate) fn watch_peak(self) -> Peak {
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut peak = self.memory_octets()?;
            let mut steps = tokio::time::interval(PEAK_STEP);
            loop {
                tokio::select! {
                    () = stopped.notified() => return Ok(peak),
                    _ = steps.tick() => peak = peak.max(self.memory_octets()?),
                }
            }
        });
        Peak { stop, task }
    }
}

/// A watch over memory.
#[derive(Debug)]
pub(crate) struct Peak {
    stop: Arc<Notify>,
    task: JoinHandle<Result<u64>>,
}

impl Peak {
    /// The most octets that were seen.
    ///
    /// # Errors
    /// When `/proc` could not be read.
    pub(crate) async fn stop(self) -> Result<u64> {
        self.stop.notify_one();
        self.task.await.context("the watch over memory ended early")?
    }
}

struct Process {
    parent: u32,
    /// User and system time of itself and of its children that were waited for.
    ticks: u32,
}

fn processes() -> Result<HashMap<u32, Process>> {
    let mut found = HashMap::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok();
        if let Some(process) = stat.as_deref().and_then(parse_stat) {
            found.insert(id, process);
        }
    }
    Ok(found)
}

/// Reads `pid (name) state ppid …`; the name may hold anything, so what counts is the last `)`.
fn parse_stat(stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
    // proc(5) counts from 1, from the pid on: state is 3, ppid 4, utime 14, stime 15, cutime 16, cstime 17.
    let ticks = (11..=14).map(number).sum::<Option<u32>>()?;
    Some(Process { parent: number(1)?, ticks })
}

fn members(root: u32, processes: &HashMap<u32, Process>) -> Vec<u32> {
    let mut members = vec![root];
    let mut next = 0;
    while let Some(&parent) = members.get(next) {
        let children = processes.iter().filter(|(_, process)| process.parent == parent);
        members.extend(children.map(|(id, _)| *id));
        next += 1;
    }
    members
}

fn proportional_octets(id: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_read_over() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 5 6 7 8 20 0 1 0 100 0 0";
        let process = parse_stat(stat).unwrap();
        assert_eq!((process.parent, process.ticks), (7, 26));
    }

    #[test]
    fn a_tree_holds_all_below_its_root() {
        let process = |parent| Process { parent, ticks: 1 };
        let processes = HashMap::from([(2, process(1)), (3, process(2)), (4, process(3)), (5, process(1))]);
        let mut members = members(2, &processes);
        members.sort_unstable();
        assert_eq!(members, [2, 3, 4]);
    }

    #[test]
    fn this_process_uses_memory() {
        let tree = ProcessTree { root: std::process::id() };
        assert!(tree.memory_octets().unwrap() > 0);
    }
}
