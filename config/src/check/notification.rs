//! Who is told of decisions.

use std::{collections::BTreeSet, path::PathBuf};

use super::{Surroundings, all, secret, terms, tls};
use crate::{
    limits::RECIPIENTS_MAX,
    name::RecipientName,
    notification::{Form, Recipient, Severity, Url},
    problem::{Problems, Reported},
    raw::{
        self,
        decode::{Field, Named, Spanned},
        leaf::SecretSource,
        notification::{URL_FORM, UrlSource},
    },
    secret::Secret,
};

/// All of them; `services` are those of the file, or nothing where that is not known.
pub(super) fn check(
    field: Field<Named<RecipientName, raw::Recipient>>,
    services: Option<&BTreeSet<String>>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Vec<Recipient>, Reported> {
    let entries = terms::bounded(field, (RECIPIENTS_MAX, "recipients"), problems)?;
    let each = entries.into_iter().map(|entry| {
        let name = entry.name.map(|name| name.value);
        let Spanned { place, value } = entry.value?;
        let right = "write where, such as \"url: http://127.0.0.1:9093/api/v2/alerts\"";
        let url = value.url.required("url", &place, problems, right);
        let url = url.and_then(|url| found(url, around, problems));
        let form = value.form.or(Form::default());
        let from = value.from.or(Severity::default());
        let services = terms::existing(value.services, services, problems);
        let ca = authorities(value.ca, url.as_ref().ok(), around, problems);
        let key = match value.key.optional() {
            Ok(Some(source)) => signs(&source, form.as_ref().ok(), around, problems).map(Some),
            Ok(None) => Ok(None),
            Err(reported) => Err(reported),
        };
        Ok(Recipient {
            name: name?,
            url: url?,
            form: form?,
            from: from?,
            services: services?,
            ca: ca?,
            key: key?,
        })
    });
    all(each.collect())
}

/// The URL; no message shows one that is a secret.
pub(super) fn found(
    Spanned { place, value }: Spanned<UrlSource>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Url, Reported> {
    match value {
        UrlSource::Clear(url) => Ok(url),
        UrlSource::Secret(source) => {
            let source = Spanned { place, value: source };
            let (text, whence) = secret::text(&source, around, problems)?;
            Url::try_new(&text)
                .ok_or_else(|| problems.add(&source.place, format!("{whence} does not hold a URL"), URL_FORM))
        }
    }
}

/// The authorities by which an `https` URL is known; `url` is nothing where it is not known.
pub(super) fn authorities(
    field: Field<String>,
    url: Option<&Url>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Option<PathBuf>, Reported> {
    let Some(given) = field.optional()? else { return Ok(None) };
    if url.is_some_and(|url| !url.tls) {
        let right = "leave \"ca\" out, or write https:// in the URL";
        return Err(problems.add(
            &given.place,
            "an http URL has no certificate that could be checked",
            right,
        ));
    }
    tls::authorities(&given, around, problems).map(Some)
}

fn signs(
    source: &Spanned<SecretSource>,
    form: Option<&Form>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Secret, Reported> {
    if let Some(Form::Slack | Form::Alertmanager) = form {
        let right = "leave \"key\" out, or write \"form: webhook\"";
        return Err(problems.add(&source.place, "only a webhook is signed", right));
    }
    key(source, around, problems)
}

/// What signs.
pub(super) fn key(
    source: &Spanned<SecretSource>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Secret, Reported> {
    let (text, whence) = secret::text(source, around, problems)?;
    if text.is_empty() {
        return Err(problems.add(&source.place, format!("{whence} is empty"), "put the key there"));
    }
    Ok(Secret::new(text))
}
