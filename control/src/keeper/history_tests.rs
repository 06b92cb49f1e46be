//! Windows of rollouts are kept beside their evidence, and rollouts begin with a past.

use super::*;
use crate::history::{export::Export, pack::unpack};

impl World {
    /// Seconds and canary requests of the windows that are stored of a rollout.
    fn kept(&self, rollout: u64) -> Vec<(i64, u64)> {
        let chunks = self.disk.after_a_crash().store().history(rollout).unwrap();
        let windows = chunks.iter().flat_map(|chunk| unpack(chunk).unwrap());
        windows.map(|(second, window)| (second, window.total().canary.judged)).collect()
    }
}

#[test]
fn a_rollout_begins_with_stables_past_and_its_windows_survive_a_restart() {
    let mut world = World::new();
    for _ in 0..5 {
        world.second((0, 0), (900, 1));
    }
    world.steer(Action::Start).unwrap();
    for _ in 0..20 {
        world.second((7, 0), (900, 1));
    }
    world.keeper.handle(Event::Stop, world.now_ms);
    let kept = world.kept(1);
    let seconds: Vec<i64> = kept.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds[..5], [-5, -4, -3, -2, -1]);
    assert_eq!(kept.len(), 25);
    assert!(seconds.is_sorted_by(|a, b| a < b), "{seconds:?}");
    assert!(
        kept[..5].iter().all(|(_, canary)| *canary == 0) && kept[5..].iter().all(|(_, canary)| *canary == 7)
    );

    let (sequence, now_ms) = (world.sequence, world.now_ms);
    let mut again = World::on(world.disk.after_a_crash());
    (again.sequence, again.now_ms) = (sequence, now_ms);
    for _ in 0..10 {
        again.second((7, 0), (900, 1));
    }
    again.keeper.handle(Event::Stop, again.now_ms);
    assert_eq!(again.kept(1).len(), 35, "what comes later is added");
    assert_eq!(
        again.stored().evidence[&name("shop")].evidence.windows(),
        30,
        "and evidence is of the same windows"
    );
}

#[test]
fn the_last_windows_before_a_rollback_are_stored_with_it() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    for _ in 0..7 {
        world.second((10, 0), (900, 0));
    }
    world.fail_until_rolled_back();
    let kept = world.kept(1);
    assert_eq!(kept.len() as u64, world.sequence, "{kept:?}");
    let text: String =
        Export::new(1, world.disk.after_a_crash().store().history(1).unwrap()).unwrap().collect();
    assert_eq!(text.lines().count(), kept.len() + 2);
    assert!(text.lines().nth_back(1).unwrap().contains("\"err\":100"), "the second that decided is there");
    let ended = &world.stored().ended[&name("shop")][0];
    let [stage] = ended.course.steps.as_slice() else { panic!("{:?}", ended.course) };
    assert_eq!(stage.end.as_deref(), Some("rolled back on evidence"));
}

#[test]
fn windows_that_could_not_be_stored_are_stored_later() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    world.disk.be_full(true);
    for _ in 0..12 {
        world.second((7, 0), (900, 0));
    }
    world.disk.be_full(false);
    world.until_stored();
    for _ in 0..6 {
        world.second((7, 0), (900, 0));
    }
    let kept = world.kept(1);
    assert!(kept.len() as u64 >= world.sequence - 5, "{} of {}", kept.len(), world.sequence);
    let seconds: Vec<i64> = kept.iter().map(|(second, _)| *second).collect();
    assert!(
        seconds.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "none is missing between them: {seconds:?}"
    );
}

#[test]
fn what_is_kept_of_a_rollout_goes_with_its_service() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    for _ in 0..6 {
        world.second((7, 0), (900, 0));
    }
    world.steer(Action::Abort).unwrap();
    assert!(!world.kept(1).is_empty());
    let other = serin_config::Service { name: name("other"), ..shop() };
    world.ask(Command::Reload(catalogue(vec![other]))).unwrap();
    assert_eq!(world.kept(1), []);
}
