//! A fault: whom it hits and what it does, and how a proxy is told so.

use std::time::Duration;

use serde_json::{Value, json};
use serin_config::{RouteName, ServiceName, VersionName, Weight, duration};

/// How much later than its time a proxy ends a fault by itself: only whoever was killed needs it.
pub const EXPIRES_LATER: Duration = Duration::from_secs(5);

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What it is called.
    pub name: String,
    /// To which service.
    pub service: Option<ServiceName>,
    /// To which version.
    pub version: Option<VersionName>,
    /// By which route.
    pub route: Option<RouteName>,
    /// With which header, and with which value of it.
    pub header: Option<(String, Option<String>)>,
    /// The share of requests that it hits.
    pub share: Weight,
    /// They wait.
    pub delay: Option<Duration>,
    /// They are answered with this status.
    pub abort: Option<u16>,
    /// Bytes a second.
    pub throttle: Option<u32>,
    /// They find no endpoint.
    pub down: bool,
    /// Seconds.
    pub lasts: u64,
    /// Seconds until the hypothesis must hold again.
    pub recovers_within: u64,
}

impl Fault {
    /// How the admin listener of a proxy is told.
    pub fn told(&self) -> Value {
        self.json(self.share, Duration::from_secs(self.lasts) + EXPIRES_LATER)
    }

    /// The same for nobody and a moment: whether the proxy would take it.
    pub fn tried(&self) -> Value {
        self.json(Weight::ZERO, Duration::from_secs(1))
    }

    fn json(&self, share: Weight, expires: Duration) -> Value {
        let mut told = json!({ "percent": share.to_string(), "expires": duration::show(expires) });
        let header = self.header.as_ref().map(|(name, value)| json!({ "name": name, "value": value }));
        let parts = [
            ("service", self.service.as_ref().map(|name| name.as_str().into())),
            ("version", self.version.as_ref().map(|name| name.as_str().into())),
            ("route", self.route.as_ref().map(|name| name.as_str().into())),
            ("header", header),
            ("delay", self.delay.map(|delay| duration::show(delay).into())),
            ("abort", self.abort.map(Value::from)),
            ("throttle", self.throttle.map(Value::from)),
            ("down", self.down.then(|| true.into())),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                told[name] = value;
            }
        }
        told
    }

    /// What it does and to whom, in words.
    pub fn words(&self) -> String {
        let does = [
            self.delay.map(|delay| format!("delay of {}", duration::show(delay))),
            self.abort.map(|status| format!("abort with {status}")),
            self.throttle.map(|rate| format!("throttle to {rate} bytes a second")),
            self.down.then(|| "endpoints down".to_owned()),
        ];
        let mut words = does.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let whom = [
            self.service.as_ref().map(ToString::to_string),
            self.version.as_ref().map(ToString::to_string),
            self.route.as_ref().map(|route| format!("route {route}")),
            self.header.as_ref().map(|(name, _)| format!("header {name}")),
        ];
        let whom: Vec<String> = whom.into_iter().flatten().collect();
        if !whom.is_empty() {
            words = format!("{words} ({})", whom.join(" "));
        }
        if self.share == Weight::WHOLE { words } else { format!("{words}, {} of requests", self.share) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_with_an_end_a_little_after_its_own_and_tried_on_nobody() {
        let fault = Fault {
            name: "slow".into(),
            service: ServiceName::try_new("shop").ok(),
            version: VersionName::try_new("v2").ok(),
            route: None,
            header: Some(("x-test".into(), None)),
            share: "50%".parse().unwrap(),
            delay: Some(Duration::from_millis(200)),
            abort: None,
            throttle: None,
            down: true,
            lasts: 20,
            recovers_within: 30,
        };
        let told = json!({
            "service": "shop", "version": "v2", "header": { "name": "x-test", "value": null }, "percent": "50%",
            "delay": "200ms", "down": true, "expires": "25s",
        });
        assert_eq!(fault.told(), told);
        assert_eq!((&fault.tried()["percent"], &fault.tried()["expires"]), (&json!("0%"), &json!("1s")));
        assert_eq!(fault.words(), "delay of 200ms, endpoints down (shop v2 header x-test), 50% of requests");
    }
}
