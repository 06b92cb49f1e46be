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
}
