use std::io;

use super::*;

fn read(text: &str) -> Result<Experiment, Vec<String>> {
    let files = |_: &std::path::Path| Err(io::Error::from(io::ErrorKind::NotFound));
    Experiment::read("day.yaml", text, &files).map_err(|problems| problems.lines())
}

#[test]
fn an_experiment_is_what_the_file_says_and_defaults_otherwise() {
    let experiment = read(
        "load: { url: \"http://127.0.0.1:8080/items\", rate: 200 }\nhypothesis: { error_rate: 1%, p99: 50ms }\n\
         abort: { error_rate: 20% }\nfaults:\n- { service: shop, version: v2, delay: 200ms, lasts: 20s }\n\
         - { name: gone, down: true, percent: 50%, lasts: 1m, recovers_within: 10s }\n",
    )
    .unwrap();
    assert_eq!((experiment.steady, experiment.window, experiment.load.warm_up), (10, 3, 1));
    assert_eq!(experiment.proxies, ["127.0.0.1:9901".parse().unwrap()]);
    assert_eq!(experiment.hypothesis.get(Metric::P99), Some(50_000.0));
    assert_eq!(experiment.abort.get(Metric::ErrorRate), Some(0.2));
    assert!(experiment.load.poisson && !experiment.load.http2);
    let names: Vec<&str> = experiment.faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, ["delay of 200ms (shop v2)", "gone"]);
    assert_eq!((experiment.faults[0].recovers_within, experiment.faults[1].lasts), (30, 60));
    assert_eq!(experiment.lasts_at_most(), 10 + 20 + 30 + 3 + 60 + 10 + 3);
}

#[test]
fn all_that_is_wrong_is_said_at_its_place() {
    let problems = read(
        "load: { url: nowhere, rate: 0 }\nproxies: []\nhypothesis: { p98: 1ms, error_rate: 5% }\nsteady: 1500ms\nfaults:\n\
         - { lasts: 10s }\n- { abort: 200, lasts: 10s }\n- { delay: 5m, lasts: 2h }\n- { down: true }\n\
         - { down: true, lasts: 1s, header: { name: \"a b\" } }\n",
    )
    .unwrap_err()
    .join("\n");
    for part in [
        "day.yaml:1:14: load.url: \"nowhere\" is not a URL",
        "day.yaml:1:29: load.rate: 0 is not a rate",
        "proxies: faults are injected in 1 to 64 proxies, and here are 0",
        "\"p98\" is not a metric",
        "steady: 1500ms is not a time that can stand here",
        "day.yaml:6:3: faults[0]: nothing would happen",
        "faults[1].abort: 200 is not the status of a failure",
        "faults[2].delay: a delay of 5m can't be injected",
        "faults[2].lasts: 2h is not a time",
        "faults[3]: \"lasts\" is missing",
        "faults[4].header.name: \"a b\" is not the name of a header",
    ] {
        assert!(problems.contains(part), "{part} is missing in:\n{problems}");
    }
    for (text, part) in [
        ("{}", "\"load\" is missing"),
        ("hypothesis: {}", "always holds"),
        ("faults: []", "1 to 64 faults"),
        ("hypothesis: { error_rate: 5% }\nabort: { error_rate: 1% }", "over before its hypothesis is broken"),
        ("hypothesis: { throughput: 90 }\nabort: { throughput: 95 }", "over before its hypothesis is broken"),
        (
            "faults: [{ down: true, lasts: 1s }, { down: true, lasts: 2s }]",
            "there is a fault \"endpoints down\" already",
        ),
    ] {
        let problems = read(text).unwrap_err().join("\n");
        assert!(problems.contains(part), "{part} is missing in:\n{problems}");
    }
}

#[test]
fn the_sample_is_a_good_experiment() {
    let sample = include_str!("../../../deploy/samples/experiment.yaml");
    assert_eq!(read(sample).unwrap().faults.len(), 4);
}
