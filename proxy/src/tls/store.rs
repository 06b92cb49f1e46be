//! All TLS of the process: that of the listeners, fixed, and that of the versions, which come and go with plans.

use std::{
    collections::HashMap,
    fmt::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serin_config::{
    Catalogue, Listener, ListenerName, ServiceName, VersionName,
    tls::{EndpointTls, HttpProtocol},
};
use tokio::sync::Notify;

use super::{
    Acceptor, Connector,
    client::VersionState,
    facts::Facts,
    pem::Pair,
    reading::{Look, Reading, Unusable},
    server::ListenerFiles,
};
use crate::observe::metrics;

/// What decides how endpoints are spoken to over TLS; versions that agree in it share their sessions.
type Settings = (EndpointTls, HttpProtocol);

/// TLS to endpoints, and the versions whose they are.
#[derive(Debug)]
struct Endpoints {
    state: Arc<VersionState>,
    versions: Vec<(ServiceName, VersionName)>,
}

/// The TLS of listeners and versions, and what their files were found to be.
#[derive(Debug, Default)]
pub(crate) struct Store {
    listeners: Mutex<Vec<ListenerFiles>>,
    endpoints: Mutex<HashMap<Settings, Endpoints>>,
    /// There are other files to be watched than before.
    pub(super) files_changed: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Reads what the listeners need.
    ///
    /// # Errors
    /// A listener, and its file that can't be used.
    pub(crate) fn open(listeners: &[Listener], now: i64) -> Result<Self, (ListenerName, Unusable)> {
        let mut opened = Vec::new();
        for listener in listeners {
            let Some(settings) = &listener.tls else { continue };
            let files =
                ListenerFiles::begin(listener, settings).map_err(|fault| (listener.name.clone(), fault))?;
            files.pairs.iter().for_each(|pair| warn_if_expired(pair, now));
            opened.push(files);
        }
        Ok(Self { listeners: Mutex::new(opened), ..Self::default() })
    }

    /// The TLS of a listener, if it has any.
    pub(crate) fn acceptor(&self, listener: &ListenerName) -> Option<Acceptor> {
        let listeners = lock(&self.listeners);
        let found = listeners.iter().find(|files| files.state.name == listener.as_str());
        found.map(|files| Acceptor(files.state.clone()))
    }

    /// Reads what the versions of a catalogue need, before the first request needs it; what no version names any
    /// more is let go. It reads files, so it is no work for a worker.
    pub(crate) fn prepare(&self, catalogue: &Catalogue, now: i64) {
        let versions = || {
            let services = catalogue.services().iter();
            services.flat_map(|service| service.versions.iter().map(move |version| (service, version)))
        };
        // The files are read while nobody waits for the lock: workers look up their connectors behind it.
        let mut begun = HashMap::new();
        for (service, version) in versions() {
            let Some(tls) = &version.tls else { continue };
            let settings = (tls.clone(), version.protocol);
            if begun.contains_key(&settings) || lock(&self.endpoints).contains_key(&settings) {
                continue;
            }
            let (state, unusable) = VersionState::begin(tls, version.protocol);
            for fault in unusable {
                let (service, version) = (&service.name, &version.name);
                tracing::error!(%service, %version, %fault, "no TLS to these endpoints until this is mended");
            }
            lock(&state.files).own.iter().for_each(|pair| warn_if_expired(pair, now));
            begun.insert(settings, Endpoints { state, versions: Vec::new() });
        }
        let mut endpoints = lock(&self.endpoints);
        endpoints.extend(begun);
        endpoints.values_mut().for_each(|each| each.versions.clear());
        for (service, version) in versions() {
            let settings = version.tls.clone().map(|tls| (tls, version.protocol));
            if let Some(each) = settings.and_then(|settings| endpoints.get_mut(&settings)) {
                each.versions.push((service.name.clone(), version.name.clone()));
            }
        }
        // What a worker's pool still holds may be wanted again by a later plan, and must not grow old unseen.
        endpoints.retain(|_, each| !each.versions.is_empty() || Arc::strong_count(&each.state) > 1);
        drop(endpoints);
        self.files_changed.notify_one();
    }

    /// TLS to endpoints by these settings, of a plan that was prepared.
    pub(crate) fn connector(&self, tls: &EndpointTls, protocol: HttpProtocol) -> Option<Connector> {
        let endpoints = lock(&self.endpoints);
        endpoints.get(&(tls.clone(), protocol)).map(|each| Connector(each.state.clone()))
    }

    /// Every file that matters now.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            lock(&self.listeners).iter().flat_map(ListenerFiles::files).cloned().collect();
        files.extend(lock(&self.endpoints).values().flat_map(|each| each.state.paths()));
        files.sort();
        files.dedup();
        files
    }

    /// Looks at all files, takes what is new and good, and says what is not. True if something must be looked at
    /// again soon.
    pub(super) fn look(&self, now: i64) -> bool {
        let mut looks = Vec::new();
        for files in lock(&self.listeners).iter_mut() {
            let whose = format!("listener \"{}\"", files.state.name);
            let found = files.look();
            for pair in files.pairs.iter().filter(|pair| was_taken(&found, pair)) {
                warn_if_expired(pair, now);
            }
            looks.extend(found.into_iter().map(|(files, look)| (whose.clone(), files, look)));
        }
        let endpoints: Vec<_> = lock(&self.endpoints).values().map(Endpoints::whose).collect();
        for (whose, state) in endpoints {
            let found = state.look();
            for pair in lock(&state.files).own.iter().filter(|pair| was_taken(&found, pair)) {
                warn_if_expired(pair, now);
            }
            looks.extend(found.into_iter().map(|(files, look)| (whose.clone(), files, look)));
        }
        for (whose, files, look) in &looks {
            match look {
                Look::Same | Look::Unsettled => {}
                Look::Taken => {
                    metrics::certificate_reload(true);
                    let path = files.first().map(|path| path.display().to_string()).unwrap_or_default();
                    tracing::info!(of = whose, file = path, "changed certificates are shown from now on");
                }
                Look::Refused(fault) => {
                    metrics::certificate_reload(false);
                    tracing::error!(of = whose, %fault, "changed certificates are not taken, the last good ones stay");
                }
            }
        }
        looks.iter().any(|(_, _, look)| *look == Look::Unsettled)
    }

    /// Writes, for each certificate that is shown to others, how long it still is good.
    pub(crate) fn write_metrics(&self, out: &mut String, now: i64) -> fmt::Result {
        let mut lines = String::new();
        for files in lock(&self.listeners).iter() {
            let labels = format!("listener=\"{}\"", files.state.name);
            files.pairs.iter().try_for_each(|pair| write_expiry(&mut lines, &labels, pair, now))?;
        }
        for each in lock(&self.endpoints).values() {
            for (service, version) in &each.versions {
                let labels = format!("service=\"{service}\",version=\"{version}\"");
                let files = lock(&each.state.files);
                files.own.iter().try_for_each(|pair| write_expiry(&mut lines, &labels, pair, now))?;
            }
        }
        if !lines.is_empty() {
            let name = metrics::CERTIFICATE_EXPIRY;
            writeln!(
                out,
                "# HELP {name} Seconds until a certificate expires; below zero it has.\n# TYPE {name} gauge"
            )?;
            out.push_str(&lines);
        }
        Ok(())
    }
}

