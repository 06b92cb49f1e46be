//! E-mail, as it is written.

use serde_json::{Value, json};

use super::{
    decode::{Fault, Leaf, List},
    leaf::{SecretSource, choice_leaf},
    record::record,
};
use crate::{
    mail::{MailAddress, MailSecurity},
    problem::{nearest, shown},
};

record! {
    /// E-mail by SMTP: one message for each decision.
    pub struct Mail {
        /// The server, as HOST:PORT, such as smtp.example.org:587.
        required @ server: String,
        /// starttls (it begins in clear, and nothing is said before it is secured), implicit (from the first byte) or none.
        /// Default: starttls.
        @ tls: MailSecurity,
        /// The file (PEM) of the certificates that may sign the server's. Default: the system's.
        @ ca: String,
        /// true: allows a server on another machine without TLS, where whoever is on the way reads the messages, and the
        /// password. Default: false.
        @ danger_plain: bool,
        /// Who logs in; with password. Default: nobody does.
        @ user: String,
        /// That user's password: "${NAME}" for an environment variable or "${file:PATH}" for a file.
        @ password: SecretSource,
        /// Who the messages are from, such as serin@example.org.
        required @ from: MailAddress,
        /// To whom they go.
        required @ to: List<MailAddress>,
    }
}

choice_leaf!(
    MailSecurity,
    "starttls, implicit or none",
    "a way to secure e-mail",
    [("starttls", Self::Starttls), ("implicit", Self::Implicit), ("none", Self::None)]
);

impl Leaf for MailAddress {
    const EXPECTED: &'static str = "an e-mail address";
    fn read(text: &str) -> Result<Self, Fault> {
        Self::try_new(text).ok_or_else(|| {
            let wrong = format!("\"{}\" is not an e-mail address", shown(text));
            Fault::new(
                wrong,
                "write NAME@DOMAIN such as oncall@example.org, without quotes, brackets or a display name",
            )
        })
    }
    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[^@ ]+@[^@ ]+$", "examples": ["oncall@example.org"] })
    }
}
