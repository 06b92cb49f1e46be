//! The store of a fleet: etcd, so that several control planes share what was decided.
//!
//! A commit is one transaction. It takes two things for granted, and etcd checks both at the moment of writing: that
//! the key of the leader is still the one that this control plane made when it was elected (fencing: who lost its lease
//! without noticing is refused), and that nothing was written since it last looked (compare-and-set). So there are
//! never two that both succeed, whatever their clocks and leases say.
//!
//! A transaction holds some hundred keys and 1.5 MiB at most, and the first commit of a leader may be larger. Such
//! a one is laid down first, in pieces that nobody reads yet; the one transaction then makes it hold, by naming it.
//! Only after that its values are put in their places, and whoever reads meanwhile takes them from the commit itself
//! ([`image`]). Every step checks what the one transaction does, so nothing of it can be done late.
//!
//! An answer may be lost though the transaction was carried out. Each commit has a name, so one that is sent again is
//! known to be there; and after every error what is there is looked up before anything else is written.

mod client;
mod commit;
mod image;
mod layout;
mod proto;
#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use prost::Message;
use serin_config::{
    Generation,
    limits::{
        ETCD_COMMIT_BYTES_MAX, ETCD_PAGE_KEYS, ETCD_PIECE_BYTES_MAX, ETCD_TXN_KEYS_MAX,
        ETCD_WRITE_BYTES_PER_SECOND,
    },
};
use tokio::{runtime::Handle, sync::Notify};

pub(crate) use client::{Client, Fault};
pub(crate) use image::{Image, Unreadable};
pub(crate) use layout::{Change, Prefix};
pub(crate) use proto::{
    Compare, KeyValue, Nothing, Op, PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest,
    WatchFor, WatchRequest, WatchResponse,
};

use self::{
    commit::Sizes,
    image::inventory,
    layout::{Changes, DATA, LARGE, META, Meta, Pieces, SCHEMA, SIZES, in_pieces, piece},
    proto::{DeleteRangeRequest, TxnResponse},
};
use super::{Commit, Engine, Loaded, OpenError, StoreError, StoreName, Written};

