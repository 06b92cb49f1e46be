//! What would run, on one screen: the file as Serin understands it, defaults filled in.

mod resilience;
mod rollout;

use std::fmt::{self, Write};

use crate::{
    duration::show,
    endpoint::{self, EndpointPolicy, HealthCheck, OnUnready, OutlierPolicy},
    fleet::{Connect, Fleet, Names},
    listener::Listener,
    mail::Mail,
    notification::{Http, Recipient, Way},
    route::{Action, Route},
    service::{Events, Service, Timeouts, Version},
    settings::{Config, Purpose},
    telemetry::{AccessLog, LogTarget, Otlp, Telemetry},
    terms::Terms,
    tls::{ClientCertificates, EndpointTls, HttpProtocol},
    webhook::Webhook,
    weight::Weight,
};

/// The summary that `serin check` prints for a file that is right.
pub fn summary(config: &Config) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = write(config, &mut text);
    text
}

fn write(config: &Config, to: &mut String) -> fmt::Result {
    match config.purpose {
        Purpose::Run => writeln!(to, "listeners")?,
        Purpose::Control => writeln!(to, "serin control: no listener is opened")?,
        Purpose::Proxy => writeln!(to, "serin proxy\nlisteners")?,
    }
    for listener in &config.listeners {
        write!(to, "  {:<20} {}", listener.name, listener.address)?;
        let unix = listener.trusts_unix.then(|| "whoever may connect".to_owned());
        let trusted: Vec<_> = listener.trusted_proxies.iter().map(ToString::to_string).chain(unix).collect();
        if !trusted.is_empty() {
            write!(to, "  trusts {}", trusted.join(", "))?;
        }
        writeln!(to)?;
        write_terms(listener, to)?;
    }
    match config.purpose {
        Purpose::Run | Purpose::Control => writeln!(to, "routes, in the order in which they are tried")?,
        Purpose::Proxy => writeln!(to, "routes and services: as the control plane says")?,
    }
    for route in config.catalogue.routes() {
        write_route(route, to)?;
    }
    for service in config.catalogue.services() {
        let routed = config.catalogue.routes().iter().any(|route| route.service() == Some(&service.name));
        write_service(service, routed, to)?;
    }
    write_operation(config, to)
}

/// TLS, PROXY protocol and age, a line each where they are not left out.
fn write_terms(listener: &Listener, to: &mut String) -> fmt::Result {
    if let Some(tls) = &listener.tls {
        let http2 = if tls.http2 { "HTTP/2 and HTTP/1.1" } else { "HTTP/1.1" };
        let clients = match &tls.client_certificates {
            None => "",
            Some(ClientCertificates { required: false, .. }) => ", client certificates optional",
            Some(ClientCertificates { required: true, .. }) => ", client certificates required",
        };
        writeln!(to, "  {:<20} TLS {} or newer, {http2}{clients}", "", tls.min_version)?;
        for (i, pair) in tls.certificates.iter().enumerate() {
            let default = if i == 0 { " (default)" } else { "" };
            writeln!(to, "  {:<20} certificate {}{default}", "", pair.cert.display())?;
        }
    }
    if listener.proxy_protocol {
        let whose = if listener.trusted_proxies.is_empty() {
            "everybody, who can so claim any client address"
        } else {
            "those it trusts"
        };
        writeln!(to, "  {:<20} PROXY protocol of {whose}", "")?;
    }
    if let Some(age) = listener.max_connection_age {
        writeln!(to, "  {:<20} connections end after {}, give or take 10%", "", show(age))?;
    }
    Ok(())
}

fn write_route(route: &Route, to: &mut String) -> fmt::Result {
    let Route { name, host, path, conditions, action, .. } = route;
    write!(to, "  {name:<20} {host}{path}{conditions} → ")?;
    match action {
        Action::Service(service) => write!(to, "{service}")?,
        Action::Respond(respond) => write!(to, "answer {}", respond.status)?,
        Action::Redirect(redirect) => write!(to, "redirect {}", redirect.status)?,
    }
    if route.priority > 0 {
        write!(to, ", priority {}", route.priority)?;
    }
    if let Some(limit) = &route.rate_limit {
        write!(to, ", at most {limit}")?;
    }
    writeln!(to)
}

