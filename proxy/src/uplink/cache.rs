//! The last plan, in a file, so that a proxy can start while no control plane answers.
//!
//! It holds what the control plane said and nothing else: what it means here, with the files and the environment of
//! this process, is found out by the same reader as when it came. A cache that can't be read is as good as none, and
//! the log says so; one that can't be written costs a later start its plan, never a request.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serin_config::{
    Catalogue, Generation, Identity, Plan, Split, Weight, limits::FLEET_MESSAGE_BYTES_MAX, plan::Part,
};
use tokio::sync::watch;

/// The form of the file.
const FORMAT: u64 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Cached {
    format: u64,
    generation: Generation,
    parent: Generation,
    splits: Vec<CachedSplit>,
    /// What the control plane calls it; empty from a release that did not say.
    #[serde(default)]
    identity: Identity,
    /// Routes and services, as the control plane told them.
    catalogue: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct CachedSplit {
    service: String,
    split: Split,
    canary_since: Generation,
    #[serde(default = "nothing")]
    mirror: Weight,
    #[serde(default)]
    stands_by: bool,
}

/// What releases before this one copied.
fn nothing() -> Weight {
    Weight::ZERO
}

/// Reads the plan, if there is one that can be used.
pub(super) fn load(
    path: &Path,
    read: &(dyn Fn(&str) -> Result<Catalogue, Vec<String>> + Send + Sync),
) -> Option<Plan> {
    match try_load(path, read) {
        Ok(plan) => plan,
        Err(why) => {
            tracing::warn!(cache = %path.display(), "the last plan that was kept can't be used: {why}");
            None
        }
    }
}

fn try_load(
    path: &Path,
    read: &(dyn Fn(&str) -> Result<Catalogue, Vec<String>> + Send + Sync),
) -> Result<Option<Plan>, String> {
    let length = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    // A plan of the largest file, its text escaped.
    if length > 4 * FLEET_MESSAGE_BYTES_MAX as u64 {
        return Err(format!("it has {length} bytes, which no plan has"));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let cached: Cached = serde_json::from_slice(&bytes).map_err(|error| format!("it is damaged: {error}"))?;
    if cached.format != FORMAT {
        return Err(format!("it has format {}, and this release knows format {FORMAT}", cached.format));
    }
    let catalogue = read(&cached.catalogue).map_err(|problems| problems.join("; "))?;
    let parts = cached.splits.into_iter().map(|part| Part {
        service: part.service,
        split: part.split,
        canary_since: part.canary_since,
        mirror: part.mirror,
        stands_by: part.stands_by,
    });
    Plan::of_parts(Arc::new(catalogue), cached.generation, cached.parent, parts.collect())
        .map(|plan| Some(plan.told_as(&cached.identity.to_string())))
        .map_err(|error| error.to_string())
}

fn save(path: &Path, plan: &Plan) -> io::Result<()> {
    let Some(source) = plan.catalogue().source() else { return Ok(()) };
    let splits = plan.services().map(|(service, split)| CachedSplit {
        service: service.name.to_string(),
        split: split.clone(),
        canary_since: plan.canary_since(service.name.as_str()),
        mirror: plan.mirror(service.name.as_str()),
        stands_by: plan.stands_by(service.name.as_str()),
    });
    let cached = Cached {
        format: FORMAT,
        generation: plan.generation(),
        parent: plan.parent(),
        splits: splits.collect(),
        identity: plan.identity(),
        catalogue: source.text().to_owned(),
    };
    let bytes = serde_json::to_vec(&cached).map_err(io::Error::other)?;
    // Whole or not at all: it takes the place of the last one in one step.
    let beside = beside(path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// Writes plans on a thread of its own. Of several that wait, the newest is written.
#[derive(Debug)]
pub(super) struct Keeper {
    wanted: watch::Sender<Option<Arc<Plan>>>,
    /// What became of the last write: which plan, or why not.
    written: watch::Receiver<Result<Generation, String>>,
}

impl Keeper {
    /// Starts it; it ends when the keeper is dropped.
    pub(super) fn start(path: PathBuf) -> Self {
        let (wanted, mut plans) = watch::channel(None::<Arc<Plan>>);
        let (tell, written) = watch::channel(Ok(Generation::NONE));
        tokio::spawn(async move {
            let mut failing = false;
            while plans.changed().await.is_ok() {
                let Some(plan) = plans.borrow_and_update().clone() else { continue };
                let (at, generation) = (path.clone(), plan.generation());
                let saved = tokio::task::spawn_blocking(move || save(&at, &plan)).await;
                let saved = saved.map_err(io::Error::other).and_then(|saved| saved);
                drop(tell.send_replace(saved.as_ref().map(|()| generation).map_err(ToString::to_string)));
                match saved {
                    Ok(()) => failing = false,
                    Err(error) if !std::mem::replace(&mut failing, true) => tracing::error!(
                        cache = %path.display(),
                        %error,
                        "the plan can't be kept: a restart without a control plane would begin with an older one, or none"
                    ),
                    Err(_) => {}
                }
            }
        });
        Self { wanted, written }
    }

    /// Has a plan written soon.
    pub(super) fn keep(&self, plan: Arc<Plan>) {
        self.wanted.send_replace(Some(plan));
    }

    /// Has a plan written, and waits until it is, or a newer one.
    ///
    /// # Errors
    /// Why it can't be written.
    pub(super) async fn save(&self, plan: Arc<Plan>) -> io::Result<()> {
        let generation = plan.generation();
        let mut written = self.written.clone();
        written.mark_unchanged();
        self.keep(plan);
        loop {
            written.changed().await.map_err(io::Error::other)?;
            match &*written.borrow_and_update() {
                Ok(written) if *written >= generation => return Ok(()),
                // An earlier one was under way.
                Ok(_) => {}
                Err(why) => return Err(io::Error::other(why.clone())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serin_config::{Service, ServiceName, Version, VersionName, Weight};

    use super::*;

    fn read(text: &str) -> Result<Catalogue, Vec<String>> {
        let name = |text| VersionName::try_new(text).unwrap();
        let version = |text, port: u16| {
            Version::new(name(text), vec![serin_config::Address::Tcp(([127, 0, 0, 1], port).into())])
        };
        let service = Service {
            canary: Some(name("v2")),
            ..Service::new(
                ServiceName::try_new("shop").unwrap(),
                vec![version("v1", 1), version("v2", 2)],
                name("v1"),
            )
        };
        match text {
            "good" => Ok(Catalogue::try_new(vec![], vec![service]).unwrap().with_source(text.into())),
            _ => Err(vec!["a problem".into()]),
        }
    }

    fn plan() -> Plan {
        let name = |text| VersionName::try_new(text).unwrap();
        let plan = Plan::new(Arc::new(read("good").unwrap()), Generation(6), Generation(5));
        let split = Split::canary_and_stable(name("v2"), Weight::from_ppm(25_000).unwrap(), name("v1"));
        plan.with_split("shop", split).unwrap()
    }

    #[test]
    fn a_plan_is_the_same_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.json");
        assert_eq!(try_load(&path, &read), Ok(None), "there is none at first");
        save(&path, &plan()).unwrap();
        assert_eq!(try_load(&path, &read), Ok(Some(plan())));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
        let identity = |plan: Option<Plan>| plan.unwrap().identity().to_string();
        let called = plan().told_as("so it is called");
        save(&path, &called).unwrap();
        assert_eq!(identity(try_load(&path, &read).unwrap()), "so it is called");
        let older = fs::read_to_string(&path).unwrap().replace("\"identity\":\"so it is called\",", "");
        fs::write(&path, older).unwrap();
        assert_eq!(identity(try_load(&path, &read).unwrap()), "", "that release was not told");
    }

    #[test]
    fn a_cache_that_can_not_be_used_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.json");
        save(&path, &plan()).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        for (text, said) in [
            (whole[..whole.len() / 2].to_owned(), "damaged"),
            (whole.replace("\"format\":1", "\"format\":9"), "format 9"),
            (whole.replace("\"good\"", "\"bad\""), "a problem"),
            (whole.replace("\"shop\"", "\"other\""), "no service \"other\""),
            (whole.replace("97.5%", "97.4%"), "sum to"),
        ] {
            fs::write(&path, text).unwrap();
            let why = try_load(&path, &read).unwrap_err();
            assert!(why.contains(said), "{said}: {why}");
        }
    }

    #[tokio::test]
    async fn the_newest_plan_is_written_though_the_one_before_could_not_be() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("later").join("plan.json");
        let keeper = Keeper::start(path.clone());
        keeper.keep(Arc::new(plan()));
        tokio::task::yield_now().await;
        fs::create_dir(path.parent().unwrap()).unwrap();
        let name = VersionName::try_new("v2").unwrap();
        let newest = plan().with_split("shop", Split::whole(name)).unwrap();
        keeper.keep(Arc::new(newest.clone()));
        let kept = async {
            while try_load(&path, &read).ok().flatten().as_ref() != Some(&newest) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), kept).await.expect("it is written");
    }

    #[tokio::test]
    async fn whoever_waits_for_a_plan_to_be_written_is_told_whether_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("later").join("plan.json");
        let keeper = Keeper::start(path.clone());
        assert!(keeper.save(Arc::new(plan())).await.is_err(), "there is no such directory");
        fs::create_dir(path.parent().unwrap()).unwrap();
        keeper.save(Arc::new(plan())).await.unwrap();
        assert_eq!(try_load(&path, &read), Ok(Some(plan())));
        keeper.save(Arc::new(plan())).await.expect("the same once more");
    }
}
