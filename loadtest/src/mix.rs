//! The mix of requests of a load, from a file.

use std::path::Path;

use bytes::Bytes;
use serin_config::{
    document,
    problem::{Place, Problems, Reported},
    raw::{
        decode::{Field, List, Spanned},
        load as raw,
    },
};

use crate::{
    bounds::{ASKS_MAX, BODY_BYTES_MAX, USERS_MAX},
    target::{Ask, AskError, UserPlace, Users},
};

/// Requests and users.
#[derive(Debug, Clone)]
pub struct Mix {
    /// What is asked.
    pub asks: Vec<Ask>,
    /// From whom.
    pub users: Option<Users>,
}

/// Reads the content of a file that the mix names.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<Vec<u8>>;

impl Mix {
    /// Reads the text of a file, which the user calls `name`; `read` reads the bodies that stand in files of their own.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(name: &str, text: &str, read: ReadFile<'_>) -> Result<Self, Problems> {
        document::read(name, text, |mix: raw::Mix, top, problems| check(mix, top, problems, read))
    }
}

fn check(mix: raw::Mix, top: &Place, problems: &mut Problems, read: ReadFile<'_>) -> Result<Mix, Reported> {
    let users = check_users(mix.users, problems);
    let requests = mix.requests.required("requests", top, problems, REQUESTS)?;
    let asks = check_asks(requests, problems, read)?;
    Ok(Mix { asks, users: users? })
}

const REQUESTS: &str = "write a list of requests, such as [{ path: \"/\" }]";

/// Requests, of which at least one may be drawn.
pub(crate) fn check_asks(
    requests: Spanned<List<raw::Ask>>,
    problems: &mut Problems,
    read: ReadFile<'_>,
) -> Result<Vec<Ask>, Reported> {
    if requests.value.0.is_empty() || requests.value.0.len() > ASKS_MAX {
        let wrong = format!("a mix has 1 to {ASKS_MAX} requests, this one {}", requests.value.0.len());
        return Err(problems.add(&requests.place, wrong, REQUESTS));
    }
    let mut asks = Vec::new();
    for element in requests.value.0 {
        asks.push(element.and_then(|ask| check_ask(ask, problems, read)));
    }
    let asks: Vec<Ask> = asks.into_iter().collect::<Result<_, _>>()?;
    if asks.iter().all(|ask| ask.weight == 0) {
        let wrong = "the weights are all 0, so no request would ever be drawn";
        return Err(problems.add(&requests.place, wrong, "give at least one of them a weight of 1 or more"));
    }
    Ok(asks)
}

fn check_ask(ask: Spanned<raw::Ask>, problems: &mut Problems, read: ReadFile<'_>) -> Result<Ask, Reported> {
    let raw = ask.value;
    let mut ask = Ask::get();
    let mut wrong = None;
    let mut keep = |outcome: Result<Ask, AskError>, before: Ask, at: &Place, problems: &mut Problems| {
        outcome.unwrap_or_else(|error| {
            wrong = Some(problems.add(at, error.to_string(), "write what HTTP allows"));
            before
        })
    };
    if let Some(Spanned { place, value }) = raw.method.optional()? {
        ask = keep(ask.clone().method(&value), ask, &place, problems);
    }
    if let Some(Spanned { place, value }) = raw.path.optional()? {
        ask = keep(ask.clone().path(&value), ask, &place, problems);
    }
    if let Some(headers) = raw.headers.optional()? {
        for entry in headers.value.0 {
            let value = entry.value?;
            ask = keep(ask.clone().header(&entry.text, &value.value), ask, &value.place, problems);
        }
    }
    if let Some(name) = raw.name.optional()? {
        ask = ask.named(&name.value);
    }
    if let Some(body) = check_body(raw.body, raw.body_file, problems, read)? {
        ask = ask.body(body);
    }
    if let Some(weight) = raw.weight.optional()? {
        let Ok(value) = u32::try_from(weight.value) else {
            let said = format!("{} is too large for a weight", weight.value);
            return Err(problems.add(&weight.place, said, format!("write a number from 0 to {}", u32::MAX)));
        };
        ask = ask.weight(value);
    }
    wrong.map_or(Ok(ask), Err)
}

