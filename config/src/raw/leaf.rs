//! The single values of the file: names, addresses, percentages, durations, numbers. Each reads its text,
//! says what is wrong with it and what would be right, and describes itself to editors.

use std::time::Duration;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::decode::{Fault, Leaf};
use crate::{
    address::{Address, AddressError, UNIX_PATH_MAX},
    grant::Role,
    limits::{MaxMemory, NAME_LENGTH_MAX},
    name::{
        EventName, FreezeName, GroupName, ListenerName, RecipientName, RouteName, ServiceName, VersionName,
        WebhookName,
    },
    percent::PercentError,
    policy::OnTimeout,
    problem::{nearest, shown},
    resilience::RetryOn,
    telemetry::{B3, OtlpProtocol},
    weight::Weight,
};

macro_rules! name_leaf {
    ($($type:ident),*) => {$(
        impl Leaf for $type {
            const EXPECTED: &'static str = "a name";

            fn read(text: &str) -> Result<Self, Fault> {
                Self::try_new(text).map_err(|_| Fault::new(
                    format!("\"{}\" is not a name", shown(text)),
                    format!("use 1 to {NAME_LENGTH_MAX} letters, digits, '-', '_' or '.', beginning with a letter or digit"),
                ))
            }

            fn schema() -> Value {
                json!({
                    "type": "string",
                    "pattern": format!("^[A-Za-z0-9][A-Za-z0-9._-]{{0,{}}}$", NAME_LENGTH_MAX - 1),
                })
            }
        }
    )*};
}
name_leaf!(
    EventName,
    FreezeName,
    GroupName,
    ListenerName,
    RecipientName,
    RouteName,
    ServiceName,
    VersionName,
    WebhookName
);

/// Text whose form the conversion checks.
impl Leaf for String {
    const EXPECTED: &'static str = "a text";
    fn read(text: &str) -> Result<Self, Fault> {
        Ok(text.into())
    }
    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

impl Leaf for Address {
    const EXPECTED: &'static str = "an address such as 127.0.0.1:8080";
    fn read(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|error| {
            let text = shown(text);
            match error {
                AddressError::Form(_) => Fault::new(
                    format!("\"{text}\" is not an address"),
                    "write IP:PORT such as 127.0.0.1:8080 or \"[::1]:8080\", or unix:/absolute/path.sock",
                ),
                AddressError::HostName(_) => Fault::new(
                    format!("\"{text}\" has a host name where an address must stand"),
                    "write its IP address, such as 127.0.0.1:8080 for localhost; a version takes a name as dns: NAME:PORT",
                ),
                AddressError::UnixPath(_) => Fault::new(
                    format!("\"{text}\" does not name a Unix socket"),
                    format!("write an absolute path of at most {UNIX_PATH_MAX} bytes after \"unix:\""),
                ),
            }
        })
    }
    fn schema() -> Value {
        json!({
            "type": "string",
            "pattern": r"^([0-9.]+:[0-9]+|\[[0-9A-Fa-f:.]+\]:[0-9]+|unix:/.+)$",
            "examples": ["127.0.0.1:8080", "[::1]:8080", "unix:/run/service.sock"],
        })
    }
}

