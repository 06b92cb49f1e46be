//! The messages of `proto/serin/v1/fleet.proto`, field by field. What each means stands there; a test below holds
//! names, types and numbers against it.

use prost::{Enumeration, Message, Oneof};

/// From a proxy to its control plane.
#[derive(Clone, PartialEq, Message)]
pub struct Up {
    /// What it says.
    #[prost(oneof = "Upward", tags = "1, 2, 3, 4, 5")]
    pub said: Option<Upward>,
}

/// What a proxy says.
#[derive(Clone, PartialEq, Oneof)]
pub enum Upward {
    /// Who it is.
    #[prost(message, tag = "1")]
    Hello(Hello),
    /// A second of counts.
    #[prost(message, tag = "2")]
    Window(Window),
    /// A quarter of a second of plain counts.
    #[prost(message, tag = "3")]
    Beat(Beat),
    /// What became of a plan.
    #[prost(message, tag = "4")]
    PlanAnswer(PlanAnswer),
    /// It ends.
    #[prost(message, tag = "5")]
    Leaving(Leaving),
}

/// From a control plane to a proxy.
#[derive(Clone, PartialEq, Message)]
pub struct Down {
    /// What it says.
    #[prost(oneof = "Downward", tags = "1, 2, 3, 4")]
    pub said: Option<Downward>,
}

/// What a control plane says.
#[derive(Clone, PartialEq, Oneof)]
pub enum Downward {
    /// The answer to a hello.
    #[prost(message, tag = "1")]
    Welcome(Welcome),
    /// A plan.
    #[prost(message, tag = "2")]
    Plan(Plan),
    /// Windows need not be told again.
    #[prost(message, tag = "3")]
    Kept(Kept),
    /// What it wants to be told.
    #[prost(message, tag = "4")]
    Wish(Wish),
}

/// Who it is that connects.
#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    /// The name of the proxy.
    #[prost(string, tag = "1")]
    pub proxy: String,
    /// Which life of it.
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    /// Its release.
    #[prost(string, tag = "3")]
    pub version: String,
    /// The plan in force.
    #[prost(uint64, tag = "4")]
    pub generation: u64,
    /// The digest of its routes and services.
    #[prost(string, tag = "5")]
    pub digest: String,
    /// Its clock.
    #[prost(uint64, tag = "6")]
    pub now_ms: u64,
    /// The identity of the plan in force; empty where none was told.
    #[prost(string, tag = "7")]
    pub identity: String,
}

/// The answer to a [`Hello`].
#[derive(Clone, PartialEq, Message)]
pub struct Welcome {
    /// The release of the control plane.
    #[prost(string, tag = "1")]
    pub version: String,
    /// The generation of its plan.
    #[prost(uint64, tag = "2")]
    pub generation: u64,
    /// Windows up to this one are kept.
    #[prost(uint64, tag = "3")]
    pub kept: u64,
    /// Which life of the proxy this is; 0 where that was not said.
    #[prost(uint64, tag = "4")]
    pub epoch: u64,
}

/// Windows up to this one are kept.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Kept {
    /// Which life of the proxy.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// The number of the last window.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
}

/// What the control plane wants to be told from now on.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Wish {
    /// Whether beats are of no use just now.
    #[prost(bool, tag = "1")]
    pub no_beats: bool,
}

/// A plan, whole.
#[derive(Clone, PartialEq, Message)]
pub struct Plan {
    /// Its number.
    #[prost(uint64, tag = "1")]
    pub generation: u64,
    /// The number of the plan that it was made from.
    #[prost(uint64, tag = "2")]
    pub parent: u64,
    /// The digest of its routes and services.
    #[prost(string, tag = "3")]
    pub digest: String,
    /// Their text.
    #[prost(string, optional, tag = "4")]
    pub catalogue: Option<String>,
    /// The split of each service.
    #[prost(message, repeated, tag = "5")]
    pub splits: Vec<ServiceSplit>,
    /// What it is called beside its number.
    #[prost(string, tag = "6")]
    pub identity: String,
}

/// The split of one service.
#[derive(Clone, PartialEq, Message)]
pub struct ServiceSplit {
    /// The service.
    #[prost(string, tag = "1")]
    pub service: String,
    /// Its weights.
    #[prost(message, repeated, tag = "2")]
    pub weights: Vec<VersionWeight>,
    /// Since when the canary has weight.
    #[prost(uint64, tag = "3")]
    pub canary_since: u64,
    /// What the canary gets copies of.
    #[prost(uint32, tag = "4")]
    pub mirror: u32,
    /// Whether the stable version takes over from a canary that has everything.
    #[prost(bool, tag = "5")]
    pub stands_by: bool,
}

/// The weight of one version.
#[derive(Clone, PartialEq, Message)]
pub struct VersionWeight {
    /// The version.
    #[prost(string, tag = "1")]
    pub version: String,
    /// In parts per million.
    #[prost(uint32, tag = "2")]
    pub ppm: u32,
}

