//! Metrics in Prometheus' text format.

use std::fmt::{self, Write};

use serin_config::{Outcome, Plan, Service, VersionName, Weight, wire::ReloadStatus};
use serin_split::{Aside, exemplar::BOUNDS_US};

use super::{
    metrics as names, process,
    totals::{Classic, Key, Stamped, Total, Totals},
};
use crate::{
    clock,
    shared::{Shared, VersionShared},
};

/// Everything that a page of metrics shows besides the rare counters.
pub(crate) struct Page<'a> {
    pub(crate) totals: &'a Totals,
    pub(crate) plan: &'a Plan,
    pub(crate) reload: &'a ReloadStatus,
    pub(crate) connections: usize,
    /// The same, by worker.
    pub(crate) by_worker: Vec<usize>,
    pub(crate) shared: &'a Shared,
    pub(crate) version: &'a str,
    /// Whether buckets carry exemplars, which Prometheus' text format does not have.
    pub(crate) exemplars: bool,
}

impl Page<'_> {
    /// Writes the page.
    pub(crate) fn write(&self, out: &mut String) -> fmt::Result {
        self.requests(out)?;
        self.durations(out)?;
        self.copies(out)?;
        self.gauges(out)?;
        self.resilience(out)?;
        self.configuration(out)?;
        process::write(out);
        Ok(())
    }

    fn requests(&self, out: &mut String) -> fmt::Result {
        head(out, names::REQUESTS, "counter", "Attempts by the version that made them and how they ended.")?;
        for (key, total) in &self.totals.series {
            for outcome in Outcome::ALL {
                let count = total.outcomes.of(outcome);
                writeln!(
                    out,
                    "{}{{{},outcome=\"{}\"}} {count}",
                    names::REQUESTS,
                    Labels(key),
                    outcome.label()
                )?;
            }
        }
        let help = "Attempts that have no part in the comparison of versions, by reason; serin_requests_total \
                    has them too.";
        head(out, names::UNJUDGED, "counter", help)?;
        for (key, total) in &self.totals.series {
            for (why, count) in Aside::ALL.iter().zip(total.aside) {
                writeln!(out, "{}{{{},reason=\"{}\"}} {count}", names::UNJUDGED, Labels(key), why.label())?;
            }
        }
        head(out, names::WORKER_REQUESTS, "counter", "Attempts by the worker that made them.")?;
        for (worker, attempts) in self.totals.by_worker() {
            writeln!(out, "{}{{worker=\"{worker}\"}} {attempts}", names::WORKER_REQUESTS)?;
        }
        Ok(())
    }

    fn copies(&self, out: &mut String) -> fmt::Result {
        head(
            out,
            names::MIRROR_REQUESTS,
            "counter",
            "Copies of requests by who got them and how they ended.",
        )?;
        for ((service, version), total) in &self.totals.copies {
            for outcome in Outcome::ALL {
                let (count, outcome) = (total.outcomes.of(outcome), outcome.label());
                let labels = format!("service=\"{service}\",version=\"{version}\",outcome=\"{outcome}\"");
                writeln!(out, "{}{{{labels}}} {count}", names::MIRROR_REQUESTS)?;
            }
        }
        head(out, names::MIRROR_DURATION, "histogram", "Time from a copy to the end of its answer.")?;
        for ((service, version), total) in &self.totals.copies {
            for (result, classic) in [("success", &total.success), ("failure", &total.failure)] {
                let labels = format!("service=\"{service}\",version=\"{version}\",result=\"{result}\"");
                histogram(out, names::MIRROR_DURATION, &labels, classic, self.exemplars)?;
            }
        }
        Ok(())
    }

    fn durations(&self, out: &mut String) -> fmt::Result {
        let families: [Family; 3] = [
            (
                names::REQUEST_DURATION,
                "Time from the request's head to the end of the response.",
                &[(",result=\"success\"", |t| &t.success), (",result=\"failure\"", |t| &t.failure)],
            ),
            (
                names::HEADERS_DURATION,
                "Time from the request's head to the response's head, of attempts that did not fail.",
                &[("", |t| &t.headers)],
            ),
            (names::OWN_DURATION, "The proxy's own part of the time of a request.", &[("", |t| &t.own)]),
        ];
        for (name, help, parts) in families {
            head(out, name, "histogram", help)?;
            for (key, total) in &self.totals.series {
                for (label, pick) in parts {
                    histogram(out, name, &format!("{}{label}", Labels(key)), pick(total), self.exemplars)?;
                }
            }
        }
        Ok(())
    }

    fn gauges(&self, out: &mut String) -> fmt::Result {
        head(out, names::IN_FLIGHT, "gauge", "Requests in flight.")?;
        for ((service, version), count) in self.totals.in_flight() {
            writeln!(out, "{}{{service=\"{service}\",version=\"{version}\"}} {count}", names::IN_FLIGHT)?;
        }
        head(
            out,
            names::WEIGHT,
            "gauge",
            "The share of its service's traffic that a version is given, 0 to 1.",
        )?;
        for (service, split) in self.plan.services() {
            for version in &service.versions {
                let share = split.of(&version.name).fraction();
                let (service, version) = (&service.name, &version.name);
                writeln!(out, "{}{{service=\"{service}\",version=\"{version}\"}} {share}", names::WEIGHT)?;
            }
        }
        head(
            out,
            names::MIRROR,
            "gauge",
            "The share of its service's requests that a version is given copies of, 0 to 1; nobody gets its answers to them.",
        )?;
        for (service, _) in self.plan.services() {
            for version in &service.versions {
                let share = mirrored(self.plan, service, &version.name).fraction();
                let (service, version) = (&service.name, &version.name);
                writeln!(out, "{}{{service=\"{service}\",version=\"{version}\"}} {share}", names::MIRROR)?;
            }
        }
        single(out, names::CLIENT_CONNECTIONS, "gauge", "Open client connections.", self.connections)?;
        head(
            out,
            names::WORKER_CONNECTIONS,
            "gauge",
            "Open client connections by the worker that serves them.",
        )?;
        for (worker, open) in self.by_worker.iter().enumerate() {
            writeln!(out, "{}{{worker=\"{worker}\"}} {open}", names::WORKER_CONNECTIONS)?;
        }
        let idle = self.totals.upstream_idle();
        single(out, names::IDLE_CONNECTIONS, "gauge", "Unused connections to endpoints.", idle)
    }

    fn resilience(&self, out: &mut String) -> fmt::Result {
        type Reading = fn(&VersionShared) -> Option<usize>;
        let gauges: [(&str, &str, Reading); 5] = [
            (names::TRIPPED, "Whether the trip-wire holds the version out.", |version| {
                Some(version.trip.tripped().is_some().into())
            }),
            (names::PROBED, "Whether the version gets few requests yet because it is new.", |version| {
                Some(version.probation.is_on(clock::now()).into())
            }),
            (names::BREAKER_OPEN, "Whether its breaker was opened by hand.", |version| {
                Some(version.breaker.is_open(clock::unix_ms).into())
            }),
            (names::PENDING, "Requests that wait for a place at the version.", |version| {
                Some(version.requests.waiting())
            }),
            (names::ADAPTIVE_LIMIT, "The adaptive limit on its requests in flight.", |version| {
                version.adaptive_limit()
            }),
        ];
        let versions = self.shared.versions();
        for (name, help, read) in gauges {
            head(out, name, "gauge", help)?;
            for ((service, version), state) in &versions {
                if let Some(value) = read(state) {
                    writeln!(out, "{name}{{service=\"{service}\",version=\"{version}\"}} {value}")?;
                }
            }
        }
        Ok(())
    }

    fn configuration(&self, out: &mut String) -> fmt::Result {
        single(out, names::GENERATION, "gauge", "The number of the plan in force.", self.plan.generation())?;
        head(out, names::RELOADS, "counter", "Reloads of the configuration by result.")?;
        writeln!(out, "{}{{result=\"success\"}} {}", names::RELOADS, self.reload.succeeded)?;
        writeln!(out, "{}{{result=\"failure\"}} {}", names::RELOADS, self.reload.failed)?;
        let good = u8::from(self.reload.problems.is_empty());
        single(out, names::RELOAD_SUCCESSFUL, "gauge", "Whether the last reload was taken.", good)?;
        let at = self.reload.last_success_ms as f64 / 1000.0;
        single(
            out,
            names::RELOAD_TIME,
            "gauge",
            "When the last reload was taken, in seconds since 1970.",
            at,
        )?;
        head(out, names::BUILD_INFO, "gauge", "What was built; always 1.")?;
        writeln!(out, "{}{{version=\"{}\"}} 1", names::BUILD_INFO, self.version)
    }
}