fn write_service(service: &Service, routed: bool, to: &mut String) -> fmt::Result {
    let unreached = if routed { "" } else { "  (no route leads here)" };
    writeln!(to, "service {}{unreached}", service.name)?;
    for version in &service.versions {
        let role = match () {
            () if version.name == service.stable => "stable",
            () if service.canary.as_ref() == Some(&version.name) => "canary",
            () => "",
        };
        let (spoken, found) =
            (spoken(version), endpoint::shown(&version.endpoints, version.discovery.as_ref()));
        writeln!(to, "  version   {:<14} {role:<7} {found}{spoken}", version.name)?;
    }
    writeln!(to, "  split     {}, by {}", service.split, service.sticky)?;
    writeln!(to, "  timeouts  {}", timeouts(&service.timeouts))?;
    resilience::write(service, to)?;
    write_endpoints(service, to)?;
    if let Some(Events { header, names }) = &service.events {
        writeln!(to, "  events    {} by {header}", join(names, ", "))?;
    }
    for pin in &service.overrides {
        writeln!(to, "  override  {pin}")?;
    }
    if let Some(mirror) = &service.mirror {
        writeln!(to, "  mirror    {mirror}")?;
    }
    if service.canary.is_some() {
        rollout::write(&service.rollout, to)?;
    }
    Ok(())
}

/// How the endpoints of a version are spoken to, unless it is HTTP/1.1 in clear.
fn spoken(version: &Version) -> String {
    let over = match &version.tls {
        None if version.protocol == HttpProtocol::Http1 => return String::new(),
        None => String::new(),
        Some(EndpointTls { server_name: Some(name), .. }) => format!(" over TLS as {name}"),
        Some(_) => " over TLS".into(),
    };
    format!("  {}{over}", version.protocol)
}

fn timeouts(Timeouts { connect, header, idle, total, tunnel: _ }: &Timeouts) -> String {
    let or_none = |time: &Option<_>| time.map_or_else(|| "none".into(), show);
    let (header, idle, total) = (or_none(header), or_none(idle), or_none(total));
    format!("connect {}, header {header}, idle {idle}, total {total}", show(*connect))
}

/// What was said about endpoints; nothing where all is as it always is.
fn write_endpoints(service: &Service, to: &mut String) -> fmt::Result {
    let mut before = None;
    for version in &service.versions {
        let policy = &version.endpoint_policy;
        if *policy == EndpointPolicy::default() || before == Some(policy) {
            continue;
        }
        before = Some(policy);
        let alike = service.versions.iter().all(|other| other.endpoint_policy == *policy);
        let whose = if alike { String::new() } else { format!("{}: ", version.name) };
        writeln!(to, "  endpoints {whose}{}", policy_words(policy))?;
    }
    if service.on_unready == OnUnready::Spill {
        writeln!(to, "  unready   spill to a version that is ready")?;
    }
    Ok(())
}

fn policy_words(EndpointPolicy { balance, slow_start, health, outlier }: &EndpointPolicy) -> String {
    let mut words = balance.to_string();
    // Writing to a String does not fail.
    if let Some(time) = slow_start {
        let _ = write!(words, ", slow start {}", show(*time));
    }
    match health {
        Some(HealthCheck { probe, interval, .. }) => {
            let _ = write!(words, ", checked by {probe} every {}", show(*interval));
        }
        None => words.push_str(", no health checks"),
    }
    let ejection = match outlier {
        Some(OutlierPolicy { consecutive_failures: Some(failures), .. }) => {
            format!(", ejected after {failures} failures in a row")
        }
        Some(_) => ", ejected by success rate".into(),
        None => ", never ejected".into(),
    };
    words + &ejection
}

fn write_operation(config: &Config, to: &mut String) -> fmt::Result {
    let reach = |local: bool| if local { "" } else { ", reachable from other machines" };
    let (admin, control) = (&config.admin.address, &config.control.address);
    writeln!(to, "admin       {admin}{}", reach(admin.is_local()))?;
    if config.purpose != Purpose::Proxy {
        let tls = if config.control.tls.is_some() { " by TLS" } else { "" };
        let token = if config.control.token.is_some() { "with a token" } else { "without a token" };
        let certificates = match config.control.identities.len() {
            0 => String::new(),
            1 => ", 1 client certificate".into(),
            more => format!(", {more} client certificates"),
        };
        let state = match &config.control.etcd {
            None => config.control.state.display().to_string(),
            Some(etcd) => {
                let by = if etcd.tls.is_some() { "TLS" } else { "clear text" };
                format!(
                    "etcd under {} at {} in {by}, lease {}",
                    etcd.prefix,
                    join(&etcd.endpoints, ", "),
                    show(etcd.lease)
                )
            }
        };
        let reach = reach(control.is_local());
        writeln!(to, "control     {control}{tls}{reach}, {token}{certificates}, state in {state}")?;
    }
    write_fleet(config, to)?;
    write_telemetry(&config.telemetry, to)?;
    write_terms_of_rollouts(&config.terms, &config.notifications, to)?;
    let limits = &config.limits;
    let workers = limits.workers.map_or_else(|| "one for each core".into(), |n| n.to_string());
    let (connections, requests) = (limits.max_connections, limits.max_requests_per_version);
    let drain = show(limits.drain_deadline);
    writeln!(
        to,
        "limits      workers {workers}, {connections} connections, {requests} requests per version, drain {drain}"
    )
}

