//! Raw → typed: the one conversion. Whatever does not fit together is reported at the place where it would be
//! mended, and the conversion goes on with the rest, so that one run names all mistakes.
//!
//! Each part is checked by a function that returns `Err(Reported)` only after it has said why. Parts are all
//! run before the first `?` joins them; a `?` in their midst would hide what comes after it.

mod address;
mod control;
mod endpoint;
mod etcd;
mod events;
mod fleet;
mod guards;
mod identity;
mod limits;
mod listener;
mod mail;
mod naming;
mod notification;
mod purpose;
mod range;
mod resilience;
mod rollout;
mod route;
mod secret;
mod service;
mod steer;
mod steps;
mod sticky;
mod strategy;
mod telemetry;
mod terms;
mod tls;
mod upgrade;
mod version;
mod webhook;

use std::{path::Path as FilePath, sync::Arc};

use crate::{
    catalogue::Catalogue,
    file::Secrets,
    limits::CONFIG_BYTES_MAX,
    name::NameError,
    problem::{Place, Problems, Reported, shown},
    raw::{
        self,
        decode::{Field, List, Spanned, Switch},
    },
    settings::{Config, Purpose},
    terms::Terms,
};

/// What lies around the file.
pub struct Surroundings<'a> {
    /// The file's directory.
    pub base_dir: &'a FilePath,
    /// Where secrets come from.
    pub secrets: &'a dyn Secrets,
}

/// Converts a whole file; all problems are reported. Without a purpose, the file's sections tell what it is for. `text`
/// are its routes and services as text for proxies, unless they are too long for that.
pub fn check(
    file: raw::File,
    purpose: Option<Purpose>,
    text: Option<String>,
    top: &Place,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Config, Reported> {
    let purpose = purpose.unwrap_or_else(|| purpose::of(&file));
    let names = match &file.services {
        Field::Given(services) => Ok(service::names(&services.value)),
        Field::Absent => Ok(Default::default()),
        Field::Wrong(reported) => Err(*reported),
    };
    let fits = purpose::check(&file, purpose, top, problems);
    address::check_distinct(&file, purpose, problems);
    let catalogue = match purpose {
        Purpose::Proxy => Catalogue::try_new(Vec::new(), Vec::new())
            .map_err(|error| problems.add(top, error.to_string(), "leave the routes and services out")),
        Purpose::Run | Purpose::Control => check_catalogue(file.routes, file.services, top, around, problems),
    };
    let listeners = match purpose {
        Purpose::Control if matches!(file.listeners, Field::Absent) => Ok(Vec::new()),
        _ => listener::check_all(file.listeners, top, around, problems),
    };
    let long = match (&text, file.control.given().and_then(|control| control.value.fleet.given())) {
        (None, Some(fleet)) => {
            let wrong = "the routes and services are too long to be told to proxies";
            let right = format!("with aliases replaced they may have {CONFIG_BYTES_MAX} bytes");
            Err(problems.add(&fleet.place, wrong, right))
        }
        _ => Ok(()),
    };
    let terms = terms::check(
        terms::Parts { freezes: file.freezes, groups: file.groups, max_parallel: file.max_parallel_rollouts },
        names.as_ref().ok(),
        problems,
    );
    let webhooks = webhook::check(file.webhooks, names.as_ref().ok(), around, problems);
    let notifications = notification::check(file.notifications, names.as_ref().ok(), around, problems);
    let admin = control::check_admin(file.admin, problems);
    let control = control::check_control(file.control, &names, around, problems);
    let telemetry = telemetry::check(file.telemetry, around, problems);
    let limits = limits::check(file.limits, problems);
    let dns = endpoint::check_dns(file.dns, problems);
    fits?;
    long?;
    let catalogue = match text {
        Some(text) => catalogue?.with_source(text),
        None => catalogue?,
    };
    Ok(Config {
        purpose,
        listeners: listeners?,
        catalogue: Arc::new(catalogue),
        admin: admin?,
        control: control?,
        telemetry: telemetry?,
        limits: limits?,
        dns: dns?,
        terms: Arc::new(Terms { webhooks: webhooks?, ..terms? }),
        notifications: notifications?,
    })
}

/// Converts routes and services.
pub(crate) fn check_catalogue(
    routes: Field<List<raw::Route>>,
    services: Field<service::Services>,
    top: &Place,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Catalogue, Reported> {
    let services = service::present(services, top, problems);
    let names = services.as_ref().map(service::names).map_err(|reported| *reported);
    let routes = route::check_all(routes, &names, top, problems);
    let services = services.and_then(|services| service::check_all(services, around, problems));
    Catalogue::try_new(routes?, services?)
        .map_err(|error| problems.add(top, error.to_string(), "make the routes and services fit together"))
}

/// A section of the file; without it, each of its fields has its default.
fn section<T: Default>(field: Field<T>) -> Result<T, Reported> {
    field.or(T::default())
}

/// What is on by default.
fn switched<R, T>(
    field: Field<Switch<R>>,
    default: T,
    check: impl FnOnce(R, &Place) -> Result<T, Reported>,
) -> Result<Option<T>, Reported> {
    match field.optional()? {
        None => Ok(Some(default)),
        Some(Spanned { value: Switch::Off, .. }) => Ok(None),
        Some(Spanned { place, value: Switch::On(raw) }) => check(raw, &place).map(Some),
    }
}

/// All values if all could be made; the first report otherwise.
fn all<T>(each: Vec<Result<T, Reported>>) -> Result<Vec<T>, Reported> {
    each.into_iter().collect()
}

/// A name that was found, not read; the report is the last resort for a form that nobody foresaw.
fn made<N>(name: Result<N, NameError>, place: &Place, problems: &mut Problems) -> Result<N, Reported> {
    name.map_err(|error| {
        problems.add(place, format!("\"{}\" is not a name", shown(&error.text)), "write \"name: …\"")
    })
}
