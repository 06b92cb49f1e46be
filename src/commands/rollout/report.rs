//! `serin rollout report`: what each step took, and what it waited for.

use std::fmt::Write;

use serin_config::{Weight, policy::share_text};
use serin_control::{status::RolloutStatus, watch::course::Stage};

/// The report on a rollout, as text.
pub(super) fn report(service: &str, rollout: &RolloutStatus) -> String {
    let RolloutStatus { id, canary, stable, summary, .. } = rollout;
    let mut text = format!("Rollout {id} of {service}: {canary} against {stable}, {summary}.\n");
    if let Some(ended_ms) = rollout.ended_ms {
        let took = ended_ms.saturating_sub(rollout.started_ms).div_ceil(1_000);
        let _ = writeln!(text, "It took {}.", time(took));
    }
    let shares = rollout.course.steps.iter().map(|stage| share(stage).len());
    let wide = shares.fold(8, usize::max);
    let _ = writeln!(
        text,
        "\n{:<5} {:>wide$} {:>9} {:>10} {:>7}  waited for",
        "step", "share", "took", "requests", "failed"
    );
    for stage in &rollout.course.steps {
        let (step, share, took) = (stage.step + 1, share(stage), time(stage.seconds));
        let (requests, failed) = (stage.requests, stage.failed);
        let _ = writeln!(
            text,
            "{step:<5} {share:>wide$} {took:>9} {requests:>10} {failed:>7}  {}",
            waited(stage)
        );
    }
    if !rollout.live && rollout.weight == Weight::WHOLE {
        let _ = writeln!(text, "{:<5} {:>wide$}  everything", rollout.steps.len(), Weight::WHOLE.to_string());
    }
    text
}

/// What the canary got at a step.
fn share(stage: &Stage) -> String {
    share_text(stage.weight, stage.mirror.unwrap_or(Weight::ZERO))
}

/// What a step waited for in the end comes first: the longest, with how long that was.
fn waited(stage: &Stage) -> String {
    let mut reasons: Vec<(&String, &u64)> = stage.waited.iter().collect();
    reasons.sort_by_key(|(name, seconds)| (!stage.last.contains(name), u64::MAX - **seconds));
    let mut said: Vec<String> =
        reasons.iter().map(|(name, seconds)| format!("{} ({})", words(name), time(**seconds))).collect();
    if said.is_empty() {
        said.push("nothing".into());
    }
    said.join(", ")
}

/// A verdict's reason in words; one that a newer control plane knows is told by its name.
fn words(reason: &str) -> String {
    match reason {
        "no_canary_traffic" => "traffic on the canary",
        "no_stable_traffic" => "traffic on the stable version",
        "min_requests" => "its number of requests",
        "min_duration" => "its shortest time",
        "non_inferiority" => "proof that it fails no more",
        "no_slower" => "proof that it is no slower",
        "soak" => "the soak",
        "score" => "its points",
        "share_off" => "the share that was set",
        "suspect" => "a suspicion to go away",
        "over_limit" => "a limit to be kept",
        "both_versions_breach" => "both versions to recover",
        "lowered" => "its share to come back",
        "webhook" => "a webhook",
        other => return other.replace('_', " "),
    }
    .into()
}

/// Seconds as people say them.
pub(super) fn time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn stage(waited: &[(&str, u64)], last: &[&str]) -> Stage {
        Stage {
            step: 0,
            weight: "1%".parse().unwrap(),
            mirror: None,
            began: 0,
            seconds: 200,
            requests: 2_000,
            failed: 1,
            waited: waited.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<BTreeMap<_, _>>(),
            last: last.iter().map(|name| (*name).to_owned()).collect(),
            end: None,
        }
    }

    #[test]
    fn what_was_waited_for_in_the_end_comes_first() {
        let stage =
            stage(&[("min_duration", 10), ("non_inferiority", 190), ("no_slower", 200)], &["no_slower"]);
        assert_eq!(
            waited(&stage),
            "proof that it is no slower (3 m 20 s), proof that it fails no more (3 m 10 s), its shortest time (10 s)"
        );
        assert_eq!(waited(&self::stage(&[], &[])), "nothing");
        assert_eq!(waited(&self::stage(&[("moon_phase", 3)], &[])), "moon phase (3 s)");
    }

    #[test]
    fn times_are_said_in_two_units_at_most() {
        assert_eq!([119, 120, 7_199, 7_260].map(time), ["119 s", "2 m 00 s", "119 m 59 s", "2 h 01 m"]);
    }
}