fn write_terms_of_rollouts(terms: &Terms, told: &[Recipient], to: &mut String) -> fmt::Result {
    for freeze in &terms.freezes {
        let whom =
            if freeze.services.is_empty() { "all services".into() } else { join(&freeze.services, ", ") };
        writeln!(to, "freeze      {freeze} of {whom}")?;
    }
    for group in &terms.groups {
        writeln!(to, "group       {}: {} together", group.name, join(&group.services, ", "))?;
    }
    for Recipient { name, way, from, .. } in told {
        write!(to, "told        {name} of {} and graver, ", from.label())?;
        match way {
            Way::Http(Http { url, form, .. }) => {
                writeln!(to, "as {} at {url}", format!("{form:?}").to_lowercase())?;
            }
            Way::Mail(Mail { host, port, security, to: whom, .. }) => {
                let whom = join(whom, ", ");
                writeln!(to, "by e-mail to {whom} over {host}:{port}, tls {}", security.label())?;
            }
        }
    }
    for Webhook { name, url, on, services, on_failure, .. } in &terms.webhooks {
        let on: Vec<_> = on.iter().map(|when| when.label()).collect();
        let whom = if services.is_empty() { "all services".into() } else { join(services, ", ") };
        let (on, failed) = (on.join(" "), on_failure.label());
        writeln!(to, "webhook     {name} {on} of {whom} at {url}, if it fails {failed}")?;
    }
    match terms.max_parallel_rollouts {
        Some(most) => writeln!(to, "rollouts    {most} at once"),
        None => Ok(()),
    }
}

fn write_fleet(config: &Config, to: &mut String) -> fmt::Result {
    if let Some(Fleet { address, tls, token, names }) = &config.control.fleet {
        let secured = if tls.is_some() { "TLS" } else { "in clear" };
        let certified = tls.as_ref().and_then(|tls| tls.client_certificates.as_ref());
        let proof = match (certified, token) {
            (Some(ClientCertificates { required: true, .. }), Some(_)) => "certificates and a token",
            (Some(ClientCertificates { required: true, .. }), None) => "certificates",
            (_, Some(_)) => "a token",
            (_, None) => "nothing",
        };
        let names = match (certified, names) {
            (Some(_), Names::Certificate) => ", each under a name of its certificate",
            (Some(_), Names::Any) => ", each under any name",
            (None, _) => "",
        };
        writeln!(to, "proxies     {address}, {secured}, which must show {proof}{names}")?;
    }
    if let Some(Connect { endpoints, tls, token, cache }) = &config.control.connect {
        let secured = if tls.is_some() { "over TLS" } else { "in clear" };
        let token = if token.is_some() { "with a token" } else { "without a token" };
        let cache = cache.display();
        writeln!(to, "connect     {} {secured}, {token}, last plan in {cache}", join(endpoints, ", "))?;
    }
    Ok(())
}

fn write_telemetry(telemetry: &Telemetry, to: &mut String) -> fmt::Result {
    let headers = if telemetry.debug_headers { ", debug headers" } else { "" };
    let canary = telemetry.canary_trace_sampling.map(|share| format!(" ({share} of a canary's)"));
    let (instance, sampling) = (&telemetry.instance, telemetry.trace_sampling);
    let canary = canary.unwrap_or_default();
    writeln!(to, "telemetry   instance {instance}, {sampling} of new traces{canary} sampled{headers}")?;
    if let Some(Otlp { endpoint, queue, .. }) = &telemetry.otlp {
        let slow = telemetry.keep_slower_than.map(|time| format!("what is slower than {}", show(time)));
        let errors = telemetry.keep_errors.then(|| "errors".into());
        let kept: Vec<String> = errors.into_iter().chain(slow).collect();
        let kept = if kept.is_empty() { "nothing more".into() } else { kept.join(" and ") };
        writeln!(to, "  spans     to {endpoint}, queue {queue}, keeping {kept}")?;
    }
    if let Some(AccessLog { to: target, sample, keep_errors }) = &telemetry.access_log {
        let target = match target {
            LogTarget::Stdout => "stdout".into(),
            LogTarget::File(path) => path.display().to_string(),
        };
        let errors = if *keep_errors && *sample != Weight::WHOLE { " and all errors" } else { "" };
        writeln!(to, "  requests  logged to {target}, {sample}{errors}")?;
    }
    Ok(())
}

fn join<T: ToString>(items: &[T], between: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(between)
}
