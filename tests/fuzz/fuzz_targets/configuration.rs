//! Configuration files: any text is a configuration or has problems, each with a place; and what is sound can be
//! shown.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use serin_config::{Secrets, load};

struct Fixed;

impl Secrets for Fixed {
    fn env(&self, name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "secret".into())
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("there are no files here".into())
    }
}

fuzz_target!(|text: &str| {
    match load(text, "serin.yaml", Path::new("/etc/serin"), &Fixed) {
        Ok(config) => assert!(!format!("{config:?}").contains("\"secret\""), "a secret is shown"),
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