/// What became of a plan.
#[derive(Clone, PartialEq, Message)]
pub struct PlanAnswer {
    /// Its number.
    #[prost(uint64, tag = "1")]
    pub generation: u64,
    /// Why it was not taken; empty if it was.
    #[prost(string, repeated, tag = "2")]
    pub problems: Vec<String>,
    /// Its identity.
    #[prost(string, tag = "3")]
    pub identity: String,
}

/// The proxy ends.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Leaving {}

/// One second of counts.
#[derive(Clone, PartialEq, Message)]
pub struct Window {
    /// Which life of the proxy.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// Which window of that life.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// When it ended.
    #[prost(uint64, tag = "3")]
    pub ended_ms: u64,
    /// How long it had waited.
    #[prost(uint64, tag = "4")]
    pub age_ms: u64,
    /// The plan in force at its end.
    #[prost(uint64, tag = "5")]
    pub generation: u64,
    /// The plan in force at its beginning.
    #[prost(uint64, tag = "6")]
    pub began_under: u64,
    /// Services whose canary is limited.
    #[prost(string, repeated, tag = "7")]
    pub probing: Vec<String>,
    /// What was counted.
    #[prost(message, repeated, tag = "8")]
    pub cells: Vec<Cell>,
    /// Canaries that were taken out.
    #[prost(message, repeated, tag = "9")]
    pub trips: Vec<Trip>,
    /// Versions that can't be reached.
    #[prost(message, repeated, tag = "10")]
    pub unready: Vec<ServiceVersion>,
    /// Copies, and the requests that were copied.
    #[prost(message, repeated, tag = "11")]
    pub copies: Vec<Cell>,
}

/// A version of a service.
#[derive(Clone, PartialEq, Message)]
pub struct ServiceVersion {
    /// The service.
    #[prost(string, tag = "1")]
    pub service: String,
    /// The version.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// What was counted of one version on one route.
#[derive(Clone, PartialEq, Message)]
pub struct Cell {
    /// The service.
    #[prost(string, tag = "1")]
    pub service: String,
    /// The version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// The route.
    #[prost(string, tag = "3")]
    pub route: String,
    /// What was counted.
    #[prost(message, optional, tag = "4")]
    pub counts: Option<Counts>,
    /// Failed attempts, each client once.
    #[prost(uint64, optional, tag = "5")]
    pub clients: Option<u64>,
    /// The negative control.
    #[prost(message, optional, tag = "6")]
    pub control: Option<Counts>,
    /// Business events.
    #[prost(message, repeated, tag = "7")]
    pub events: Vec<Event>,
}

/// How attempts ended, and how long they took.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Counts {
    /// By outcome.
    #[prost(uint64, repeated, tag = "1")]
    pub outcomes: Vec<u64>,
    /// The occupied buckets, each by its distance from the one before.
    #[prost(uint32, repeated, tag = "2")]
    pub buckets: Vec<u32>,
    /// What is in them.
    #[prost(uint32, repeated, tag = "3")]
    pub counts: Vec<u32>,
}

/// A business event.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// How often it was named.
    #[prost(uint64, tag = "2")]
    pub count: u64,
}

/// A canary that was taken out.
#[derive(Clone, PartialEq, Message)]
pub struct Trip {
    /// The service.
    #[prost(string, tag = "1")]
    pub service: String,
    /// The canary.
    #[prost(string, tag = "2")]
    pub version: String,
    /// Which wire it was.
    #[prost(enumeration = "TripCause", tag = "3")]
    pub cause: i32,
    /// Why.
    #[prost(string, tag = "4")]
    pub reason: String,
    /// The plan in force then.
    #[prost(uint64, tag = "5")]
    pub generation: u64,
    /// When.
    #[prost(uint64, tag = "6")]
    pub at_ms: u64,
}

/// What tripped a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum TripCause {
    /// It can't be reached, does not answer, or failed too often in a row.
    Fault = 0,
    /// The rollout's bound on failed requests is spent.
    FailedRequests = 1,
    /// The rollout's bound on added latency is spent.
    AddedLatency = 2,
}

/// A quarter of a second of plain counts.
#[derive(Clone, PartialEq, Message)]
pub struct Beat {
    /// When it ended.
    #[prost(uint64, tag = "1")]
    pub ended_ms: u64,
    /// The plan in force then.
    #[prost(uint64, tag = "2")]
    pub generation: u64,
    /// What was counted.
    #[prost(message, repeated, tag = "3")]
    pub counts: Vec<BeatCount>,
}

/// One version in a beat.
#[derive(Clone, PartialEq, Message)]
pub struct BeatCount {
    /// The service.
    #[prost(string, tag = "1")]
    pub service: String,
    /// The version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// Attempts that count.
    #[prost(uint64, tag = "3")]
    pub judged: u64,
    /// Those of them that failed.
    #[prost(uint64, tag = "4")]
    pub failed: u64,
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
