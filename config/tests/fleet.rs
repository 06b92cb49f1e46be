//! What a file says of a fleet: a listener for proxies, where a proxy finds its control plane, and what each command
//! needs of a file. How routes and services travel is tested beside `config/src/fleet/plan.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use serin_config::{
    Config, Problems, Purpose, Secrets,
    file::{load_catalogue, load_for},
    fleet::{ControlEndpoint, Names},
    summary::summary,
};

struct Environment;

impl Secrets for Environment {
    fn env(&self, name: &str) -> Option<String> {
        (name == "FLEET").then(|| "0123456789abcdef".into())
    }
    fn file(&self, _: &Path) -> Result<String, String> {
        Err("there is no such file".into())
    }
}

fn read(purpose: Option<Purpose>, text: &str) -> Result<Config, Problems> {
    load_for(purpose, text, "f", Path::new("/etc/serin"), &Environment)
}

fn problem(purpose: Option<Purpose>, text: &str) -> String {
    let problems = match read(purpose, text) {
        Ok(_) => panic!("nothing was found wrong with\n{text}"),
        Err(problems) => problems.lines(),
    };
    assert_eq!(problems.len(), 1, "one problem in\n{text}\nbut {problems:#?}");
    problems[0].clone()
}

const CATALOGUE: &str = "routes: [{ service: shop }]
services: { shop: { versions: { v1: { endpoints: [127.0.0.1:9001] } } } }
";
const LISTENERS: &str = "listeners: [{ address: 127.0.0.1:8080 }]\n";
const TLS: &str = "tls: { certificates: [{ cert: a.crt, key: a.key }] }";

fn control(fleet: &str) -> String {
    format!("{CATALOGUE}control: {{ fleet: {{ {fleet} }} }}\n")
}

fn proxy(connect: &str) -> String {
    format!("{LISTENERS}control: {{ connect: {{ {connect} }} }}\n")
}

#[test]
fn a_control_plane_needs_no_listener_and_a_proxy_neither_routes_nor_services() {
    let config = read(Some(Purpose::Control), &control("token: \"${FLEET}\"")).unwrap();
    let fleet = config.control.fleet.as_ref().unwrap();
    assert_eq!((fleet.address.to_string().as_str(), fleet.tls.is_none()), ("127.0.0.1:9903", true));
    assert!(config.listeners.is_empty() && config.catalogue.source().is_some());

    let config =
        read(Some(Purpose::Proxy), &proxy("endpoints: [127.0.0.1:9903, unix:/run/serin.sock]")).unwrap();
    let connect = config.control.connect.as_ref().unwrap();
    assert_eq!(connect.endpoints.len(), 2);
    assert_eq!(connect.cache, Path::new("/etc/serin/serin-plan.json"));
    assert!(config.catalogue.services().is_empty());

    let far =
        proxy("endpoints: [control.internal:9903], tls: { }, token: \"${FLEET}\", cache: /var/plan.json");
    let config = read(Some(Purpose::Proxy), &far).unwrap();
    let connect = config.control.connect.as_ref().unwrap();
    assert!(matches!(&connect.endpoints[0], ControlEndpoint::Named(name) if name.host == "control.internal"));
}

#[test]
fn the_sections_of_a_file_tell_what_it_is_for() {
    let both = format!("{LISTENERS}{}", control(""));
    for (text, purpose) in [
        (format!("{LISTENERS}{CATALOGUE}"), Purpose::Run),
        (both, Purpose::Run),
        (control(""), Purpose::Control),
        (proxy("endpoints: [127.0.0.1:9903]"), Purpose::Proxy),
    ] {
        assert_eq!(read(None, &text).unwrap().purpose, purpose, "{text}");
    }
}

#[test]
fn what_a_command_can_not_use_is_a_problem() {
    let complete = format!("{LISTENERS}{CATALOGUE}");
    let connect = "connect: { endpoints: [127.0.0.1:9903] }";
    for (purpose, text, said) in [
        (Purpose::Proxy, LISTENERS.to_owned(), "f:1:1: a proxy needs to know where its control plane is"),
        (
            Purpose::Run,
            format!("{complete}control: {{ {connect} }}\n"),
            "f:4:21: control.connect: whoever decides by itself",
        ),
        (
            Purpose::Proxy,
            format!("{LISTENERS}control: {{ {connect}, state: a.redb }}\n"),
            "f:2:61: control.state: a proxy has no control plane of its own",
        ),
        (Purpose::Run, control(""), "f:1:1: \"listeners\" is missing"),
    ] {
        let problem = problem(Some(purpose), &text);
        assert!(problem.starts_with(said) || problem.contains(said), "{said}: {problem}");
    }
    let routes = format!("{complete}control: {{ {connect} }}\n");
    let problems = read(Some(Purpose::Proxy), &routes).unwrap_err().lines();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].contains("the routes of a proxy come from its control plane"), "{problems:#?}");
}

