//! The matcher against plain cases, and against a reference that tries every route in turn.

use http::{HeaderName, header::COOKIE};
use proptest::{collection::vec, prelude::*, sample::select};
use serin_config::{
    Catalogue, RouteName, Service, ServiceName, Version, VersionName,
    matching::{PathMatch, Pattern, ValueMatch},
};

use super::*;

fn route(name: &str, host: &str, path: PathMatch) -> Route {
    let host = match host.strip_prefix("*.") {
        _ if host == "*" => Host::Any,
        Some(name) => Host::Below(name.into()),
        None => Host::Exact(host.into()),
    };
    let service = ServiceName::try_new("s").unwrap();
    Route { host, path, ..Route::new(RouteName::try_new(name).unwrap(), service) }
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.into())
}

/// Routes in the order in which they are tried.
fn ordered(routes: Vec<Route>) -> Vec<Route> {
    let version = VersionName::try_new("v").unwrap();
    let versions = vec![Version::new(version.clone(), vec!["127.0.0.1:1".parse().unwrap()])];
    let service = Service::new(ServiceName::try_new("s").unwrap(), versions, version);
    Catalogue::try_new(routes, vec![service]).unwrap().routes().to_vec()
}

struct Request {
    host: &'static str,
    path: &'static str,
    method: Method,
    query: Option<&'static str>,
    headers: HeaderMap,
    client: IpAddr,
    identity: Option<ClientCert>,
}

impl Default for Request {
    fn default() -> Self {
        let client = IpAddr::from([192, 0, 2, 7]);
        let (method, headers) = (Method::GET, HeaderMap::new());
        Self { host: "a.example", path: "/", method, query: None, headers, client, identity: None }
    }
}