/// Everything that is kept under a prefix, and the revision as of which it was read.
pub(crate) async fn read_image(client: &Client, prefix: &Prefix) -> Result<(Image, i64), ReadFault> {
    let mut image = Image::default();
    let (from, to) = prefix.watched();
    let (kvs, revision) = read_range(client, from, to, 0, false).await?;
    let changes = kvs.into_iter().filter_map(|kv| {
        let name = prefix.name(&kv.key)?.to_owned();
        Some(Change { name, value: Some(kv.value) })
    });
    image.take(changes)?;
    Ok((image, revision))
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFault {
    #[error(transparent)]
    Etcd(#[from] Fault),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// All keys of a range as of one revision, page by page: 0 for now. Gives the revision.
async fn read_range(
    client: &Client,
    from: Vec<u8>,
    to: Vec<u8>,
    mut revision: i64,
    keys_only: bool,
) -> Result<(Vec<KeyValue>, i64), Fault> {
    let (mut kvs, mut key) = (Vec::new(), from);
    loop {
        let limit = if keys_only { 100 * ETCD_PAGE_KEYS } else { ETCD_PAGE_KEYS };
        let request = RangeRequest { key, range_end: to.clone(), limit, revision, keys_only };
        let page = client.range(request).await?;
        revision = if revision == 0 { page.header.map_or(0, |header| header.revision) } else { revision };
        let more = page.more;
        kvs.extend(page.kvs);
        match kvs.last() {
            Some(last) if more => {
                key = last.key.clone();
                key.push(0);
            }
            _ => return Ok((kvs, revision)),
        }
    }
}

/// Reads the chunks of a rollout's windows, in order.
pub(crate) async fn read_windows(
    client: &Client,
    prefix: &Prefix,
    rollout: u64,
) -> Result<Vec<Vec<u8>>, Fault> {
    let (from, to) = prefix.range(&format!("windows/{rollout:016x}/"));
    let (kvs, _) = read_range(client, from, to, 0, false).await?;
    let mut chunks: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for kv in &kvs {
        if let Some((name, _)) = prefix.name(&kv.key).and_then(layout::whole) {
            chunks.entry(name.to_owned()).or_default().extend_from_slice(&kv.value);
        }
    }
    Ok(chunks.into_values().collect())
}

/// How many stores there were in this process.
static LIVES: AtomicU64 = AtomicU64::new(0);

/// The store of a control plane that leads.
#[derive(Debug)]
pub(crate) struct EtcdStore {
    client: Client,
    prefix: Prefix,
    runtime: Handle,
    /// When the leader's key was made: what it must still be.
    term: i64,
    /// Which store of this process it is: one process may lead twice in one term.
    life: u64,
    /// How many commits were tried.
    commits: u64,
    /// What is there; none after an error, since it may be something else then.
    known: Option<Known>,
    doubt: Generation,
    /// Told when a write was refused since the leader's key is not that of the term.
    deposed: Arc<Notify>,
}

/// What is there.
#[derive(Debug)]
struct Known {
    meta: Option<Meta>,
    /// When it was last written; 0 where it never was.
    revision: i64,
    pieces: Pieces,
    sizes: Sizes,
}

/// Why a transaction was not carried out.
enum Failed {
    Fault(Fault),
    /// Somebody else leads.
    Deposed,
    /// Something else is stored, written at this revision.
    Changed,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl EtcdStore {
    /// The store of the control plane that was elected in `term`. Its requests run on `runtime`, which must not be
    /// that of the calling thread.
    pub(crate) fn new(client: Client, prefix: Prefix, term: i64, runtime: Handle) -> Self {
        let life = LIVES.fetch_add(1, Ordering::Relaxed);
        let deposed = Arc::default();
        Self {
            client,
            prefix,
            runtime,
            term,
            life,
            commits: 0,
            known: None,
            doubt: Generation::NONE,
            deposed,
        }
    }

    /// The same, where that one is told when a write is refused since the leader's key is not that of the term.
    pub(crate) fn telling(self, deposed: Arc<Notify>) -> Self {
        Self { deposed, ..self }
    }

    /// What is there, but for the values.
    async fn look(&self) -> Result<Known, ReadFault> {
        let read = |name: &str| {
            let (key, range_end) = self.prefix.range(&format!("{name}/"));
            RangeRequest { key, range_end, ..RangeRequest::default() }
        };
        let found = self.client.range(read(META)).await?;
        let revision = found.header.map_or(0, |header| header.revision);
        let meta_revision = found.kvs.first().map_or(0, |kv| kv.mod_revision);
        let meta: Option<Meta> = image::read(&self.by_name(found.kvs), META)?;
        let sizes = self.client.range(RangeRequest { revision, ..read(SIZES) }).await?;
        let listed: Option<Vec<(u64, u32, u64)>> = image::read(&self.by_name(sizes.kvs), SIZES)?;
        let sizes = listed.unwrap_or_default().into_iter();
        let sizes = sizes.map(|(rollout, number, bytes)| ((rollout, number), bytes)).collect();
        let (from, to) = self.prefix.range(DATA);
        let (keys, _) = read_range(&self.client, from, to, revision, true).await?;
        let names = keys.iter().filter_map(|kv| self.prefix.name(&kv.key));
        let (pieces, sizes) = inventory(names, sizes);
        Ok(Known { meta, revision: meta_revision, pieces, sizes })
    }

    fn by_name(&self, kvs: Vec<KeyValue>) -> BTreeMap<String, Vec<u8>> {
        let named = |kv: KeyValue| Some((self.prefix.name(&kv.key)?.to_owned(), kv.value));
        kvs.into_iter().filter_map(named).collect()
    }

    async fn commit(&mut self, commit: &Commit) -> Result<Written, StoreError> {
        let mut known = match self.known.take() {
            Some(known) => known,
            None => self.look_and_finish().await?,
        };
        let found = known.meta.as_ref().map_or(Generation::NONE, |meta| meta.generation);
        let left_by_failure = commit.restores_from.is_some()
            && (found == Generation::NONE || (commit.expected..=self.doubt).contains(&found));
        if found != commit.expected && !left_by_failure {
            let leads = self.leads().await.map_err(|fault| self.error(&fault))?;
            return Err(if leads {
                StoreError::Conflict { expected: commit.expected, found }
            } else {
                StoreError::Deposed
            });
        }
        self.commits += 1;
        let mut meta = Meta {
            schema: SCHEMA,
            generation: commit.generation,
            next_rollout: commit.next_rollout,
            commit: format!("{:x}-{:x}-{:x}", self.term, self.life, self.commits),
            large: None,
        };
        let unwritable =
            |error: serde_json::Error| self.refused(format!("a value has no JSON form: {error}"));
        let changes = commit::changes(commit, &known.pieces, &mut known.sizes).map_err(unwritable)?;
        let changes = in_pieces(changes, &mut known.pieces);
        let bytes: usize = changes.iter().map(Change::encoded_len).sum();
        let written = if changes.len() < ETCD_TXN_KEYS_MAX && bytes <= ETCD_COMMIT_BYTES_MAX {
            self.write_meta(&mut known, &meta, &changes).await
        } else {
            self.write_large(&mut known, &mut meta, changes).await
        };
        match written {
            Ok(()) => {
                self.known = Some(known);
                self.doubt = Generation::NONE;
                Ok(Written { rest_ms: 1_000 * bytes as u64 / ETCD_WRITE_BYTES_PER_SECOND })
            }
            Err(failed) => {
                self.doubt = self.doubt.max(commit.generation);
                Err(match failed {
                    Failed::Deposed => StoreError::Deposed,
                    Failed::Fault(fault) => self.error(&fault),
                    Failed::Changed => self.refused("it changed while it was written".into()),
                })
            }
        }
    }

    async fn look_and_finish(&mut self) -> Result<Known, StoreError> {
        let mut known = self.look().await.map_err(|fault| match fault {
            ReadFault::Etcd(fault) => self.error(&fault),
            ReadFault::Unreadable(unreadable) => self.refused(unreadable.to_string()),
        })?;
        if let Some(Meta { commit, large: Some(pieces), .. }) = known.meta.clone() {
            let name = format!("{LARGE}{commit}");
            let (key, range_end) = self.prefix.range(&format!("{name}/"));
            let request = RangeRequest { key, range_end, ..RangeRequest::default() };
            let kvs = self.client.range(request).await.map_err(|fault| self.error(&fault))?.kvs;
            if kvs.len() != pieces {
                return Err(self.refused(format!("{} of {pieces} pieces of a commit are there", kvs.len())));
            }
            let bytes: Vec<u8> = kvs.into_iter().flat_map(|kv| kv.value).collect();
            let changes =
                Changes::decode(bytes.as_slice()).map_err(|error| self.refused(error.to_string()))?;
            let finished = self.put_in_place(&mut known, &commit, changes.changes).await;
            finished.map_err(|failed| match failed {
                Failed::Deposed => StoreError::Deposed,
                Failed::Fault(fault) => self.error(&fault),
                Failed::Changed => self.refused("it changed while it was written".into()),
            })?;
            known = Box::pin(self.look_again()).await?;
        }
        Ok(known)
    }

    async fn look_again(&self) -> Result<Known, StoreError> {
        self.look().await.map_err(|fault| match fault {
            ReadFault::Etcd(fault) => self.error(&fault),
            ReadFault::Unreadable(unreadable) => self.refused(unreadable.to_string()),
        })
    }

    /// Lays a large commit down, makes it hold, and puts its values in their places.
    async fn write_large(
        &self,
        known: &mut Known,
        meta: &mut Meta,
        changes: Vec<Change>,
    ) -> Result<(), Failed> {
        let all = Changes { changes };
        let bytes = all.encode_to_vec();
        let name = format!("{LARGE}{}", meta.commit);
        let mut pieces = 0;
        for part in bytes.chunks(ETCD_PIECE_BYTES_MAX) {
            let put = Change { name: piece(&name, pieces), value: Some(part.to_vec()) };
            self.transact(known, vec![self.op(&put)]).await?;
            pieces += 1;
        }
        meta.large = Some(pieces);
        self.write_meta(known, meta, &[]).await?;
        // It holds. What is left to do can be done again.
        let commit = meta.commit.clone();
        self.put_in_place(known, &commit, all.changes).await
    }

    /// Puts the values of a large commit that holds in their places, and clears it away.
    async fn put_in_place(
        &self,
        known: &mut Known,
        commit: &str,
        changes: Vec<Change>,
    ) -> Result<(), Failed> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for change in &changes {
            if batch.len() + 2 >= ETCD_TXN_KEYS_MAX || bytes + change.encoded_len() > ETCD_COMMIT_BYTES_MAX {
                self.transact(known, std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += change.encoded_len();
            batch.push(self.op(change));
        }
        if !batch.is_empty() {
            self.transact(known, batch).await?;
        }
        let Some(meta) = known.meta.clone().filter(|meta| meta.commit == commit) else { return Ok(()) };
        self.write_meta(known, &Meta { large: None, ..meta }, &[]).await?;
        let (key, range_end) = self.prefix.range(LARGE);
        let clear = Op::Delete(DeleteRangeRequest { key, range_end });
        self.transact(known, vec![clear.into()]).await.map(drop)
    }

    /// THE transaction: these changes, and the word on what is stored now.
    async fn write_meta(&self, known: &mut Known, meta: &Meta, changes: &[Change]) -> Result<(), Failed> {
        let value = serde_json::to_vec(meta)
            .map_err(|error| Failed::Fault(Fault::Refused(format!("a value has no JSON form: {error}"))))?;
        let own = Change { name: piece(META, 0), value: Some(value) };
        let ops = changes.iter().chain([&own]).map(|change| self.op(change)).collect();
        let revision = match self.transact(known, ops).await {
            Ok(answer) => answer.header.map_or(0, |header| header.revision),
            Err(Failed::Changed) => {
                // It was carried out, and its answer was lost, where it is our own word that stands there.
                let key = self.prefix.key(&piece(META, 0));
                let found = self.client.range(RangeRequest { key, ..RangeRequest::default() }).await?;
                let kv = found.kvs.first().ok_or(Failed::Changed)?;
                let same = serde_json::from_slice::<Meta>(&kv.value).is_ok_and(|found| found == *meta);
                if same { kv.mod_revision } else { return Err(Failed::Changed) }
            }
            Err(failed) => return Err(failed),
        };
        (known.meta, known.revision) = (Some(meta.clone()), revision);
        Ok(())
    }

    /// Does these if this control plane still leads and nothing was written since.
    async fn transact(&self, known: &Known, success: Vec<RequestOp>) -> Result<TxnResponse, Failed> {
        let (leader, meta) = (self.prefix.leader(), self.prefix.key(&piece(META, 0)));
        let compare = vec![Compare::made_at(&leader, self.term), Compare::changed_at(&meta, known.revision)];
        let failure = vec![Op::Range(RangeRequest { key: leader, ..RangeRequest::default() }).into()];
        let answer = self.client.txn(TxnRequest { compare, success, failure }).await?;
        if answer.succeeded {
            return Ok(answer);
        }
        let leader = answer.responses.first().and_then(|response| response.range.as_ref());
        let leads = self.is_of_term(leader.and_then(|found| found.kvs.first()));
        Err(if leads { Failed::Changed } else { Failed::Deposed })
    }

    /// Whether the leader's key is still that of the term.
    async fn leads(&self) -> Result<bool, Fault> {
        let read = RangeRequest { key: self.prefix.leader(), ..RangeRequest::default() };
        Ok(self.is_of_term(self.client.range(read).await?.kvs.first()))
    }

    /// The same of the key that was found; tells of it where it is not.
    fn is_of_term(&self, leader: Option<&KeyValue>) -> bool {
        let leads = leader.is_some_and(|kv| kv.create_revision == self.term);
        if !leads {
            self.deposed.notify_one();
        }
        leads
    }

    fn op(&self, change: &Change) -> RequestOp {
        let key = self.prefix.key(&change.name);
        match &change.value {
            Some(value) => Op::Put(PutRequest { key, value: value.clone(), lease: 0 }).into(),
            None => Op::Delete(DeleteRangeRequest { key, range_end: Vec::new() }).into(),
        }
    }

    fn store_name(&self) -> StoreName {
        StoreName::Etcd(self.client.name())
    }

    fn error(&self, fault: &Fault) -> StoreError {
        match fault {
            Fault::NoSpace => StoreError::NoSpace(self.store_name()),
            fault => self.refused(fault.to_string()),
        }
    }

    fn refused(&self, why: String) -> StoreError {
        StoreError::Unreachable { name: self.store_name(), why }
    }
}

impl Engine for EtcdStore {
    fn load(&mut self) -> Result<Loaded, OpenError> {
        let runtime = self.runtime.clone();
        let image = runtime.block_on(read_image(&self.client, &self.prefix));
        let (image, _) =
            image.map_err(|fault| OpenError::Etcd { name: self.store_name(), why: fault.to_string() })?;
        Ok(image.loaded())
    }

    fn write(&mut self, commit: &Commit) -> Result<Written, StoreError> {
        let runtime = self.runtime.clone();
        runtime.block_on(self.commit(commit))
    }

    fn history(&mut self, rollout: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let read = self.runtime.block_on(read_windows(&self.client, &self.prefix, rollout));
        read.map_err(|fault| self.error(&fault))
    }

    fn doubt(&mut self, generation: Generation) {
        self.doubt = self.doubt.max(generation);
    }

    fn name(&self) -> StoreName {
        self.store_name()
    }
}
