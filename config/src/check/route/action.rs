//! What happens to a request: a service, an answer, a redirect; and what is rewritten.

use super::{
    Services,
    edits::{self, Of},
    host::is_host,
    path,
};
use crate::{
    check::{
        range::{within_if_any, within_or},
        section,
    },
    filter::{PathEdit, Redirect, Respond, Rewrite},
    limits::RESPOND_BODY_BYTES_MAX,
    name::ServiceName,
    problem::{Place, Problems, Reported, Suggestion, shown},
    raw::{
        self,
        decode::{Field, Spanned},
    },
    route::Action,
};

/// Exactly one of the three.
pub(super) fn check(
    service: Field<ServiceName>,
    respond: Field<raw::Respond>,
    redirect: Field<raw::Redirect>,
    services: &Services,
    place: &Place,
    problems: &mut Problems,
) -> Result<Action, Reported> {
    let (service, respond, redirect) = (service.optional(), respond.optional(), redirect.optional());
    match (service?, respond?, redirect?) {
        (Some(service), None, None) => known(service, services, problems).map(Action::Service),
        (None, Some(raw), None) => answer(raw, problems).map(Action::Respond),
        (None, None, Some(raw)) => elsewhere(raw, problems).map(Action::Redirect),
        (None, None, None) => {
            let right =
                "write \"service: NAME\" with the name of one of the services; or respond, or redirect";
            Err(problems.add(place, "\"service\" is missing", right))
        }
        _ => {
            let wrong = "a route does one thing: it leads to a service, responds, or redirects";
            Err(problems.add(place, wrong, "leave one of service, respond and redirect, or write two routes"))
        }
    }
}

fn known(
    service: Spanned<ServiceName>,
    services: &Services,
    problems: &mut Problems,
) -> Result<ServiceName, Reported> {
    let services = services.as_ref().map_err(|reported| *reported)?;
    let text = service.value.as_str();
    if services.contains(text) {
        return Ok(service.value);
    }
    let candidates = services.iter().map(String::as_str);
    let right = Suggestion { text, kind: "services", candidates };
    Err(problems.add(&service.place, format!("there is no service \"{text}\""), right))
}

fn answer(
    Spanned { place, value: raw }: Spanned<raw::Respond>,
    problems: &mut Problems,
) -> Result<Respond, Reported> {
    let status = within_or(raw.status, 200..=599, 200, problems);
    let body = raw.body.or(String::new());
    let headers = edits::fields(raw.headers, Of::Response, problems);
    let (status, body, headers) = (u16::try_from(status?).unwrap_or(200), body?, headers?);
    if body.len() > RESPOND_BODY_BYTES_MAX {
        let right = format!("write at most {RESPOND_BODY_BYTES_MAX} bytes, or lead to a service");
        return Err(problems.add(&place, "the body is too long", right));
    }
    if !body.is_empty() && matches!(status, 204 | 205 | 304) {
        let wrong = format!("an answer with status {status} has no body");
        return Err(problems.add(&place, wrong, "leave the body out, or write another status"));
    }
    Ok(Respond { status, body, headers })
}

fn elsewhere(
    Spanned { place, value: raw }: Spanned<raw::Redirect>,
    problems: &mut Problems,
) -> Result<Redirect, Reported> {
    let scheme = raw.scheme.optional().and_then(|given| match given {
        Some(given) if !matches!(&*given.value, "http" | "https") => {
            let wrong = format!("\"{}\" is not a scheme of HTTP", shown(&given.value));
            Err(problems.add(&given.place, wrong, "write http or https"))
        }
        given => Ok(given.map(|given| given.value)),
    });
    let host = raw.host.optional().and_then(|given| given.map(|given| bare(&given, problems)).transpose());
    let port = within_if_any(raw.port, 1..=65_535, problems);
    let path = edit(raw.path, raw.prefix, problems);
    let status = raw.status.optional().and_then(|given| match given {
        None => Ok(307),
        Some(given) => match given.value {
            301 | 302 | 303 | 307 | 308 => Ok(u16::try_from(given.value).unwrap_or(307)),
            other => {
                let right = "write 301, 302, 303, 307 or 308";
                Err(problems.add(&given.place, format!("{other} does not send anybody elsewhere"), right))
            }
        },
    });
    let (scheme, host, port, path) = (scheme?, host?, port?, path?);
    let redirect =
        Redirect { status: status?, scheme, host, port: port.and_then(|p| p.try_into().ok()), path };
    if let Redirect { scheme: None, host: None, port: None, path: None, .. } = redirect {
        let right = "write at least one of scheme, host, port, path and prefix";
        return Err(problems.add(&place, "the client is sent to where it already is", right));
    }
    Ok(redirect)
}

/// What changes in the target of a request.
pub(super) fn rewrite(field: Field<raw::Rewrite>, problems: &mut Problems) -> Result<Rewrite, Reported> {
    let raw = section(field)?;
    let host =
        raw.host.optional().and_then(|given| given.map(|given| authority(&given, problems)).transpose());
    let path = edit(raw.path, raw.prefix, problems);
    Ok(Rewrite { path: path?, host: host? })
}

fn edit(
    whole: Field<String>,
    prefix: Field<String>,
    problems: &mut Problems,
) -> Result<Option<PathEdit>, Reported> {
    let (whole, prefix) = (whole.optional(), prefix.optional());
    match (whole?, prefix?) {
        (None, None) => Ok(None),
        (Some(given), None) => path::path(&given, problems).map(PathEdit::Whole).map(Some),
        (None, Some(given)) => path::path(&given, problems).map(PathEdit::Prefix).map(Some),
        (Some(_), Some(given)) => {
            let wrong = "the path is replaced whole or by its prefix, not both";
            Err(problems.add(&given.place, wrong, "write one of path and prefix"))
        }
    }
}

fn bare(given: &Spanned<String>, problems: &mut Problems) -> Result<String, Reported> {
    let host = given.value.to_ascii_lowercase();
    if is_host(&host) {
        return Ok(host);
    }
    let wrong = format!("\"{}\" is not a host", shown(&given.value));
    Err(problems.add(
        &given.place,
        wrong,
        "write the host alone, such as www.example.com; the port as \"port\"",
    ))
}

fn authority(given: &Spanned<String>, problems: &mut Problems) -> Result<String, Reported> {
    let whole = given.value.to_ascii_lowercase();
    let host = match whole.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && port.parse::<u16>().is_ok() => host,
        _ => &whole,
    };
    if is_host(host) {
        return Ok(whole);
    }
    let wrong = format!("\"{}\" is not a host", shown(&given.value));
    Err(problems.add(&given.place, wrong, "write a host such as shop.internal or shop.internal:8080"))
}
