//! Endpoints from a file.
//!
//! The file is read whenever its turn comes rather than on events: those do not come from every file system,
//! nor through every way of replacing a file, and reading a small file costs next to nothing. A text counts once
//! it is read twice alike, so that a file that is being written is not read in its middle. One that is wrong,
//! or gone, changes nothing.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serin_config::{
    endpoints_file,
    limits::{ENDPOINTS_FILE_BYTES_MAX, ENDPOINTS_FILE_POLL, RELOAD_SETTLE},
};
use tokio::io::AsyncReadExt;

use crate::{clock, endpoints::keeper::Named, observe::metrics::EndpointCounters, shared::VersionShared};

/// Runs until it is dropped.
pub(crate) async fn run(
    path: PathBuf,
    version: Arc<VersionShared>,
    named: Named,
    counters: EndpointCounters,
) {
    let mut last: Option<Result<String, String>> = None;
    loop {
        let text = quiet(&path).await;
        if last.as_ref() != Some(&text) {
            take(&path, &text, &version, &named, &counters);
            last = Some(text);
        }
        tokio::time::sleep(ENDPOINTS_FILE_POLL).await;
    }
}

fn take(
    path: &Path,
    text: &Result<String, String>,
    version: &VersionShared,
    named: &Named,
    counters: &EndpointCounters,
) {
    let (service, of, file) = (&named.service, &named.version, path.display());
    let read = text.clone().and_then(|text| {
        endpoints_file::parse(&text, &path.display().to_string())
            .map_err(|problems| problems.lines().join("; "))
    });
    match read {
        Ok(addresses) => {
            counters.found.increment(1);
            let changed = version.endpoints.found(&addresses, clock::now());
            let news = version.endpoints.note_search(None);
            if changed || news {
                let count = addresses.len();
                tracing::info!(%service, version = %of, %file, endpoints = count, "endpoints were read");
            }
        }
        Err(why) => {
            counters.not_found.increment(1);
            version.endpoints.note_search(Some(why.clone()));
            tracing::warn!(%service, version = %of, %file, %why, "endpoints can't be read: the last ones stay");
        }
    }
}

/// The text, once it stays the same.
async fn quiet(path: &Path) -> Result<String, String> {
    let mut before = read(path).await;
    loop {
        tokio::time::sleep(RELOAD_SETTLE).await;
        let now = read(path).await;
        if now == before {
            return now;
        }
        before = now;
    }
}

async fn read(path: &Path) -> Result<String, String> {
    let bytes = async {
        let file = tokio::fs::File::open(path).await?;
        let mut bytes = Vec::new();
        file.take(ENDPOINTS_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await?;
        Ok::<_, io::Error>(bytes)
    };
    let bytes = bytes.await.map_err(|error| error.to_string())?;
    if bytes.len() > ENDPOINTS_FILE_BYTES_MAX {
        return Err(format!("it is larger than {ENDPOINTS_FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".into())
}
