//! Routes: what they match, and what they do.

mod action;
mod conditions;
mod edits;
mod host;
mod path;
mod rate_limit;

use std::collections::{BTreeSet, HashMap};

use super::{all, made, naming::Naming, range::within_or, version};
use crate::{
    filter::{PathEdit, Rewrite},
    limits::PRIORITY_MAX,
    matching::PathMatch,
    name::RouteName,
    problem::{Place, Problems, Reported},
    raw::{
        self,
        decode::{Element, Field, List, Spanned},
    },
    route::{Action, Route},
};

const RIGHT: &str = "write which requests go where, such as \"routes: [{ service: shop }]\"";

/// The names of the services that the file has, or a report of why they are not known.
type Services = Result<BTreeSet<String>, Reported>;

/// All routes; at least one.
pub(super) fn check_all(
    field: Field<List<raw::Route>>,
    services: &Services,
    top: &Place,
    problems: &mut Problems,
) -> Result<Vec<Route>, Reported> {
    let Spanned { place, value: List(items) } = field.required("routes", top, problems, RIGHT)?;
    if items.is_empty() {
        return Err(problems.add(&place, "there is no route", RIGHT));
    }
    let given = items.iter().filter_map(|item| item.as_ref().ok()?.value.name.given());
    let mut naming = Naming::new(given, "route", problems);
    let each = items.into_iter().enumerate().map(|(i, item)| {
        let Spanned { place, value: raw } = item?;
        let preferred = raw.service.given().map(|service| service.value.as_str());
        let name = naming.name(&raw.name, preferred, i + 1);
        let name = name.and_then(|name| made(RouteName::try_new(&name), &place, problems));
        let value = check(name, raw, services, &place, problems)?;
        Ok(Spanned { place, value })
    });
    let routes: Vec<Element<Route>> = each.collect();
    check_matches(&routes, problems)?;
    all(routes).map(|routes| routes.into_iter().map(|route| route.value).collect())
}

fn check(
    name: Result<RouteName, Reported>,
    raw: raw::Route,
    services: &Services,
    place: &Place,
    problems: &mut Problems,
) -> Result<Route, Reported> {
    let priority = within_or(raw.priority, 0..=PRIORITY_MAX, 0, problems);
    let host = host::check(raw.host, problems);
    let path = path::check(raw.path, raw.path_prefix, raw.path_regex, problems);
    let (methods, client, certificate) = (raw.methods, raw.client, raw.client_certificate);
    let values = conditions::Values { headers: raw.headers, query: raw.query, cookies: raw.cookies };
    let conditions = conditions::check(methods, values, client, certificate, problems);
    let of_service = [
        raw.rewrite.given().map(|field| ("rewrite", field.place.clone())),
        raw.request_headers.given().map(|field| ("request_headers", field.place.clone())),
        raw.timeouts.given().map(|field| ("timeouts", field.place.clone())),
    ];
    let action = action::check(raw.service, raw.respond, raw.redirect, services, place, problems);
    let rewrite = action::rewrite(raw.rewrite, problems);
    let request_headers = edits::check(raw.request_headers, edits::Of::Request, problems);
    let response_headers = edits::check(raw.response_headers, edits::Of::Response, problems);
    let timeouts = version::check_timeout_changes(raw.timeouts, problems);
    let rate_limit = rate_limit::check(raw.rate_limit, problems);
    let route = Route {
        name: name?,
        priority: priority?,
        host: host?,
        path: path?,
        conditions: conditions?,
        action: action?,
        rewrite: rewrite?,
        request_headers: request_headers?,
        response_headers: response_headers?,
        timeouts: timeouts?,
        rate_limit: rate_limit?,
    };
    check_together(&route, of_service, place, problems)?;
    Ok(route)
}

/// What each part allows, and all of them together do not.
fn check_together(
    route: &Route,
    of_service: [Option<(&str, Place)>; 3],
    place: &Place,
    problems: &mut Problems,
) -> Result<(), Reported> {
    let mut result = Ok(());
    if route.service().is_none() {
        for (what, place) in of_service.into_iter().flatten() {
            let wrong = format!("\"{what}\" has no effect where Serin answers itself");
            result = Err(problems.add(&place, wrong, "remove it, or lead the route to a service"));
        }
    }
    let redirected = match &route.action {
        Action::Redirect(redirect) => redirect.path.as_ref(),
        Action::Service(_) | Action::Respond(_) => None,
    };
    let Rewrite { path: rewritten, .. } = &route.rewrite;
    let by_prefix = |edit: &Option<&PathEdit>| matches!(edit, Some(PathEdit::Prefix(_)));
    if [redirected, rewritten.as_ref()].iter().any(by_prefix) && !matches!(route.path, PathMatch::Prefix(_)) {
        let wrong = "a prefix is replaced, and the route matches none";
        let right = "match with path_prefix, or write \"path\" instead of \"prefix\"";
        result = Err(problems.add(place, wrong, right));
    }
    result
}

fn check_matches(routes: &[Element<Route>], problems: &mut Problems) -> Result<(), Reported> {
    let (mut matches, mut result) = (HashMap::new(), Ok(()));
    for Spanned { place, value: route } in routes.iter().flatten() {
        let (line, first) =
            *matches.entry((&route.host, &route.path, &route.conditions)).or_insert((place.at.line, route));
        if !std::ptr::eq(first, route) {
            result = Err(problems.add(
                place,
                format!("route \"{}\" of line {line} matches the same requests", first.name),
                "give the two different hosts, paths or conditions, or remove one",
            ));
        }
    }
    result
}
