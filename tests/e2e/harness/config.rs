//! Configuration files for tests. They are written as JSON, which is YAML too, so that a test can change one
//! value of a file that otherwise stays the same.

use serde_json::{Value, json};
use serin_config::Address;

/// The service that all tests use.
pub(crate) const SERVICE: &str = "shop";

/// A service of two versions: `v1`, stable, and `v2`, the canary, with these shares (such as `10%`).
/// Addresses of Serin itself are filled in when it starts.
pub(crate) fn two_versions(v1: &Address, v2: &Address, stable: &str, canary: &str) -> Value {
    json!({
        "routes": [{ "name": SERVICE, "path_prefix": "/", "service": SERVICE }],
        "services": { SERVICE: {
            "versions": { "v1": { "endpoints": [v1] }, "v2": { "endpoints": [v2] } },
            "stable": "v1",
            "canary": "v2",
            "split": { "v1": stable, "v2": canary },
        }},
        "control": { "state": "state.redb" },
        "telemetry": { "debug_headers": true },
        "limits": { "workers": 1 },
    })
}

/// A service of one version, `v1`, for what has nothing to do with a split.
pub(crate) fn one_version(endpoint: &Address) -> Value {
    let mut config = two_versions(endpoint, endpoint, "100%", "0%");
    config["services"][SERVICE] = json!({ "versions": { "v1": { "endpoints": [endpoint] } } });
    config
}
