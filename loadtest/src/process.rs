//! What a process uses, with its children: CPU time and memory, as the kernel counts them under `/proc`.

use std::{fs, io, path::Path};

/// One process, and those that it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    id: u32,
}

/// What it has used until now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// CPU time, user and system, in seconds.
    pub cpu_seconds: f64,
    /// Memory in RAM, in bytes.
    pub memory_bytes: u64,
}

/// One line of the table of processes.
struct Row {
    id: u32,
    parent: u32,
    ticks: u64,
    pages: u64,
}

impl Process {
    /// The process of this number.
    ///
    /// # Errors
    /// There is none.
    pub fn of(id: u32) -> io::Result<Self> {
        row(id).map(|_| Self { id })
    }

    /// What it and its children have used.
    ///
    /// # Errors
    /// It has ended.
    pub fn usage(self) -> io::Result<Usage> {
        let own = row(self.id)?;
        let all: Vec<Row> = fs::read_dir("/proc")?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|id| row(id).ok())
            .collect();
        let mut family = vec![own.id];
        let (mut ticks, mut pages) = (own.ticks, own.pages);
        let mut at = 0;
        while let Some(parent) = family.get(at).copied() {
            for child in all.iter().filter(|row| row.parent == parent && row.id != parent) {
                if !family.contains(&child.id) {
                    family.push(child.id);
                    ticks += child.ticks;
                    pages += child.pages;
                }
            }
            at += 1;
        }
        Ok(Usage {
            cpu_seconds: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            memory_bytes: pages * rustix::param::page_size() as u64,
        })
    }
}

/// CPU time of the threads of this or another process, in seconds, by their numbers; with their names.
///
/// # Errors
/// It has ended.
pub fn threads(id: u32) -> io::Result<Vec<(u32, String, f64)>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{id}/task"))?.flatten() {
        let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let (Some((_, rest)), Some((_, name))) = (text.rsplit_once(')'), text.split_once('(')) else {
            continue;
        };
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let ticks = |number: usize| fields.get(number).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let seconds = (ticks(11) + ticks(12)) as f64 / rustix::param::clock_ticks_per_second() as f64;
        let name = name.rsplit_once(')').map_or("", |(name, _)| name);
        threads.push((thread, name.to_owned(), seconds));
    }
    Ok(threads)
}

/// CPU time of all cores of the machine, in seconds: busy, and in all.
///
/// # Errors
/// The kernel does not say.
pub fn machine() -> io::Result<(f64, f64)> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    // user nice system idle iowait irq softirq steal (proc_stat(5)); what guests use is in user already.
    let ticks: Vec<f64> =
        line.split_ascii_whitespace().skip(1).take(8).filter_map(|text| text.parse().ok()).collect();
    if ticks.len() < 5 {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let all: f64 = ticks.iter().sum();
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Ok(((all - ticks[3] - ticks[4]) / per_second, all / per_second))
}

/// Of each network interface whose speed is known: its name, bytes that it can carry in a second, and those that it has
/// received or sent until now, whichever is more.
pub fn interfaces() -> Vec<(String, f64, u64)> {
    let Ok(entries) = fs::read_dir("/sys/class/net") else { return Vec::new() };
    let one = |entry: fs::DirEntry| {
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).ok()?.trim().parse::<i64>().ok();
        // Megabits a second; -1 where there is no such thing, as on loopback.
        let speed = read("speed").filter(|speed| *speed > 0)? as f64 * 1e6 / 8.0;
        let bytes = read("statistics/rx_bytes")?.max(read("statistics/tx_bytes")?);
        Some((entry.file_name().to_string_lossy().into_owned(), speed, u64::try_from(bytes).unwrap_or(0)))
    };
    entries.flatten().filter_map(one).collect()
}

impl Process {
    /// Its number.
    pub fn id(self) -> u32 {
        self.id
    }
}

fn row(id: u32) -> io::Result<Row> {
    let text = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat"))?;
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    // The name stands in parentheses and may hold anything, so fields are counted from its end (proc_pid_stat(5)).
    let (_, rest) = text.rsplit_once(')').ok_or_else(wrong)?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field =
        |number: usize| fields.get(number).and_then(|text| text.parse::<u64>().ok()).ok_or_else(wrong);
    Ok(Row {
        id,
        parent: u32::try_from(field(1)?).unwrap_or(0),
        ticks: field(11)? + field(12)?,
        pages: field(21)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_one_that_is_not_there_is_not_found() {
        let usage = Process::of(std::process::id()).unwrap().usage().unwrap();
        assert!(usage.memory_bytes > 1024 * 1024, "{usage:?}");
        assert!(Process::of(u32::MAX).is_err());
    }

    #[test]
    fn threads_and_the_machine_have_used_time() {
        let threads = threads(std::process::id()).unwrap();
        assert!(!threads.is_empty() && threads.iter().all(|(_, _, seconds)| *seconds >= 0.0));
        let (busy, all) = machine().unwrap();
        assert!(busy > 0.0 && busy <= all, "{busy} of {all}");
    }
}