#[test]
fn beyond_this_machine_nobody_connects_in_clear_or_without_proof() {
    for (fleet, said) in [
        ("address: 10.0.0.1:9903", "can be reached from other machines"),
        ("address: 10.0.0.1:9903, token: \"${FLEET}\"", "can be reached from other machines"),
        (&format!("address: 10.0.0.1:9903, {TLS}"), "must prove who they are"),
        ("address: 127.0.0.1:9902", "127.0.0.1:9902"),
        ("token: \"${NONE}\"", "NONE is not set"),
    ] {
        let problem = problem(Some(Purpose::Control), &control(fleet));
        assert!(problem.contains(said), "{said}: {problem}");
    }
    let proven = format!("address: 10.0.0.1:9903, {TLS}, token: \"${{FLEET}}\"");
    assert!(read(Some(Purpose::Control), &control(&proven)).is_ok());
    let certified = TLS.replace("tls: {", "tls: { client_ca: c.crt,");
    assert!(read(Some(Purpose::Control), &control(&format!("address: 10.0.0.1:9903, {certified}"))).is_ok());

    let any = format!("address: 10.0.0.1:9903, names: any, {certified}");
    assert_eq!(
        read(Some(Purpose::Control), &control(&any)).unwrap().control.fleet.unwrap().names,
        Names::Any
    );
    for (fleet, said) in [
        ("names: any", "f:3:28: control.fleet.names: proxies are not asked for certificates"),
        (&format!("names: every, {certified}"), "certificate or any"),
    ] {
        let problem = problem(Some(Purpose::Control), &control(fleet));
        assert!(problem.contains(said), "{said}: {problem}");
    }

    for (connect, said) in [
        ("endpoints: []", "there is no endpoint"),
        ("cache: a.json", "\"endpoints\" is missing"),
        ("endpoints: [127.0.0.1:9903, 127.0.0.1:9903]", "stands twice"),
        ("endpoints: [127.0.0.1:9903, 10.0.0.1:9903]", "10.0.0.1:9903 is not on this machine"),
        ("endpoints: [control.internal:9903]", "would be spoken to in clear"),
        ("endpoints: [nonsense]", "such as 10.0.0.5:9903 or control.internal:9903"),
        ("endpoints: [127.0.0.1:9903], cache: \"\"", "the path of the cache is empty"),
        ("endpoints: [unix:/a.sock], tls: { }", "has no name that its certificate"),
    ] {
        let problem = problem(Some(Purpose::Proxy), &proxy(connect));
        assert!(problem.contains(said), "{said}: {problem}");
    }
}

#[test]
fn a_summary_says_who_may_connect_and_never_shows_the_token() {
    let text = summary(&read(None, &control("token: \"${FLEET}\"")).unwrap());
    assert!(text.contains("proxies     127.0.0.1:9903, in clear, which must show a token"), "{text}");
    let certified = TLS.replace("tls: {", "tls: { client_ca: c.crt,");
    let text = summary(&read(None, &control(&certified)).unwrap());
    assert!(text.contains("which must show certificates, each under a name of its certificate"), "{text}");
    let text = summary(&read(None, &proxy("endpoints: [127.0.0.1:9903], token: \"${FLEET}\"")).unwrap());
    let line = "connect     127.0.0.1:9903 in clear, with a token, last plan in /etc/serin/serin-plan.json";
    assert!(text.contains(line) && !text.contains("control  "), "{text}");
    assert!(!text.contains("0123456789abcdef"), "{text}");
}

#[test]
fn the_text_for_proxies_is_routes_and_services_alone_and_reads_back_as_the_same() {
    let file = format!("{LISTENERS}# a comment\n{CATALOGUE}admin: {{ address: 127.0.0.1:1 }}\n");
    let config = read(Some(Purpose::Run), &file).unwrap();
    let source = config.catalogue.source().unwrap();
    assert!(!source.text().contains("admin") && !source.text().contains("8080"), "{}", source.text());
    let again = load_catalogue(source.text(), "the plan", Path::new("/"), &Environment).unwrap();
    assert_eq!(again, *config.catalogue);
    assert_eq!(again.source().unwrap().digest().len(), 32);
    let problems = load_catalogue("routes: [{ service: a }]", "the plan", Path::new("/"), &Environment);
    assert_eq!(problems.unwrap_err().lines().len(), 1);
}
