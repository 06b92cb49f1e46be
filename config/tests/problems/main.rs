//! Every kind of mistake: where it is placed and what is said. Each case is a whole file with one thing
//! wrong, so it also shows that nothing else is reported along with it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod entry;
mod rollout;
mod service;
mod text;

use std::path::Path;

use serin_config::{Config, Problems, Secrets, load};

struct Environment;

impl Secrets for Environment {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "SET" => Some("token".into()),
            "EMPTY" => Some(String::new()),
            "SPACED" => Some("two words".into()),
            _ => None,
        }
    }
    fn file(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("/etc/serin/token") => Ok("from-file\n".into()),
            _ => Err("No such file or directory".into()),
        }
    }
}

fn read(text: &str) -> Result<Config, Problems> {
    load(text, "f", Path::new("/etc/serin"), &Environment)
}

const GOOD: &str = r#"listeners:
  - { name: web, address: 127.0.0.1:8080 }
routes:
  - { name: shop, service: shop }
services:
  shop:
    versions:
      v1: { endpoints: ["127.0.0.1:9001"] }
      v2: { endpoints: ["127.0.0.1:9002"] }
    stable: v1
    canary: v2
"#;

/// The good file with `from` replaced by `to`.
fn with(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from:?} must stand once in the good file");
    GOOD.replace(from, to)
}

/// The good file with more at its end; a line that begins with spaces goes into the service.
fn and(more: &str) -> String {
    format!("{GOOD}{more}")
}

/// Asserts that the file has exactly the problem that begins with `place` and holds each of `parts`.
fn assert_problem(text: &str, place: &str, parts: &[&str]) {
    let problems = match read(text) {
        Ok(_) => panic!("nothing was found wrong with\n{text}"),
        Err(problems) => problems.lines(),
    };
    assert_eq!(problems.len(), 1, "one problem in\n{text}\nbut {problems:#?}");
    assert!(problems[0].starts_with(&format!("f:{place}: ")), "at {place}, but {}", problems[0]);
    for part in parts {
        assert!(problems[0].contains(part), "{part:?} in {}", problems[0]);
    }
}

#[test]
fn the_good_file_is_good() {
    assert_eq!(read(GOOD).unwrap().catalogue.services().len(), 1);
}
