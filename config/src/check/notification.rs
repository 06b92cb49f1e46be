//! Who is told of decisions.

use std::collections::BTreeSet;

use super::{Surroundings, all, secret, terms};
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
        let key = match value.key.optional() {
            Ok(Some(source)) => key(&source, form.as_ref().ok(), around, problems).map(Some),
            Ok(None) => Ok(None),
            Err(reported) => Err(reported),
        };
        Ok(Recipient { name: name?, url: url?, form: form?, from: from?, services: services?, key: key? })
    });
    all(each.collect())
}

/// The URL; no message shows one that is a secret.
fn found(
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

fn key(
    source: &Spanned<SecretSource>,
    form: Option<&Form>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Secret, Reported> {
    if let Some(Form::Slack | Form::Alertmanager) = form {
        let right = "leave \"key\" out, or write \"form: webhook\"";
        return Err(problems.add(&source.place, "only a webhook is signed", right));
    }
    let (text, whence) = secret::text(source, around, problems)?;
    if text.is_empty() {
        return Err(problems.add(&source.place, format!("{whence} is empty"), "put the key there"));
    }
    Ok(Secret::new(text))
}
