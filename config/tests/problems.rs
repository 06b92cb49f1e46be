//! Every kind of mistake: where it is placed and what is said. Each case is a whole file with one thing
//! wrong, so it also shows that nothing else is reported along with it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

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

#[test]
fn what_is_not_yaml_is_placed() {
    assert_problem("listeners: [", "1:13", &["this is not YAML"]);
    assert_problem(&and("admin: { address: \"127.0.0.1:1\n"), "12:19: admin.address", &["this is not YAML"]);
    assert_problem("a: \u{0}b", "1:4", &["control character \\u{0}"]);
    assert_problem(&and("---\na: 1\n"), "12:1", &["a second document begins here"]);
    assert_problem(&with("stable: v1", "stable: !!str v1"), "10:13: services.shop.stable", &["tag"]);
    assert_problem(
        &with("stable: v1", "stable: v1\n    stable: v2"),
        "11:5: services.shop.stable",
        &["stands twice: first in line 10"],
    );
    assert_problem(&and("    <<: { a: b }\n"), "12:5: services.shop.<<", &["merge keys"]);
    assert_problem(&and("? [a]\n: b\n"), "12:3", &["a list or map stands as a key"]);
    assert_problem(
        &and("admin: &a { address: *a }\n"),
        "12:22: admin.address",
        &["within its own anchor", "write the value out"],
    );
}