impl Leaf for IpNet {
    const EXPECTED: &'static str = "a network such as 10.0.0.0/8";
    fn read(text: &str) -> Result<Self, Fault> {
        let one = |_| text.parse::<std::net::IpAddr>().map(Self::from);
        text.parse::<Self>().or_else(one).map_err(|_| {
            let wrong = format!("\"{}\" is not a network", shown(text));
            Fault::new(wrong, "write ADDRESS/LENGTH such as 10.0.0.0/8 or \"fd00::/8\", or one IP address")
        })
    }
    fn schema() -> Value {
        json!({ "type": "string", "examples": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"] })
    }
}

impl Leaf for Weight {
    const EXPECTED: &'static str = "a percentage such as 2.5%";
    fn read(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|error| {
            let text = shown(text);
            match error {
                PercentError::NoUnit(_) => Fault::new(
                    format!("\"{text}\" has no unit"),
                    "write a percentage with \"%\" at its end, such as 10% or 0.0001%",
                ),
                PercentError::OutOfRange(_) => Fault::new(
                    format!("\"{text}\" is not a percentage from 0% to 100%"),
                    "write digits, and decimals after a point, such as 2.5%",
                ),
                PercentError::TooFine(_) => Fault::new(
                    format!("\"{text}\" has more than four decimals"),
                    "round it: the smallest step is 0.0001%",
                ),
            }
        })
    }
    fn schema() -> Value {
        json!({
            "type": "string",
            "pattern": r"^[0-9]{1,3}(\.[0-9]{1,4}0*)?\s*%$",
            "examples": ["10%", "2.5%", "0.0001%"],
        })
    }
}

const DURATION_FORM: &str = "write a whole number and a unit (ms, s, m, h), such as 250ms or 30s";
const DURATION_PATTERN: &str = "[0-9]+ ?(ms|s|m|h)";

impl Leaf for Duration {
    const EXPECTED: &'static str = "a duration such as 250ms or 30s";
    fn read(text: &str) -> Result<Self, Fault> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        if !number.is_empty() && unit.trim().is_empty() {
            let right =
                format!("say whether it is \"{number}ms\", \"{number}s\", \"{number}m\" or \"{number}h\"");
            return Err(Fault::new(format!("the duration \"{}\" has no unit", shown(text)), shown(&right)));
        }
        let milliseconds = match unit.trim_start() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(Fault::new(format!("\"{}\" is not a duration", shown(text)), DURATION_FORM)),
        };
        let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds));
        total
            .map(Self::from_millis)
            .ok_or_else(|| Fault::new(format!("\"{}\" is not a duration", shown(text)), DURATION_FORM))
    }
    fn schema() -> Value {
        json!({
            "type": "string",
            "pattern": format!("^{DURATION_PATTERN}$"),
            "examples": ["250ms", "30s", "5m", "1h"],
        })
    }
}

/// A duration, or `none` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrNone(pub Option<Duration>);

impl Leaf for OrNone {
    const EXPECTED: &'static str = "a duration such as 30s, or none";
    fn read(text: &str) -> Result<Self, Fault> {
        if text == "none" {
            return Ok(Self(None));
        }
        Duration::read(text)
            .map(|time| Self(Some(time)))
            .map_err(|fault| Fault::new(fault.wrong, format!("{}; or none for no limit", fault.right)))
    }
    fn schema() -> Value {
        json!({
            "type": "string",
            "pattern": format!("^(none|{DURATION_PATTERN})$"),
            "examples": ["30s", "none"],
        })
    }
}

/// A count from 1, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrOff(pub Option<u64>);

impl Leaf for OrOff {
    const EXPECTED: &'static str = "a whole number from 1, or off";
    const PLAIN: bool = true;
    fn read(text: &str) -> Result<Self, Fault> {
        match text {
            "off" => Ok(Self(None)),
            "0" => Err(Fault::new("0 is not a number that can be reached", "write a number from 1, or off")),
            _ => u64::read(text)
                .map(|number| Self(Some(number)))
                .map_err(|fault| Fault::new(fault.wrong, format!("{}; or off", fault.right))),
        }
    }
    fn schema() -> Value {
        json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, { "enum": ["off"] }] })
    }
}

/// The name of a header field: a token (RFC 9110, 5.6.2), kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(pub String);

impl Leaf for FieldName {
    const EXPECTED: &'static str = "the name of a header field";
    fn read(text: &str) -> Result<Self, Fault> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !text.is_empty() && text.len() <= 256 && text.bytes().all(is_token) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(Fault::new(
            format!("\"{}\" can't be the name of a header field", shown(text)),
            "use letters, digits and '-', without spaces",
        ))
    }
    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$" })
    }
}

