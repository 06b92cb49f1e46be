//! What a token opens, and what stands against making one.

use serin_config::secret::Secret;

use super::*;
use crate::fixtures::name;

const NOW: u64 = 1_000_000;

fn token(called: &str, text: &TokenText, services: Option<&[&str]>) -> Token {
    let services = services.map(|names| names.iter().map(|text| name(text)).collect());
    Token {
        name: called.into(),
        grant: Grant { role: Role::Operator, services },
        digest: text.digest(),
        created_ms: NOW,
        created_by: None,
        expires_ms: NOW + 1_000,
    }
}

fn made(called: &str) -> (TokenText, Tokens) {
    let text = TokenText::random().unwrap();
    let (tokens, _) = Tokens::default().with(text.id(), token(called, &text, None), |_| true).unwrap();
    (text, tokens)
}

#[test]
fn a_token_opens_until_it_expires_and_no_other_text_does() {
    let (text, tokens) = made("ci");
    let shown = TokenText::read(text.expose().as_bytes()).unwrap();
    assert_eq!(tokens.open(&shown, NOW).unwrap().1.name, "ci");
    assert_eq!(tokens.open(&shown, NOW + 999).unwrap().0, text.id());
    assert_eq!(tokens.open(&shown, NOW + 1_000).unwrap_err(), Unknown::Expired);
    let other = TokenText::random().unwrap();
    let forged = other.expose().replace(&other.id().to_string(), &text.id().to_string());
    let forged = TokenText::read(forged.as_bytes()).unwrap();
    assert_eq!(tokens.open(&forged, NOW).unwrap_err(), Unknown::NoToken);
    assert_eq!(tokens.open(&other, NOW).unwrap_err(), Unknown::NoToken);
}

#[test]
fn what_has_not_the_form_of_a_token_is_none() {
    let (text, _) = made("ci");
    let good = text.expose();
    for bad in [
        "",
        "serin",
        "serin__",
        &good[1..],
        &good[..good.len() - 1],
        &format!("{good}A"),
        &good.to_uppercase(),
    ] {
        assert!(TokenText::read(bad.as_bytes()).is_none(), "{bad}");
    }
    assert!(TokenText::read(&[0xff; 40]).is_none());
}

#[test]
fn neither_the_secret_nor_a_part_of_it_is_kept_or_shown() {
    let (text, tokens) = made("ci");
    let secret = text.expose().splitn(3, '_').last().unwrap().to_owned();
    let kept = serde_json::to_string(tokens.get(text.id()).unwrap()).unwrap();
    for shown in [kept, format!("{text:?}"), format!("{tokens:?}")] {
        assert!(!shown.contains(&secret) && !shown.contains(&secret[..8]), "{shown}");
    }
    assert_eq!(format!("{:?}", Secret::new(secret)), "[redacted]");
}

#[test]
fn tokens_come_back_from_the_facts_and_what_can_not_be_read_allows_nothing() {
    let (text, tokens) = made("ci");
    let fact = serde_json::to_value(tokens.get(text.id()).unwrap()).unwrap();
    let mut facts = Facts::from([
        (fact_name(text.id()), fact.clone()),
        ("seen".into(), 1.into()),
        ("tokens".into(), 1.into()),
    ]);
    assert_eq!(Tokens::from_facts(&facts), tokens);
    let mut odd = fact;
    odd["role"] = "owner".into();
    facts.insert(fact_name(text.id()), odd);
    assert_eq!(Tokens::from_facts(&facts), Tokens::default());
}

#[test]
fn a_name_is_given_once_until_its_token_has_expired() {
    let (text, tokens) = made("ci");
    let second = TokenText::random().unwrap();
    let again = |created_ms| Token { created_ms, ..token("ci", &second, None) };
    let refused = tokens.with(second.id(), again(NOW), |_| true).unwrap_err();
    assert_eq!(refused, TokenRefusal::NameTaken { name: "ci".into(), id: text.id().clone() });
    let (tokens, gone) = tokens.with(second.id(), again(NOW + 1_000), |_| true).unwrap();
    assert_eq!((gone, tokens.iter().count()), (vec![text.id().clone()], 1));
}

#[test]
fn what_stands_against_a_token_is_named() {
    let text = TokenText::random().unwrap();
    let refuse =
        |token| Tokens::default().with(text.id(), token, |service| service.as_str() == "shop").unwrap_err();
    assert!(matches!(refuse(token("two words", &text, None)), TokenRefusal::Name(_)));
    assert_eq!(refuse(token("ci", &text, Some(&[]))), TokenRefusal::ForNothing);
    let missing = refuse(token("ci", &text, Some(&["shop", "blog"])));
    assert_eq!(missing, TokenRefusal::NoService(name("blog")));
    assert_eq!(Tokens::default().without(text.id()).unwrap_err(), TokenRefusal::None(text.id().clone()));
}

#[test]
fn there_is_an_end_to_the_number_of_tokens() {
    let mut tokens = Tokens::default();
    for n in 0..TOKENS_MAX {
        let text = TokenText::random().unwrap();
        (tokens, _) = tokens.with(text.id(), token(&format!("t{n}"), &text, None), |_| true).unwrap();
    }
    let text = TokenText::random().unwrap();
    let refused = tokens.with(text.id(), token("more", &text, None), |_| true).unwrap_err();
    assert_eq!(refused, TokenRefusal::TooMany);
    // The last has a place again once another is gone.
    let first = tokens.iter().next().unwrap().0.clone();
    let tokens = tokens.without(&first).unwrap();
    assert!(tokens.with(text.id(), token("more", &text, None), |_| true).is_ok());
}

#[test]
fn no_token_is_called_what_those_without_one_are_called() {
    let text = TokenText::random().unwrap();
    for reserved in ["control.token", "file", "Judge", "local", "unknown"] {
        let refused = Tokens::default().with(text.id(), token(reserved, &text, None), |_| true).unwrap_err();
        assert_eq!(refused, TokenRefusal::NameReserved(reserved.into()));
    }
    assert!(Tokens::default().with(text.id(), token("judges", &text, None), |_| true).is_ok());
}
