//! Which control plane is meant. How one is spoken to is covered by the tests over real sockets.

use std::{fs, os::unix::fs::PermissionsExt};

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    access: Access,
}

fn access(line: &[&str]) -> Access {
    Line::try_parse_from(std::iter::once(&"serin").chain(line)).unwrap().access
}

/// A file with the contexts `prod`, the current one, and `dev`.
fn contexts() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    fs::write(&token, "of-prod\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let path = directory.path().join("contexts.json");
    let text = serde_json::json!({
        "current": "prod",
        "contexts": {
            "prod": { "api": "127.0.0.1:1", "token_file": token },
            "dev": { "api": "10.0.0.7:2" },
        },
    });
    fs::write(&path, text.to_string()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    (directory, path)
}

fn environment(path: &Path) -> Environment {
    Environment { api: None, context: None, token: None, contexts: Ok(path.to_owned()) }
}

fn told(api: &Api) -> (String, String, Option<&str>) {
    (api.place.to_string(), api.source.to_string(), api.token.as_ref().map(Secret::expose))
}

#[test]
fn the_command_line_counts_before_the_environment_and_that_before_the_file() {
    let (_directory, path) = contexts();
    let with = |line: &[&str], api: Option<&str>, context: Option<&str>| {
        let environment =
            Environment { api: api.map(Into::into), context: context.map(Into::into), ..environment(&path) };
        told_of(&access(line).api_in(environment).unwrap())
    };
    assert_eq!(with(&["--api", "127.0.0.1:5"], Some("127.0.0.1:6"), Some("dev")), "127.0.0.1:5");
    assert_eq!(with(&["--context", "dev"], Some("127.0.0.1:6"), Some("prod")), "10.0.0.7:2");
    assert_eq!(with(&[], Some("127.0.0.1:6"), Some("prod")), "127.0.0.1:6");
    assert_eq!(with(&[], None, Some("dev")), "10.0.0.7:2");
    assert_eq!(with(&[], None, None), "127.0.0.1:1");
    assert!(Line::try_parse_from(["serin", "--api", "127.0.0.1:5", "--context", "dev"]).is_err());
}

fn told_of(api: &Api) -> String {
    api.place.to_string()
}

#[test]
fn a_token_of_a_context_goes_to_that_context_only() {
    let (_directory, path) = contexts();
    let api = access(&[]).api_in(environment(&path)).unwrap();
    assert_eq!(told(&api), ("127.0.0.1:1".into(), "context \"prod\"".into(), Some("of-prod")));
    let api = access(&["--api", "127.0.0.1:9"]).api_in(environment(&path)).unwrap();
    assert_eq!(told(&api), ("127.0.0.1:9".into(), "from --api".into(), None));
    let own = Environment { token: Some("mine".into()), ..environment(&path) };
    let api = access(&["--api", "127.0.0.1:9"]).api_in(own).unwrap();
    assert_eq!(told(&api).2, Some("mine"));
    let own = Environment { token: Some("mine".into()), ..environment(&path) };
    assert_eq!(told(&access(&[]).api_in(own).unwrap()).2, Some("of-prod"));
}

#[test]
fn a_token_goes_in_clear_to_another_machine_only_for_who_says_so() {
    let (_directory, path) = contexts();
    let own = || Environment { token: Some("mine".into()), ..environment(&path) };
    let refused = access(&["--context", "dev"]).api_in(own()).unwrap_err().to_string();
    assert!(refused.contains("10.0.0.7:2 (context \"dev\")") && refused.contains("https://"), "{refused}");
    let dared = access(&["--context", "dev", "--danger-token-in-clear"]).api_in(own()).unwrap();
    assert_eq!(told(&dared).2, Some("mine"));
    access(&["--context", "dev"]).api_in(environment(&path)).unwrap();
}

#[test]
fn without_a_home_this_machine_is_asked() {
    let nowhere =
        || Environment { api: None, context: None, token: None, contexts: Err(ContextsError::NoHome) };
    assert_eq!(told_of(&access(&[]).api_in(nowhere()).unwrap()), "127.0.0.1:9902");
    assert!(access(&["--context", "dev"]).api_in(nowhere()).is_err());
}

#[test]
fn what_can_not_be_is_told() {
    let (_directory, path) = contexts();
    let error = |line: &[&str]| access(line).api_in(environment(&path)).unwrap_err().to_string();
    assert!(error(&["--context", "none"]).contains("there is dev, prod"));
    assert!(error(&["--api", "127.0.0.1:1", "--ca", "x"]).contains("https:// only"));
    assert!(error(&["--api", "https://a.example", "--ca", "/nowhere.pem"]).contains("no such file"));
    assert!(error(&["--token-file", "/nowhere"]).contains("no such file"));
    let odd = Environment { api: Some("9902".into()), ..environment(&path) };
    let said = access(&[]).api_in(odd).unwrap_err().to_string();
    assert!(said.starts_with("SERIN_API: ") && said.contains("IP:PORT"), "{said}");
    let odd = Environment { token: Some("two words".into()), ..environment(&path) };
    let said = access(&["--api", "127.0.0.1:9"]).api_in(odd).unwrap_err().to_string();
    assert!(said.contains("SERIN_TOKEN") && !said.contains("two words"), "{said}");
}
