//! Canaries exactly at the edge of what is tolerated: there the promise is tight, and there it must hold.

use serin_config::policy::RolloutPolicy;

use crate::{
    parallel::each,
    setting::{Fault, Mix, Setting},
    watch::{Course, Run},
};

const RUNS: usize = 200;

#[test]
fn at_the_edge_of_the_tolerance_evidence_of_twenty_is_as_rare_as_promised() {
    let policy = RolloutPolicy::default();
    let at = |name, errors, fault| Setting { name, errors, fault, ..Setting::PLAIN };
    let errors = Fault::Edge { ratio: 1.2, margin: 5e-5 };
    let settings = [
        at("errors, 0.1 %", 1e-3, errors),
        at("errors, 1 %", 1e-2, errors),
        at("4.4 % slower", 1e-3, Fault::Slower(1.044)),
    ];
    println!("| at the edge of the tolerance | runs | ever E >= 20 | rolled back |");
    println!("|---|---|---|---|");
    for (number, setting) in settings.into_iter().enumerate() {
        for mix in [Mix::USUAL, Mix::new(1000.0, 0.5)] {
            let run = Run { seconds: 900, ..Run::of(&policy, mix, setting) };
            let courses: Vec<Course> = each(RUNS, |at| run.watch(1000 + number as u64, at as u64));
            let suspect = courses.iter().filter(|course| course.highest >= 20_f64.ln()).count();
            let rolled_back = courses.iter().filter(|course| course.found.is_some()).count();
            println!("| {}, {} | {RUNS} | {suspect} | {rolled_back} |", setting.name, mix.name());
            assert!(suspect as f64 <= 0.05 * RUNS as f64 && rolled_back == 0, "{}: {suspect}", setting.name);
        }
    }
}
