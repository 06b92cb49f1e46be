//! Plans, to and from messages.
//!
//! The text of routes and services goes over the wire only when the other side does not have it: each text has a
//! digest, and a plan names the digest of its text. A change of weights is then a few bytes, however large the file.

use std::sync::Arc;

use super::message::{self, ServiceSplit, VersionWeight};
use crate::{
    catalogue::Catalogue,
    name::VersionName,
    plan::{Generation, Part, Plan},
    weight::{Split, Weight},
};

/// The message of a plan; with the text of its routes and services, unless the receiver has it. None if it was not
/// read from a text.
pub fn to_message(plan: &Plan, with_text: bool) -> Option<message::Plan> {
    let source = plan.catalogue().source()?;
    let splits = plan.services().map(|(service, split)| ServiceSplit {
        service: service.name.to_string(),
        weights: split
            .iter()
            .map(|(version, weight)| VersionWeight { version: version.to_string(), ppm: weight.ppm() })
            .collect(),
        canary_since: plan.canary_since(service.name.as_str()).0,
        mirror: plan.mirror(service.name.as_str()).ppm(),
        stands_by: plan.stands_by(service.name.as_str()),
    });
    Some(message::Plan {
        generation: plan.generation().0,
        parent: plan.parent().0,
        digest: source.digest().to_owned(),
        catalogue: with_text.then(|| source.text().to_owned()),
        splits: splits.collect(),
        identity: plan.identity().to_string(),
    })
}

/// The plan of a message. `held` are the routes and services that the receiver has; `read` reads others from their
/// text.
///
/// # Errors
/// Every problem of the text, or the one of the splits, a line each.
pub fn from_message(
    message: &message::Plan,
    held: Option<&Arc<Catalogue>>,
    read: impl FnOnce(&str) -> Result<Catalogue, Vec<String>>,
) -> Result<Plan, Vec<String>> {
    let held = held.filter(|held| held.source().is_some_and(|source| source.digest() == message.digest));
    let catalogue = match (held, &message.catalogue) {
        (Some(held), _) => held.clone(),
        (None, Some(text)) => Arc::new(read(text)?),
        (None, None) => {
            return Err(vec![format!(
                "the routes and services with the digest {} are not here",
                message.digest
            )]);
        }
    };
    if catalogue.source().is_none_or(|source| source.digest() != message.digest) {
        return Err(vec![format!("the routes and services do not have the digest {}", message.digest)]);
    }
    let parts = message.splits.iter().map(part).collect::<Result<_, _>>().map_err(|wrong| vec![wrong])?;
    Plan::of_parts(catalogue, Generation(message.generation), Generation(message.parent), parts)
        .map(|plan| plan.told_as(&message.identity))
        .map_err(|error| vec![error.to_string()])
}

fn part(split: &ServiceSplit) -> Result<Part, String> {
    let weights = split.weights.iter().map(|weight| {
        let version = VersionName::try_new(&weight.version).map_err(|error| error.to_string())?;
        let share = Weight::from_ppm(weight.ppm)
            .ok_or_else(|| format!("version \"{version}\" has {} parts per million", weight.ppm))?;
        Ok((version, share))
    });
    let of = |why: String| format!("service \"{}\": {why}", split.service);
    let weights = weights.collect::<Result<_, String>>().map_err(of)?;
    let mirror = Weight::from_ppm(split.mirror);
    let mirror = mirror.ok_or_else(|| of(format!("{} parts per million are copied", split.mirror)))?;
    Ok(Part {
        service: split.service.clone(),
        split: Split::try_new(weights).map_err(|error| of(error.to_string()))?,
        canary_since: Generation(split.canary_since),
        mirror,
        stands_by: split.stands_by,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::file::{self, Secrets};

    struct NoSecrets;
    impl Secrets for NoSecrets {
        fn env(&self, _: &str) -> Option<String> {
            None
        }
        fn file(&self, _: &Path) -> Result<String, String> {
            Err("there are none here".into())
        }
    }

    const FILE: &str = "
listeners: [{ address: 127.0.0.1:1 }]
routes:
- { service: shop, headers: { x-a: { regex: '[a-z]{2},: \"#' } } }
- path: /b
  respond: { status: 200, body: \"é\\u0085 \\\"{[,\\n\" }
services:
  shop: &shop
    versions: { \"1.10\": { endpoints: [127.0.0.1:9001] }, v2: { endpoints: [127.0.0.1:9002] } }
    stable: \"1.10\"
    canary: v2
    split: { v2: 2.5%, \"1.10\": 97.5% }
    retries: off
";

    fn read(text: &str) -> Result<Catalogue, Vec<String>> {
        file::load_catalogue(text, "the plan", Path::new("/"), &NoSecrets)
            .map_err(|problems| problems.lines())
    }

    fn plan() -> Plan {
        let config = file::load(FILE, "serin.yaml", Path::new("/"), &NoSecrets)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let first = Plan::new(config.catalogue, Generation(4), Generation(3));
        let to = VersionName::try_new("v2").unwrap();
        let mut plan = first.with_split("shop", Split::whole(to)).unwrap();
        plan.set_mirror("shop", Weight::from_ppm(70_000).unwrap());
        plan.set_standby("shop", true);
        plan
    }

    #[test]
    fn a_plan_comes_back_as_it_was_with_its_text_or_without() {
        let plan = plan();
        let whole = to_message(&plan, true).unwrap();
        let read_back = from_message(&whole, None, read).unwrap();
        assert_eq!(read_back, plan);
        let bare = to_message(&plan, false).unwrap();
        let held = read_back.catalogue();
        assert_eq!(from_message(&bare, Some(held), |_| panic!("it is held")).unwrap(), plan);
        assert_eq!(read_back.identity(), plan.identity());
        assert!(from_message(&bare, None, read).unwrap_err()[0].contains("are not here"));
    }

    #[test]
    fn a_plan_goes_by_the_identity_that_was_told_and_has_none_where_none_was() {
        let told = |identity: &str| {
            let message = message::Plan { identity: identity.into(), ..to_message(&plan(), true).unwrap() };
            from_message(&message, None, read).unwrap().identity().to_string()
        };
        assert_eq!((told("of a later release").as_str(), told("").as_str()), ("of a later release", ""));
    }

    #[test]
    fn a_plan_that_does_not_fit_its_services_is_refused() {
        let whole = to_message(&plan(), true).unwrap();
        let with = |change: fn(&mut message::Plan)| {
            let mut message = whole.clone();
            change(&mut message);
            from_message(&message, None, read).unwrap_err().join("\n")
        };
        for (change, said) in [
            ((|plan| plan.splits.clear()) as fn(&mut message::Plan), "no split"),
            (|plan| plan.splits[0].weights[0].ppm = 1, "sum to"),
            (|plan| plan.splits[0].weights[0].ppm = 2_000_000, "parts per million"),
            (|plan| plan.splits[0].mirror = 1_000_001, "1000001 parts per million are copied"),
            (|plan| plan.splits[0].weights[0].version = "v9".into(), "no version \"v9\""),
            (|plan| plan.splits[0].service = "other".into(), "no service \"other\""),
            (|plan| plan.digest = "0".into(), "do not have the digest"),
            (|plan| plan.catalogue = Some("routes: []".into()), "there is no route"),
        ] {
            let problems = with(change);
            assert!(problems.contains(said), "{said}: {problems}");
        }
    }
}
