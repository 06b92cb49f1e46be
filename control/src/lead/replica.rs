//! One of several control planes: a keeper while it leads, none while it does not.
//!
//! Commands and reports come in by the same ways as ever; the keeper of a term takes them over when it begins, and
//! gives them back when it ends. Between, a follower answers commands with who leads, and drops reports: proxies send
//! them to the one who leads, and keep what that one has not stored.
//!
//! A keeper that has failed (a panic) gives the lease back, so that another control plane goes on; this one
//! does not stand for election any more until it is restarted.
//!
//! All of it has a runtime of its own, beside that of the API: a lease must be renewed whatever else is to be done.

use std::sync::Arc;

use serin_config::{
    Address, Catalogue, Config,
    limits::{FORWARD_READ_WAIT, STORE_RETRY},
    settings::Etcd,
    terms::Terms,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, watch},
    task::spawn_blocking,
    time::{interval, sleep, timeout},
};
use tracing::{debug, error, info};

use super::{
    LeaderAddress, Leadership,
    election::{Candidate, Role},
    follow::Follower,
    messenger::Messenger,
    pass::Pass,
    standing::{Heard, Standing},
};
use crate::{
    access::{Answer, CommandError, Order},
    audit::Refused,
    command::Command,
    fleet::Gates,
    keeper::{BeginError, Inlets, Keeper, Push, Shown},
    metrics,
    plane::{Life, Mounted, spawn},
    store::{
        Archive,
        etcd::{Client, EtcdStore, Prefix, RangeRequest},
    },
};

/// What a replica is made from.
pub(crate) struct Setup {
    pub(crate) etcd: Etcd,
    pub(crate) catalogue: watch::Receiver<Arc<Catalogue>>,
    pub(crate) terms: watch::Receiver<Arc<Terms>>,
    pub(crate) own: LeaderAddress,
    pub(crate) push: Push,
    pub(crate) shown: Shown,
    pub(crate) gates: Gates,
    /// The way to the keeper of this process for what was refused.
    pub(crate) refused: mpsc::Sender<Refused>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// Where others reach this control plane. Its API by the address at which it listens, and its proxies' listener by
/// `fleet`, unless the file says otherwise.
pub(crate) fn own_address(config: &Config, api: &Address, fleet: Option<String>) -> LeaderAddress {
    let advertise = config.control.etcd.as_ref().map(|etcd| etcd.advertise.clone()).unwrap_or_default();
    let listens = match api {
        Address::Tcp(address) if config.control.tls.is_some() => Some(format!("https://{address}")),
        Address::Tcp(address) => Some(format!("http://{address}")),
        Address::Unix(_) => None,
    };
    LeaderAddress {
        name: config.telemetry.instance.clone(),
        api: advertise.api.or(listens),
        fleet: advertise.fleet.or(fleet),
        pass: Pass::random(),
    }
}

/// A control plane among others.
struct Replica {
    client: Client,
    prefix: Prefix,
    push: Arc<Push>,
    shown: Shown,
    /// Where proxies come in while this one leads.
    gates: Gates,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    terms: watch::Receiver<Arc<Terms>>,
    role: watch::Receiver<Role>,
    /// Told when a write was refused since another one was elected.
    deposed: Arc<Notify>,
    leadership: watch::Sender<Leadership>,
    /// Where what is refused here goes while this one does not lead.
    refusals: mpsc::Sender<Refused>,
}

/// What comes after a time of following.
enum Next {
    Lead { term: i64 },
    End(Life),
}

/// Starts a replica on a thread of its own: from here on it follows, stands for election, and leads when it is
/// elected.
pub(crate) fn start(setup: Setup, inlets: Inlets) -> std::io::Result<Mounted> {
    let Setup { etcd, catalogue, terms, own, push, shown, gates, refused, stop } = setup;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("serin-etcd")
        .enable_all()
        .build()?;
    let (client, prefix) = (Client::new(etcd.clone()), Prefix::new(&etcd.prefix));
    let (role, roles) = watch::channel(Role::Follows(None));
    let (leadership, leaderships) = watch::channel(Leadership::Follower { leader: None });
    let (tell, life) = watch::channel(Life::Decides);
    let (heard, vacant) = (Heard::begin(), Arc::new(Notify::new()));
    let clock = inlets.clock;
    let follower = Follower {
        client: client.clone(),
        prefix: prefix.clone(),
        catalogue: catalogue.clone(),
        terms: terms.clone(),
        role: roles.clone(),
        vacant: vacant.clone(),
        heard: heard.clone(),
        shown: shown.clone(),
        clock,
    };
    let (lease, compaction) = (etcd.lease, etcd.compaction);
    let heard_too = heard.clone();
    let standing = Standing::of(leaderships.clone(), heard, etcd.advertise.ca.as_deref(), own.clone());
    let messenger = Messenger {
        own: own.name.clone(),
        leadership: leaderships,
        keeper: refused,
        ca: etcd.advertise.ca.as_deref().map(Arc::from),
        clock,
    };
    let (refusals, messenger) = messenger.start(runtime.handle());
    let candidate = Candidate {
        client: client.clone(),
        prefix: prefix.clone(),
        lease,
        own,
        vacant: vacant.clone(),
        role,
        heard: heard_too,
    };
    let archive = Archive::of_etcd(client.clone(), prefix.clone(), runtime.handle().clone());
    let replica = Replica {
        client,
        prefix,
        push: Arc::new(push),
        shown: shown.clone(),
        gates,
        catalogue,
        terms,
        role: roles,
        deposed: vacant,
        leadership,
        refusals,
    };
    std::thread::Builder::new().name("serin-replica".into()).spawn(move || {
        let ended = runtime.block_on(async move {
            let (resign, resigned) = watch::channel(false);
            let follower = tokio::spawn(follower.follow(stop.clone()));
            let candidate = tokio::spawn(candidate.stand(resigned));
            if let Some(every) = compaction {
                tokio::spawn(compact(
                    replica.client.clone(),
                    replica.prefix.clone(),
                    replica.role.clone(),
                    every,
                ));
            }
            let ended = replica.run(inlets, stop).await;
            // Its keeper has ended: now another one may be elected.
            resign.send_replace(true);
            let _ = candidate.await;
            let _ = timeout(FORWARD_READ_WAIT, messenger).await;
            follower.abort();
            ended
        });
        tell.send_replace(ended);
        runtime.shutdown_background();
    })?;
    Ok(Mounted { shown, archive, standing, life })
}

impl Replica {
    async fn run(mut self, mut inlets: Inlets, mut stop: watch::Receiver<bool>) -> Life {
        metrics::leads(false);
        loop {
            match self.follow(&mut inlets, &mut stop).await {
                Next::End(life) => return life,
                Next::Lead { term } => match self.lead(term, inlets, &mut stop).await {
                    Ok(back) => inlets = back,
                    Err(life) => return life,
                },
            }
        }
    }

