//! When there is too little memory to take more.
//!
//! Whoever exceeds the limit of its cgroup is killed, with every request in flight; refusing new ones a
//! little before loses only those. What counts is what can't be given back: the kernel's cache of files does
//! not, although a cgroup is charged with it.

use serin_config::limits::{MEMORY_SHED_PERCENT, MEMORY_TAKE_PERCENT};

/// Whether to refuse new requests, for a process that uses `used` of `limit` bytes and refused them before or
/// not. Refusing begins at 95 % and ends below 90 %, so that it does not flicker.
pub fn refuses(before: bool, used: u64, limit: u64) -> bool {
    let percent = if before { MEMORY_TAKE_PERCENT } else { MEMORY_SHED_PERCENT };
    u128::from(used) * 100 >= u128::from(limit) * u128::from(percent)
}

/// The limit in `memory.max` (cgroup v2) or `memory.limit_in_bytes` (v1); none where there is none. Version 1
/// writes "no limit" as a number near the largest.
pub fn limit(text: &str) -> Option<u64> {
    const NO_LIMIT: u64 = 1 << 60;
    text.trim().parse().ok().filter(|bytes| (1..NO_LIMIT).contains(bytes))
}

/// What of `current` bytes can't be given back, by the text of `memory.stat`.
pub fn held(current: u64, stat: &str) -> u64 {
    let cache = stat.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        matches!(name, "inactive_file" | "total_inactive_file").then(|| value.trim().parse::<u64>().ok())?
    });
    current.saturating_sub(cache.unwrap_or(0))
}

/// Where a process's cgroup stands below the mount of its hierarchy, by the text of `/proc/self/cgroup`: the
/// path, and whether it is of version 2.
pub fn place(cgroups: &str) -> Option<(&str, bool)> {
    let v1 = cgroups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|name| name == "memory").then_some((path, false))
    });
    v1.or_else(|| cgroups.lines().find_map(|line| line.strip_prefix("0::")).map(|path| (path, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusing_begins_late_and_ends_with_some_room() {
        assert!(!refuses(false, 949, 1_000) && refuses(false, 950, 1_000));
        assert!(refuses(true, 900, 1_000) && !refuses(true, 899, 1_000));
        assert!(refuses(false, u64::MAX, u64::MAX));
    }

    #[test]
    fn a_limit_is_a_number_that_can_be_reached() {
        assert_eq!(limit("536870912\n"), Some(512 << 20));
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("9223372036854771712\n"), None);
        assert_eq!(limit(""), None);
    }

    #[test]
    fn cached_files_are_not_held() {
        assert_eq!(held(1_000, "anon 300\ninactive_file 400\nactive_file 5\n"), 600);
        assert_eq!(held(1_000, "cache 1\ntotal_inactive_file 100\n"), 900);
        assert_eq!(held(1_000, ""), 1_000);
        assert_eq!(held(100, "inactive_file 400\n"), 0);
    }

    #[test]
    fn the_cgroup_is_found_in_both_versions() {
        assert_eq!(place("0::/system.slice/serin.service\n"), Some(("/system.slice/serin.service", true)));
        let v1 = "12:cpu,cpuacct:/a\n5:memory:/docker/x\n0::/\n";
        assert_eq!(place(v1), Some(("/docker/x", false)));
        assert_eq!(place(""), None);
    }
}
