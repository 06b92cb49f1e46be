//! What holders of client certificates may do: whose certificate, how much, and with which services.

use std::collections::BTreeSet;

use super::all;
use crate::{
    grant::{CertificateGrant, CertificateName, Grant},
    limits::{IDENTITIES_MAX, VALUE_BYTES_MAX},
    name::ServiceName,
    problem::{Place, Problems, Reported, nearest, shown},
    raw::{
        self,
        decode::{Field, List, Spanned},
    },
};

const WHOSE: &str = "write one of \"subject: …\", \"uri: …\" and \"dns: …\"";

/// All of them; no two for one certificate.
pub(super) fn check_all(
    field: Field<List<raw::Identity>>,
    services: &Result<BTreeSet<String>, Reported>,
    problems: &mut Problems,
) -> Result<Vec<CertificateGrant>, Reported> {
    let Some(Spanned { place, value: List(items) }) = field.optional()? else { return Ok(Vec::new()) };
    if items.len() > IDENTITIES_MAX {
        let wrong = format!("there are {} identities", items.len());
        return Err(problems.add(&place, wrong, format!("write at most {IDENTITIES_MAX}")));
    }
    let mut seen = BTreeSet::new();
    let each = items.into_iter().map(|item| {
        let Spanned { place, value } = item?;
        let found = check(value, &place, services, problems)?;
        if !seen.insert(found.name.clone()) {
            let wrong = format!("\"{}\" stands here twice", shown(&found.name.to_string()));
            return Err(problems.add(&place, wrong, "give each certificate one role"));
        }
        Ok(found)
    });
    all(each.collect())
}

fn check(
    raw: raw::Identity,
    place: &Place,
    services: &Result<BTreeSet<String>, Reported>,
    problems: &mut Problems,
) -> Result<CertificateGrant, Reported> {
    let name = whose(raw.subject, raw.uri, raw.dns, place, problems);
    let right = "write \"role: viewer\", operator or admin";
    let role = raw.role.required("role", place, problems, right);
    let limited = match raw.services.optional() {
        Ok(Some(list)) => limited_to(list, services, problems).map(Some),
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    Ok(CertificateGrant { name: name?, grant: Grant { role: role?.value, services: limited? } })
}

fn whose(
    subject: Field<String>,
    uri: Field<String>,
    dns: Field<String>,
    place: &Place,
    problems: &mut Problems,
) -> Result<CertificateName, Reported> {
    type Make = fn(String) -> CertificateName;
    let forms: [(Field<String>, Make); 3] =
        [(subject, CertificateName::Subject), (uri, CertificateName::Uri), (dns, CertificateName::Dns)];
    let mut found = None;
    for (field, make) in forms {
        let Some(Spanned { place, value }) = field.optional()? else { continue };
        if found.is_some() {
            return Err(problems.add(&place, "there is another name for the same certificate", WHOSE));
        }
        if value.is_empty() || value.len() > VALUE_BYTES_MAX {
            let wrong = format!("a name of {} bytes stands in no certificate", value.len());
            return Err(problems.add(&place, wrong, "write the name as the certificate has it"));
        }
        found = Some(make(value));
    }
    found.ok_or_else(|| problems.add(place, "nothing says whose certificate is meant", WHOSE))
}

fn limited_to(
    Spanned { place, value: List(items) }: Spanned<List<ServiceName>>,
    services: &Result<BTreeSet<String>, Reported>,
    problems: &mut Problems,
) -> Result<BTreeSet<ServiceName>, Reported> {
    if items.is_empty() {
        let right = "name services, or leave \"services\" out for all of them";
        return Err(problems.add(&place, "there is no service", right));
    }
    let known = services.as_ref().map_err(|reported| *reported)?;
    let each = items.into_iter().map(|item| {
        let Spanned { place, value } = item?;
        if known.contains(value.as_str()) {
            return Ok(value);
        }
        let right = match nearest(value.as_str(), known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => "name a service of this file".into(),
        };
        Err(problems.add(&place, format!("there is no service \"{value}\""), right))
    });
    Ok(all(each.collect())?.into_iter().collect())
}
