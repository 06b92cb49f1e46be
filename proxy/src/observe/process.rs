//! What the operating system says of this process, under the names that Prometheus' client libraries use.

use std::fmt::Write;

/// Linux counts CPU time in hundredths of a second wherever user space can see it (`time(7)`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Writes CPU time, memory and file descriptors; what can't be read is left out.
pub(crate) fn write(out: &mut String) {
    if let Some(seconds) = cpu_seconds() {
        family(out, "process_cpu_seconds_total", "counter", "User and system CPU time.", seconds);
    }
    if let Some(bytes) = resident_bytes() {
        family(out, "process_resident_memory_bytes", "gauge", "Resident memory.", bytes as f64);
    }
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        family(out, "process_open_fds", "gauge", "Open file descriptors.", entries.count() as f64);
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name may hold spaces; the fields after its closing bracket do not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// Memory that the process holds.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}
