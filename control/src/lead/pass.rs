//! How control planes know each other: by a key that only they can have.
//!
//! Whoever leads has put a random key beside its address into etcd, where those who follow read it. By that key they sign
//! what they say of a request that they pass on (who first asked, and from where), and what they tell by themselves. So
//! the one who leads believes a control plane, and nobody who merely sends the same header. The signature covers the
//! request's method, path and authorization: one that was overheard is good for nothing that it was not made for.
//!
//! It gives no rights. Who asks is known by the token that is passed on, and by nothing that another control plane says;
//! whoever can read etcd could say no more than a wrong address.

use aws_lc_rs::{digest, hmac, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, Request, header};
use serde::{Deserialize, Serialize};
use serin_config::secret::Secret;

const KEY_BYTES: usize = 32;
/// The longest header that is looked into.
const CLAIM_BYTES_MAX: usize = 4 * 1024;

/// The key of one control plane, for as long as its process lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) struct Pass(Secret);

impl From<String> for Pass {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

/// For etcd alone: nothing else that is shown or sent has a pass in it.
impl From<Pass> for String {
    fn from(pass: Pass) -> Self {
        pass.0.expose().to_owned()
    }
}

/// What a control plane says of a request that it sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// Its name.
    pub(crate) by: String,
    /// From where the one asks whose request it is.
    pub(crate) from: String,
    /// The digest of the body, where it is the control plane's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
}

/// The request that a claim goes with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) method: &'a Method,
    /// With its query.
    pub(crate) path: &'a str,
    pub(crate) authorization: Option<&'a [u8]>,
}

impl<'a> About<'a> {
    /// What stands in a request.
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            path: request.uri().path_and_query().map_or("/", |path| path.as_str()),
            authorization: request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes),
        }
    }
}

impl Pass {
    /// A new one; none where the system gives no random numbers, and then nobody is believed.
    pub(crate) fn random() -> Option<Self> {
        let mut key = [0; KEY_BYTES];
        rand::fill(&mut key).ok()?;
        Some(Self(Secret::new(URL_SAFE_NO_PAD.encode(key))))
    }

    /// The header that says so.
    pub(crate) fn sign(&self, claim: &Claim, about: About<'_>) -> Option<HeaderValue> {
        let said = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claim).ok()?);
        let seal = hmac::sign(&self.key(), &signed(&said, about));
        HeaderValue::from_str(&format!("{said}.{}", URL_SAFE_NO_PAD.encode(seal.as_ref()))).ok()
    }

    /// What is said, if one who has this key has said it of this request.
    pub(crate) fn read(&self, header: &HeaderValue, about: About<'_>) -> Option<Claim> {
        let text = header.to_str().ok().filter(|text| text.len() <= CLAIM_BYTES_MAX)?;
        let (said, seal) = text.split_once('.')?;
        let seal = URL_SAFE_NO_PAD.decode(seal).ok()?;
        hmac::verify(&self.key(), &signed(said, about), &seal).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(said).ok()?).ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.expose().as_bytes())
    }
}

/// All that is signed, each part with its length, so that none can be taken for a piece of another.
fn signed(said: &str, about: About<'_>) -> Vec<u8> {
    let shown: &[u8] = if about.authorization.is_some() { b"shown" } else { b"none" };
    let parts = [
        said.as_bytes(),
        about.method.as_str().as_bytes(),
        about.path.as_bytes(),
        shown,
        about.authorization.unwrap_or_default(),
    ];
    parts
        .iter()
        .flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.iter().copied()))
        .collect()
}

/// What a claim says of a body.
pub(crate) fn digest_of(body: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, body).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Claim {
        Claim { by: "b".into(), from: "10.0.0.7".into(), body: None }
    }

    fn about(path: &str) -> About<'_> {
        About { method: &Method::POST, path, authorization: Some(b"Bearer x") }
    }

    #[test]
    fn what_is_said_with_the_key_is_believed_of_this_request_and_of_no_other() {
        let pass = Pass::random().unwrap();
        let header = pass.sign(&claim(), about("/v1/plan")).unwrap();
        assert_eq!(pass.read(&header, about("/v1/plan")), Some(claim()));
        assert_eq!(pass.read(&header, about("/v1/plan?x=1")), None);
        assert_eq!(pass.read(&header, About { authorization: None, ..about("/v1/plan") }), None);
        assert_eq!(pass.read(&header, About { authorization: Some(b"Bearer y"), ..about("/v1/plan") }), None);
        assert_eq!(pass.read(&header, About { method: &Method::PUT, ..about("/v1/plan") }), None);
        assert_eq!(Pass::random().unwrap().read(&header, about("/v1/plan")), None, "another key");
    }

    #[test]
    fn what_has_no_seal_or_that_of_something_else_is_not_believed() {
        let pass = Pass::random().unwrap();
        let header = pass.sign(&claim(), about("/")).unwrap();
        let (said, seal) = header.to_str().unwrap().split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode(br#"{"by":"b","from":"10.0.0.8"}"#);
        for forged in ["1", "", said, &format!("{said}."), &format!("{other}.{seal}"), &"a".repeat(5_000)] {
            assert_eq!(pass.read(&HeaderValue::from_str(forged).unwrap(), about("/")), None, "{forged}");
        }
    }

    #[test]
    fn a_pass_is_shown_nowhere_but_where_it_is_kept() {
        let pass = Pass::random().unwrap();
        assert_eq!(format!("{pass:?}"), "Pass([redacted])");
        let kept = serde_json::to_string(&pass).unwrap();
        assert_eq!(serde_json::from_str::<Pass>(&kept).unwrap(), pass);
    }
}
