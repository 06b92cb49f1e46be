//! How a file is read at all: YAML, sizes, fields that are unknown, missing or of another type, and how much is told of it.

use super::*;

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
fn beyond_a_hundred_problems_the_rest_is_counted() {
    let many: String = (0..150).map(|n| format!("unknown{n}: 1\n")).collect();
    let problems = read(&and(&many)).unwrap_err();
    assert_eq!((problems.iter().count(), problems.left_out()), (100, 50));
    assert_eq!(problems.lines().last().unwrap(), "f: 50 more problems are not shown");
}