/// The share of requests that a version gets copies of: in a step of its rollout, or else as the file says.
fn mirrored(plan: &Plan, service: &Service, version: &VersionName) -> Weight {
    let step = plan.mirror(service.name.as_str());
    if step > Weight::ZERO {
        return if service.canary.as_ref() == Some(version) { step } else { Weight::ZERO };
    }
    let always = service.mirror.as_ref().filter(|mirror| mirror.version == *version);
    always.map_or(Weight::ZERO, |mirror| mirror.share)
}

/// A name, a help text, and the histograms of a series with the label that tells them apart.
type Family = (&'static str, &'static str, &'static [(&'static str, fn(&Total) -> &Classic)]);

struct Labels<'a>(&'a Key);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names hold nothing that a label would have to escape.
        let (service, version, route) = self.0;
        write!(f, "service=\"{service}\",version=\"{version}\",route=\"{route}\"")
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn single(out: &mut String, name: &str, kind: &str, help: &str, value: impl fmt::Display) -> fmt::Result {
    head(out, name, kind, help)?;
    writeln!(out, "{name} {value}")
}

fn histogram(out: &mut String, name: &str, labels: &str, classic: &Classic, exemplars: bool) -> fmt::Result {
    let mut below = 0;
    let bounds = BOUNDS_US.iter().map(|bound| Some(*bound as f64 / 1e6)).chain([None]);
    for ((bound, count), exemplar) in bounds.zip(classic.buckets).zip(classic.exemplars) {
        below += count;
        write!(out, "{name}_bucket{{{labels},le=\"")?;
        match bound {
            // OpenMetrics writes a whole number with its decimal point.
            Some(bound) if exemplars => write!(out, "{bound:?}")?,
            Some(bound) => write!(out, "{bound}")?,
            None => out.push_str("+Inf"),
        }
        write!(out, "\"}} {below}")?;
        match exemplar.filter(|_| exemplars) {
            Some(Stamped { trace, micros, at_ms }) => {
                let (value, at) = (micros as f64 / 1e6, at_ms as f64 / 1e3);
                writeln!(out, " # {{trace_id=\"{trace}\"}} {value} {at:.3}")?;
            }
            None => out.push('\n'),
        }
    }
    writeln!(out, "{name}_sum{{{labels}}} {}", classic.sum_us as f64 / 1e6)?;
    writeln!(out, "{name}_count{{{labels}}} {below}")
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use serin_config::{Address, Catalogue, Generation, ServiceName, Version, steer::Mirror};

    use super::*;

    fn version(text: &str) -> VersionName {
        VersionName::try_new(text).unwrap()
    }

    #[test]
    fn copies_are_those_of_the_step_or_else_those_of_the_file() {
        let address = Address::Tcp(([127, 0, 0, 1], 1).into());
        let versions = ["v1", "v2", "v3"].map(|name| Version::new(version(name), vec![address.clone()]));
        let mut service =
            Service::new(ServiceName::try_new("shop").unwrap(), versions.to_vec(), version("v1"));
        service.canary = Some(version("v2"));
        service.mirror = Some(Mirror {
            version: version("v3"),
            share: Weight::WHOLE,
            max_in_flight: 1,
            max_body: 0,
            timeout: Duration::from_secs(1),
        });
        let catalogue = Arc::new(Catalogue::try_new(vec![], vec![service.clone()]).unwrap());
        let mut plan = Plan::new(catalogue, Generation(1), Generation(0));
        let shares =
            |plan: &Plan| ["v1", "v2", "v3"].map(|name| mirrored(plan, &service, &version(name)).fraction());
        assert_eq!(shares(&plan), [0.0, 0.0, 1.0]);
        plan.set_mirror("shop", "10%".parse().unwrap());
        assert_eq!(shares(&plan), [0.0, 0.1, 0.0]);
    }
}
