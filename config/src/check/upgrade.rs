//! Which protocols a connection may be upgraded to.

use super::all;
use crate::{
    limits::UPGRADES_MAX,
    problem::{Problems, Reported, shown},
    raw::decode::{Element, Field, List, Spanned},
    service::UPGRADE_DEFAULT,
};

/// Tokens (RFC 9110, 7.8) in lower case, as they are compared.
pub(super) fn check(field: Field<List<String>>, problems: &mut Problems) -> Result<Vec<String>, Reported> {
    let Some(Spanned { place, value: List(items) }) = field.optional()? else {
        return Ok(vec![UPGRADE_DEFAULT.into()]);
    };
    if items.len() > UPGRADES_MAX {
        let wrong = format!("there are {} protocols", items.len());
        return Err(problems.add(&place, wrong, format!("write at most {UPGRADES_MAX}")));
    }
    all(items.into_iter().map(|item| protocol(item, problems)).collect())
}

fn protocol(item: Element<String>, problems: &mut Problems) -> Result<String, Reported> {
    let Spanned { place, value } = item?;
    let name = value.to_ascii_lowercase();
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        let wrong = format!("\"{}\" is not the name of a protocol", shown(&value));
        return Err(problems.add(&place, wrong, "write it as clients do in \"Upgrade\", such as websocket"));
    }
    // Requests inside such a tunnel would pass every rule by (RFC 9113, 3.1 has withdrawn the upgrade).
    if matches!(&*name, "h2c" | "h2" | "http/2" | "http/2.0") || name.starts_with("tls/") {
        let wrong = format!("\"{}\" can't be allowed", shown(&value));
        let right = "leave it out: clients may speak HTTP/2 to any listener without an upgrade";
        return Err(problems.add(&place, wrong, right));
    }
    Ok(name)
}
