//! What a proxy tells of its traffic: windows and beats, as whoever judges gets them. The proxy runs alone here, in
//! this process, so that nobody decides anything meanwhile.
//!
//! How workers' counts become a window is covered by `serin-proxy`; requests that hang by [`crate::hangs`].

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use serde_json::json;
use serin_config::{
    Address, Generation, Plan,
    file::{Secrets, TlsFault, TlsFiles, load},
    limits::WINDOWS_QUEUED_MAX,
    wire::{Beat, Report, Slice, WindowReport},
};
use serin_proxy::{Ending, Inherited, PlanCell, Proxy, Setup};
use tokio::{runtime::Runtime, sync::mpsc};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, two_versions},
    endpoint::{Endpoint, ok},
    http,
    wire::Head,
};

struct NoSecrets;

impl Secrets for NoSecrets {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("there are no secrets here".into())
    }

    fn tls(&self, _: TlsFiles<'_>) -> Result<(), TlsFault> {
        Ok(())
    }
}

struct World {
    runtime: Runtime,
    proxy: Option<Proxy>,
    reports: mpsc::Receiver<Report>,
    web: SocketAddr,
    windows: Vec<WindowReport>,
    beats: Vec<Beat>,
}

impl World {
    /// A sticky service with two stable endpoints, one canary endpoint and events, at half and half.
    fn start(stable: &[Endpoint; 2], canary: &Endpoint) -> Self {
        let mut config = two_versions(stable[0].address(), canary.address(), "50%", "50%");
        let service = &mut config["services"][SERVICE];
        service["versions"]["v1"]["endpoints"] = json!([stable[0].address(), stable[1].address()]);
        service["sticky"] = json!({ "header": "x-user" });
        service["events"] = json!({ "header": "x-event", "names": ["order", "refund"] });
        config["limits"]["workers"] = json!(2);
        config["listeners"] = json!([{ "name": "web", "address": "127.0.0.1:0" }]);
        config["admin"]["address"] = json!("127.0.0.1:0");
        let config = load(&config.to_string(), "serin.yaml", Path::new("/"), &NoSecrets)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let runtime = Runtime::new().unwrap();
        let plan = Plan::new(config.catalogue.clone(), Generation(3), Generation(2));
        let (up, reports) = mpsc::channel(WINDOWS_QUEUED_MAX);
        let setup = Setup {
            config: &config,
            plans: PlanCell::new(Arc::new(plan)),
            reports: up,
            epoch: 1,
            version: "test",
            inherited: Inherited::none(),
        };
        let proxy = runtime.block_on(async { Proxy::start(setup) }).unwrap();
        let Address::Tcp(web) = proxy.listeners()[0].1 else { panic!("a TCP listener") };
        Self { runtime, proxy: Some(proxy), reports, web, windows: Vec::new(), beats: Vec::new() }
    }

    fn get(&self, user: Option<&str>, path: &str) -> http::Reply {
        let headers: Vec<_> = user.map(|user| ("x-user", user)).into_iter().collect();
        http::get_with(self.web, path, &headers).unwrap()
    }

    fn hear(&mut self) {
        let next = self.runtime.block_on(async { tokio::time::timeout(SOON, self.reports.recv()).await });
        match next.expect("a proxy tells every second").expect("it is there") {
            Report::Window(window) => self.windows.push(window),
            Report::Beat(beat) => self.beats.push(beat),
        }
    }

    /// Listens until so many requests have been told of in windows.
    fn hear_of(&mut self, requests: u64) {
        while self.told(|cell| cell.outcomes.judged()) < requests {
            self.hear();
        }
    }

    fn told(&self, of: impl Fn(&serin_config::wire::WindowCell) -> u64) -> u64 {
        self.windows.iter().flat_map(|window| &window.cells).map(of).sum()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(proxy) = self.proxy.take() {
            self.runtime.block_on(proxy.drain(Ending::Stop));
        }
    }
}

/// Fails what asks for it, and names the event that the path names.
fn endpoint() -> Endpoint {
    Endpoint::answering(|head: &Head| match head.word() {
        "/fail" => b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".to_vec(),
        "/order" => b"HTTP/1.1 200 OK\r\nx-event: order, other\r\ncontent-length: 0\r\n\r\n".to_vec(),
        _ => ok(""),
    })
}

#[test]
fn windows_tell_of_clients_events_and_a_control_and_beats_of_the_same_requests() {
    let _machine = beside();
    let (stable, canary) = ([endpoint(), endpoint()], endpoint());
    let mut world = World::start(&stable, &canary);
    // With the first window the workers learn on what terms they count.
    while world.windows.is_empty() {
        world.hear();
    }
    for user in ["ann", "bob", "cid"] {
        for _ in 0..5 {
            assert_eq!(world.get(Some(user), "/fail").status, 500);
        }
    }
    (0..4).for_each(|_| assert_eq!(world.get(None, "/fail").status, 500));
    for user in 0..40 {
        let answer = world.get(Some(&user.to_string()), "/order");
        assert_eq!(answer.header("x-event"), "order, other", "the client gets what was named");
    }
    let all = 15 + 4 + 40;
    world.hear_of(all);

    assert_eq!(
        (world.told(|cell| cell.outcomes.judged()), world.told(|cell| cell.outcomes.failed())),
        (all, 19)
    );
    // Three users, once each, and four requests without one.
    assert_eq!(world.told(|cell| cell.clients.expect("the split is sticky")), 7);
    let events = |name: &str| {
        world.told(|cell| cell.events.iter().filter(|(own, _)| own.as_str() == name).map(|(_, n)| n).sum())
    };
    assert_eq!((events("order"), events("refund"), events("other")), (40, 0, 0));

    let slices = |version: &str| -> Vec<&Slice> {
        let cells = world.windows.iter().flat_map(|window| &window.cells);
        cells
            .filter(|cell| cell.version.as_str() == version)
            .filter_map(|cell| cell.control.as_deref())
            .collect()
    };
    assert!(slices("v2").is_empty());
    let in_control: u64 = slices("v1").iter().map(|slice| slice.outcomes.judged()).sum();
    let of_one: Vec<u64> = stable.iter().map(|endpoint| endpoint.requests() as u64).collect();
    assert!(
        of_one.contains(&in_control),
        "one endpoint's requests are the control: {in_control} of {of_one:?}"
    );

    // The last beat may still be on its way.
    let beaten = |world: &World, of: fn(&serin_config::wire::BeatCount) -> u64| -> u64 {
        world.beats.iter().flat_map(|beat| &beat.counts).map(of).sum()
    };
    while beaten(&world, |count| count.judged) < all {
        world.hear();
    }
    assert_eq!((beaten(&world, |count| count.judged), beaten(&world, |count| count.failed)), (all, 19));
    assert!(world.beats.iter().all(|beat| beat.generation == Generation(3)));
    let windows = &world.windows;
    assert!(windows.iter().all(|window| window.began_under == Generation(3) && window.probing.is_empty()));
    assert!(windows.iter().zip(1..).all(|(window, sequence)| window.sequence == sequence));
    assert!(windows.len() >= 2 && Duration::from_secs(windows.len() as u64) < SOON);
}
