//! Listeners: their names and whom they trust.

use super::{Surroundings, all, naming::Naming, range::within, tls};
use crate::{
    address::Address,
    limits::{CONNECTION_AGE_MIN, LISTENERS_MAX, TIMEOUT_MAX},
    listener::Listener,
    name::ListenerName,
    problem::{Place, Problems, Reported},
    raw::{
        self, TrustedPeer,
        decode::{Field, List, Spanned},
        leaf::OrNone,
    },
};

const RIGHT: &str = "write where traffic comes in, such as \"listeners: [{ address: 127.0.0.1:8080 }]\"";

/// All listeners; at least one.
pub(super) fn check_all(
    field: Field<List<raw::Listener>>,
    top: &Place,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Vec<Listener>, Reported> {
    let Spanned { place, value: List(items) } = field.required("listeners", top, problems, RIGHT)?;
    if items.is_empty() {
        return Err(problems.add(&place, "there is no listener", RIGHT));
    }
    if items.len() > LISTENERS_MAX {
        let wrong = format!("there are {} listeners", items.len());
        return Err(problems.add(&place, wrong, format!("write at most {LISTENERS_MAX}")));
    }
    let given = items.iter().filter_map(|item| item.as_ref().ok()?.value.name.given());
    let mut naming = Naming::new(given, "listener", problems);
    let each = items.into_iter().enumerate().map(|(i, item)| {
        let item = item?;
        let name = naming.name(&item.value.name, None, i + 1);
        check(item, name, around, problems)
    });
    all(each.collect())
}

fn check(
    Spanned { place, value: raw }: Spanned<raw::Listener>,
    name: Result<String, Reported>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Listener, Reported> {
    let name = name.and_then(|name| super::made(ListenerName::try_new(&name), &place, problems));
    let right = "write \"address: 127.0.0.1:8080\", or another IP:PORT or unix:/path";
    let address = raw.address.required("address", &place, problems, right);
    let trusted = raw.trusted_proxies.or(List(Vec::new())).and_then(|List(items)| all(items));
    let tls = match raw.tls.optional() {
        Ok(Some(raw)) => tls::check_listener(raw, around, problems).map(Some),
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    let proxy_protocol = raw.proxy_protocol.or(false);
    let max_connection_age = match raw.max_connection_age.optional() {
        Ok(Some(Spanned { place, value: OrNone(Some(value)) })) => {
            within(&Spanned { place, value }, CONNECTION_AGE_MIN..=TIMEOUT_MAX, problems).map(Some)
        }
        Ok(_) => Ok(None),
        Err(reported) => Err(reported),
    };
    let (address, trusted) = (address?.value, trusted?);
    let (mut trusted_proxies, mut trusts_unix) = (Vec::new(), false);
    for Spanned { place, value } in trusted {
        match value {
            TrustedPeer::Network(network) => trusted_proxies.push(network),
            TrustedPeer::Unix if matches!(address, Address::Unix(_)) => trusts_unix = true,
            TrustedPeer::Unix => {
                let right = "leave it out, or write the networks of the peers";
                let wrong = format!("nobody reaches {address} over a Unix socket");
                return Err(problems.add(&place, wrong, right));
            }
        }
    }
    let (tls, proxy_protocol, max_connection_age) = (tls?, proxy_protocol?, max_connection_age?);
    Ok(Listener {
        name: name?,
        address,
        trusted_proxies,
        trusts_unix,
        tls,
        proxy_protocol,
        max_connection_age,
    })
}
