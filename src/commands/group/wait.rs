//! Waiting for the end of a group's rollouts, and showing what becomes of each meanwhile.
//!
//! Those count that are in progress when it begins, or where none is, the last ones: their services may begin others since,
//! and the answer is about these. A control plane that is away for a while is asked again.

use std::{
    collections::BTreeMap,
    io::Write,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use serin_config::{ServiceName, moment};
use serin_control::{
    group::{GroupStatus, Member},
    status::RolloutStatus,
};
use tokio::time::{Instant, sleep};

use super::{
    super::{
        client::{Api, Stop, plain},
        print_on,
        rollout::{LATE, ServiceText, UNJUDGED, forgotten, next_of, result_of},
        steer::Subject,
    },
    OfGroup,
};

/// What the exit codes say of a group.
pub(super) const EXIT_CODES: &str = "\
Exit codes: 0 all canaries have everything (promoted); 1 one has not: rolled back, aborted or undone; 2 no control plane could be \
asked, or the group has no rollout; 3 the time was over before the end; 4 all have everything, one of them by the clock alone, without \
a request to be judged by. A control plane that is away for a while is asked again.";
/// How often to look.
const EVERY: Duration = Duration::from_secs(1);

/// What is told while it waits.
pub(super) trait Tell {
    /// A member is not as it was. False where nobody listens any more.
    fn moved(&mut self, service: &ServiceName, rollout: &RolloutStatus) -> bool;
    /// Nobody answers.
    fn away(&mut self, why: &Stop) -> bool;
}

/// Nothing but that nobody answers, beside the answer.
pub(super) struct Quiet;

impl Tell for Quiet {
    fn moved(&mut self, _: &ServiceName, _: &RolloutStatus) -> bool {
        true
    }

    fn away(&mut self, why: &Stop) -> bool {
        // Where nobody listens, the exit code still tells.
        let _ = writeln!(std::io::stderr().lock(), "serin: {why}; asking again");
        true
    }
}

/// A line for each change.
pub(super) struct Lines {
    json: bool,
    /// When the present step of each began, as it was told last.
    began_ms: BTreeMap<ServiceName, u64>,
}

impl Lines {
    pub(super) fn new(json: bool) -> Self {
        Self { json, began_ms: BTreeMap::new() }
    }

    /// When it became what it is: the end, a new step; what has no date of its own (a pause, a webhook that is asked, how
    /// things stand at the beginning) has been seen now.
    fn since(&mut self, service: &ServiceName, rollout: &RolloutStatus, now_ms: u64) -> u64 {
        let before = self.began_ms.insert(service.clone(), rollout.step_began_ms);
        let stepped = before.is_some_and(|before| before != rollout.step_began_ms);
        rollout.ended_ms.or(stepped.then_some(rollout.step_began_ms)).unwrap_or(now_ms)
    }
}

/// Now, in milliseconds since 1970.
fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

impl Tell for Lines {
    fn moved(&mut self, service: &ServiceName, rollout: &RolloutStatus) -> bool {
        let since = self.since(service, rollout, now_ms());
        print_on(&if self.json {
            format!("{}\n", json!({ "service": service, "rollout": rollout }))
        } else {
            line(since, service, rollout)
        })
    }

    fn away(&mut self, why: &Stop) -> bool {
        print_on(&if self.json {
            format!("{}\n", json!({ "away": why.to_string() }))
        } else {
            format!("{why}; asking again\n")
        })
    }
}

/// `13:05:09Z  shop  v2 5%  running, step 2; Waits for webhook …`.
fn line(at_ms: u64, service: &ServiceName, rollout: &RolloutStatus) -> String {
    let at = moment::rfc3339_seconds(at_ms).split_off("2026-11-21T".len());
    let asked: Vec<String> = rollout.asked().map(|asked| format!("; {}", asked.summary)).collect();
    let RolloutStatus { canary, weight, summary, .. } = rollout;
    plain(&format!("{at}  {service}  {canary} {weight}  {summary}{}", asked.concat())) + "\n"
}

/// What a change is: everything of a rollout that a line shows.
fn shown(rollout: &RolloutStatus) -> (u64, String, String) {
    let asked: Vec<&str> = rollout.asked().map(|asked| asked.summary.as_str()).collect();
    (rollout.id, format!("{} {}", rollout.weight, rollout.summary), asked.join("; "))
}

/// Waits until the rollouts have ended that are in progress now. Gives the group as it is then, and the exit code.
pub(super) async fn for_end(
    api: &Api,
    of: &OfGroup,
    patience: Option<Duration>,
    tell: &mut dyn Tell,
) -> Result<(GroupStatus, ExitCode), Stop> {
    let deadline = patience.map(|patience| Instant::now() + patience);
    let mut group = read(api, of).await?;
    let mut last = wanted(&group.members);
    if last.is_empty() {
        return Err(Stop::can_not(format_args!("no service of group {} has had a rollout yet", group.group)));
    }
    let mut told = BTreeMap::new();
    let mut away = false;
    loop {
        for (service, rollout) in &last {
            let now = shown(rollout);
            if told.get(service) != Some(&now) {
                if !tell.moved(service, rollout) {
                    return Ok((group, ExitCode::SUCCESS));
                }
                told.insert(service.clone(), now);
            }
        }
        if last.values().all(|rollout| !rollout.live) {
            return Ok((group, ExitCode::from(code(last.values()))));
        }
        if deadline.is_some_and(|deadline| Instant::now() + EVERY > deadline) {
            return Ok((group, ExitCode::from(LATE)));
        }
        sleep(EVERY).await;
        match again(api, of, &last).await {
            Ok((now, rollouts)) => (group, last, away) = (now, rollouts, false),
            Err(Again::Forgotten(stop)) => return Err(stop),
            Err(Again::Away(stop)) if !std::mem::replace(&mut away, true) => {
                if !tell.away(&stop) {
                    return Ok((group, ExitCode::SUCCESS));
                }
            }
            Err(Again::Away(_)) => {}
        }
    }
}

async fn read(api: &Api, of: &OfGroup) -> Result<GroupStatus, Stop> {
    api.get(&of.path()).await?.read()
}

/// The rollouts that are meant: those in progress, or else the last ones.
fn wanted(members: &[Member]) -> BTreeMap<ServiceName, RolloutStatus> {
    let all = members.iter().filter_map(|member| Some((member.service.clone(), member.rollout.clone()?)));
    let all: BTreeMap<ServiceName, RolloutStatus> = all.collect();
    let live = |(_, rollout): &(&ServiceName, &RolloutStatus)| rollout.live;
    if all.iter().any(|row| live(&row)) {
        all.into_iter().filter(|(_, rollout)| rollout.live).collect()
    } else {
        all
    }
}

enum Again {
    Away(Stop),
    Forgotten(Stop),
}

/// The same rollouts as they are by now, though others may have begun since.
async fn again(
    api: &Api,
    of: &OfGroup,
    last: &BTreeMap<ServiceName, RolloutStatus>,
) -> Result<(GroupStatus, BTreeMap<ServiceName, RolloutStatus>), Again> {
    let group = read(api, of).await.map_err(Again::Away)?;
    let mut now = BTreeMap::new();
    for (service, before) in last {
        let found = group.members.iter().find(|member| member.service == *service);
        let same = found.and_then(|member| member.rollout.clone()).filter(|rollout| rollout.id == before.id);
        let rollout = match same {
            Some(rollout) => rollout,
            None if !before.live => before.clone(),
            None => {
                let next = next_of(api, &ServiceText(service.clone()), before).await.map_err(Again::Away)?;
                next.ok_or_else(|| Again::Forgotten(forgotten(before.id)))?
            }
        };
        now.insert(service.clone(), rollout);
    }
    Ok((group, now))
}

/// The worst of them: one that is not promoted before one that was promoted unjudged.
fn code<'a>(rollouts: impl Iterator<Item = &'a RolloutStatus>) -> u8 {
    let codes: Vec<u8> = rollouts.filter_map(|rollout| result_of(rollout.state)).collect();
    match codes.contains(&super::super::NO) {
        true => super::super::NO,
        false if codes.contains(&UNJUDGED) => UNJUDGED,
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn member(service: &str, id: u64, state: &Value) -> Member {
        let mut rollout = json!({
            "id": id, "canary": "v2", "stable": "v1", "summary": "so it is", "live": state["state"] == "running",
            "weight": "5%", "steps": ["5%", "100%"], "started_ms": 1_000, "step_began_ms": 61_000, "ended_ms": null,
            "verdict": null,
        });
        rollout.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
        let member = json!({
            "service": service, "canary": "v2", "waits": false, "holds_back": false, "because": [], "rollout": rollout,
        });
        serde_json::from_value(member).unwrap()
    }

    fn codes(states: &[Value]) -> u8 {
        let members: Vec<Member> = states.iter().map(|state| member("shop", 1, state)).collect();
        code(members.iter().filter_map(|member| member.rollout.as_ref()))
    }

    #[test]
    fn those_in_progress_are_waited_for_and_where_none_is_the_last_ones() {
        let running = json!({ "state": "running", "step": 0 });
        let aborted = json!({ "state": "aborted", "why": "command" });
        let both = [member("api", 3, &running), member("web", 2, &aborted)];
        assert_eq!(wanted(&both).keys().map(ServiceName::as_str).collect::<Vec<_>>(), ["api"]);
        let ended = [member("api", 3, &aborted), member("web", 2, &aborted)];
        assert_eq!(wanted(&ended).len(), 2);
    }

    #[test]
    fn the_worst_end_of_all_is_the_exit_code() {
        let promoted = json!({ "state": "promoted", "why": "evidence" });
        let unjudged = json!({ "state": "promoted", "why": "clock_without_traffic" });
        let out = json!({ "state": "rolled_back", "why": "group" });
        assert_eq!(codes(&[promoted.clone(), promoted.clone()]), 0);
        assert_eq!(codes(&[promoted.clone(), unjudged.clone()]), UNJUDGED);
        assert_eq!(codes(&[unjudged, out, promoted]), super::super::super::NO);
    }

    #[test]
    fn a_line_says_when_which_and_what() {
        let member = member("shop", 3, &json!({ "state": "running", "step": 0 }));
        assert_eq!(
            line(61_000, &member.service, member.rollout.as_ref().unwrap()),
            "00:01:01Z  shop  v2 5%  so it is\n"
        );
    }

    #[test]
    fn a_line_is_dated_as_what_it_tells_of_and_not_by_the_step_that_began_long_before() {
        let mut lines = Lines::new(false);
        let Member { service, rollout, .. } = member("shop", 3, &json!({ "state": "running", "step": 0 }));
        let mut rollout = rollout.unwrap();
        assert_eq!(lines.since(&service, &rollout, 500_000), 500_000, "how it is at the beginning");
        rollout.summary = "paused".into();
        assert_eq!(lines.since(&service, &rollout, 510_000), 510_000, "it was paused just now");
        rollout.step_began_ms = 520_000;
        assert_eq!(lines.since(&service, &rollout, 520_900), 520_000, "a step began");
        rollout.ended_ms = Some(530_000);
        assert_eq!(lines.since(&service, &rollout, 530_900), 530_000, "it has ended");
    }
}