impl Request {
    fn asked<T>(&self, with: impl FnOnce(&Asked<'_>) -> T) -> T {
        with(&Asked {
            host: self.host,
            path: self.path,
            method: &self.method,
            query: self.query,
            headers: &self.headers,
            client: &|| self.client,
            identity: self.identity.as_ref(),
        })
    }
}

fn find(routes: &[Route], request: &Request) -> Option<String> {
    let at = request.asked(|asked| Matcher::new(routes).find(asked));
    at.map(|at| routes[at].name.to_string())
}

fn find_at(routes: &[Route], host: &'static str, path: &'static str) -> Option<String> {
    find(routes, &Request { host, path, ..Request::default() })
}

#[test]
fn an_exact_host_comes_before_any_host_and_the_longer_prefix_first() {
    let routes = ordered(vec![
        route("any", "*", prefix("/")),
        route("a", "a.example", prefix("/")),
        route("a-api", "a.example", prefix("/api")),
        route("any-api", "*", prefix("/api/v2")),
    ]);
    assert_eq!(find_at(&routes, "a.example", "/api/v2").unwrap(), "a-api");
    assert_eq!(find_at(&routes, "A.EXAMPLE.:8080", "/x").unwrap(), "a");
    assert_eq!(find_at(&routes, "b.example", "/api/v2/x").unwrap(), "any-api");
    assert_eq!(find_at(&routes, "[::1]:80", "/").unwrap(), "any");
}

#[test]
fn a_wildcard_takes_one_or_more_labels_and_the_longer_goes_first() {
    let routes = ordered(vec![
        route("short", "*.example", prefix("/")),
        route("long", "*.shop.example", prefix("/")),
        route("exact", "a.shop.example", prefix("/only")),
    ]);
    for (host, found) in [
        ("b.shop.example", Some("long")),
        ("c.b.shop.example:80", Some("long")),
        ("a.shop.example", Some("long")),
        ("shop.example", Some("short")),
        ("example", None),
        ("myshop.example", Some("short")),
        (".example", Some("short")),
    ] {
        assert_eq!(find_at(&routes, host, "/").as_deref(), found, "{host}");
    }
    assert_eq!(find_at(&routes, "a.shop.example", "/only/x").unwrap(), "exact");
}

#[test]
fn a_host_without_a_matching_path_falls_back_to_the_next() {
    let routes = ordered(vec![route("a", "a.example", prefix("/api")), route("any", "*", prefix("/"))]);
    assert_eq!(find_at(&routes, "a.example", "/other").unwrap(), "any");
}

#[test]
fn a_prefix_takes_whole_segments() {
    let routes = ordered(vec![route("api", "*", prefix("/api"))]);
    for (path, found) in [("/api", true), ("/api/", true), ("/api/x", true), ("/apiary", false), ("/", false)]
    {
        assert_eq!(find_at(&routes, "h", path).is_some(), found, "{path}");
    }
}

#[test]
fn an_exact_path_goes_before_an_expression_and_that_before_a_prefix() {
    let regex = |text: &str| PathMatch::Regex(Pattern::try_new(text).unwrap());
    let routes = ordered(vec![
        route("prefix", "*", prefix("/api/v1")),
        route("regex", "*", regex("/api/v[0-9]/.*")),
        route("exact", "*", PathMatch::Exact("/api/v1/x".into())),
    ]);
    assert_eq!(find_at(&routes, "h", "/api/v1/x").unwrap(), "exact");
    assert_eq!(find_at(&routes, "h", "/api/v1/y").unwrap(), "regex");
    assert_eq!(find_at(&routes, "h", "/api/v1").unwrap(), "prefix");
    assert_eq!(find_at(&routes, "h", "/api/v1/x/").unwrap(), "regex");
}

#[test]
fn a_priority_goes_before_everything_else() {
    let mut routes =
        vec![route("exact", "a.example", PathMatch::Exact("/x".into())), route("first", "*", prefix("/x"))];
    routes[1].priority = 1;
    let routes = ordered(routes);
    assert_eq!(find_at(&routes, "a.example", "/x").unwrap(), "first");
}

#[test]
fn each_condition_is_asked() {
    let conditioned = |set: &dyn Fn(&mut serin_config::matching::Conditions)| {
        let mut route = route("special", "*", prefix("/"));
        set(&mut route.conditions);
        ordered(vec![route, self::route("plain", "*", prefix("/"))])
    };
    let exact = |name: &str, value: &str| (name.to_owned(), ValueMatch::Exact(value.into()));
    let with = |name: &str, value: &str| Request {
        headers: HeaderMap::from_iter([(name.parse::<HeaderName>().unwrap(), value.parse().unwrap())]),
        ..Request::default()
    };
    let special = |routes: &[Route], request: &Request| find(routes, request).unwrap() == "special";

    let methods = conditioned(&|c| c.methods = vec!["PUT".into(), "BREW".into()]);
    let brew = Request { method: Method::from_bytes(b"BREW").unwrap(), ..Request::default() };
    assert!(special(&methods, &brew) && !special(&methods, &Request::default()));

    let headers = conditioned(&|c| c.headers = vec![exact("x-a", "1")]);
    let mut twice = with("x-a", "2");
    assert!(special(&headers, &with("x-a", "1")) && !special(&headers, &twice));
    twice.headers.append("x-a", "1".parse().unwrap());
    assert!(special(&headers, &twice));

    let absent = conditioned(&|c| c.headers = vec![("x-a".into(), ValueMatch::Present(false))]);
    assert!(special(&absent, &Request::default()) && !special(&absent, &with("x-a", "")));

    let cookies = conditioned(&|c| c.cookies = vec![("uid".into(), ValueMatch::Prefix("an".into()))]);
    let cookie = |value: &str| with(COOKIE.as_str(), value);
    assert!(special(&cookies, &cookie("a=1; uid=\"ann\"")) && !special(&cookies, &cookie("xuid=ann")));

    let pattern = ValueMatch::Regex(Pattern::try_new("[0-9]+").unwrap());
    let query = conditioned(&|c| c.query = vec![("page".into(), pattern.clone())]);
    let asking = |query| Request { query: Some(query), ..Request::default() };
    assert!(special(&query, &asking("a=b&page=12")) && !special(&query, &asking("page=1x")));

    let client = conditioned(&|c| c.client = vec!["192.0.2.0/24".parse().unwrap()]);
    let other = Request { client: IpAddr::from([10, 0, 0, 1]), ..Request::default() };
    assert!(special(&client, &Request::default()) && !special(&client, &other));

    let certificate = conditioned(&|c| c.client_certificate = vec!["spiffe://example/*".into()]);
    let known = Request {
        identity: Some(ClientCert { uris: vec!["spiffe://example/a".into()], ..ClientCert::default() }),
        ..Request::default()
    };
    assert!(special(&certificate, &known) && !special(&certificate, &Request::default()));
}

#[test]
fn a_host_of_nothing_but_dots_costs_no_more_than_any_other() {
    let routes = ordered(vec![route("w", "*.example", prefix("/"))]);
    let dots: &'static str = Box::leak(".".repeat(30_000).into_boxed_str());
    assert_eq!(find_at(&routes, dots, "/"), None);
}

const HOSTS: [&str; 7] = ["*", "*.b.c", "*.c", "a.b.c", "b.c", "c", "x"];
const PATHS: [&str; 9] = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/b", "/ab", "/a/b/c/d", "/b/a"];
const REGEXES: [&str; 4] = ["/a.*", "/[ab]", ".*/c", "/(a|b)/b/?.*"];

fn any_path() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        select(&PATHS[..]).prop_map(|path| PathMatch::Exact(path.into())),
        select(&PATHS[..]).prop_map(|path| match path.trim_end_matches('/') {
            "" => prefix("/"),
            path => prefix(path),
        }),
        select(&REGEXES[..]).prop_map(|text| PathMatch::Regex(Pattern::try_new(text).unwrap())),
    ]
}

