//! One schedule, run: the real keeper, a disk in memory, proxies, and the messages between them.
//!
//! Time moves in beats of a quarter of a second. In each one something may happen, due messages arrive (in the order of their
//! arrival, which is not that of their sending), and each fourth is a second: proxies count, the keeper's clock ticks.
//! After every single event the laws are checked.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use serin_config::{
    Catalogue, Generation, Plan, Service, Weight,
    policy::{OnTimeout, Step},
    terms::Terms,
    webhook::{OnFailure, When},
    wire::WindowReport,
};
use tokio::sync::oneshot;

use super::{
    laws::{Laws, Seen, ended_well},
    proxies::Proxy,
    schedule::{File, Happening, Schedule},
};
use crate::{
    access::Order,
    command::{Action, Actor, Command, Request},
    fixtures::{canary_share, catalogue, name, shop, split, weight},
    hook::{Asked, Hooks, Question, Said, Stands, tests::webhook},
    keeper::{Event, Keeper},
    store::{Commit, Engine, Loaded, OpenError, Store, StoreError, StoreName, Written, fault::Disk},
};

const PROXIES: usize = 3;
const BEAT_MS: u64 = 250;
/// When time begins: late enough for every number that is subtracted from it.
const BEGIN_MS: u64 = 1_000_000;

enum Message {
    Window(WindowReport),
    Plan(usize, Arc<Plan>),
}

