//! A service: its versions, who is stable and who the canary, and the split between them.

use std::collections::BTreeSet;

use super::{
    Surroundings, all, endpoint, events, resilience, rollout, section, steer, sticky, strategy, upgrade,
    version,
};
use crate::{
    endpoint::{EndpointPolicy, OnUnready},
    name::{ServiceName, VersionName},
    policy::OnFail,
    problem::{Place, Problems, Reported, Suggestion},
    raw::{
        self,
        decode::{Field, Named, Spanned, Switch},
    },
    service::{Service, Version},
    weight::{Split, SplitError, Weight},
};

const RIGHT: &str = "write what routes lead to, such as \
    \"services: { shop: { versions: { v1: { endpoints: [127.0.0.1:9001] } } } }\"";

/// The services as they stand in the file.
pub(super) type Services = Named<ServiceName, raw::Service>;

/// The section, if there is a service in it.
pub(super) fn present(
    field: Field<Services>,
    top: &Place,
    problems: &mut Problems,
) -> Result<Services, Reported> {
    let Spanned { place, value } = field.required("services", top, problems, RIGHT)?;
    if value.0.is_empty() { Err(problems.add(&place, "there is no service", RIGHT)) } else { Ok(value) }
}

/// The names that routes may lead to, whatever else is wrong with the services.
pub(super) fn names(Named(entries): &Services) -> BTreeSet<String> {
    entries.iter().map(|entry| entry.text.clone()).collect()
}

