//! How handshakes with clients went, counted for each listener.

use std::io;

use ::metrics::Counter;
use rustls::{AlertDescription, Error, HandshakeKind, ProtocolVersion, ServerConnection};

use crate::observe::metrics;

/// Why there is no secure connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Reason {
    /// The client took too long.
    Timeout,
    /// The client went away.
    Closed,
    /// What the client sent is not TLS.
    NotTls,
    /// There is no version, cipher or protocol that both sides speak.
    Incompatible,
    /// A certificate is required and the client has none.
    NoCertificate,
    /// The client's certificate does not verify.
    BadCertificate,
    /// The client does not accept the certificate that it was shown.
    Refused,
    /// The client broke the protocol, or anything else.
    Other,
}

impl Reason {
    pub(crate) const ALL: [Self; 8] = [
        Self::Timeout,
        Self::Closed,
        Self::NotTls,
        Self::Incompatible,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::Refused,
        Self::Other,
    ];

    /// The label of the metric.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::Refused => "refused_by_client",
            Self::Other => "other",
        }
    }

    pub(super) fn of(error: &io::Error) -> Self {
        let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return Self::Closed;
        };
        match inner {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => Self::BadCertificate,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => Self::NotTls,
            Error::AlertReceived(alert) => match alert {
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA => Self::Refused,
                AlertDescription::ProtocolVersion
                | AlertDescription::HandshakeFailure
                | AlertDescription::NoApplicationProtocol => Self::Incompatible,
                AlertDescription::CloseNotify | AlertDescription::UserCanceled => Self::Closed,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// The counters of one listener.
#[derive(Debug)]
pub(super) struct Handshakes {
    /// By version (1.2, 1.3), and whether resumed.
    done: [[Counter; 2]; 2],
    failed: [Counter; Reason::ALL.len()],
}

impl Handshakes {
    pub(super) fn of(listener: &str) -> Self {
        let done = |version| [false, true].map(|resumed| metrics::tls_handshakes(listener, version, resumed));
        Self {
            done: ["1.2", "1.3"].map(done),
            failed: Reason::ALL.map(|reason| metrics::tls_handshake_failures(listener, reason.label())),
        }
    }

    pub(super) fn done(&self, connection: &ServerConnection) {
        let newer = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        self.done[usize::from(newer)][usize::from(resumed)].increment(1);
    }

    pub(super) fn failed(&self, reason: Reason) {
        self.failed[reason as usize].increment(1);
    }
}
