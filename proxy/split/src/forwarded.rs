//! `x-forwarded-*`: who the client is, said by those who may say it.
//!
//! Whatever a peer outside the trusted networks claims is replaced. A trusted peer's list is kept and
//! lengthened by the peer's own address; the client is then the last address in the list that is not
//! itself a trusted proxy.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header::HOST};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST_SEEN: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Said by others and not kept up by us: an untrusted peer's copy must not get through. Frameworks believe
/// any of these; `proxy` is what CGI programs take for their own setting (CVE-2016-5385).
fn is_said_by_others(name: &str) -> bool {
    match name {
        "forwarded" | "x-forwarded" | "x-real-ip" | "x-client-ip" | "x-cluster-client-ip" => true,
        "true-client-ip" | "front-end-https" | "x-original-url" | "x-rewrite-url" | "proxy" => true,
        "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto" => false,
        _ => name.starts_with("x-forwarded-"),
    }
}

/// The client's address: the peer's own, or what a trusted peer says of it.
pub fn client(headers: &HeaderMap, peer: IpAddr, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    if !is_trusted(peer) {
        return peer;
    }
    let lines: Vec<&HeaderValue> = headers.get_all(FOR).iter().collect();
    let claimed = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|b| *b == b','));
    let mut client = peer;
    for entry in claimed {
        let Some(address) = std::str::from_utf8(entry).ok().and_then(|text| text.trim().parse().ok()) else {
            break;
        };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// Writes the headers for the endpoint. `peer` is the peer's address as a header value, absent for a Unix
/// socket, and `secure` says whether it speaks TLS; must be called before `host` is changed.
pub fn write(headers: &mut HeaderMap, peer: Option<&HeaderValue>, trusted: bool, secure: bool) {
    if !trusted && headers.keys().any(|name| is_said_by_others(name.as_str())) {
        let said: Vec<_> = headers.keys().filter(|name| is_said_by_others(name.as_str())).cloned().collect();
        for name in said {
            headers.remove(name);
        }
    }
    match peer {
        Some(peer) if trusted && headers.contains_key(&FOR) => lengthen(headers, peer),
        Some(peer) => drop(headers.insert(FOR, peer.clone())),
        None if !trusted => drop(headers.remove(FOR)),
        None => {}
    }
    if !(trusted && headers.contains_key(&HOST_SEEN)) {
        match headers.get(HOST).cloned() {
            Some(host) => drop(headers.insert(HOST_SEEN, host)),
            None => drop(headers.remove(HOST_SEEN)),
        }
    }
    if !(trusted && headers.contains_key(&PROTO)) {
        headers.insert(PROTO, HeaderValue::from_static(if secure { "https" } else { "http" }));
    }
}

fn lengthen(headers: &mut HeaderMap, peer: &HeaderValue) {
    let mut list = Vec::new();
    for line in headers.get_all(FOR) {
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(peer.as_bytes());
    // Both parts were header values, so their list is one.
    if let Ok(value) = HeaderValue::from_maybe_shared(list) {
        headers.insert(FOR, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn inside(address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 10)
    }

    fn with_list(list: &str) -> HeaderMap {
        HeaderMap::from_iter([(FOR, list.parse().unwrap()), (HOST, "shop.example".parse().unwrap())])
    }

    #[test]
    fn a_stranger_can_not_claim_an_address() {
        let mut headers = with_list("203.0.113.9");
        headers.insert("forwarded", "for=203.0.113.9".parse().unwrap());
        let stranger: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(client(&headers, stranger, inside), stranger);
        write(&mut headers, Some(&"192.0.2.7".parse().unwrap()), false, true);
        assert_eq!(headers[FOR], "192.0.2.7");
        assert_eq!(headers[HOST_SEEN], "shop.example");
        assert_eq!(headers[PROTO], "https");
        assert!(!headers.contains_key("forwarded"));
    }

    #[test]
    fn a_trusted_list_is_kept_and_lengthened() {
        let mut headers = with_list("198.51.100.4, 10.0.0.9");
        assert_eq!(client(&headers, PROXY, inside), "198.51.100.4".parse::<IpAddr>().unwrap());
        write(&mut headers, Some(&"10.0.0.1".parse().unwrap()), true, false);
        assert_eq!(headers[FOR], "198.51.100.4, 10.0.0.9, 10.0.0.1");
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_proxy() {
        let spoofed = with_list("1.1.1.1, 198.51.100.4, 10.0.0.9");
        assert_eq!(client(&spoofed, PROXY, inside), "198.51.100.4".parse::<IpAddr>().unwrap());
        assert_eq!(client(&with_list("nonsense"), PROXY, inside), PROXY);
    }
}