impl Leaf for MaxMemory {
    const EXPECTED: &'static str = "a size such as 512MiB, auto or none";
    fn read(text: &str) -> Result<Self, Fault> {
        match text {
            "auto" => return Ok(Self::Auto),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let units = [("KiB", 1_u64 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        let read = units.into_iter().find_map(|(unit, size)| {
            let number = text.strip_suffix(unit)?.trim_end();
            let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(size)
        });
        read.map(Self::Bytes).ok_or_else(|| {
            Fault::new(
                format!("\"{}\" is not a size", shown(text)),
                "write a whole number and a unit (KiB, MiB, GiB), such as 512MiB; or auto, or none",
            )
        })
    }
    fn schema() -> Value {
        json!({
            "type": "string",
            "pattern": "^(auto|none|[0-9]+ ?(KiB|MiB|GiB))$",
            "examples": ["512MiB", "auto", "none"],
        })
    }
}

impl Leaf for RetryOn {
    const EXPECTED: &'static str = "what a request may be tried again after, such as connect_fail";
    fn read(text: &str) -> Result<Self, Fault> {
        RetryOn::ALL.iter().find(|(word, _)| *word == text).map(|(_, on)| *on).ok_or_else(|| {
            let words = RetryOn::ALL.map(|(word, _)| word);
            let right = match nearest(text, words) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("write {}", words.join(", ")),
            };
            Fault::new(format!("\"{}\" is nothing to try again after", shown(text)), right)
        })
    }
    fn schema() -> Value {
        json!({ "enum": RetryOn::ALL.map(|(word, _)| word) })
    }
}

impl Leaf for bool {
    const EXPECTED: &'static str = "true or false";
    const PLAIN: bool = true;
    fn read(text: &str) -> Result<Self, Fault> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Fault::new(
                format!("\"{}\" is neither true nor false", shown(text)),
                "write true or false",
            )),
        }
    }
    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

impl Leaf for u64 {
    const EXPECTED: &'static str = "a whole number";
    const PLAIN: bool = true;
    fn read(text: &str) -> Result<Self, Fault> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or_else(|| {
            Fault::new(
                format!("\"{}\" is not a whole number", shown(text)),
                "write digits only, such as 1000",
            )
        })
    }
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0 })
    }
}

impl Leaf for f64 {
    const EXPECTED: &'static str = "a number";
    const PLAIN: bool = true;
    fn read(text: &str) -> Result<Self, Fault> {
        let form = text.starts_with(|c: char| c.is_ascii_digit());
        text.parse().ok().filter(|number: &Self| form && number.is_finite()).ok_or_else(|| {
            let right = "write digits, and decimals after a point, such as 1.2 or 0.0001";
            Fault::new(format!("\"{}\" is not a number", shown(text)), right)
        })
    }
    fn schema() -> Value {
        json!({ "type": "number", "minimum": 0 })
    }
}

/// One of a few words.
macro_rules! choice_leaf {
    ($type:ident, $expected:literal, $wrong:literal, [$(($text:literal, $value:expr)),*]) => {
        impl Leaf for $type {
            const EXPECTED: &'static str = $expected;
            fn read(text: &str) -> Result<Self, Fault> {
                match text {
                    $($text => Ok($value),)*
                    _ => {
                        let right = match nearest(text, [$($text),*]) {
                            Some(near) => format!("did you mean {near}?"),
                            None => format!("write {}", Self::EXPECTED),
                        };
                        Err(Fault::new(format!(concat!("\"{}\" is not ", $wrong), shown(text)), right))
                    }
                }
            }
            fn schema() -> Value {
                json!({ "enum": [$($text),*] })
            }
        }
    };
}
pub(crate) use choice_leaf;

choice_leaf!(
    OnTimeout,
    "hold, promote or rollback",
    "what a step can do when its time is up",
    [("hold", Self::Hold), ("promote", Self::Promote), ("rollback", Self::Rollback)]
);
choice_leaf!(
    Role,
    "viewer, operator or admin",
    "a role",
    [("viewer", Self::Viewer), ("operator", Self::Operator), ("admin", Self::Admin)]
);
choice_leaf!(
    B3,
    "off, in or both",
    "a way to speak B3",
    [("off", Self::Off), ("in", Self::In), ("both", Self::Both)]
);
choice_leaf!(
    OtlpProtocol,
    "grpc or http",
    "a protocol of OTLP",
    [("grpc", Self::Grpc), ("http", Self::Http)]
);

