//! Where traffic comes in and where it goes: listeners, routes, hosts, paths.

use super::*;

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
