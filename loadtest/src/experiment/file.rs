//! An experiment, from a file.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use http::HeaderName;
use serin_config::{
    Address, Weight, document, duration,
    limits::{FAULT_DELAY_MAX, FAULT_LIFE_MAX, FAULTS_MAX},
    problem::{Place, Problems, Reported},
    raw::{
        decode::{Field, List, Named, Spanned},
        load as raw,
    },
    settings::ADMIN_ADDRESS_DEFAULT,
};

use super::{
    EXPIRES_LATER, Fault,
    limit::{Limits, keeps},
};
use crate::{
    bounds::{
        CONNECTIONS_DEFAULT, CONNECTIONS_MAX, EXPERIMENT_SECONDS_MAX, PROXIES_MAX, RATE_MAX,
        REQUEST_TIMEOUT_DEFAULT,
    },
    gate::{Metric, budget::check_limit},
    mix::{ReadFile, check_asks, check_users},
    schedule::Rate,
    target::{Ask, Users},
    url::Url,
};

/// The load of an experiment.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// Whom it asks.
    pub url: Url,
    /// How often.
    pub rate: Rate,
    /// Whether arrivals are independent.
    pub poisson: bool,
    /// The most connections.
    pub connections: usize,
    /// For each request.
    pub timeout: Duration,
    /// Seconds before anything is counted.
    pub warm_up: u32,
    /// Whether HTTP/2 is spoken.
    pub http2: bool,
    /// The file of the authorities that are believed, as it was written.
    pub ca: Option<PathBuf>,
    /// What is asked.
    pub asks: Vec<Ask>,
    /// From whom.
    pub users: Option<Users>,
}

/// An experiment.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// Its load.
    pub load: LoadPlan,
    /// The admin listeners of the proxies.
    pub proxies: Vec<Address>,
    /// What holds while all is well.
    pub hypothesis: Limits,
    /// Beyond which it is over.
    pub abort: Limits,
    /// Seconds before the first fault.
    pub steady: u64,
    /// Seconds that are judged together.
    pub window: u64,
    /// What is broken.
    pub faults: Vec<Fault>,
}

impl Experiment {
    /// Reads the text of a file, which the user calls `name`; `read` reads files that it names.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(name: &str, text: &str, read: ReadFile<'_>) -> Result<Self, Problems> {
        document::read(name, text, |raw: raw::Experiment, top, problems| check(raw, top, problems, read))
    }

    /// How long it takes at most, in seconds, without the warm-up of its load.
    pub fn lasts_at_most(&self) -> u64 {
        let faults = self.faults.iter().map(|fault| fault.lasts + fault.recovers_within + self.window);
        self.steady + faults.sum::<u64>()
    }
}

const STEADY: u64 = 10;
const WINDOW: u64 = 3;
const RECOVERS_WITHIN: u64 = 30;
const WARM_UP: u64 = 1;
const RATE: f64 = 100.0;

fn check(
    raw: raw::Experiment,
    top: &Place,
    problems: &mut Problems,
    read: ReadFile<'_>,
) -> Result<Experiment, Reported> {
    let load = raw.load.required("load", top, problems, "write load: { url: \"http://127.0.0.1:8080/\" }");
    let load = load.and_then(|load| check_load(load, problems, read));
    let proxies = check_proxies(raw.proxies, problems);
    let right = "write what holds while all is well, such as hypothesis: { error_rate: 0.1%, p99: 50ms }";
    let hypothesis = raw.hypothesis.required("hypothesis", top, problems, right);
    let hypothesis = hypothesis.and_then(|given| {
        if given.value.0.is_empty() {
            return Err(problems.add(&given.place, "a hypothesis without a limit always holds", right));
        }
        check_limits(given.value, None, problems)
    });
    let abort = raw.abort.optional();
    let abort = abort.and_then(|abort| {
        let beyond = hypothesis.as_ref().ok();
        abort.map_or(Ok(Limits::default()), |abort| check_limits(abort.value, beyond, problems))
    });
    let steady = seconds(raw.steady, STEADY, 1, EXPERIMENT_SECONDS_MAX, problems);
    let window = seconds(raw.window, WINDOW, 1, 60, problems);
    let right = "write a list of faults, such as [{ delay: 200ms, lasts: 20s }]";
    let faults = raw.faults.required("faults", top, problems, right);
    let faults = faults.and_then(|faults| {
        let count = faults.value.0.len();
        if count == 0 || count > FAULTS_MAX {
            let wrong = format!("an experiment has 1 to {FAULTS_MAX} faults, this one {count}");
            return Err(problems.add(&faults.place, wrong, right));
        }
        check_faults(faults.value, problems)
    });
    Ok(Experiment {
        load: load?,
        proxies: proxies?,
        hypothesis: hypothesis?,
        abort: abort?,
        steady: steady?,
        window: window?,
        faults: faults?,
    })
}

