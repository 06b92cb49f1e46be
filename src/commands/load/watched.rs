//! Processes whose CPU time and memory are counted while a load runs.

use std::collections::BTreeMap;

use serin_loadtest::{
    process::{Process, Usage},
    report::Component,
};

/// A process with the name that it has in the record.
#[derive(Debug, Clone)]
pub(super) struct Named {
    name: String,
    process: Process,
}

impl Named {
    pub(super) fn new(name: &str, process: Process) -> Self {
        Self { name: name.into(), process }
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Which it is.
    pub(super) fn process(&self) -> Process {
        self.process
    }
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not NAME=PID, such as proxy=4711");
        let (name, id) = text.split_once('=').ok_or_else(wrong)?;
        if name.is_empty() {
            return Err(wrong());
        }
        let id = id.parse().map_err(|_| wrong())?;
        let process = Process::of(id).map_err(|error| format!("there is no process {id}: {error}"))?;
        Ok(Self { name: name.into(), process })
    }
}

/// What they have used since the beginning.
#[derive(Debug)]
pub(super) struct Watched {
    all: Vec<(Named, Usage, Usage)>,
}

impl Watched {
    /// Begins.
    pub(super) fn begin(named: &[Named]) -> Self {
        let at = |named: &Named| {
            let usage = named.process.usage().unwrap_or_default();
            (named.clone(), usage, usage)
        };
        Self { all: named.iter().map(at).collect() }
    }

    /// The warm-up is over: what was used in it does not count.
    pub(super) fn begin_again(&mut self) {
        for (named, before, last) in &mut self.all {
            if let Ok(usage) = named.process.usage() {
                (*before, *last) = (usage, usage);
            }
        }
    }

    /// Looks again; of one that has ended the last look stands.
    pub(super) fn look(&mut self) {
        for (named, _, last) in &mut self.all {
            if let Ok(usage) = named.process.usage() {
                last.cpu_seconds = usage.cpu_seconds;
                last.memory_bytes = last.memory_bytes.max(usage.memory_bytes);
            }
        }
    }

    /// What the record says of them.
    pub(super) fn components(&self, requests: u64) -> BTreeMap<String, Component> {
        let used = |(named, before, last): &(Named, Usage, Usage)| {
            let cpu = (last.cpu_seconds - before.cpu_seconds).max(0.0);
            let component = Component {
                cpu_seconds: Some(cpu),
                cpu_us_per_request: (requests > 0).then(|| cpu * 1e6 / requests as f64),
                memory_bytes: Some(last.memory_bytes),
                start_up_ms: None,
            };
            (named.name.clone(), component)
        };
        self.all.iter().map(used).collect()
    }
}
