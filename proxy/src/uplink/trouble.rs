//! What stands against a connection, in words for whoever set both ends up.
//!
//! Errors come in layers: gRPC over HTTP/2 over TLS over TCP, each of which says that the one below failed. Of all that, one
//! sentence is of use: what was wrong and what would be right. The commonest of TLS are said so here; of anything else the
//! layers are put in a row, each once.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError};

/// Why, in a sentence.
pub(super) fn words(error: &(dyn Error + 'static)) -> String {
    if let Some(known) = known(error) {
        return known;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = if text.is_empty() { said } else { format!("{text}: {said}") };
        }
        cause = error.source();
    }
    plain(text)
}

/// A text that layers have made of each other's, which no longer have the error itself.
pub(super) fn plain(text: String) -> String {
    if text.contains("close_notify") {
        return "it closed the connection without a word: it ends, or does not take what this proxy has shown (a certificate that \
                its client_ca has signed)"
            .into();
    }
    let alert = [
        "CertificateRequired",
        "UnknownCA",
        "BadCertificate",
        "CertificateUnknown",
        "CertificateExpired",
        "DecryptError",
    ];
    match alert.into_iter().find(|alert| text.contains(&format!("fatal alert: {alert}"))) {
        Some("CertificateRequired") => NO_CERTIFICATE.into(),
        Some(_) => NOT_TAKEN.into(),
        None => text,
    }
}

const NO_CERTIFICATE: &str = "it asks for a certificate of this proxy: name one that its client_ca has signed, at \
                              control.connect.tls.cert and key";
const NOT_TAKEN: &str = "it does not take this proxy's certificate: its client_ca must have signed what \
                         control.connect.tls.cert names";

/// What is known of the first error of TLS among the layers.
pub(super) fn known(error: &(dyn Error + 'static)) -> Option<String> {
    let mut layer = Some(error);
    while let Some(error) = layer {
        let tls = error.downcast_ref::<rustls::Error>();
        let io = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(said) = tls.or_else(|| io?.downcast_ref()).and_then(of_tls) {
            return Some(said);
        }
        layer = error.source();
    }
    None
}

fn of_tls(error: &rustls::Error) -> Option<String> {
    use rustls::Error as E;
    Some(match error {
        E::AlertReceived(AlertDescription::CertificateRequired) => NO_CERTIFICATE.into(),
        E::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::DecryptError,
        ) => NOT_TAKEN.into(),
        E::InvalidMessage(_) => "it does not speak TLS: give its fleet listener a certificate, or leave out control.connect.tls where \
                                 it stays on this machine"
            .into(),
        E::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate can't be trusted: name the certificate of the authority that signed it, at control.connect.tls.ca".into()
        }
        E::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "its certificate is for another name than it was asked by: give the name that stands in it, at \
             control.connect.tls.server_name"
                .into()
        }
        E::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired, or the clock here is wrong: give its fleet listener a new one".into()
        }
        E::InvalidCertificate(why) => format!("its certificate can't be trusted: {why}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over_tls(error: rustls::Error) -> String {
        words(&io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn what_is_wrong_with_tls_is_one_sentence_with_what_would_be_right() {
        let untrusted = over_tls(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        assert!(untrusted.contains("at control.connect.tls.ca"), "{untrusted}");
        let name = over_tls(rustls::Error::InvalidCertificate(CertificateError::NotValidForName));
        assert!(name.contains("control.connect.tls.server_name"), "{name}");
        let asked = over_tls(rustls::Error::AlertReceived(AlertDescription::CertificateRequired));
        assert!(asked.contains("control.connect.tls.cert"), "{asked}");
        let clear = over_tls(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType));
        assert!(clear.starts_with("it does not speak TLS"), "{clear}");
    }

    #[test]
    fn no_address_of_a_manual_is_said_whichever_layer_says_it() {
        let eof = "peer closed connection without sending TLS close_notify: https://docs.rs/rustls/latest/rustls/manual";
        let direct = words(&io::Error::new(io::ErrorKind::UnexpectedEof, eof));
        let layered = plain(format!("h2 protocol error: http2 error: {eof}"));
        for said in [direct, layered] {
            assert!(
                said.starts_with("it closed the connection without a word") && !said.contains("http"),
                "{said}"
            );
        }
        let alert = plain("http2 error: received fatal alert: CertificateRequired".into());
        assert_eq!(alert, NO_CERTIFICATE);
    }

    #[test]
    fn of_anything_else_each_layer_is_said_once() {
        let refused = io::Error::other(io::Error::other("connection refused"));
        assert_eq!(words(&refused), "connection refused");
    }
}
