//! What tests start from: a service with a stable version and a canary, and windows of their counts.

use std::{sync::Arc, time::Duration};

use serin_config::{
    Address, Catalogue, Config, Generation, Outcome, PathMatch, RouteName, Service, ServiceName, Split,
    Version, VersionName, Weight,
    endpoint::Dns,
    limits::Limits,
    outcome::OutcomeCounts,
    plan::Plan,
    policy::{ErrorComparison, Guards, OnTimeout, RolloutPolicy, Step},
    route::Route,
    settings::{Admin, Control, Telemetry},
    wire::{LatencyCounts, Trip, TripCause, WindowCell, WindowReport, bucket_of},
};

pub(crate) fn name(text: &str) -> ServiceName {
    ServiceName::try_new(text).unwrap()
}

pub(crate) fn version(text: &str) -> VersionName {
    VersionName::try_new(text).unwrap()
}

pub(crate) fn weight(text: &str) -> Weight {
    text.parse().unwrap()
}

/// What a proxy tells whose wire tripped under that plan.
pub(crate) fn no_connection(generation: Generation) -> Trip {
    Trip {
        service: name("shop"),
        version: version("v2"),
        cause: TripCause::Fault,
        reason: "5 attempts in a row found no connection".into(),
        generation,
        at_ms: 1_000_000,
    }
}

/// `"v2 10% v1 90%"`.
pub(crate) fn split(text: &str) -> Split {
    let words: Vec<&str> = text.split_whitespace().collect();
    Split::try_new(words.chunks(2).map(|pair| (version(pair[0]), weight(pair[1]))).collect()).unwrap()
}

pub(crate) fn policy() -> RolloutPolicy {
    let step = |text| Step {
        min_requests: 10,
        min_duration: Duration::from_secs(1),
        max_duration: Duration::from_secs(60),
        ..Step::at(weight(text))
    };
    RolloutPolicy {
        steps: ["10%", "50%", "100%"].map(step).to_vec(),
        on_timeout: OnTimeout::Hold,
        guards: Guards {
            errors: Some(ErrorComparison {
                ratio: 1.2,
                margin: Weight::from_ppm(50).unwrap(),
                pass_ratio: 2.0,
                pass_margin: weight("1%"),
            }),
            max_error_rate: None,
            max_p99: None,
            latency: None,
            events: vec![],
        },
        false_alarm: 1e-4,
        false_pass: 0.05,
        soak: Duration::ZERO,
        ..RolloutPolicy::default()
    }
}

/// `shop` with v1 stable, v2 the canary and v0 neither; everything to v1.
pub(crate) fn shop() -> Service {
    let versions = ["v0", "v1", "v2"].iter().enumerate().map(|(i, text)| {
        let endpoint = Address::Tcp(([127, 0, 0, 1], 9_000 + u16::try_from(i).unwrap()).into());
        Version::new(version(text), vec![endpoint])
    });
    Service {
        canary: Some(version("v2")),
        rollout: policy(),
        ..Service::new(name("shop"), versions.collect(), version("v1"))
    }
}

pub(crate) fn catalogue(services: Vec<Service>) -> Arc<Catalogue> {
    let routes = services.iter().map(|service| Route {
        path: PathMatch::Prefix(format!("/{}", service.name)),
        ..Route::new(RouteName::try_new(service.name.as_str()).unwrap(), service.name.clone())
    });
    let routes = routes.collect();
    Arc::new(Catalogue::try_new(routes, services).unwrap())
}

/// One second of `shop`: requests and failures of the canary, then of the stable version.
pub(crate) fn report(
    sequence: u64,
    generation: Generation,
    canary: (u64, u64),
    stable: (u64, u64),
) -> WindowReport {
    let cell = |text: &str, (requests, failed): (u64, u64)| {
        let mut outcomes = OutcomeCounts::default();
        for i in 0..requests {
            outcomes.add(if i < failed { Outcome::Http5xx } else { Outcome::Ok });
        }
        let good = u32::try_from(requests - failed).unwrap();
        let headers = LatencyCounts(if good == 0 { vec![] } else { vec![(bucket_of(5_000), good)] });
        WindowCell {
            service: name("shop"),
            version: version(text),
            route: RouteName::try_new("shop").unwrap(),
            outcomes,
            headers,
            clients: None,
            control: None,
            events: vec![],
        }
    };
    WindowReport {
        proxy: "edge".into(),
        epoch: 1,
        sequence,
        ended_ms: sequence * 1_000,
        age_ms: 0,
        generation,
        began_under: generation,
        probing: vec![],
        cells: vec![cell("v2", canary), cell("v1", stable)],
        trips: vec![],
        unready: vec![],
        copies: vec![],
    }
}

pub(crate) fn canary_share(plan: &Plan) -> Weight {
    plan.split("shop").unwrap().of(&version("v2"))
}

pub(crate) fn config(services: Vec<Service>, state: std::path::PathBuf) -> Config {
    Config {
        purpose: serin_config::Purpose::Run,
        listeners: Vec::new(),
        catalogue: catalogue(services),
        admin: Admin { address: "127.0.0.1:0".parse().unwrap() },
        control: Control {
            address: "127.0.0.1:0".parse().unwrap(),
            state,
            token: None,
            tls: None,
            identities: Vec::new(),
            etcd: None,
            fleet: None,
            connect: None,
        },
        telemetry: Telemetry {
            instance: "edge".into(),
            trace_sampling: Weight::ZERO,
            ..Telemetry::default()
        },
        limits: Limits::default(),
        dns: Dns::default(),
        terms: Arc::default(),
        notifications: vec![],
    }
}
