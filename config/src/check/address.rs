//! Sockets that listen: no two on one address, and nothing sent back into one of them.
//!
//! Workers share an address by `SO_REUSEPORT`, so the kernel would not refuse two listeners of one
//! process on it: it would deal the connections out between them.

use crate::{
    address::Address,
    fleet::settings::FLEET_ADDRESS_DEFAULT,
    problem::{Place, Position, Problems},
    raw::{self, decode::Spanned},
    settings::{ADMIN_ADDRESS_DEFAULT, CONTROL_ADDRESS_DEFAULT, Purpose},
};

/// Somebody listens on an address.
struct Claim {
    who: &'static str,
    place: Option<Place>,
    address: Address,
}

/// Reports every address on which two would listen, and every endpoint that is such an address.
pub(super) fn check_distinct(file: &raw::File, purpose: Purpose, problems: &mut Problems) {
    let claims = claims(file, purpose);
    for (i, claim) in claims.iter().enumerate() {
        let Some(place) = &claim.place else { continue };
        if let Some(other) = claims[..i].iter().find(|other| overlap(&other.address, &claim.address)) {
            let whose = match &other.place {
                Some(Place { at: Position { line, .. }, .. }) => {
                    format!("the {} of line {line} listens on {} already", other.who, other.address)
                }
                None => format!("the {} listens on {} by default", other.who, other.address),
            };
            let right = "give each listener, admin and control an address of its own";
            problems.add(place, format!("{} is taken: {whose}", claim.address), right);
        }
    }
    for endpoint in endpoints(file) {
        if let Some(own) = claims.iter().find(|claim| claim.address == endpoint.value) {
            problems.add(
                &endpoint.place,
                format!("{} is the address of Serin's own {}", endpoint.value, own.who),
                "write where the version itself listens: requests would run in a circle",
            );
        }
    }
}

/// Defaults first, so that a clash is reported where the file can be changed; then in the file's order.
fn claims(file: &raw::File, purpose: Purpose) -> Vec<Claim> {
    let listeners = file.listeners.given().map_or(&[][..], |listeners| &listeners.value.0);
    let addresses = listeners.iter().filter_map(|listener| listener.as_ref().ok()?.value.address.given());
    let admin = file.admin.given().and_then(|admin| admin.value.address.given());
    let control = file.control.given().and_then(|control| control.value.address.given());
    let given =
        |who, at: &Spanned<Address>| Claim { who, place: Some(at.place.clone()), address: at.value.clone() };
    let section = |who, at: Option<&Spanned<Address>>, default| match at {
        Some(at) => given(who, at),
        None => Claim { who, place: None, address: Address::Tcp(default) },
    };
    let mut claims: Vec<_> =
        addresses.take(crate::limits::LISTENERS_MAX).map(|at| given("listener", at)).collect();
    claims.push(section("admin listener", admin, ADMIN_ADDRESS_DEFAULT));
    if purpose != Purpose::Proxy {
        claims.push(section("control listener", control, CONTROL_ADDRESS_DEFAULT));
    }
    let fleet = file.control.given().and_then(|control| control.value.fleet.given());
    if let Some(fleet) = fleet {
        claims.push(section("listener for proxies", fleet.value.address.given(), FLEET_ADDRESS_DEFAULT));
    }
    claims.sort_by_key(|claim| claim.place.as_ref().map(|place| place.at));
    claims
}

fn endpoints(file: &raw::File) -> impl Iterator<Item = &Spanned<Address>> {
    let services = file.services.given().map_or(&[][..], |services| &services.value.0);
    let versions = services.iter().filter_map(|service| service.value.as_ref().ok()?.value.versions.given());
    let versions = versions.flat_map(|versions| &versions.value.0);
    let lists = versions.filter_map(|version| version.value.as_ref().ok()?.value.endpoints.given());
    lists.flat_map(|list| &list.value.0).filter_map(|endpoint| endpoint.as_ref().ok())
}

/// Whether a connection could belong to both. Port 0 is a free port, a new one each time; the
/// unspecified address is every address, and that of IPv6 takes IPv4 too.
fn overlap(a: &Address, b: &Address) -> bool {
    let (Address::Tcp(a), Address::Tcp(b)) = (a, b) else { return a == b };
    if a.port() != b.port() || a.port() == 0 {
        return false;
    }
    let (a, b) = (a.ip().to_canonical(), b.ip().to_canonical());
    let covers =
        |a: std::net::IpAddr, b: std::net::IpAddr| a.is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    a == b || covers(a, b) || covers(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_overlaps_with_every_other_of_its_port() {
        for (a, b, overlapping) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("unix:/a", "unix:/a", true),
            ("unix:/a", "127.0.0.1:80", false),
        ] {
            let (a, b): (Address, Address) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!((overlap(&a, &b), overlap(&b, &a)), (overlapping, overlapping), "{a} {b}");
        }
    }
}