fn check_load(
    load: Spanned<raw::ExperimentLoad>,
    problems: &mut Problems,
    read: ReadFile<'_>,
) -> Result<LoadPlan, Reported> {
    let Spanned { place, value: raw } = load;
    let right = "write whom it asks, such as url: \"http://127.0.0.1:8080/\"";
    let url = raw
        .url
        .required("url", &place, problems, right)
        .and_then(|url| url.value.parse::<Url>().map_err(|wrong| problems.add(&url.place, wrong, right)));
    let rate = match raw.rate.optional() {
        Ok(Some(rate)) => Rate::try_new(rate.value).map_err(|_| {
            let wrong = format!("{} is not a rate", rate.value);
            problems.add(&rate.place, wrong, format!("write a number above 0, at most {RATE_MAX}"))
        }),
        Ok(None) => Rate::try_new(RATE).map_err(|_| problems.add(&place, "there is no rate", "write one")),
        Err(reported) => Err(reported),
    };
    let connections = match raw.connections.optional() {
        Ok(Some(given)) => usize::try_from(given.value)
            .ok()
            .filter(|count| (1..=CONNECTIONS_MAX).contains(count))
            .ok_or_else(|| {
                let wrong = format!("{} is not a number of connections", given.value);
                problems.add(&given.place, wrong, format!("write a number from 1 to {CONNECTIONS_MAX}"))
            }),
        Ok(None) => Ok(CONNECTIONS_DEFAULT),
        Err(reported) => Err(reported),
    };
    let warm_up = seconds(raw.warm_up, WARM_UP, 0, 600, problems);
    let users = check_users(raw.users, problems);
    let asks = match raw.requests.optional()? {
        Some(requests) => Some(check_asks(requests, problems, read)?),
        None => None,
    };
    let url = url?;
    let asks = match asks {
        Some(asks) => asks,
        None => {
            let ask = Ask::get().path(&url.path);
            vec![ask.map_err(|error| problems.add(&place, error.to_string(), right))?]
        }
    };
    Ok(LoadPlan {
        asks,
        url,
        rate: rate?,
        poisson: raw.poisson.or(true)?,
        connections: connections?,
        timeout: raw.timeout.or(REQUEST_TIMEOUT_DEFAULT)?,
        warm_up: u32::try_from(warm_up?).unwrap_or(u32::MAX),
        http2: raw.http2.or(false)?,
        ca: raw.ca.optional()?.map(|ca| PathBuf::from(ca.value)),
        users: users?,
    })
}

fn check_proxies(proxies: Field<List<Address>>, problems: &mut Problems) -> Result<Vec<Address>, Reported> {
    let Some(Spanned { place, value }) = proxies.optional()? else {
        return Ok(vec![Address::Tcp(ADMIN_ADDRESS_DEFAULT)]);
    };
    let count = value.0.len();
    if count == 0 || count > PROXIES_MAX {
        let wrong = format!("faults are injected in 1 to {PROXIES_MAX} proxies, and here are {count}");
        return Err(problems.add(&place, wrong, "write the addresses of their admin listeners"));
    }
    value.0.into_iter().map(|address| address.map(|address| address.value)).collect()
}

/// Limits by metric; those to abort at must be further off than those of the hypothesis.
fn check_limits(
    limits: Named<String, String>,
    hypothesis: Option<&Limits>,
    problems: &mut Problems,
) -> Result<Limits, Reported> {
    let (mut checked, mut wrong) = (Limits::default(), None);
    for entry in limits.0 {
        let Some(metric) = Metric::named(&entry.text) else {
            let names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
            let said = format!("\"{}\" is not a metric", entry.text);
            wrong = Some(problems.add(&entry.place, said, format!("write one of {}", names.join(", "))));
            continue;
        };
        let limit = entry.value.and_then(|text| {
            let limit = check_limit(metric, &text, problems)?;
            match hypothesis.and_then(|hypothesis| hypothesis.get(metric)) {
                Some(near) if keeps(metric, limit, near) => {
                    let wrong = format!(
                        "the experiment would be over before its hypothesis is broken, which allows {}",
                        metric.show(near)
                    );
                    Err(problems.add(&text.place, wrong, "write a limit beyond that of the hypothesis"))
                }
                _ => Ok(limit),
            }
        });
        match limit {
            Ok(limit) => checked.insert(metric, limit),
            Err(reported) => wrong = Some(reported),
        }
    }
    wrong.map_or(Ok(checked), Err)
}

