//! A service: its versions and their roles, its split, what clients stick to, its timeouts.

use super::*;

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