impl Endpoints {
    fn whose(&self) -> (String, Arc<VersionState>) {
        let versions = self.versions.iter().map(|(service, version)| format!("{service}/{version}"));
        (format!("endpoints of {}", versions.collect::<Vec<_>>().join(", ")), self.state.clone())
    }
}

fn was_taken(looks: &[(Vec<PathBuf>, Look)], pair: &Reading<Pair>) -> bool {
    looks.iter().any(|(files, look)| *look == Look::Taken && files == pair.files())
}

fn warn_if_expired(pair: &Reading<Pair>, now: i64) {
    if let (Some(good), Some(path)) = (pair.last_good(), pair.files().first())
        && good.facts.not_after < now
    {
        tracing::warn!(file = %path.display(), subject = good.facts.subject, "this certificate has expired");
    }
}

fn write_expiry(out: &mut String, labels: &str, pair: &Reading<Pair>, now: i64) -> fmt::Result {
    let (Some(good), Some(path)) = (pair.last_good(), pair.files().first()) else { return Ok(()) };
    let Facts { subject, not_after, .. } = &good.facts;
    let (path, subject) = (escaped(path), escaped(Path::new(subject)));
    let left = not_after - now;
    writeln!(out, "{}{{{labels},path=\"{path}\",subject=\"{subject}\"}} {left}", metrics::CERTIFICATE_EXPIRY)
}

/// As a label's value may hold it.
fn escaped(text: &Path) -> String {
    text.display().to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
