//! Who is told of decisions.

use std::{collections::BTreeSet, path::PathBuf};

use super::{Surroundings, all, mail, secret, terms, tls};
use crate::{
    limits::RECIPIENTS_MAX,
    name::RecipientName,
    notification::{Form, Http, Recipient, Severity, Url, Way},
    problem::{Place, Problems, Reported},
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
        let email = value.email.optional();
        let way = match email {
            Ok(Some(email)) => {
                let others = [
                    ("url", value.url.given().map(|given| &given.place)),
                    ("form", value.form.given().map(|given| &given.place)),
                    ("ca", value.ca.given().map(|given| &given.place)),
                    ("key", value.key.given().map(|given| &given.place)),
                ];
                let mut fault = Ok(());
                for (field, place) in others {
                    if let Some(place) = place {
                        let wrong = format!("\"{field}\" has no meaning for who is told by e-mail");
                        fault = Err(problems.add(place, wrong, "leave it out, or leave \"email\" out"));
                    }
                }
                mail::check(email, around, problems).and_then(|mail| fault.map(|()| Way::Mail(mail)))
            }
            Ok(None) => http(value.url, value.form, value.ca, value.key, &place, around, problems),
            Err(reported) => Err(reported),
        };
        let from = value.from.or(Severity::default());
        let services = terms::existing(value.services, services, problems);
        Ok(Recipient { name: name?, way: way?, from: from?, services: services? })
    });
    all(each.collect())
}

/// One that is told by a request.
fn http(
    url: Field<UrlSource>,
    form: Field<Form>,
    ca: Field<String>,
    key: Field<SecretSource>,
    place: &Place,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Way, Reported> {
    let right = "write where, such as \"url: http://127.0.0.1:9093/api/v2/alerts\", or an \"email\"";
    let url = url.required("url", place, problems, right).and_then(|url| found(url, around, problems));
    let form = form.or(Form::default());
    let ca = authorities(ca, url.as_ref().ok(), around, problems);
    let key = match key.optional() {
        Ok(Some(source)) => signs(&source, form.as_ref().ok(), around, problems).map(Some),
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    Ok(Way::Http(Http { url: url?, form: form?, ca: ca?, key: key? }))
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
