use rand::SeedableRng;

use super::*;

fn target() -> Target {
    Target::new("127.0.0.1:80".parse().unwrap())
}

/// What the first request is, as it goes over a wire.
fn bytes(target: &Target) -> String {
    let mut random = SmallRng::seed_from_u64(1);
    let prepared = target.prepare();
    let mut scratch = Vec::new();
    let user = target.user(&mut random);
    String::from_utf8(prepared[target.draw(&mut random)].bytes(user.as_ref(), &mut scratch).to_vec()).unwrap()
}

#[test]
fn a_request_carries_what_was_asked_for() {
    let ask = Ask::get().path("/a?b=c").unwrap().header("x-colour", "blue").unwrap();
    let bytes = bytes(&target().asks(vec![ask]).unwrap());
    assert_eq!(bytes, "GET /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:80\r\nx-colour: blue\r\n\r\n");
}

#[test]
fn a_body_has_its_length_and_a_host_that_was_named_is_the_only_one() {
    let ask = Ask::get().method("post").unwrap().header("host", "shop.test").unwrap().body("abc".into());
    let target = target().asks(vec![ask]).unwrap();
    assert_eq!(bytes(&target), "POST / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 3\r\n\r\nabc");
    let http2 = target.protocol(Protocol::Http2);
    let request = http2.prepare()[0].request(None);
    assert_eq!(
        (request.uri().to_string().as_str(), request.method().as_str()),
        ("http://shop.test/", "POST")
    );
    assert!(request.headers().get("host").is_none());
}

#[test]
fn what_http_does_not_allow_is_refused() {
    assert!(matches!(Ask::get().path("no-slash"), Err(AskError::Path(_))));
    assert!(matches!(Ask::get().path("/a b"), Err(AskError::Path(_))));
    assert!(matches!(Ask::get().header("a b", "c"), Err(AskError::Header(_))));
    assert!(matches!(Ask::get().header("a", "c\nd"), Err(AskError::Header(_))));
    assert!(matches!(Ask::get().method("G T"), Err(AskError::Method(_))));
    assert!(matches!(target().host("a b"), Err(TargetError::Host(_))));
    assert!(matches!(target().asks(Vec::new()), Err(TargetError::Asks(0))));
    assert!(matches!(target().asks(vec![Ask::get().weight(0)]), Err(TargetError::Weights)));
}

#[test]
fn requests_are_drawn_by_their_weights() {
    let asks = [("/a", 1), ("/b", 0), ("/c", 3)];
    let asks = asks.map(|(path, weight)| Ask::get().path(path).unwrap().weight(weight));
    let target = target().asks(asks.to_vec()).unwrap();
    let mut random = SmallRng::seed_from_u64(1);
    let mut drawn = [0; 3];
    (0..40_000).for_each(|_| drawn[target.draw(&mut random)] += 1);
    assert_eq!(drawn[1], 0);
    // Four standard deviations are 350.
    assert!((drawn[0] - 10_000_i32).abs() < 350, "{drawn:?}");
}

#[test]
fn users_are_drawn_from_all_of_them_in_place_of_a_cookie_that_all_have() {
    let users = Users::numbered(&[0, 7, 2], UserPlace::Cookie("uid".into()));
    let ask = Ask::get().header("cookie", "uid=nobody").unwrap();
    let target = target().asks(vec![ask]).unwrap().users(users);
    let mut random = SmallRng::seed_from_u64(1);
    let (prepared, mut scratch) = (target.prepare(), Vec::new());
    let mut seen: Vec<String> = (0..100)
        .map(|_| {
            let user = target.user(&mut random);
            let bytes = prepared[0].bytes(user.as_ref(), &mut scratch);
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            assert!(text.ends_with("\r\n\r\n") && text.matches("cookie").count() == 1, "{text}");
            let request = prepared[0].request(user.as_ref());
            let cookie = request.headers()["cookie"].to_str().unwrap().to_owned();
            assert!(text.contains(&cookie));
            cookie
        })
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["uid=user-0", "uid=user-2", "uid=user-7"]);
}