/// Where a secret is found. The file never holds it in clear, so that it can be shown and committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// `${NAME}`: an environment variable.
    Env(String),
    /// `${file:PATH}`: a file, relative to the configuration's directory.
    File(String),
}

const SECRET_FORM: &str = "write \"${NAME}\" for an environment variable or \"${file:PATH}\" for a file";

impl Leaf for SecretSource {
    const EXPECTED: &'static str = "\"${NAME}\" or \"${file:PATH}\"";
    const SECRET: bool = true;
    fn read(text: &str) -> Result<Self, Fault> {
        // None of the messages repeats the text: it may be the secret.
        let Some(inner) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
            let wrong = if text.contains("${") {
                "\"${…}\" must be the whole value of a secret"
            } else {
                "a secret stands in clear text"
            };
            return Err(Fault::new(wrong, SECRET_FORM));
        };
        if let Some(path) = inner.strip_prefix("file:") {
            let found = (!path.is_empty()).then(|| Self::File(path.into()));
            return found.ok_or_else(|| Fault::new("\"${file:}\" names no file", SECRET_FORM));
        }
        let named = inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && inner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let wrong = "\"${…}\" does not hold the name of an environment variable";
        named.then(|| Self::Env(inner.into())).ok_or_else(|| {
            Fault::new(wrong, format!("use letters, digits and '_' in the name, or {SECRET_FORM}"))
        })
    }
    fn schema() -> Value {
        json!({
            "type": "string",
            "pattern": r"^\$\{([A-Za-z_][A-Za-z0-9_]*|file:.+)\}$",
            "examples": ["${SERIN_TOKEN}", "${file:/run/secrets/serin-token}"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, milliseconds) in [("250ms", 250), ("30s", 30_000), ("5 m", 300_000), ("1h", 3_600_000)] {
            assert_eq!(Duration::read(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for wrong in ["", "s", "1.5s", "-1s", "1d", "1m30s", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(Duration::read(wrong).unwrap_err().wrong.ends_with("is not a duration"), "{wrong}");
        }
        let fault = Duration::read("30").unwrap_err();
        assert_eq!(fault.wrong, "the duration \"30\" has no unit");
        assert!(fault.right.contains("\"30s\""), "{}", fault.right);
    }

    #[test]
    fn none_is_no_limit() {
        assert_eq!(OrNone::read("none"), Ok(OrNone(None)));
        assert_eq!(OrNone::read("2s"), Ok(OrNone(Some(Duration::from_secs(2)))));
        assert!(OrNone::read("never").unwrap_err().right.contains("none for no limit"));
    }

    #[test]
    fn a_number_is_finite_and_has_no_sign() {
        assert_eq!(f64::read("1e-4"), Ok(0.0001));
        for wrong in ["inf", "nan", "-1", "+1", "1e999", ".5", "1,5", ""] {
            assert!(f64::read(wrong).is_err(), "{wrong}");
        }
        for wrong in ["-1", "+1", "1.0", "1_000", ""] {
            assert!(u64::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_in_clear_text_is_refused_and_not_repeated() {
        for text in ["hunter2", "Bearer ${hunter2}", "${hunter2!}"] {
            let fault = SecretSource::read(text).unwrap_err();
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        }
        assert_eq!(SecretSource::read("${A_1}"), Ok(SecretSource::Env("A_1".into())));
        assert_eq!(SecretSource::read("${file:a/b}"), Ok(SecretSource::File("a/b".into())));
        assert!(SecretSource::read("${file:}").is_err());
    }

    #[test]
    fn one_address_is_a_network_too() {
        assert_eq!(IpNet::read("192.0.2.7"), Ok("192.0.2.7/32".parse().unwrap()));
        assert!(IpNet::read("10.0.0.0/33").is_err());
    }
}
