//! Bounds of the file.

use std::time::Duration;

/// The longest name of a listener, route, service or version: a DNS label's length.
pub const NAME_LENGTH_MAX: usize = 63;
/// The largest configuration file.
pub const CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest file that holds a secret.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;
/// The deepest nesting in a configuration file.
pub const CONFIG_DEPTH_MAX: usize = 32;
/// The most nodes in a configuration file, aliases expanded.
pub const CONFIG_NODES_MAX: usize = 500_000;
/// The most problems that one check prints.
pub const PROBLEMS_MAX: usize = 100;
/// The most listeners.
pub const LISTENERS_MAX: usize = 64;
/// The most versions of one service.
pub const VERSIONS_MAX: usize = 64;
/// The most certificates of one listener.
pub const CERTIFICATES_MAX: usize = 256;
/// The most client certificates that the file may give roles on the API.
pub const IDENTITIES_MAX: usize = 256;
/// The largest PEM file: a system's bundle of authorities has about 250 KiB.
pub const PEM_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a changed file must be quiet before it is read: editors write in several steps.
pub const RELOAD_SETTLE: Duration = Duration::from_millis(50);
/// How often the file is looked at where no event tells of a change.
pub const RELOAD_POLL: Duration = Duration::from_secs(5);