fn any_routes() -> impl Strategy<Value = Vec<Route>> {
    let one = (select(&HOSTS[..]), any_path(), 0..3_u64, any::<bool>(), any::<bool>());
    vec(one, 0..60).prop_map(|parts| {
        let mut routes = Vec::<Route>::new();
        for (i, (host, path, priority, post, header)) in parts.into_iter().enumerate() {
            let mut route = route(&format!("r{i}"), host, path);
            route.priority = priority / 2;
            if post {
                route.conditions.methods = vec!["POST".into()];
            }
            if header {
                route.conditions.headers = vec![("x-a".into(), ValueMatch::Present(true))];
            }
            let same = |other: &Route| {
                (&other.host, &other.path, &other.conditions) == (&route.host, &route.path, &route.conditions)
            };
            if !routes.iter().any(same) {
                routes.push(route);
            }
        }
        ordered(routes)
    })
}

/// Tries every route in turn.
fn reference(routes: &[Route], request: &Request) -> Option<usize> {
    let host = request.host;
    routes.iter().position(|route| {
        let host = match &route.host {
            Host::Any => true,
            Host::Exact(own) => own == host,
            Host::Below(name) => host.ends_with(&format!(".{name}")),
        };
        let path = match &route.path {
            PathMatch::Exact(own) => own == request.path,
            PathMatch::Regex(pattern) => pattern.matches(request.path.as_bytes()),
            PathMatch::Prefix(own) => {
                own == "/" || request.path == own || request.path.starts_with(&format!("{own}/"))
            }
        };
        let post = route.conditions.methods.is_empty() || request.method == Method::POST;
        let header = route.conditions.headers.is_empty() || request.headers.contains_key("x-a");
        host && path && post && header
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_trying_every_route_in_turn_finds(
        routes in any_routes(),
        requests in vec((select(&["a.b.c", "z.b.c", "b.c", "q.c", "c", "x", "y", "z.a.b.c"][..]), select(&PATHS[..]), any::<bool>(), any::<bool>()), 1..30),
    ) {
        let matcher = Matcher::new(&routes);
        for (host, path, post, header) in requests {
            let method = if post { Method::POST } else { Method::GET };
            let mut request = Request { host, path, method, ..Request::default() };
            if header {
                request.headers.insert("x-a", "1".parse().unwrap());
            }
            let found = request.asked(|asked| matcher.find(asked));
            prop_assert_eq!(found, reference(&routes, &request), "{} {}", host, path);
        }
    }
}
