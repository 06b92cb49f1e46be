//! Which protocols a connection may be upgraded to.

mod reading;

use std::path::Path;

use reading::Nothing;
use serin_config::{Config, file};

fn load(upgrades: &str) -> Result<Config, String> {
    let text = format!(
        "listeners: [{{ address: 127.0.0.1:0 }}]\nroutes: [{{ service: s }}]\nservices:\n  s:\n    versions: {{ v1: {{ endpoints: [127.0.0.1:1] }} }}\n    {upgrades}\n"
    );
    file::load(&text, "serin.yaml", Path::new("/"), &Nothing).map_err(|problems| problems.to_string())
}

#[test]
fn websocket_is_allowed_unless_the_file_says_otherwise() {
    let allowed = |text: &str| load(text).unwrap().catalogue.services()[0].upgrades.clone();
    assert_eq!(allowed(""), ["websocket"]);
    assert_eq!(allowed("upgrades: []"), [""; 0]);
    assert_eq!(allowed("upgrades: [WebSocket, foo/2]"), ["websocket", "foo/2"]);
}

#[test]
fn a_protocol_that_would_pass_the_rules_by_is_refused() {
    let problems = load("upgrades: [h2c]").unwrap_err();
    assert!(
        problems.contains("\"h2c\" can't be allowed") && problems.contains("serin.yaml:6:16"),
        "{problems}"
    );
    let problems = load("upgrades: [\"a b\"]").unwrap_err();
    assert!(problems.contains("not the name of a protocol"), "{problems}");
}