#[test]
fn an_alias_stands_for_its_whole_value() {
    let text = with(
        "v2: { endpoints: [\"127.0.0.1:9002\"] }",
        "v2: { endpoints: [\"127.0.0.1:9002\"] }\n    timeouts: &t { connect: 2s }",
    ) + "  other:\n    versions: { v1: { endpoints: [127.0.0.1:9003] } }\n    timeouts: *t\n";
    let config = read(&text).unwrap();
    for name in ["shop", "other"] {
        assert_eq!(config.catalogue.service(name).unwrap().timeouts.connect.as_secs(), 2, "{name}");
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_expanded() {
    let deep = "[".repeat(40);
    assert_problem(
        &format!("a: {deep}"),
        &format!("1:35: a{}", "[0]".repeat(31)),
        &["the nesting is too deep"],
    );
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..10 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb += &format!("a{i}: &a{i} [{aliases}]\n");
    }
    let problems = read(&bomb).unwrap_err().to_string();
    assert!(problems.contains("too large once its aliases are expanded"), "{problems}");
    assert_problem(&" ".repeat(4 * 1024 * 1024 + 1), "1:1", &["4194305 bytes", "at most 4194304"]);
}

#[test]
fn an_unknown_field_is_named_with_the_nearest_known_one() {
    assert_problem(&with("listeners:", "lisners:"), "1:1: lisners", &["did you mean \"listeners\"?"]);
    assert_problem(&with("stable:", "Stabel:"), "10:5: services.shop.Stabel", &["did you mean \"stable\"?"]);
    assert_problem(
        &and("admin: { qqqqq: 1 }\n"),
        "12:10: admin.qqqqq",
        &["the fields are address, danger_beyond_loopback"],
    );
}

#[test]
fn what_is_missing_is_named_where_it_should_stand() {
    let problems = read("").unwrap_err().lines();
    assert_eq!(problems.len(), 3, "{problems:#?}");
    for (problem, name) in problems.iter().zip(["services", "routes", "listeners"]) {
        assert!(problem.starts_with(&format!("f:1:1: \"{name}\" is missing — write ")), "{problem}");
    }
    assert_problem(
        &with("address: 127.0.0.1:8080", "trusted_proxies: []"),
        "2:5: listeners[0]",
        &["\"address\" is missing"],
    );
    assert_problem(
        "services: {}\nlisteners: [{ address: 127.0.0.1:1 }]\nroutes: [{ service: a, host: a }]\n",
        "1:11: services",
        &["there is no service"],
    );
}

#[test]
fn a_wrong_type_does_not_hide_its_neighbours() {
    assert_problem(
        &with("  - { name: web, address: 127.0.0.1:8080 }", "  web: 127.0.0.1:8080"),
        "2:3: listeners",
        &["a map stands where a list must"],
    );
    assert_problem(
        &with("stable: v1", "stable: [v1]"),
        "10:13: services.shop.stable",
        &["a list stands where a name must"],
    );
    assert_problem(&with("stable: v1", "stable:"), "10:5: services.shop.stable", &["there is no value"]);
    assert_problem(
        &with("[\"127.0.0.1:9001\"]", "127.0.0.1:9001"),
        "8:24: services.shop.versions.v1.endpoints",
        &["a single value stands where a list must"],
    );
    assert_problem(
        &and("limits: { workers: \"2\" }\n"),
        "12:20: limits.workers",
        &["is text, since it stands in quotes"],
    );
    assert_problem(&and("limits: 7\n"), "12:9: limits", &["a single value stands where a map must"]);
    assert_problem(
        &and("telemetry: { debug_headers: yes }\n"),
        "12:29: telemetry.debug_headers",
        &["\"yes\" is neither true nor false"],
    );
}

#[test]
fn sections_without_content_have_their_defaults() {
    let config = read(&and("admin:\nlimits:\n")).unwrap();
    assert_eq!(config.admin.address.to_string(), "127.0.0.1:9901");
    assert_eq!(config.control.address.to_string(), "127.0.0.1:9902");
    assert_eq!(config.control.state, Path::new("/etc/serin/serin-state.redb"));
    assert_eq!(config.telemetry.instance, "serin");
    assert_eq!(config.limits, serin_config::limits::Limits::default());
}

#[test]
fn two_sockets_do_not_share_an_address() {
    let two = with("8080 }", "8080 }\n  - { address: 127.0.0.1:8080 }");
    assert_problem(&two, "3:16: listeners[1].address", &["127.0.0.1:8080 is taken: the listener of line 2"]);
    let all = with("8080 }", "8080 }\n  - { address: 0.0.0.0:8080 }");
    assert_problem(&all, "3:16: listeners[1].address", &["0.0.0.0:8080 is taken"]);
    let admin = and("admin: { address: 127.0.0.1:8080 }\n");
    assert_problem(&admin, "12:19: admin.address", &["is taken: the listener of line 2"]);
    let default = with("127.0.0.1:8080", "127.0.0.1:9902");
    assert_problem(
        &default,
        "2:27: listeners[0].address",
        &["the control listener listens on 127.0.0.1:9902 by default"],
    );
    let circle = with("127.0.0.1:9002", "127.0.0.1:8080");
    assert_problem(
        &circle,
        "9:25: services.shop.versions.v2.endpoints[0]",
        &["the address of Serin's own listener"],
    );
}

#[test]
fn listeners_are_named_once_and_trust_networks() {
    let twice = with("8080 }", "8080 }\n  - { name: web, address: 127.0.0.1:8081 }");
    assert_problem(&twice, "3:13: listeners[1].name", &["the listener of line 2 is named \"web\" already"]);
    let trusted = with("8080 }", "8080, trusted_proxies: [10.0.0.0/40] }");
    assert_problem(&trusted, "2:61: listeners[0].trusted_proxies[0]", &["\"10.0.0.0/40\" is not a network"]);
    assert_problem(&with("name: web", "name: we b"), "2:13: listeners[0].name", &["\"we b\" is not a name"]);
    let none = with("  - { name: web, address: 127.0.0.1:8080 }", "  []");
    assert_problem(&none, "2:3: listeners", &["there is no listener"]);
}

#[test]
fn default_names_leave_given_names_alone() {
    let text = with(
        "8080 }",
        "8080 }\n  - { address: 127.0.0.1:8081 }\n  - { name: listener-2, address: 127.0.0.1:8082 }",
    )
    .replace(
        "- { name: shop, service: shop }",
        "- { service: shop }\n  - { service: shop, path_prefix: /a/ }",
    );
    let config = read(&text).unwrap();
    let names: Vec<_> = config.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!(names, ["web", "listener-3", "listener-2"]);
    let routes: Vec<_> =
        config.catalogue.routes().iter().map(|r| (r.name.as_str(), r.path.to_string())).collect();
    assert_eq!(routes, [("route-2", "/a".into()), ("shop", "/".into())]);
}

#[test]
fn a_route_leads_to_a_service_that_is_there() {
    assert_problem(
        &with("service: shop", "service: shpo"),
        "4:28: routes[0].service",
        &["there is no service \"shpo\"", "did you mean \"shop\"?"],
    );
    assert_problem(
        &with("service: shop", "service: zzz"),
        "4:28: routes[0].service",
        &["the services are shop"],
    );
    assert_problem(
        &with("name: shop, service: shop", "name: shop"),
        "4:5: routes[0]",
        &["\"service\" is missing"],
    );
}

#[test]
fn routes_differ_in_name_and_match() {
    let route = |more: &str| {
        with(
            "- { name: shop, service: shop }",
            &format!("- {{ name: shop, service: shop }}\n  - {{ {more} }}"),
        )
    };
    assert_problem(
        &route("name: shop, path_prefix: /a, service: shop"),
        "5:13: routes[1].name",
        &["named \"shop\" already"],
    );
    assert_problem(
        &route("path_prefix: //, service: shop"),
        "5:5: routes[1]",
        &["route \"shop\" of line 4 matches the same requests"],
    );
}

#[test]
fn a_host_is_a_name_or_all_names_below_one() {
    for (host, part) in [
        ("shop.example.com:80", "has a port"),
        ("\"a.*.example.com\"", "has a wildcard that is not its first label"),
        ("\"*.*.example.com\"", "has a wildcard that is not its first label"),
        ("\"*.\"", "leave \"host\" out"),
        ("https://shop", "is a URL"),
        ("müller.example", "beyond ASCII"),
        ("a..b", "is not a host"),
        ("\"*\"", "leave \"host\" out"),
    ] {
        assert_problem(
            &with("service: shop", &format!("service: shop, host: {host}")),
            "4:40: routes[0].host",
            &[part],
        );
    }
    for (host, read_as) in [
        ("Shop.Example.COM", "shop.example.com"),
        ("a.example.", "a.example"),
        ("\"[::1]\"", "[::1]"),
        ("10.0.0.1", "10.0.0.1"),
        ("\"*.Example.com\"", "*.example.com"),
    ] {
        let config = read(&with("service: shop", &format!("service: shop, host: {host}"))).unwrap();
        assert_eq!(config.catalogue.routes()[0].host.to_string(), read_as);
    }
}

#[test]
fn a_path_prefix_is_a_path_in_normal_form() {
    for (prefix, part) in [
        ("api", "\"/api\""),
        ("/a?b", "the character '?'"),
        ("\"/a b\"", "the character ' '"),
        ("/a//b", "an empty segment"),
        ("/a/../b", "an empty segment, \".\" or \"..\""),
        ("/%41", "the escape %41"),
        ("/a%2", "the escape %2"),
        ("/%zz", "the escape %zz"),
    ] {
        assert_problem(
            &with("service: shop", &format!("service: shop, path_prefix: {prefix}")),
            "4:47: routes[0].path_prefix",
            &[part],
        );
    }
    let config = read(&with("service: shop", "service: shop, path_prefix: /a%2Fb/")).unwrap();
    assert_eq!(config.catalogue.routes()[0].path.to_string(), "/a%2Fb");
}

#[test]
fn a_version_has_endpoints_of_its_own() {
    let versions = "services.shop.versions";
    let with_v2 = |to: &str| with("{ endpoints: [\"127.0.0.1:9002\"] }", to);
    assert_problem(&with_v2("{}"), &format!("9:7: {versions}.v2"), &["\"endpoints\" is missing"]);
    assert_problem(
        &with_v2("{ endpoints: [] }"),
        &format!("9:24: {versions}.v2.endpoints"),
        &["there is no endpoint"],
    );
    let first = format!("{versions}.v2.endpoints[0]");
    assert_problem(
        &with_v2("{ endpoints: [127.0.0.1:9001] }"),
        &format!("9:25: {first}"),
        &["is an endpoint of version \"v1\" already"],
    );
    assert_problem(
        &with_v2("{ endpoints: [127.0.0.1:0] }"),
        &format!("9:25: {first}"),
        &["no port that can be called"],
    );
    assert_problem(&with_v2("{ endpoints: [127.0.0.1] }"), &format!("9:25: {first}"), &["is not an address"]);
    assert_problem(
        &with_v2("{ endpoints: [unix:a] }"),
        &format!("9:25: {first}"),
        &["does not name a Unix socket"],
    );
    let twice = with_v2("{ endpoints: [127.0.0.1:9, 127.0.0.1:9] }");
    assert_problem(
        &twice,
        &format!("9:38: {versions}.v2.endpoints[1]"),
        &["is an endpoint of this version already"],
    );
    assert_problem(
        &with("v2: {", "v/2: {").replace("    canary: v2\n", ""),
        &format!("9:7: {versions}.v/2"),
        &["\"v/2\" is not a name"],
    );
}

#[test]
fn stable_and_canary_are_versions_that_are_there() {
    assert_problem(
        &with("stable: v1", "stable: v3"),
        "10:13: services.shop.stable",
        &["there is no version \"v3\""],
    );
    assert_problem(
        &with("canary: v2", "canary: vv2"),
        "11:13: services.shop.canary",
        &["did you mean \"v2\"?"],
    );
    assert_problem(
        &with("canary: v2", "canary: v1"),
        "11:13: services.shop.canary",
        &["both stable and canary"],
    );
    assert_problem(
        &with("    stable: v1\n", ""),
        "6:3: services.shop",
        &["which of the versions is stable", "\"stable: v1\""],
    );
}

#[test]
fn roles_are_found_by_name_where_they_are_not_given() {
    let text = GOOD.replace("v1:", "stable:").replace("v2:", "canary:");
    let text = text.replace("    stable: v1\n    canary: v2\n", "");
    let config = read(&text).unwrap();
    let shop = config.catalogue.service("shop").unwrap();
    assert_eq!((shop.stable.as_str(), shop.canary.as_ref().unwrap().as_str()), ("stable", "canary"));
    assert_eq!(shop.split.to_string(), "canary 0% · stable 100%");
}

#[test]
fn weights_are_percentages_that_sum_to_the_whole() {
    let split = |split: &str| and(&format!("    split: {split}\n"));
    assert_problem(
        &split("{ v1: 90%, v2: 5% }"),
        "12:12: services.shop.split",
        &["the weights sum to 95%, not to 100%", "\"v1: 95%\""],
    );
    assert_problem(
        &split("{ v1: 100%, v2: 100% }"),
        "12:12: services.shop.split",
        &["sum to 200%", "\"v2: 0%\""],
    );
    assert_problem(&split("{}"), "12:12: services.shop.split", &["sum to 0%"]);
    assert_problem(&split("{ v1: 90, v2: 10% }"), "12:18: services.shop.split.v1", &["\"90\" has no unit"]);
    assert_problem(
        &split("{ v1: 99.99999%, v2: 0% }"),
        "12:18: services.shop.split.v1",
        &["more than four decimals"],
    );
    assert_problem(&split("{ v1: 101%, v2: 0% }"), "12:18: services.shop.split.v1", &["from 0% to 100%"]);
    assert_problem(
        &split("{ v1: 90%, v3: 10% }"),
        "12:23: services.shop.split.v3",
        &["there is no version \"v3\""],
    );
}

#[test]
fn in_a_split_the_canary_comes_first_and_stable_last() {
    let text = with(
        "v1: {",
        "a: { endpoints: [127.0.0.1:9003] }\n      z: { endpoints: [127.0.0.1:9004] }\n      v1: {",
    );
    let config = read(&(text + "    split: { z: 1%, v1: 97.9999%, v2: 0.0001%, a: 1% }\n")).unwrap();
    let split = &config.catalogue.service("shop").unwrap().split;
    assert_eq!(split.to_string(), "v2 0.0001% · a 1% · z 1% · v1 97.9999%");
}

#[test]
fn sticky_has_one_key() {
    let sticky = |sticky: &str| and(&format!("    sticky: {sticky}\n"));
    let at = "12:13: services.shop.sticky";
    assert_problem(&sticky("{ cookie: a, header: b }"), at, &["cookie and header can't all be the key"]);
    assert_problem(&sticky("{}"), at, &["it is not said what keeps a user on one version"]);
    assert_problem(
        &sticky("{ client_address: false }"),
        "12:31: services.shop.sticky.client_address",
        &["write true"],
    );
    assert_problem(
        &sticky("{ cookie: \"a b\" }"),
        "12:23: services.shop.sticky.cookie",
        &["can't be the name of a cookie"],
    );
    let config = read(&sticky("{ header: X-User }")).unwrap();
    assert_eq!(config.catalogue.service("shop").unwrap().sticky.to_string(), "header x-user");
}

#[test]
fn timeouts_have_units_and_bounds() {
    let timeouts = |timeouts: &str| and(&format!("    timeouts: {{ {timeouts} }}\n"));
    let path = "services.shop.timeouts";
    assert_problem(
        &timeouts("connect: 1"),
        &format!("12:26: {path}.connect"),
        &["\"1\" has no unit", "\"1s\""],
    );
    assert_problem(
        &timeouts("connect: none"),
        &format!("12:26: {path}.connect"),
        &["\"none\" is not a duration"],
    );
    assert_problem(
        &timeouts("connect: 0s"),
        &format!("12:26: {path}.connect"),
        &["0ms is out of range", "from 1ms to 24h"],
    );
    assert_problem(&timeouts("total: 25h"), &format!("12:24: {path}.total"), &["25h is out of range"]);
    let config = read(&timeouts("header: none, total: 5m")).unwrap();
    let read = config.catalogue.service("shop").unwrap().timeouts;
    assert_eq!((read.header, read.total.map(|t| t.as_secs())), (None, Some(300)));
}

#[test]
fn steps_rise_to_the_whole() {
    let steps = |steps: &str| and(&format!("    rollout: {{ steps: [{steps}] }}\n"));
    let path = "services.shop.rollout.steps";
    assert_problem(
        &steps("{ weight: 5% }, { weight: 5% }"),
        &format!("12:50: {path}[1].weight"),
        &["5% comes after 5%"],
    );
    assert_problem(
        &steps("{ weight: 0% }"),
        &format!("12:34: {path}[0].weight"),
        &["a step at 0% shows nothing"],
    );
    assert_problem(&steps("{ min_requests: 5 }"), &format!("12:24: {path}[0]"), &["\"weight\" is missing"]);
    assert_problem(&steps(""), &format!("12:23: {path}"), &["there is no step"]);
    assert_problem(
        &steps("{ weight: 5%, min_requests: 0 }"),
        &format!("12:52: {path}[0].min_requests"),
        &["from 1 to"],
    );
    assert_problem(
        &steps("{ weight: 5%, min_duration: 2h }"),
        &format!("12:52: {path}[0].min_duration"),
        &["max_duration is shorter than min_duration", "2h or more"],
    );
    let many: Vec<_> = (1..=50).map(|n| format!("{{ weight: {n}% }}")).collect();
    assert_problem(&steps(&many.join(", ")), &format!("12:23: {path}"), &["51 steps", "at most 50"]);
}

#[test]
fn a_rollout_that_stops_short_gets_a_last_step() {
    let read_steps = |steps: &str| {
        let config = read(&and(&format!("    rollout: {{ steps: {steps} }}\n"))).unwrap();
        let steps = &config.catalogue.service("shop").unwrap().rollout.steps;
        steps.iter().map(|step| step.weight.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(read_steps("[{ weight: 5% }, { weight: 50% }]"), ["5%", "50%", "100%"]);
    assert_eq!(read_steps("[{ weight: 100% }]"), ["100%"]);
}

#[test]
fn guards_can_be_met() {
    let rollout = |rollout: &str| and(&format!("    rollout: {{ {rollout} }}\n"));
    let path = "services.shop.rollout";
    assert_problem(
        &rollout("on_timeout: holt"),
        &format!("12:28: {path}.on_timeout"),
        &["did you mean hold?"],
    );
    assert_problem(
        &rollout("false_alarm: 0.06"),
        &format!("12:29: {path}.false_alarm"),
        &["from 0.000001 to 0.05"],
    );
    assert_problem(&rollout("false_pass: 0"), &format!("12:28: {path}.false_pass"), &["from 0.0001 to 0.5"]);
    assert_problem(
        &rollout("guards: { errors: on }"),
        &format!("12:34: {path}.guards.errors"),
        &["neither \"off\" nor settings"],
    );
    assert_problem(
        &rollout("guards: { errors: { ratio: 0.9 } }"),
        &format!("12:43: {path}.guards.errors.ratio"),
        &["from 1 to 1000"],
    );
    assert_problem(
        &rollout("guards: { errors: { pass_ratio: 1, pass_margin: 0% } }"),
        &format!("12:34: {path}.guards.errors"),
        &["could never pass"],
    );
    assert_problem(
        &rollout("guards: { max_p99: 61s }"),
        &format!("12:35: {path}.guards.max_p99"),
        &["from 1ms to 1m"],
    );
    assert_problem(
        &rollout("guards: { max_error_rate: 100% }"),
        &format!("12:42: {path}.guards.max_error_rate"),
        &["from 0.0001% to 99.9999%"],
    );
    let config = read(&rollout("guards: { errors: off, max_p99: 300ms }")).unwrap();
    let guards = &config.catalogue.service("shop").unwrap().rollout.guards;
    assert_eq!((guards.errors, guards.max_p99.map(|t| t.as_millis())), (None, Some(300)));
}

#[test]
fn the_step_at_the_end_takes_no_conditions() {
    let steps = |last: &str| and(&format!("    rollout: {{ steps: [{{ weight: 10% }}, {{ {last} }}] }}\n"));
    let problems = read(&steps("weight: 100%, min_duration: 10m")).unwrap_err().to_string();
    assert!(problems.contains("the step at 100% is the end and waits for nothing"), "{problems}");
    assert!(read(&steps("weight: 100%")).is_ok());
}

#[test]
fn admin_and_control_stay_on_this_machine_unless_the_danger_is_named() {
    assert_problem(
        &and("admin: { address: 0.0.0.0:9901 }\n"),
        "12:19: admin.address",
        &["can be reached from other machines", "danger_beyond_loopback: true"],
    );
    assert_problem(
        &and("control: { address: 10.0.0.1:9902, danger_beyond_loopback: false }\n"),
        "12:21: control.address",
        &["needs a bearer token or client certificates", "identities"],
    );
    assert_problem(
        &and("control: { address: 10.0.0.1:9902, danger_beyond_loopback: true }\n"),
        "12:21: control.address",
        &["needs a bearer token", "token:"],
    );
    let clear = "address: 10.0.0.1:9902, token: \"${SET}\"";
    assert_problem(
        &and(&format!("control: {{ {clear} }}\n")),
        "12:21: control.address",
        &["not by TLS", "danger_beyond_loopback: true"],
    );
    assert!(read(&and(&format!("control: {{ {clear}, danger_beyond_loopback: true }}\n"))).is_ok());
    let tls = "tls: { certificates: [{ cert: a.crt, key: a.key }] }";
    let config = read(&and(&format!("control: {{ {clear}, {tls} }}\n"))).unwrap();
    assert_eq!(config.control.address.to_string(), "10.0.0.1:9902");
    let config = read(&and("admin: { address: 0.0.0.0:9901, danger_beyond_loopback: true }\n")).unwrap();
    assert_eq!(config.admin.address.to_string(), "0.0.0.0:9901");
}

#[test]
fn a_secret_is_found_and_never_written() {
    let token = |token: &str| and(&format!("control: {{ token: {token} }}\n"));
    for (written, part) in [
        ("hunter2", "a secret stands in clear text"),
        ("\"Bearer ${SET}\"", "must be the whole value"),
        ("\"${UNSET}\"", "UNSET is not set"),
        ("\"${EMPTY}\"", "EMPTY is empty"),
        ("\"${SPACED}\"", "SPACED does not hold a bearer token"),
        ("\"${file:missing}\"", "/etc/serin/missing can't be read: No such file or directory"),
        ("\"${1A}\"", "does not hold the name of an environment variable"),
    ] {
        assert_problem(&token(written), "12:19: control.token", &[part]);
    }
    for (written, found) in [("\"${SET}\"", "token"), ("\"${file:token}\"", "from-file")] {
        let config = read(&token(written)).unwrap();
        assert_eq!(config.control.token.unwrap().expose(), found);
    }
}

#[test]
fn client_certificates_get_roles_one_by_one() {
    let tls = "tls: { certificates: [{ cert: a.crt, key: a.key }], client_ca: ca.crt }";
    let with = |identities: &str| and(&format!("control:\n  {tls}\n  identities: [{identities}]\n"));
    for (written, place, part) in [
        ("{ role: admin }", "14:16: control.identities[0]", "nothing says whose"),
        ("{ dns: ci, uri: a://b, role: admin }", "14:23: control.identities[0].dns", "another name"),
        ("{ dns: ci }", "14:16: control.identities[0]", "\"role\" is missing"),
        ("{ dns: ci, role: root }", "14:33: control.identities[0].role", "viewer, operator or admin"),
        ("{ dns: ci, role: admin }, { dns: ci, role: viewer }", "14:42: control.identities[1]", "twice"),
        ("{ dns: ci, role: admin, services: [] }", "14:50: control.identities[0].services", "no service"),
        (
            "{ dns: ci, role: admin, services: [shpo] }",
            "14:51: control.identities[0].services[0]",
            "did you mean shop?",
        ),
    ] {
        assert_problem(&with(written), place, &[part]);
    }
    assert_problem(
        &and("control: { identities: [{ dns: ci, role: admin }] }\n"),
        "12:24: control.identities",
        &["not asked for certificates", "client_ca"],
    );
    let config =
        read(&with("{ subject: \"CN=ci,O=Acme\", role: operator, services: [shop] }, { uri: \"spiffe://a/b\", role: viewer }"))
            .unwrap();
    let found: Vec<String> =
        config.control.identities.iter().map(|each| format!("{} is {}", each.name, each.grant)).collect();
    assert_eq!(found, ["CN=ci,O=Acme is operator of shop", "spiffe://a/b is viewer"]);
    assert!(config.control.asks_who());
    let clients = config.control.tls.unwrap().client_certificates.unwrap();
    assert!(!clients.required, "who has none may have a token");
}

#[test]
fn only_secrets_are_replaced() {
    assert_problem(
        &with("127.0.0.1:8080", "\"${SET}\""),
        "2:27: listeners[0].address",
        &["\"${…}\" is replaced in secrets only"],
    );
    assert_problem(
        &and("telemetry: { instance: \"${SET}\" }\n"),
        "12:24: telemetry.instance",
        &["secrets only"],
    );
    assert_problem(
        &and("    split: { \"${SET}\": 100% }\n"),
        "12:14: services.shop.split.${SET}",
        &["secrets only"],
    );
}

#[test]
fn limits_have_limits() {
    for (limit, least_and_most) in [
        ("workers: 0", "from 1 to 256"),
        ("max_connections: 0", "from 1 to 1000000"),
        ("max_streams: 10001", "from 1 to 10000"),
        ("client_header_timeout: 0ms", "from 1ms to 24h"),
        ("idle_connections_per_endpoint: 70000", "from 0 to 65536"),
    ] {
        let (name, _) = limit.split_once(':').unwrap();
        assert_problem(
            &and(&format!("limits: {{ {limit} }}\n")),
            &format!("12:{}: limits.{name}", 13 + name.len()),
            &[least_and_most],
        );
    }
    assert_problem(
        &and("telemetry: { instance: \"a b\" }\n"),
        "12:24: telemetry.instance",
        &["\"a b\" is not a name"],
    );
}

#[test]
fn beyond_a_hundred_problems_the_rest_is_counted() {
    let many: String = (0..150).map(|n| format!("unknown{n}: 1\n")).collect();
    let problems = read(&and(&many)).unwrap_err();
    assert_eq!((problems.iter().count(), problems.left_out()), (100, 50));
    assert_eq!(problems.lines().last().unwrap(), "f: 50 more problems are not shown");
}
