//! TLS on either side: paths joined to the file's directory, what belongs together, and whether the files
//! that it names can be used, which the shell is asked ([`Secrets::tls`](crate::Secrets::tls)).

use std::path::{Path as FilePath, PathBuf};

use super::{Surroundings, all};
use crate::{
    address::Address,
    file::{TlsFault, TlsFiles},
    limits::CERTIFICATES_MAX,
    problem::{Place, Problems, Reported, shown, shown_path},
    raw::{
        self,
        decode::{Field, List, Spanned},
        tls::ClientAuth,
    },
    tls::{CertificateFiles, ClientCertificates, EndpointTls, ListenerTls, TlsVersion},
};

const RIGHT: &str = "write \"certificates: [{ cert: server.crt, key: server.key }]\"";
/// The longest name in the DNS (RFC 1035, 2.3.4), without the final dot.
const HOST_NAME_MAX: usize = 253;

/// TLS of a listener.
pub(super) fn check_listener(
    Spanned { place, value: raw }: Spanned<raw::ListenerTls>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<ListenerTls, Reported> {
    let raw::ListenerTls { certificates, min_version, client_ca, client_auth, http2 } = raw;
    let given = Given { certificates, min_version, client_ca, client_auth };
    let checked = check(given, (&place, ClientAuth::Required), around, problems);
    let http2 = http2.or(true);
    Ok(ListenerTls { http2: http2?, ..checked? })
}

/// TLS of the control plane's API, which speaks HTTP/1.1 only.
pub(super) fn check_api(
    Spanned { place, value: raw }: Spanned<raw::ApiTls>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<ListenerTls, Reported> {
    let raw::ApiTls { certificates, min_version, client_ca, client_auth } = raw;
    let given = Given { certificates, min_version, client_ca, client_auth };
    check(given, (&place, ClientAuth::Optional), around, problems)
}

/// What the file says of whatever listens.
struct Given {
    certificates: Field<List<raw::CertificateFiles>>,
    min_version: Field<TlsVersion>,
    client_ca: Field<String>,
    client_auth: Field<ClientAuth>,
}

/// TLS without HTTP/2; `auth` is what is asked of clients where the file names their authorities and says no more.
fn check(
    given: Given,
    (place, auth): (&Place, ClientAuth),
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<ListenerTls, Reported> {
    let certificates = certificates(given.certificates, place, around, problems);
    let min_version = given.min_version.or(TlsVersion::default());
    let client_certificates = client_certificates(given.client_ca, given.client_auth, auth, around, problems);
    Ok(ListenerTls {
        certificates: certificates?,
        min_version: min_version?,
        client_certificates: client_certificates?,
        http2: false,
    })
}

fn certificates(
    field: Field<List<raw::CertificateFiles>>,
    place: &Place,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Vec<CertificateFiles>, Reported> {
    let Spanned { place, value: List(items) } = field.required("certificates", place, problems, RIGHT)?;
    if items.is_empty() {
        return Err(problems.add(&place, "there is no certificate", RIGHT));
    }
    if items.len() > CERTIFICATES_MAX {
        let wrong = format!("there are {} certificates", items.len());
        return Err(problems.add(&place, wrong, format!("write at most {CERTIFICATES_MAX}")));
    }
    let each = items.into_iter().map(|item| {
        let Spanned { place, value: raw } = item?;
        let cert = raw.cert.required("cert", &place, problems, "write the file of the certificate");
        let key = raw.key.required("key", &place, problems, "write the file of its private key");
        pair(&cert?, &key?, around, problems)
    });
    all(each.collect())
}

fn client_certificates(
    ca: Field<String>,
    auth: Field<ClientAuth>,
    default: ClientAuth,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Option<ClientCertificates>, Reported> {
    let (ca, auth) = (ca.optional(), auth.optional());
    let (ca, auth) = (ca?, auth?);
    match (ca, auth) {
        (None, Some(Spanned { place, value: ClientAuth::Optional | ClientAuth::Required })) => {
            let right =
                "write which certificates may sign those of clients, such as \"client_ca: clients.crt\"";
            Err(problems.add(&place, "there is no client_ca that certificates could be checked with", right))
        }
        (None, _) => Ok(None),
        (Some(ca), auth) => {
            let ca = authorities(&ca, around, problems)?;
            let required = auth.map_or(default, |auth| auth.value);
            Ok(match required {
                ClientAuth::None => None,
                ClientAuth::Optional => Some(ClientCertificates { ca, required: false }),
                ClientAuth::Required => Some(ClientCertificates { ca, required: true }),
            })
        }
    }
}

/// TLS to the endpoints of a version.
pub(super) fn check_endpoint(
    Spanned { place, value: raw }: Spanned<raw::EndpointTls>,
    endpoints: &[Address],
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<EndpointTls, Reported> {
    let ca = match raw.ca.optional() {
        Ok(ca) => ca.map(|ca| authorities(&ca, around, problems)).transpose(),
        Err(reported) => Err(reported),
    };
    let server_name = server_name(raw.server_name, endpoints, &place, problems);
    let client_certificate = match (raw.cert.optional(), raw.key.optional()) {
        (Ok(None), Ok(None)) => Ok(None),
        (Ok(Some(cert)), Ok(Some(key))) => pair(&cert, &key, around, problems).map(Some),
        (Ok(Some(cert)), Ok(None)) => Err(problems.add(
            &cert.place,
            "a certificate stands here without its key",
            "write \"key: …\" too",
        )),
        (Ok(None), Ok(Some(key))) => Err(problems.add(
            &key.place,
            "a key stands here without its certificate",
            "write \"cert: …\" too",
        )),
        (Err(reported), _) | (_, Err(reported)) => Err(reported),
    };
    Ok(EndpointTls { ca: ca?, server_name: server_name?, client_certificate: client_certificate? })
}

fn server_name(
    field: Field<String>,
    endpoints: &[Address],
    place: &Place,
    problems: &mut Problems,
) -> Result<Option<String>, Reported> {
    let right = "write the name in the endpoints' certificate, such as \"server_name: shop.internal\"";
    let Some(given) = field.optional()? else {
        let nameless = endpoints.iter().find(|endpoint| matches!(endpoint, Address::Unix(_)));
        return match nameless {
            Some(endpoint) => {
                let wrong = format!("{endpoint} has no name that its certificate could be checked against");
                Err(problems.add(place, wrong, right))
            }
            None => Ok(None),
        };
    };
    if is_server_name(&given.value) {
        return Ok(Some(given.value.to_ascii_lowercase()));
    }
    let wrong = format!("\"{}\" is neither a host name nor an IP address", shown(&given.value));
    Err(problems.add(&given.place, wrong, right))
}

fn is_server_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.parse::<std::net::IpAddr>().is_ok()
        || (text.len() <= HOST_NAME_MAX
            && text.split('.').all(label)
            // 1.2.3 is neither an address nor a name.
            && text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit())))
}

/// A certificate and its key, at their paths.
fn pair(
    cert: &Spanned<String>,
    key: &Spanned<String>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<CertificateFiles, Reported> {
    let files = (path(cert, "certificate", around, problems), path(key, "key", around, problems));
    let files = CertificateFiles { cert: files.0?, key: files.1? };
    match around.secrets.tls(TlsFiles::Pair(&files)) {
        Ok(()) => Ok(files),
        Err(TlsFault::Certificates(why)) => {
            Err(unusable(&cert.place, &files.cert, &why, CERT_RIGHT, problems))
        }
        Err(TlsFault::Key(why)) => Err(unusable(&key.place, &files.key, &why, KEY_RIGHT, problems)),
    }
}

const CERT_RIGHT: &str = "name a PEM file of certificates that this process may read";
const KEY_RIGHT: &str = "name the PEM file of the certificate's private key, which this process may read";

/// A file of certificates that may sign others.
pub(super) fn authorities(
    given: &Spanned<String>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<PathBuf, Reported> {
    let path = path(given, "certificates", around, problems)?;
    match around.secrets.tls(TlsFiles::Authorities(&path)) {
        Ok(()) => Ok(path),
        Err(TlsFault::Certificates(why) | TlsFault::Key(why)) => {
            Err(unusable(&given.place, &path, &why, CERT_RIGHT, problems))
        }
    }
}

fn unusable(place: &Place, path: &FilePath, why: &str, right: &str, problems: &mut Problems) -> Reported {
    problems.add(place, format!("{} can't be used: {}", shown_path(path), shown(why)), right)
}

fn path(
    given: &Spanned<String>,
    what: &str,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<PathBuf, Reported> {
    if given.value.is_empty() {
        let right = "write the path of a PEM file, such as server.crt";
        return Err(problems.add(&given.place, format!("the path of the {what} is empty"), right));
    }
    Ok(around.base_dir.join(&given.value))
}