fn check_faults(faults: List<raw::ExperimentFault>, problems: &mut Problems) -> Result<Vec<Fault>, Reported> {
    let (mut checked, mut names, mut wrong) = (Vec::new(), BTreeSet::new(), None);
    for fault in faults.0 {
        let fault = fault.and_then(|fault| {
            let place = fault.place.clone();
            let fault = check_fault(fault, problems)?;
            if names.insert(fault.name.clone()) {
                return Ok(fault);
            }
            let said = format!("there is a fault \"{}\" already", fault.name);
            Err(problems.add(&place, said, "give each a name of its own"))
        });
        match fault {
            Ok(fault) => checked.push(fault),
            Err(reported) => wrong = Some(reported),
        }
    }
    wrong.map_or(Ok(checked), Err)
}

fn check_fault(fault: Spanned<raw::ExperimentFault>, problems: &mut Problems) -> Result<Fault, Reported> {
    let Spanned { place, value: raw } = fault;
    let longest = FAULT_LIFE_MAX.saturating_sub(EXPIRES_LATER).as_secs();
    let lasts = raw.lasts.required("lasts", &place, problems, "write for how long, such as lasts: 20s");
    let lasts = lasts.and_then(|lasts| whole(&lasts, 1, longest, problems));
    let within = seconds(raw.recovers_within, RECOVERS_WITHIN, 0, EXPERIMENT_SECONDS_MAX, problems);
    let delay = raw.delay.optional().and_then(|delay| match delay {
        Some(delay) if delay.value.is_zero() || delay.value > FAULT_DELAY_MAX => {
            let wrong = format!("a delay of {} can't be injected", duration::show(delay.value));
            let right = format!("write more than nothing and at most {}", duration::show(FAULT_DELAY_MAX));
            Err(problems.add(&delay.place, wrong, right))
        }
        delay => Ok(delay.map(|delay| delay.value)),
    });
    let abort = raw.abort.optional().and_then(|abort| match abort {
        Some(abort) => match u16::try_from(abort.value).ok().filter(|status| (400..=599).contains(status)) {
            Some(status) => Ok(Some(status)),
            None => {
                let wrong = format!("{} is not the status of a failure", abort.value);
                Err(problems.add(&abort.place, wrong, "write one from 400 to 599"))
            }
        },
        None => Ok(None),
    });
    let throttle = raw.throttle.optional().and_then(|throttle| match throttle {
        Some(throttle) => match u32::try_from(throttle.value.0).ok().filter(|rate| *rate > 0) {
            Some(rate) => Ok(Some(rate)),
            None => {
                let wrong = format!("{} bytes a second can't be injected", throttle.value.0);
                Err(problems.add(&throttle.place, wrong, "write from 1B to 4095MiB"))
            }
        },
        None => Ok(None),
    });
    let header =
        raw.header.optional().and_then(|header| header.map(|h| check_header(h, problems)).transpose());
    let mut fault = Fault {
        name: String::new(),
        service: raw.service.optional()?.map(|name| name.value),
        version: raw.version.optional()?.map(|name| name.value),
        route: raw.route.optional()?.map(|name| name.value),
        header: header?,
        share: raw.percent.or(Weight::WHOLE)?,
        delay: delay?,
        abort: abort?,
        throttle: throttle?,
        down: raw.down.or(false)?,
        lasts: lasts?,
        recovers_within: within?,
    };
    if (fault.delay, fault.abort, fault.throttle, fault.down) == (None, None, None, false) {
        return Err(problems.add(
            &place,
            "nothing would happen",
            "write delay, abort, throttle or down: true",
        ));
    }
    fault.name = raw.name.optional()?.map_or_else(|| fault.words(), |name| name.value);
    Ok(fault)
}

fn check_header(
    header: Spanned<raw::FaultHeader>,
    problems: &mut Problems,
) -> Result<(String, Option<String>), Reported> {
    let Spanned { place, value: raw } = header;
    let name = raw.name.required("name", &place, problems, "write the name of a header, such as x-user")?;
    if HeaderName::from_bytes(name.value.as_bytes()).is_err() {
        let wrong = format!("\"{}\" is not the name of a header", name.value);
        return Err(problems.add(&name.place, wrong, "write a name such as x-user"));
    }
    Ok((name.value, raw.value.optional()?.map(|value| value.value)))
}

/// Whole seconds: the course goes from one to the next.
fn seconds(
    field: Field<Duration>,
    default: u64,
    least: u64,
    most: u64,
    problems: &mut Problems,
) -> Result<u64, Reported> {
    field.optional()?.map_or(Ok(default), |time| whole(&time, least, most, problems))
}

fn whole(time: &Spanned<Duration>, least: u64, most: u64, problems: &mut Problems) -> Result<u64, Reported> {
    let seconds = time.value.as_secs();
    if time.value.subsec_nanos() == 0 && (least..=most).contains(&seconds) {
        return Ok(seconds);
    }
    let wrong = format!("{} is not a time that can stand here", duration::show(time.value));
    Err(problems.add(&time.place, wrong, format!("write whole seconds from {least}s to {most}s")))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