    /// Follows until elected or told to stop.
    async fn follow(&mut self, inlets: &mut Inlets, stop: &mut watch::Receiver<bool>) -> Next {
        loop {
            match self.role.borrow_and_update().clone() {
                Role::Leads { term } => return Next::Lead { term },
                Role::Follows(leader) => {
                    self.gates.close(leader.as_ref().and_then(|leader| leader.fleet.clone()));
                    let now = Leadership::Follower { leader };
                    self.leadership.send_if_modified(|before| {
                        let changed = *before != now;
                        *before = now;
                        changed
                    });
                }
            }
            tokio::select! {
                changed = self.role.changed() => {
                    if changed.is_err() {
                        return Next::End(Life::Broke);
                    }
                }
                Some(order) = inlets.orders.recv() => self.answer(order),
                // Whoever leads gets it too.
                Some(_) = inlets.reports.recv() => {}
                // Only the one who leads writes the audit log.
                Some(refused) = inlets.refused.recv() => self.tell(refused),
                Some(_) = inlets.events.recv() => {}
                _ = stop.wait_for(|stop| *stop) => return Next::End(Life::Stopped),
            }
        }
    }

    /// Lets the one who leads know what was refused here. Waits for nobody: what finds no place is counted.
    fn tell(&self, refused: Refused) {
        let times = refused.times;
        if self.refusals.try_send(refused).is_err() {
            metrics::audit_lost(times);
        }
    }

    /// What a follower says to a command.
    fn answer(&self, Order { request, reply }: Order) {
        let answer = match request.command {
            // It is shown from now on, and merged when this one leads.
            Command::Reload(_) | Command::Terms(_) => {
                Ok(Answer { plan: self.shown.status.borrow().plan.clone(), stored: true, repeats: None })
            }
            _ => {
                let leader = match &*self.leadership.borrow() {
                    Leadership::Follower { leader } => leader.clone(),
                    Leadership::Leader => None,
                };
                Err(CommandError::NotLeader(leader.map(Box::new)))
            }
        };
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }

