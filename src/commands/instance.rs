//! What a process of a fleet is called: its proxies, and its control planes.
//!
//! `serin run` is alone, and needs no name; where there are several, two that are called the same can't be told apart.

use serin_config::{ServiceName, telemetry::INSTANCE_DEFAULT};

/// The name of this process: as it is given, else as the file has it, else the host's.
pub(super) fn instance(given: Option<&str>, of_file: &str) -> Result<String, String> {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned());
    let (name, whence) = match given {
        Some(given) => (given.to_owned(), "--instance"),
        None if of_file != INSTANCE_DEFAULT => (of_file.to_owned(), "telemetry.instance"),
        None => (host().unwrap_or_default(), "the host's name"),
    };
    match ServiceName::try_new(&name) {
        Ok(_) => Ok(name),
        Err(error) => Err(format!("{whence} can't name this process: {error}; set telemetry.instance")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_named_by_its_command_line_else_its_file_else_its_host() {
        assert_eq!(instance(Some("edge-1"), "edge-2"), Ok("edge-1".into()));
        assert_eq!(instance(None, "edge-2"), Ok("edge-2".into()));
        assert_ne!(instance(None, INSTANCE_DEFAULT), Ok(INSTANCE_DEFAULT.into()));
        let refused = instance(Some("no name"), "edge-2").unwrap_err();
        assert!(refused.contains("--instance can't name this process"), "{refused}");
    }
}