pub(super) struct World {
    schedule: Schedule,
    now_ms: u64,
    disk: Disk,
    /// Whether the disk is full, and whether it breaks: a store on such a disk can't be opened, and a start is refused.
    ill: [bool; 2],
    keeper: Option<Keeper>,
    file: Arc<Catalogue>,
    /// What the file says of all rollouts: nothing, or a webhook that is asked around steps.
    terms: Arc<Terms>,
    pushed: Arc<Mutex<Vec<Arc<Plan>>>>,
    proxies: Vec<Proxy>,
    /// By time of arrival; the second number keeps those of one moment apart.
    mail: BTreeMap<(u64, u64), Message>,
    posted: u64,
    /// Failures of a thousand requests: the canary's and the stable version's.
    failing: [u64; 2],
    laws: Laws,
    told: String,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            schedule: Schedule::new(seed),
            now_ms: BEGIN_MS,
            disk: Disk::default(),
            ill: [false; 2],
            keeper: None,
            file: catalogue(vec![service(File::Same)]),
            terms: terms(seed),
            pushed: Arc::default(),
            proxies: Vec::new(),
            mail: BTreeMap::new(),
            posted: 0,
            failing: [0; 2],
            laws: Laws::default(),
            told: String::new(),
        };
        world.start();
        let plan = world.keeper.as_ref().map(|keeper| keeper.plan().clone()).unwrap();
        world.proxies = (0..PROXIES).map(|number| Proxy::new(number, plan.clone(), BEGIN_MS)).collect();
        world
    }

    /// What happened, and what came of it.
    pub(super) fn told(&self) -> &str {
        &self.told
    }

    pub(super) fn run(&mut self) {
        for _ in 0..self.schedule.seconds() * 4 {
            if let Some(happening) = self.schedule.happening(PROXIES) {
                let _ = writeln!(self.told, "{} {happening:?}", self.now_ms);
                self.happens(happening);
            }
            self.beat();
        }
        self.end();
    }

    /// Everything is mended, a canary that fails every request gets weight: it must be out in time.
    fn end(&mut self) {
        self.happens(Happening::DiskFull(false));
        self.happens(Happening::DiskMended);
        self.start();
        (0..PROXIES).for_each(|proxy| self.proxies[proxy].cut = false);
        self.failing = [0, 0];
        self.steer(Action::Abort);
        // What is shown at the end is the canary's fate, not a gate's.
        self.terms = Arc::default();
        self.ask(Command::Terms(self.terms.clone()));
        // A canary that was promoted, or that a file gave weight, starts anew.
        self.happens(Happening::Set { canary: 0, stale: false });
        // Two seconds for what is late, and for the write that is tried again.
        (0..12).for_each(|_| self.beat());
        self.steer(Action::Start);
        (0..4).for_each(|_| self.beat());
        self.failing = [1_000, 0];
        let mut beats = 0;
        while self.keeper.as_ref().is_some_and(|keeper| canary_share(keeper.plan()) > Weight::ZERO) {
            assert!(beats < 20, "law 10: a dead canary is in after five seconds");
            self.beat();
            beats += 1;
        }
        // The slowest message takes five seconds.
        (0..24).for_each(|_| self.beat());
        let keeper = self.keeper.as_ref().unwrap();
        let status = keeper.status().borrow().clone();
        ended_well(&status, self.proxies.iter().map(|proxy| proxy.plan.generation()));
        let _ = writeln!(self.told, "ended by plan {}", status.plan.generation());
    }

    fn beat(&mut self) {
        self.now_ms += BEAT_MS;
        while let Some(entry) = self.mail.first_entry().filter(|entry| entry.key().0 <= self.now_ms) {
            match entry.remove() {
                Message::Window(window) => self.handle(Event::Window(window)),
                Message::Plan(proxy, plan) => self.arrives(proxy, &plan),
            }
        }
        if self.now_ms.is_multiple_of(1_000) {
            for proxy in 0..PROXIES {
                let (failing, now_ms) = (self.failing, self.now_ms);
                for window in self.proxies[proxy].second(&mut self.schedule, failing, now_ms) {
                    // A connection that breaks after a window has arrived sends it again.
                    if self.schedule.one_in(50) {
                        self.post(Message::Window(window.clone()));
                    }
                    self.post(Message::Window(window));
                }
            }
            self.handle(Event::Tick);
            self.webhook();
        }
    }

    /// The first question that is open is answered, or not yet.
    fn webhook(&mut self) {
        let Some(keeper) = &self.keeper else { return };
        let hooks = keeper.status().borrow().hooks.clone();
        let Some((question, _)) = hooks.due(self.now_ms).next() else { return };
        if let Some(said) = self.schedule.webhook() {
            let _ = writeln!(self.told, "{} {question} says {said}", self.now_ms);
            self.ask(Command::Heard { question: Box::new(question.clone()), said });
        }
    }

    fn arrives(&mut self, proxy: usize, plan: &Arc<Plan>) {
        if !self.proxies[proxy].cut && self.proxies[proxy].take(plan) {
            let _ = writeln!(self.told, "{} proxy {proxy} has plan {}", self.now_ms, plan.generation());
        }
    }

    fn post(&mut self, message: Message) {
        self.posted += 1;
        let due = self.now_ms + self.schedule.delay_ms();
        self.mail.insert((due, self.posted), message);
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Steer(action) => self.steer(action),
            Happening::Set { canary, stale } => {
                let Some(keeper) = &self.keeper else { return };
                let generation = keeper.plan().generation().0 - u64::from(stale);
                let if_generation = serin_config::Generation(generation);
                let split = split(&format!("v2 {canary}% v1 {}%", 100 - canary));
                self.ask(Command::SetWeights { service: name("shop"), split, if_generation });
            }
            Happening::Reload(file) => {
                self.file = catalogue(vec![service(file)]);
                self.ask(Command::Reload(self.file.clone()));
            }
            Happening::Canary(permille) => self.failing[0] = permille,
            Happening::Stable(permille) => self.failing[1] = permille,
            Happening::ProxyRestarts(proxy) => self.proxies[proxy].restart(self.now_ms),
            Happening::Cut(proxy, cut) => {
                self.proxies[proxy].cut = cut;
                // Whoever connects anew gets the plan in force.
                if let Some(plan) = self.keeper.as_ref().filter(|_| !cut).map(|keeper| keeper.plan().clone())
                {
                    self.post(Message::Plan(proxy, plan));
                }
            }
            Happening::DiskFull(full) => {
                self.disk.be_full(full);
                self.ill[0] = full;
            }
            Happening::DiskBreaks(operations) => {
                self.disk.break_after(operations);
                self.ill[1] = true;
            }
            Happening::DiskMended => {
                self.disk.work_again();
                self.ill[1] = false;
            }
            Happening::Crash => self.crash(),
            Happening::Stop => {
                self.handle(Event::Stop);
                self.crash();
            }
            Happening::Start => self.start(),
        }
    }

    fn steer(&mut self, action: Action) {
        self.ask(Command::Rollout { service: name("shop"), action, if_generation: None });
    }

    fn ask(&mut self, command: Command) {
        let (reply, mut answer) = oneshot::channel();
        let request = Request::new(command, Actor::Api, "because");
        self.handle(Event::Order(Order { request, reply }));
        if let Ok(Err(refused)) = answer.try_recv() {
            let _ = writeln!(self.told, "{} refused: {refused}", self.now_ms);
        }
    }

    /// Lets the keeper handle an event, checks the laws, and sends out what it pushed.
    fn handle(&mut self, event: Event) {
        let Some(keeper) = &mut self.keeper else { return };
        let gates = gates(&self.terms, &keeper.status().borrow().hooks, &event);
        keeper.handle(event, self.now_ms);
        let pushed = std::mem::take(&mut *self.pushed.lock().unwrap());
        let status = keeper.status().borrow().clone();
        let journal = keeper.journal().newest(None, None, 100);
        let disk = &self.disk;
        let stored = || disk.after_a_crash().store().load().unwrap();
        let seen = Seen { pushed: &pushed, status: &status, journal: &journal, stored: &stored, gates };
        self.laws.hold(&seen);
        for plan in pushed {
            let _ = writeln!(self.told, "{} plan {} {}", self.now_ms, plan.generation(), canary_share(&plan));
            (0..PROXIES).for_each(|proxy| self.post(Message::Plan(proxy, plan.clone())));
        }
    }

    /// The control plane is gone from one moment to the next; what the disk has then is what there is.
    fn crash(&mut self) {
        let Some(keeper) = self.keeper.take() else { return };
        let disk = self.disk.after_a_crash();
        drop(keeper);
        self.laws.crashed(&disk.store().load().unwrap());
        self.disk = disk;
        self.ill = [false; 2];
    }

    /// Starts the control plane on what its disk holds, unless it runs.
    fn start(&mut self) {
        if self.keeper.is_some() || self.ill != [false; 2] {
            return;
        }
        let mut keeper =
            Keeper::begin(Box::new(Patient(self.disk.store())), &self.file, self.now_ms).unwrap();
        keeper.set_terms(self.terms.clone());
        let sink = self.pushed.clone();
        keeper.push_to(Box::new(move |plan| sink.lock().unwrap().push(plan)));
        let plan = keeper.plan().clone();
        self.laws.life_begins(&plan);
        let _ = writeln!(self.told, "{} begins with plan {}", self.now_ms, plan.generation());
        (0..self.proxies.len()).for_each(|proxy| self.post(Message::Plan(proxy, plan.clone())));
        self.keeper = Some(keeper);
    }
}