fn check_body(
    text: Field<String>,
    file: Field<String>,
    problems: &mut Problems,
    read: ReadFile<'_>,
) -> Result<Option<Bytes>, Reported> {
    let (text, file) = (text.optional()?, file.optional()?);
    match (text, file) {
        (Some(_), Some(file)) => Err(problems.add(
            &file.place,
            "a request has one body, and this one two",
            "write body or body_file",
        )),
        (Some(text), None) => Ok(Some(text.value.into())),
        (None, None) => Ok(None),
        (None, Some(file)) => match read(Path::new(&file.value)) {
            Ok(bytes) if bytes.len() <= BODY_BYTES_MAX => Ok(Some(bytes.into())),
            Ok(_) => {
                let wrong = format!("the file has more than {} MiB", BODY_BYTES_MAX >> 20);
                Err(problems.add(&file.place, wrong, "name a smaller file"))
            }
            Err(error) => {
                let wrong = format!("the file can't be read: {error}");
                Err(problems.add(&file.place, wrong, "name a file beside this one, or an absolute path"))
            }
        },
    }
}

/// Users, where there are any.
pub(crate) fn check_users(
    users: Field<raw::Users>,
    problems: &mut Problems,
) -> Result<Option<Users>, Reported> {
    let Some(Spanned { place, value: raw }) = users.optional()? else { return Ok(None) };
    let count = raw.count.required("count", &place, problems, "write how many users there are")?;
    let number = u32::try_from(count.value).ok().filter(|count| (1..=USERS_MAX).contains(count));
    let Some(number) = number else {
        let wrong = format!("{} is not a number of users", count.value);
        return Err(problems.add(&count.place, wrong, format!("write a number from 1 to {USERS_MAX}")));
    };
    let stands = match (raw.cookie.optional()?, raw.header.optional()?) {
        (Some(cookie), None) => UserPlace::Cookie(cookie.value),
        (None, Some(header)) => match header.value.parse() {
            Ok(name) => UserPlace::Header(name),
            Err(_) => {
                let wrong = format!("\"{}\" is not the name of a header", header.value);
                return Err(problems.add(&header.place, wrong, "write a name such as x-user"));
            }
        },
        _ => {
            let wrong = "where a request says which user it is from must be told once";
            return Err(problems.add(&place, wrong, "write either cookie: NAME or header: NAME"));
        }
    };
    Ok(Some(Users::first(number, stands)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    fn read(text: &str) -> Result<Mix, Vec<String>> {
        let files = |path: &Path| match path.to_str() {
            Some("order.json") => Ok(b"{}".to_vec()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        };
        Mix::read("mix.yaml", text, &files).map_err(|problems| problems.lines())
    }

    #[test]
    fn a_mix_is_what_it_says() {
        let mix = read(
            "requests:\n- { path: /items, weight: 9 }\n- { name: buy, method: post, path: /orders, \
             headers: { content-type: application/json }, body_file: order.json }\nusers: { count: 10, cookie: uid }\n",
        )
        .unwrap();
        let target = Target::new("127.0.0.1:1".parse().unwrap()).asks(mix.asks.clone()).unwrap();
        let names: Vec<&str> = target.names().map(|name| &**name).collect();
        assert_eq!(names, ["GET /items", "buy"]);
        assert_eq!((mix.asks[0].weight, &mix.asks[1].body[..]), (9, &b"{}"[..]));
        assert!(mix.users.is_some());
    }

    #[test]
    fn all_that_is_wrong_is_said_at_its_place() {
        let problems = read(
            "requests:\n- { path: items }\n- { method: \"G T\", body: a, body_file: b }\n- { body_file: none.json }\n\
             users: { count: 0, cookie: a, header: b }\nrate: 5\n",
        )
        .unwrap_err();
        let text = problems.join("\n");
        for part in [
            "mix.yaml:2:11: requests[0].path: \"items\" is not a path",
            "mix.yaml:3:13: requests[1].method: \"G T\" is not a method",
            "requests[1].body_file: a request has one body",
            "requests[2].body_file: the file can't be read",
            "users.count: 0 is not a number of users",
            "there is no field \"rate\" here",
        ] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        for (text, part) in [
            ("{}", "\"requests\" is missing"),
            ("requests: []", "a mix has 1 to"),
            ("requests: [{ weight: 0 }]", "the weights are all 0"),
            ("requests: [{}]\nusers: { count: 3 }", "must be told once"),
        ] {
            let problems = read(text).unwrap_err().join("\n");
            assert!(problems.contains(part), "{problems}");
        }
    }
}
