//! Heads on their way to a route: whatever is vetted has one meaning or none, a detour through dots or escapes leads
//! to no other route, and no framing of the client's hop goes on.

#![no_main]

use std::{net::IpAddr, path::Path, sync::LazyLock};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use libfuzzer_sys::fuzz_target;
use serin_config::{Secrets, load};
use serin_split::{Matcher, forwarded, hop, matcher::Asked, path::normalise, vet};

struct None_;

impl Secrets for None_ {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("there are no files here".into())
    }
}

const FILE: &str = r#"
listeners: [{address: "127.0.0.1:1"}]
routes:
  - {name: admin, path_prefix: /admin, service: s}
  - {name: of_host, host: a.example, path_prefix: /, service: s}
  - {name: below, host: "*.example", path: /x, service: s}
  - {name: expression, path_regex: "/v[0-9]+/.*", service: s}
  - {name: marked, path_prefix: /, headers: {x-mark: {prefix: a}}, query: {q: "1"}, cookies: {c: {present: true}}, service: s}
  - {name: deep, path_prefix: /a/b/c, service: s}
  - {name: all, path_prefix: /, service: s}
services: {s: {versions: {v1: {endpoints: ["127.0.0.1:2"]}}}}
"#;

static MATCHER: LazyLock<Matcher> = LazyLock::new(|| {
    let config = load(FILE, "serin.yaml", Path::new("/"), &None_).expect("a sound file");
    Matcher::new(config.catalogue.routes())
});

// Lines: the target, then fields.
fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|b| *b == b'\n');
    let Some(Ok(uri)) = lines.next().map(Uri::try_from) else { return };
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let peer: IpAddr = [192, 0, 2, 1].into();
    if let Ok(host) = vet::vet(&Method::GET, &uri, Version::HTTP_11, &headers) {
        let find = |path: &str| {
            let (method, client) = (&Method::GET, &|| peer);
            MATCHER.find(&Asked { host, path, method, query: uri.query(), headers: &headers, client, identity: None })
        };
        if let Ok(path) = normalise(uri.path()) {
            let found = find(&path);
            assert!(found.is_some(), "a route for all does not take {uri}");
            assert_eq!(normalise(&path).as_deref(), Ok(path.as_ref()), "what is normal stays as it is");
            for detour in [format!("/x/..{path}"), format!("/%2e{path}"), format!("/./{path}")] {
                if let Ok(same) = normalise(&detour) {
                    assert_eq!(find(&same), found, "{detour}");
                }
            }
        }
    }
    let _ = forwarded::client(&headers, peer, |address| address.is_loopback());
    hop::strip(&mut headers);
    assert!(!headers.contains_key("transfer-encoding"));
});
