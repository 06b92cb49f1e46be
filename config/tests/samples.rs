//! The sample files: those that are right load, and the one with ten mistakes has all ten named. What each
//! check says in detail is in `problems.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic, and read the samples"
)]

use std::{fs, path::Path};

use serin_config::{
    Config, Problems, Purpose, Secrets, file::load_for, load, policy::Preset, raw, summary::summary,
};

struct Environment;

impl Secrets for Environment {
    fn env(&self, name: &str) -> Option<String> {
        (name == "SERIN_TOKEN").then(|| "0123456789abcdef".into())
    }
    fn file(&self, path: &Path) -> Result<String, String> {
        fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

fn sample(path: &str) -> Result<Config, Problems> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = fs::read_to_string(&path).unwrap();
    load(&text, path.file_name().unwrap().to_str().unwrap(), path.parent().unwrap(), &Environment)
}

fn good(name: &str) -> Config {
    sample(&format!("../deploy/samples/{name}.yaml")).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_sidecar_sample_finds_stable_and_canary_by_name() {
    let config = good("sidecar");
    let orders = config.catalogue.service("orders").unwrap();
    assert_eq!(orders.split.to_string(), "canary 0% · stable 100%");
    assert_eq!(orders.rollout.steps.len(), 4);
    assert_eq!(config.catalogue.routes()[0].name.as_str(), "orders");
    assert_eq!(config.limits.workers, Some(1));
}

#[test]
fn the_edge_sample_has_its_routes_in_order_of_priority() {
    let config = good("edge");
    let names: Vec<_> = config.catalogue.routes().iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["shop-api", "shop-pages", "everything-else"]);
    assert_eq!(config.catalogue.service("shop-api").unwrap().split.to_string(), "v42 2% · v41 98%");
    assert_eq!(config.control.token.as_ref().unwrap().expose(), "0123456789abcdef");
    assert_eq!(config.control.state, Path::new("/var/lib/serin/state.redb"));
}

#[test]
fn the_gateway_sample_secures_both_sides_and_shields_its_users() {
    let config = good("gateway");
    assert_eq!(config.listeners[0].tls.as_ref().unwrap().certificates.len(), 2);
    assert!(config.listeners[2].tls.as_ref().unwrap().client_certificates.as_ref().unwrap().required);
    let shop = config.catalogue.service("shop").unwrap();
    assert!(shop.resilience.shield && shop.versions.iter().all(|version| version.tls.is_some()));
    let text = summary(&config);
    assert!(text.contains("TLS 1.2 or newer"), "{text}");
    assert!(config.control.asks_who() && config.control.tls.is_some());
    assert!(
        text.contains("10.2.0.1:9902 by TLS, reachable from other machines, with a token, 2 client"),
        "{text}"
    );
}

#[test]
fn the_standalone_sample_keeps_its_state_beside_the_file() {
    let config = good("standalone");
    assert!(config.control.state.ends_with("deploy/samples/serin-state.redb"));
    assert_eq!(config.listeners[0].name.as_str(), "listener-1");
}

fn for_a_fleet(name: &str, purpose: Purpose) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../deploy/samples/{name}.yaml"));
    let text = fs::read_to_string(&path).unwrap();
    load_for(Some(purpose), &text, name, Path::new("/etc/serin"), &Environment)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_samples_of_a_fleet_fit_together() {
    let (control, proxy) = (for_a_fleet("control", Purpose::Control), for_a_fleet("proxy", Purpose::Proxy));
    let (fleet, connect) = (control.control.fleet.unwrap(), proxy.control.connect.unwrap());
    assert!(fleet.tls.unwrap().client_certificates.unwrap().required);
    assert!(connect.tls.unwrap().client_certificate.is_some());
    assert_eq!(fleet.token, connect.token);
    assert_eq!(connect.endpoints.len(), 2);
}

#[test]
fn the_rollout_sample_says_every_word_of_a_rollout() {
    let config = good("rollout");
    let checkout = config.catalogue.service("checkout").unwrap();
    assert_eq!(checkout.events.as_ref().unwrap().names.len(), 2);
    let policy = &checkout.rollout;
    assert_eq!(policy.preset, Preset::Cautious);
    assert_eq!(policy.blast_radius.failed_requests, Some(200));
    assert_eq!(policy.guards.events.len(), 2);
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/samples/rollout.yaml"))
            .unwrap();
    let fields = [
        raw::Rollout::FIELDS,
        raw::Step::FIELDS,
        raw::Copying::FIELDS,
        raw::Guards::FIELDS,
        raw::BlastRadius::FIELDS,
    ];
    for field in fields.into_iter().flatten() {
        assert!(text.contains(&format!("{field}:")), "{field} is not in the sample");
    }
}

#[test]
fn the_policies_sample_freezes_groups_and_tells() {
    let config = good("policies");
    assert_eq!((config.terms.freezes.len(), config.terms.max_parallel_rollouts), (3, Some(3)));
    assert_eq!(config.terms.group("web").unwrap().services.len(), 2);
    let told: Vec<_> = config.notifications.iter().map(|told| told.from.label()).collect();
    assert_eq!(told, ["critical", "critical", "info"]);
    let asked: Vec<_> = config.terms.webhooks.iter().map(|asked| asked.name.as_str()).collect();
    assert_eq!(asked, ["change", "orders", "records-of-steps"]);
}

#[test]
fn a_summary_fits_on_one_screen_and_does_not_show_the_secret() {
    for name in ["sidecar", "edge", "standalone", "rollout"] {
        let text = summary(&good(name));
        assert!(text.lines().count() <= 40, "{text}");
        assert!(!text.contains("0123456789abcdef"), "{text}");
    }
    let standalone = summary(&good("standalone"));
    for line in [
        "  listener-1           127.0.0.1:8080",
        "  web                  */ → web",
        "service web",
        "  version   v1             stable  127.0.0.1:9001, 127.0.0.1:9002",
        "  version   v2             canary  127.0.0.1:9003",
        "  split     v2 10% · v1 90%, by client address",
        "  timeouts  connect 1s, header 15s, idle 1m, total none",
        "  rollout   1% → 5% → 10% → 25% → 50% → 100%, each at least 500 requests and 10s, 1h at most",
        "  preset    balanced, probe 20 a second for 10s, soak 5m",
        "  time up   hold",
        "  to pass   errors ≤ at 1% 2 × stable + 1%, at 5% 2 × stable + 0.2%, at 10% 1.5 × stable + 0.05%; no slower",
        "admin       127.0.0.1:9901",
    ] {
        assert!(standalone.lines().any(|shown| shown == line), "{line:?} is not in\n{standalone}");
    }
}

#[test]
fn all_ten_mistakes_are_named_with_line_and_column() {
    let problems = sample("samples/ten-mistakes.yaml").unwrap_err();
    let named: Vec<_> = problems.lines();
    let expected = [
        "ten-mistakes.yaml:6:5: listeners[1].adress: there is no field \"adress\" here — did you mean \"address\"?",
        "ten-mistakes.yaml:7:14: listeners[1].address: 127.0.0.1:8080 is taken: the listener of line 4 listens on 127.0.0.1:8080 already — give each listener, admin and control an address of its own",
        "ten-mistakes.yaml:10:14: routes[0].service: there is no service \"shopp\" — did you mean \"shop\"?",
        "ten-mistakes.yaml:12:18: routes[1].path_prefix: \"api\" does not begin with \"/\" — begin it with \"/\": \"/api\"",
        "ten-mistakes.yaml:19:25: services.shop.versions.v2.endpoints[0]: \"localhost:9002\" has a host name where an address must stand — write its IP address, such as 127.0.0.1:8080 for localhost; a version takes a name as dns: NAME:PORT",
        "ten-mistakes.yaml:21:13: services.shop.canary: there is no version \"v3\" — did you mean \"v2\"?",
        "ten-mistakes.yaml:22:12: services.shop.split: the weights sum to 95%, not to 100% — \"v1: 95%\" would make it 100%",
        "ten-mistakes.yaml:24:15: services.shop.timeouts.header: the duration \"15\" has no unit — say whether it is \"15ms\", \"15s\", \"15m\" or \"15h\"; or none for no limit",
        "ten-mistakes.yaml:26:41: services.shop.rollout.steps[1].weight: the steps must rise, and 1% comes after 5% — write a share above 5%, or put the steps in order",
        "ten-mistakes.yaml:29:10: control.token: a secret stands in clear text — write \"${NAME}\" for an environment variable or \"${file:PATH}\" for a file",
    ];
    assert_eq!(named, expected);
}
