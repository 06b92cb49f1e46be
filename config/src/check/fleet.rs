//! The two ends of a stream between proxy and control plane. Plans steer traffic and windows decide about it, so
//! beyond this machine neither goes in clear, and nobody connects without proof of who it is.

use super::{Surroundings, all, control::token, tls};
use crate::{
    address::Address,
    fleet::{
        Connect, ControlEndpoint, Fleet, Names,
        settings::{CACHE_DEFAULT, FLEET_ADDRESS_DEFAULT},
    },
    limits::UPLINK_ENDPOINTS_MAX,
    problem::{Place, Problems, Reported},
    raw::{
        self,
        decode::{Field, List, Spanned},
    },
};

const RIGHT: &str =
    "write where the control plane listens for proxies, such as \"endpoints: [10.0.0.5:9903]\"";

/// The listener for proxies.
pub(super) fn check_fleet(
    Spanned { place, value: raw }: Spanned<raw::Fleet>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Fleet, Reported> {
    let given = raw.address.given().map(|address| address.place.clone());
    let address = raw.address.or(Address::Tcp(FLEET_ADDRESS_DEFAULT));
    let tls = match raw.tls.optional() {
        Ok(Some(raw)) => tls::check_listener(raw, around, problems).map(Some),
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    let token = optional_token(raw.token, around, problems);
    let (address, tls, token, names) = (address?, tls?, token?, raw.names.optional()?);
    let asks = tls.as_ref().is_some_and(|tls| tls.client_certificates.is_some());
    if let Some(names) = names.as_ref().filter(|_| !asks) {
        let right = "write client_ca in its tls, or leave \"names\" out";
        return Err(problems.add(&names.place, "proxies are not asked for certificates", right));
    }
    if !address.is_local() {
        let place = given.unwrap_or(place);
        let Some(tls) = &tls else {
            let right = "add \"tls: { certificates: [{ cert: server.crt, key: server.key }] }\"";
            return Err(problems.add(&place, format!("{address} can be reached from other machines"), right));
        };
        let proven = tls.client_certificates.as_ref().is_some_and(|clients| clients.required);
        if !proven && token.is_none() {
            let right = "add client_ca to its tls, or token: \"${NAME}\" or token: \"${file:PATH}\"";
            let wrong = "proxies from other machines must prove who they are";
            return Err(problems.add(&place, wrong, right));
        }
    }
    Ok(Fleet { address, tls, token, names: names.map_or(Names::default(), |names| names.value) })
}

/// Where a proxy finds its control plane.
pub(super) fn check_connect(
    Spanned { place, value: raw }: Spanned<raw::Connect>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Connect, Reported> {
    let endpoints = endpoints(raw.endpoints, &place, problems);
    let tls = match raw.tls.optional() {
        Ok(Some(raw)) => {
            let sockets = endpoints.as_ref().map_or(&[][..], |(_, sockets)| sockets);
            tls::check_endpoint(raw, sockets, around, problems).map(Some)
        }
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    let token = optional_token(raw.token, around, problems);
    let cache = match raw.cache.optional() {
        Ok(Some(given)) if given.value.is_empty() => {
            let right = format!("write the path of a file, such as {CACHE_DEFAULT}");
            Err(problems.add(&given.place, "the path of the cache is empty", right))
        }
        Ok(given) => Ok(given.map_or_else(|| CACHE_DEFAULT.into(), |given| given.value)),
        Err(reported) => Err(reported),
    };
    let ((endpoints, _), tls, token, cache) = (endpoints?, tls?, token?, cache?);
    if let (None, Some((far, place))) = (&tls, endpoints.iter().find(|(endpoint, _)| !endpoint.is_local())) {
        let wrong = format!("{far} is not on this machine, and would be spoken to in clear");
        let right = "add \"tls: { }\" for the system's authorities, or \"tls: { ca: control.crt }\"";
        return Err(problems.add(place, wrong, right));
    }
    let endpoints = endpoints.into_iter().map(|(endpoint, _)| endpoint).collect();
    Ok(Connect { endpoints, tls, token, cache: around.base_dir.join(cache) })
}

/// The endpoints with their places, and the addresses among them.
type Endpoints = (Vec<(ControlEndpoint, Place)>, Vec<Address>);

fn endpoints(
    field: Field<List<ControlEndpoint>>,
    place: &Place,
    problems: &mut Problems,
) -> Result<Endpoints, Reported> {
    let Spanned { place, value: List(items) } = field.required("endpoints", place, problems, RIGHT)?;
    if items.is_empty() {
        return Err(problems.add(&place, "there is no endpoint", RIGHT));
    }
    if items.len() > UPLINK_ENDPOINTS_MAX {
        let wrong = format!("there are {} endpoints", items.len());
        return Err(problems.add(&place, wrong, format!("write at most {UPLINK_ENDPOINTS_MAX}")));
    }
    let given = all(items)?;
    for (at, endpoint) in given.iter().enumerate() {
        if given[..at].iter().any(|other| other.value == endpoint.value) {
            let wrong = format!("{} stands twice", endpoint.value);
            return Err(problems.add(&endpoint.place, wrong, "write each endpoint once"));
        }
    }
    let sockets = given.iter().filter_map(|endpoint| match &endpoint.value {
        ControlEndpoint::At(address) => Some(address.clone()),
        ControlEndpoint::Named(_) => None,
    });
    let sockets = sockets.collect();
    Ok((given.into_iter().map(|endpoint| (endpoint.value, endpoint.place)).collect(), sockets))
}

fn optional_token(
    field: Field<raw::leaf::SecretSource>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Option<crate::secret::Secret>, Reported> {
    match field.optional()? {
        Some(source) => token(&source, around, problems).map(Some),
        None => Ok(None),
    }
}