/// All services.
pub(super) fn check_all(
    Named(entries): Services,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Vec<Service>, Reported> {
    let each = entries
        .into_iter()
        .map(|entry| check(entry.name.map(|name| name.value), entry.value?, &entry.place, around, problems));
    all(each.collect())
}

fn check(
    name: Result<ServiceName, Reported>,
    Spanned { value: raw, .. }: Spanned<raw::Service>,
    key: &Place,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Service, Reported> {
    let known = version::names(&raw.versions);
    let sticky = sticky::check(raw.sticky, problems);
    let fields = endpoint::Fields {
        balance: raw.balance,
        hash_header: raw.hash_header,
        slow_start: raw.slow_start,
        health: raw.health,
        outlier: raw.outlier,
    };
    let endpoint_default = EndpointPolicy::default();
    let policy = endpoint::check_policy(fields, &endpoint_default, sticky.as_ref().ok(), problems);
    let on_unready = raw.on_unready.or(OnUnready::default());
    let shared = version::Shared { policy: policy.as_ref().ok(), sticky: sticky.as_ref().ok(), around };
    let versions = version::check_all(raw.versions, key, &shared, problems);
    let mirror_place = raw.mirror.given().map(|given| given.place.clone());
    let roles = known.map(|known| {
        let stable = stable(raw.stable, &known, key, problems);
        let canary = canary(raw.canary, stable.as_ref().ok(), &known, problems);
        let weights = weights(raw.split, &known, problems);
        let overrides = steer::overrides(raw.overrides, &known, problems);
        let mirror = steer::mirror(raw.mirror, &known, problems);
        Ok(((stable?, canary?, weights?), overrides?, mirror?))
    });
    let timeouts = version::check_timeouts(raw.timeouts, problems);
    let upgrades = upgrade::check(raw.upgrades, problems);
    let events = events::check(raw.events, problems);
    let named = events.as_ref().map(|events| events.as_ref().map_or(&[][..], |events| &events.names));
    let named_strategy = raw.rollout.given().and_then(|given| given.value.strategy.given());
    let named_strategy = named_strategy.map(|given| given.place.clone());
    let rollout = section(raw.rollout).and_then(|raw| rollout::check(raw, named.ok(), problems));
    let tripwire =
        raw.tripwire.given().map(|given| (given.place.clone(), matches!(given.value, Switch::On(_))));
    let resilience = resilience::check(
        resilience::Parts {
            retries: raw.retries,
            shield: raw.shield,
            breaker: raw.breaker,
            adaptive_concurrency: raw.adaptive_concurrency,
            tripwire: raw.tripwire,
        },
        problems,
    );
    policy?;
    let versions = versions?;
    // Versions that were all read have names.
    let Some(roles) = roles else { return Err(problems.add(key, "its versions have no names", RIGHT)) };
    let ((stable, canary, weights), overrides, mirror) = roles?;
    let split = split(&versions, &stable, canary.as_ref(), weights, key, problems)?;
    let (name, sticky, timeouts, events, rollout) = (name?, sticky?, timeouts?, events?, rollout?);
    let (mut resilience, on_unready, upgrades) = (resilience?, on_unready?, upgrades?);
    strategy::users_stay(rollout.strategy, &sticky, named_strategy.as_ref().unwrap_or(key), problems)?;
    if let Some(place) = mirror_place.filter(|_| rollout.copies_first()) {
        let wrong =
            "the steps of the rollout copy requests too, and which copies are whose could not be told";
        let right = "leave \"mirror\" out here, or the steps with mirror in the rollout";
        return Err(problems.add(&place, wrong, right));
    }
    if rollout.on_fail != OnFail::RollBack {
        if let Some((place, true)) = tripwire {
            return Err(strategy::no_tripwire(&place, problems));
        }
        resilience.tripwire = None;
    }
    Ok(Service {
        name,
        versions,
        stable,
        canary,
        split,
        sticky,
        timeouts,
        on_unready,
        upgrades,
        events,
        rollout,
        resilience,
        overrides,
        mirror,
    })
}

/// The version that the file names; else the only one, or the one named `stable`.
fn stable(
    field: Field<VersionName>,
    known: &BTreeSet<VersionName>,
    key: &Place,
    problems: &mut Problems,
) -> Result<VersionName, Reported> {
    if let Some(given) = field.optional()? {
        return existing(&given, known, problems);
    }
    let mut each = known.iter();
    match (each.next(), each.next(), known.get("stable")) {
        (Some(only), None, _) => Ok(only.clone()),
        (_, _, Some(named)) => Ok(named.clone()),
        (first, ..) => {
            let example = first.map_or("NAME", VersionName::as_str);
            let right = format!("write which version is trusted, such as \"stable: {example}\"");
            Err(problems.add(key, "which of the versions is stable is not said", right))
        }
    }
}

/// The version that the file names; else the one named `canary`, unless that is the stable one.
fn canary(
    field: Field<VersionName>,
    stable: Option<&VersionName>,
    known: &BTreeSet<VersionName>,
    problems: &mut Problems,
) -> Result<Option<VersionName>, Reported> {
    let Some(given) = field.optional()? else {
        return Ok(known.get("canary").filter(|named| Some(*named) != stable).cloned());
    };
    let canary = existing(&given, known, problems)?;
    if Some(&canary) == stable {
        let wrong = format!("\"{canary}\" is both stable and canary");
        let right = "name another version, or leave \"canary\" out while there is none";
        return Err(problems.add(&given.place, wrong, right));
    }
    Ok(Some(canary))
}

pub(super) fn existing(
    given: &Spanned<VersionName>,
    known: &BTreeSet<VersionName>,
    problems: &mut Problems,
) -> Result<VersionName, Reported> {
    if known.contains(&given.value) {
        return Ok(given.value.clone());
    }
    let text = given.value.as_str();
    let right = Suggestion { text, kind: "versions", candidates: known.iter().map(VersionName::as_str) };
    Err(problems.add(&given.place, format!("there is no version \"{text}\""), right))
}

/// The weights that the file gives, which sum to 100 %; `None` where it gives none.
fn weights(
    field: Field<Named<VersionName, Weight>>,
    known: &BTreeSet<VersionName>,
    problems: &mut Problems,
) -> Result<Option<Vec<(VersionName, Weight)>>, Reported> {
    let Some(Spanned { place, value: Named(entries) }) = field.optional()? else { return Ok(None) };
    let each = entries.into_iter().map(|entry| {
        let version = entry.name.and_then(|name| existing(&name, known, problems));
        Ok((version?, entry.value?.value))
    });
    let weights = all(each.collect())?;
    let sum: u64 = weights.iter().map(|(_, weight)| u64::from(weight.ppm())).sum();
    if sum != u64::from(Weight::WHOLE.ppm()) {
        let right = mended(&weights, sum);
        return Err(problems.add(&place, SplitError::Sum(sum).to_string(), right));
    }
    Ok(Some(weights))
}

/// Which one weight would make the sum right: that of the largest.
fn mended(weights: &[(VersionName, Weight)], sum: u64) -> String {
    let whole = u64::from(Weight::WHOLE.ppm());
    let largest = weights.iter().max_by_key(|(_, weight)| *weight);
    let right = largest.and_then(|(version, weight)| {
        let ppm = (u64::from(weight.ppm()) + whole).checked_sub(sum)?;
        Some((version, Weight::from_ppm(u32::try_from(ppm).ok()?)?))
    });
    match right {
        Some((version, weight)) => format!("\"{version}: {weight}\" would make it 100%"),
        None => "write weights that sum to 100%; versions left out get 0%".into(),
    }
}

/// The canary first, so that a higher weight only ever adds users to it; the stable version last.
fn split(
    versions: &[Version],
    stable: &VersionName,
    canary: Option<&VersionName>,
    weights: Option<Vec<(VersionName, Weight)>>,
    key: &Place,
    problems: &mut Problems,
) -> Result<Split, Reported> {
    let given = weights.unwrap_or_else(|| vec![(stable.clone(), Weight::WHOLE)]);
    let weight = |name: &VersionName| {
        given.iter().find(|(version, _)| version == name).map_or(Weight::ZERO, |(_, weight)| *weight)
    };
    let mut ordered: Vec<_> = versions.iter().map(|v| (v.name.clone(), weight(&v.name))).collect();
    ordered.sort_by(|(a, _), (b, _)| {
        let rank = |name| (Some(name) != canary, name == stable, name.clone());
        rank(a).cmp(&rank(b))
    });
    Split::try_new(ordered)
        .map_err(|error| problems.add(key, error.to_string(), "write weights that sum to 100%"))
}
