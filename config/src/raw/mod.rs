//! The raw twin of the file: what can be written, field by field, before anything is known to fit together.
//!
//! Every field may be absent or wrong without taking its neighbours down. The doc comments here are what an
//! editor shows while the file is written, so they speak to the operator and name defaults.

pub mod choice;
pub mod decode;
pub mod endpoint;
mod fleet;
pub mod leaf;
mod listener;
pub mod load;
pub mod mail;
pub mod notification;
mod operation;
mod record;
mod resilience;
mod rollout;
mod route;
mod service;
pub mod size;
mod telemetry;
pub mod terms;
pub mod tls;
pub mod webhook;

pub use endpoint::{Dns, GrpcProbe, Health, HttpProbe, Nothing, Outlier, SuccessRate};
pub use fleet::{Connect, Fleet};
pub use listener::{Listener, TrustedPeer};
pub use mail::Mail;
pub use notification::Recipient;
pub use operation::{Admin, Advertise, Control, Etcd, Identity, Limits};
pub use resilience::{AdaptiveConcurrency, Breaker, Fallback, Hang, Retries, Tripwire};
pub use rollout::{
    Actions, BlastRadius, Copying, ErrorComparison, EventGuard, Guards, LatencyComparison, Margin, Probe,
    Rollback, Rollout, Score, Step,
};
pub use route::{
    HeaderEdits, HeaderKey, LimitKey, Method, RateLimit, Redirect, Respond, Rewrite, Route, ValueForm,
    ValueMatch,
};
pub use service::{Events, Mirror, Override, Service, Sticky, Timeouts, Version};
pub use telemetry::{AccessLog, Otlp, Telemetry};
pub use terms::Freeze;
pub use tls::{ApiTls, CertificateFiles, EndpointTls, ListenerTls};
pub use webhook::Webhook;

use self::{
    decode::{List, Named},
    record::record,
};
use crate::name::{FreezeName, GroupName, RecipientName, ServiceName, WebhookName};

record! {
    /// A Serin configuration: where traffic comes in, where it goes, and how new versions are rolled out.
    pub struct File {
        /// Where traffic comes in; at least one, but for serin control, which serves none.
        @ listeners: List<Listener>,
        /// Which request goes to which service; at least one, but for serin proxy, which is told by its control plane.
        @ routes: List<Route>,
        /// What routes lead to, by name; as for routes.
        @ services: Named<ServiceName, Service>,
        /// Metrics, health and the current plan; reads only.
        @ admin: Admin,
        /// The control plane: weights and rollouts; or where a proxy finds it.
        @ control: Control,
        /// What is told about the traffic.
        @ telemetry: Telemetry,
        /// Bounds on what the proxy takes on.
        @ limits: Limits,
        /// Whom the names of versions are asked of.
        @ dns: Dns,
        /// Times in which no canary's share rises, by name. Default: none.
        @ freezes: Named<FreezeName, Freeze>,
        /// Services that are rolled out together, by the group's name: started, promoted and rolled back in one plan.
        /// Default: none.
        @ groups: Named<GroupName, List<ServiceName>>,
        /// Rollouts in progress at once, those of groups counted one by one. Default: no bound.
        @ max_parallel_rollouts: u64,
        /// Who is told of decisions, by name. Default: nobody.
        @ notifications: Named<RecipientName, Recipient>,
        /// Who is asked, or told, around the steps of rollouts, by name. Default: nobody.
        @ webhooks: Named<WebhookName, Webhook>,
    }
}