/// A store without a clock: its disk never hangs here, and a thread that gets no turn for a second is no part of a schedule.
struct Patient(Store);

impl Engine for Patient {
    fn load(&mut self) -> Result<Loaded, OpenError> {
        self.0.load()
    }

    fn write(&mut self, commit: &Commit) -> Result<Written, StoreError> {
        self.0.write(commit)
    }

    fn history(&mut self, rollout: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.0.history(rollout)
    }

    fn doubt(&mut self, generation: Generation) {
        self.0.doubt(generation);
    }

    fn name(&self) -> StoreName {
        self.0.name()
    }

    fn wait(&self) -> Duration {
        Duration::from_secs(600)
    }
}

/// Whether the judge may lead a rollout on, as far as webhooks are concerned; an answer is known with its event.
fn gates(terms: &Terms, hooks: &Hooks, event: &Event) -> bool {
    let answer = match event {
        Event::Order(Order { request, .. }) => match &request.command {
            Command::Heard { question, said } => Some((question.as_ref(), *said == Said::Allow)),
            _ => None,
        },
        _ => None,
    };
    let allows = |(question, asked): (&Question, &Asked)| match answer {
        Some((answered, allowed)) if answered == question => allowed,
        _ => asked.stands == Stands::Allows,
    };
    terms.webhooks.is_empty() || !hooks.0.is_empty() && hooks.0.iter().all(allows)
}

/// In every third schedule a webhook is asked before steps, or at them, or both.
fn terms(seed: u64) -> Arc<Terms> {
    let on = match seed % 9 {
        0 => vec![When::BeforeStep],
        3 => vec![When::AtStep],
        6 => vec![When::BeforeStep, When::AtStep],
        _ => return Arc::default(),
    };
    Arc::new(Terms { webhooks: vec![webhook(&on, OnFailure::Wait)], ..Terms::default() })
}

/// The service as a file describes it: a canary that is baked before the end. Short steps, so that a schedule sees all of a
/// rollout.
fn service(file: File) -> Service {
    let mut service = shop();
    let steps = &mut service.rollout.steps;
    let bake = Step { weight: Weight::WHOLE, ..steps[1].clone() };
    steps.insert(2, bake);
    service.rollout.guards.max_error_rate = Some(weight("30%"));
    for step in &mut service.rollout.steps {
        step.max_duration = std::time::Duration::from_secs(8);
    }
    match file {
        File::Same => {}
        File::Split => service.split = split("v2 20% v1 80%"),
        File::Policy => service.rollout.on_timeout = OnTimeout::Promote,
    }
    service
}
