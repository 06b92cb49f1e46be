//! What operators talk to: the admin listener and the control plane.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{Surroundings, etcd, fleet, identity, secret, section, tls};
use crate::{
    address::Address,
    problem::{Problems, Reported},
    raw::{
        self,
        decode::{Field, Spanned},
        leaf::SecretSource,
    },
    secret::Secret,
    settings::{ADMIN_ADDRESS_DEFAULT, Admin, CONTROL_ADDRESS_DEFAULT, Control, STATE_DEFAULT},
};

/// The admin listener.
pub(super) fn check_admin(field: Field<raw::Admin>, problems: &mut Problems) -> Result<Admin, Reported> {
    let raw = section(field)?;
    let danger = raw.danger_beyond_loopback;
    Ok(Admin { address: local(raw.address, danger, ADMIN_ADDRESS_DEFAULT, problems)? })
}

/// The control plane.
pub(super) fn check_control(
    field: Field<raw::Control>,
    services: &Result<BTreeSet<String>, Reported>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Control, Reported> {
    let raw = section(field)?;
    let (given, danger) = (raw.address.optional(), raw.danger_beyond_loopback.or(false));
    let etcd = etcd::check(raw.etcd, around, problems);
    let state = match raw.state.optional() {
        Ok(Some(given)) if !matches!(etcd, Ok(None)) => {
            let right = "leave out either state or etcd";
            Err(problems.add(&given.place, "the state can't be both in a file and in etcd", right))
        }
        Ok(Some(given)) if given.value.is_empty() => {
            let right = format!("write the path of a file, such as {STATE_DEFAULT}");
            Err(problems.add(&given.place, "the path of the state is empty", right))
        }
        Ok(given) => {
            Ok(around.base_dir.join(given.map_or_else(|| STATE_DEFAULT.into(), |state| state.value)))
        }
        Err(reported) => Err(reported),
    };
    let token = match raw.token.optional() {
        Ok(Some(source)) => token(&source, around, problems).map(Some),
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    let fleet = match raw.fleet.optional() {
        Ok(Some(raw)) => fleet::check_fleet(raw, around, problems).map(Some),
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    let connect = match raw.connect.optional() {
        Ok(Some(raw)) => fleet::check_connect(raw, around, problems).map(Some),
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    let tls = match raw.tls.optional() {
        Ok(Some(raw)) => tls::check_api(raw, around, problems).map(Some),
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    let place = raw.identities.given().map(|identities| identities.place.clone());
    let identities = identity::check_all(raw.identities, services, problems);
    let (given, danger, state, etcd) = (given?, danger?, state?, etcd?);
    let (token, tls, identities) = (token?, tls?, identities?);
    let asks_certificates = tls.as_ref().is_some_and(|tls| tls.client_certificates.is_some());
    if let (Some(place), false) = (place, asks_certificates) {
        let right = "write \"tls: { certificates: […], client_ca: clients.crt }\" beside it";
        return Err(problems.add(&place, "clients are not asked for certificates", right));
    }
    let address = match given {
        None => Address::Tcp(CONTROL_ADDRESS_DEFAULT),
        Some(given) if given.value.is_local() => given.value,
        // Whoever reaches this API moves traffic; the danger that can be named is reading along, not that.
        Some(given) if token.is_none() && identities.is_empty() => {
            let right =
                "add token: \"${NAME}\" or token: \"${file:PATH}\", or identities for client certificates";
            let wrong = "an API beyond this machine needs a bearer token or client certificates";
            return Err(problems.add(&given.place, wrong, right));
        }
        Some(given) if tls.is_none() && !danger => {
            let wrong = format!("{} can be reached from other machines, and not by TLS", given.value);
            let right = "add \"tls: { certificates: […] }\", write an address in 127.0.0.0/8, [::1] or unix:/path, or \
                         set danger_beyond_loopback: true, and whoever reads along has the token";
            return Err(problems.add(&given.place, wrong, right));
        }
        Some(given) => given.value,
    };
    Ok(Control { address, state, token, tls, identities, etcd, fleet: fleet?, connect: connect? })
}

/// An address that only this machine reaches, unless the danger is asked for by name.
fn local(
    field: Field<Address>,
    danger: Field<bool>,
    default: SocketAddr,
    problems: &mut Problems,
) -> Result<Address, Reported> {
    let danger = danger.or(false);
    let Some(given) = field.optional()? else { return danger.map(|_| Address::Tcp(default)) };
    if danger? || given.value.is_local() {
        return Ok(given.value);
    }
    let right = "write an address in 127.0.0.0/8, [::1] or unix:/path, or set danger_beyond_loopback: true";
    Err(problems.add(&given.place, format!("{} can be reached from other machines", given.value), right))
}

/// A bearer token; no message shows it.
pub(super) fn token(
    source: &Spanned<SecretSource>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Secret, Reported> {
    let place = &source.place;
    let (text, whence) = secret::text(source, around, problems)?;
    if text.is_empty() {
        return Err(problems.add(place, format!("{whence} is empty"), "put the token there"));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        let wrong = format!("{whence} does not hold a bearer token");
        return Err(problems.add(place, wrong, "use visible ASCII characters without spaces, on one line"));
    }
    Ok(Secret::new(text))
}
