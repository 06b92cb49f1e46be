//! Routes are compared each with itself, so the one that is bad is named.

use std::time::Duration;

use serde_json::json;
use serin_loadtest::{Stop, Target};

use super::rig::{AT_ONCE, PATHS, RATE, Rig};
use crate::harness::{SOON, alone, eventually, http, in_parallel};

pub(super) fn target(rig: &Rig, path: &str) -> Target {
    rig.serin.target().path(path).unwrap()
}

#[test]
fn the_one_route_that_is_bad_is_named() {
    let _machine = alone();
    let told = in_parallel(5, AT_ONCE, |run| {
        let rig = Rig::new(run, &json!({}));
        let search = rig.load_at(RATE * 0.9, target(&rig, PATHS[0]), Stop::Never);
        let cart = rig.load_at(RATE * 0.1, target(&rig, PATHS[1]), Stop::Never);
        rig.served(SOON, 2_000);
        let rig = rig.begin();
        rig.canary.path(PATHS[1]).set_error_ppm(300_000);
        let rollout = eventually(Duration::from_secs(120), "it is rolled back", || {
            let rollout = rig.serin.control().rollout();
            (rollout["state"] == "rolled_back").then_some(rollout)
        });
        let explained = http::get(rig.serin.api, "/v1/services/shop/rollout/explain").unwrap().body;
        for running in [search, cart] {
            running.cancel();
            running.blocking_report().unwrap();
        }
        assert_eq!(rollout["verdict"]["route"], "cart", "{rollout}");
        assert!(explained.contains("cart"), "{explained}");
        (rig.canary.failures(), explained)
    });
    println!("one route of ten per cent is bad: {told:#?}");
}
