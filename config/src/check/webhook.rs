//! Whom rollouts ask around their steps.

use std::collections::BTreeSet;

use super::{Surroundings, all, notification, range::within_or, terms};
use crate::{
    limits::{
        WEBHOOK_INTERVAL_DEFAULT, WEBHOOK_INTERVAL_MAX, WEBHOOK_INTERVAL_MIN, WEBHOOK_RETRIES_DEFAULT,
        WEBHOOK_RETRIES_MAX, WEBHOOK_WAIT_DEFAULT, WEBHOOK_WAIT_MAX, WEBHOOK_WAIT_MIN, WEBHOOKS_MAX,
    },
    name::WebhookName,
    problem::{Problems, Reported},
    raw::{
        self,
        decode::{Field, List, Named, Spanned},
    },
    webhook::{OnFailure, Webhook, When},
};

/// All of them; `services` are those of the file, or nothing where that is not known.
pub(super) fn check(
    field: Field<Named<WebhookName, raw::Webhook>>,
    services: Option<&BTreeSet<String>>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Vec<Webhook>, Reported> {
    let entries = terms::bounded(field, (WEBHOOKS_MAX, "webhooks"), problems)?;
    let each = entries.into_iter().map(|entry| {
        let name = entry.name.map(|name| name.value);
        let Spanned { place, value } = entry.value?;
        let right = "write where, such as \"url: https://ci.internal/gates/shop\"";
        let url = value.url.required("url", &place, problems, right);
        let url = url.and_then(|url| notification::found(url, around, problems));
        let key = match value.key.optional() {
            Ok(source) => source.map(|source| notification::key(&source, around, problems)).transpose(),
            Err(reported) => Err(reported),
        };
        let ca = notification::authorities(value.ca, url.as_ref().ok(), around, problems);
        let on = moments(value.on, problems);
        let services = terms::existing(value.services, services, problems);
        let timeout =
            within_or(value.timeout, WEBHOOK_WAIT_MIN..=WEBHOOK_WAIT_MAX, WEBHOOK_WAIT_DEFAULT, problems);
        let retries = within_or(value.retries, 0..=WEBHOOK_RETRIES_MAX, WEBHOOK_RETRIES_DEFAULT, problems);
        let every = WEBHOOK_INTERVAL_MIN..=WEBHOOK_INTERVAL_MAX;
        let interval = within_or(value.interval, every, WEBHOOK_INTERVAL_DEFAULT, problems);
        let on_failure = value.on_failure.or(OnFailure::default());
        Ok(Webhook {
            name: name?,
            url: url?,
            key: key?,
            ca: ca?,
            on: on?,
            services: services?,
            timeout: timeout?,
            retries: u32::try_from(retries?).unwrap_or(u32::MAX),
            interval: interval?,
            on_failure: on_failure?,
        })
    });
    all(each.collect())
}

fn moments(field: Field<List<When>>, problems: &mut Problems) -> Result<Vec<When>, Reported> {
    let Some(Spanned { place, value: List(items) }) = field.optional()? else {
        return Ok(vec![When::BeforeStep]);
    };
    if items.is_empty() {
        let right = "write \"on: [before_step]\", or leave the webhook out";
        return Err(problems.add(&place, "there is no moment at which it would be asked", right));
    }
    let mut seen = BTreeSet::new();
    let each = items.into_iter().map(|item| {
        let Spanned { place, value } = item?;
        if !seen.insert(value) {
            let wrong = format!("\"{}\" stands twice", value.label());
            return Err(problems.add(&place, wrong, "leave one of them out"));
        }
        Ok(value)
    });
    all(each.collect())
}
