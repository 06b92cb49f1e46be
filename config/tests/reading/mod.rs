//! How tests read a file that has no secrets beside it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;

use serin_config::{Config, Problems, Secrets, load};

/// A machine without environment variables and files.
pub(crate) struct Nothing;

impl Secrets for Nothing {
    fn env(&self, _: &str) -> Option<String> {
        None
    }
    fn file(&self, _: &Path) -> Result<String, String> {
        Err("there are no files".into())
    }
}

/// A file whose service has these lines.
pub(crate) fn of_service(lines: &str) -> Result<Config, Problems> {
    let text = format!(
        r#"listeners: [{{ address: 127.0.0.1:8080 }}]
routes: [{{ service: shop }}]
services:
  shop:
    versions: {{ stable: {{ endpoints: [127.0.0.1:9001] }}, canary: {{ endpoints: [127.0.0.1:9002] }} }}
    {lines}
"#
    );
    load(&text, "f", Path::new("/etc/serin"), &Nothing)
}