    /// Leads until deposed; gives the ways in back. An error is the end.
    async fn lead(
        &mut self,
        term: i64,
        inlets: Inlets,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Inlets, Life> {
        // Proxies wait here until this one has begun; whoever led before is none to send them to.
        self.gates.close(None);
        let mut keeper = match self.begin(term, inlets.clock.now_ms()).await? {
            Some(keeper) => keeper,
            None => {
                tokio::select! {
                    () = sleep(STORE_RETRY) => return Ok(inlets),
                    _ = stop.wait_for(|stop| *stop) => return Err(Life::Stopped),
                }
            }
        };
        keeper.set_terms(self.terms.borrow().clone());
        let push = self.push.clone();
        keeper.push_to(Box::new(move |plan| push(plan)));
        (self.push)(keeper.plan().clone());
        let seat = self.gates.seat(&mut keeper);
        let (end, ended) = watch::channel(false);
        let spawned = spawn(keeper, Inlets { stop: ended, ..inlets });
        let (mut life, back) = spawned.map_err(|failed| {
            error!("the control plane's thread can't be started: {failed}");
            Life::Broke
        })?;
        self.gates.open(seat);
        self.leadership.send_replace(Leadership::Leader);
        metrics::leads(true);
        let stopped = loop {
            tokio::select! {
                changed = self.role.changed() => {
                    if changed.is_err() || *self.role.borrow() != (Role::Leads { term }) {
                        break false;
                    }
                }
                _ = life.wait_for(|life| *life != Life::Decides) => break false,
                _ = stop.wait_for(|stop| *stop) => break true,
            }
        };
        self.gates.close(None);
        self.leadership.send_replace(Leadership::Follower { leader: None });
        metrics::leads(false);
        end.send_replace(true);
        // None come back from a keeper that failed.
        let mut inlets = back.await.map_err(|_| Life::Broke)?;
        inlets.unstored.drain(..).for_each(|refused| self.tell(refused));
        if stopped { Err(Life::Stopped) } else { Ok(inlets) }
    }

    /// A keeper of what is stored; none where that can't be read or written now.
    async fn begin(&self, term: i64, now_ms: u64) -> Result<Option<Keeper>, Life> {
        let store = EtcdStore::new(self.client.clone(), self.prefix.clone(), term, Handle::current())
            .telling(self.deposed.clone());
        let (catalogue, shown) = (self.catalogue.borrow().clone(), self.shown.clone());
        let begun = spawn_blocking(move || Keeper::begin_shown(Box::new(store), &catalogue, now_ms, shown));
        match begun.await {
            Ok(Ok(keeper)) if keeper.answer().stored => {
                info!(
                    term,
                    generation = keeper.plan().generation().0,
                    "what was decided is read, and goes on"
                );
                Ok(Some(keeper))
            }
            // It is logged where it failed.
            Ok(Ok(_)) => Ok(None),
            Ok(Err(error @ BeginError::Plan(_))) => {
                error!("no plan can be made from the file and the stored state: {error}");
                Ok(None)
            }
            Ok(Err(failed)) => {
                error!("this control plane was elected and can't lead: {failed}");
                Ok(None)
            }
            Err(_) => Err(Life::Broke),
        }
    }
}

/// Tells etcd to forget what was overwritten for as long as this, while this control plane leads: else it grows until
/// it refuses to be written.
async fn compact(client: Client, prefix: Prefix, role: watch::Receiver<Role>, every: std::time::Duration) {
    let mut ticks = interval(every);
    let mut before = None;
    loop {
        ticks.tick().await;
        let leads = matches!(*role.borrow(), Role::Leads { .. });
        let read = RangeRequest { key: prefix.leader(), ..RangeRequest::default() };
        match client.range(read).await {
            Ok(found) => {
                let now = found.header.map(|header| header.revision);
                if let Some(revision) = std::mem::replace(&mut before, now).filter(|_| leads)
                    && let Err(fault) = client.compact(revision).await
                {
                    debug!(revision, "etcd was not compacted: {fault}");
                }
            }
            Err(fault) => debug!("etcd was not compacted: {fault}"),
        }
    }
}
