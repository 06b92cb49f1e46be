//! The kept windows of a rollout as lines that `serin judge` reads.

use std::{collections::BTreeSet, vec};

use serin_config::RouteName;
use serin_judge::lines::{Buckets, End, Line, Moment, Run};

use super::pack::{Damaged, unpack};

/// The lines of a rollout: its beginning, stable's past, its windows, its end. Each item is some of them.
#[derive(Debug)]
pub struct Export {
    rollout: u64,
    chunks: vec::IntoIter<Vec<u8>>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Beginning(BTreeSet<RouteName>),
    Windows,
    Over,
}

impl Export {
    /// From its chunks; damaged ones are found here, so that what is begun can be ended.
    pub fn new(rollout: u64, chunks: Vec<Vec<u8>>) -> Result<Self, Damaged> {
        let mut routes = BTreeSet::new();
        for chunk in &chunks {
            routes.extend(unpack(chunk)?.into_iter().flat_map(|(_, window)| window.routes.into_keys()));
        }
        Ok(Self { rollout, chunks: chunks.into_iter(), stage: Stage::Beginning(routes) })
    }
}

impl Iterator for Export {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut text = String::new();
        match &mut self.stage {
            Stage::Beginning(routes) => {
                let run = Run {
                    run: self.rollout,
                    window_s: 1.0,
                    weight: None,
                    buckets: Buckets::default(),
                    routes: std::mem::take(routes).into_iter().collect(),
                };
                add(&mut text, &Line::Run(&run));
                self.stage = Stage::Windows;
            }
            Stage::Windows => match self.chunks.next() {
                Some(chunk) => {
                    for (second, window) in unpack(&chunk).unwrap_or_default() {
                        let moment = Moment::of(second as f64, &window);
                        add(&mut text, &if second < 0 { Line::Pre(&moment) } else { Line::Win(&moment) });
                    }
                }
                None => {
                    add(&mut text, &Line::End(&End { run: self.rollout }));
                    self.stage = Stage::Over;
                }
            },
            Stage::Over => return None,
        }
        Some(text)
    }
}

fn add(text: &mut String, line: &Line<'_>) {
    // Numbers, names and lists: there is nothing in them that has no JSON.
    if let Ok(line) = serde_json::to_string(line) {
        text.push_str(&line);
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use serin_config::{Weight, wire::LatencyCounts};
    use serin_judge::{Arm, Pairing, Window, lines::Head};

    use super::{super::pack::Pack, *};

    #[test]
    fn an_export_reads_back_as_the_windows_that_were_kept() {
        let route = RouteName::try_new("shop").unwrap();
        let window = |n: u64| {
            let canary = Arm::counted(n, 1).with_headers(LatencyCounts(vec![(400, 2), (500, 1)]));
            let pairing = Pairing { canary, stable: Arm::counted(10 * n, 0) };
            Window { share: Weight::from_ppm(90_909), ..Window::of(&route, pairing) }
        };
        let (mut first, mut second) = (Pack::default(), Pack::default());
        first.push(-1, &window(3));
        first.push(0, &window(4));
        second.push(1, &window(5));
        let text: String = Export::new(9, vec![first.into_bytes(), second.into_bytes()]).unwrap().collect();
        let all: Vec<&str> = text.lines().collect();
        let kinds: Vec<String> = all
            .iter()
            .map(|line| format!("{:?}", serde_json::from_str::<Head>(line).unwrap().kind))
            .collect();
        assert_eq!(kinds, ["Run", "Pre", "Win", "Win", "End"]);
        let run: Run = serde_json::from_str(all[0]).unwrap();
        assert_eq!((run.run, run.routes.as_slice()), (9, [route.clone()].as_slice()));
        for (line, n) in [(1, 3), (2, 4), (3, 5)] {
            let moment: Moment = serde_json::from_str(all[line]).unwrap();
            assert_eq!(moment.window(&run).unwrap(), window(n));
        }
    }

    #[test]
    fn a_damaged_chunk_is_told() {
        assert_eq!(
            Export::new(1, vec![vec![9]]).unwrap_err().to_string(),
            "a chunk of stored windows is damaged at byte 0"
        );
    }
}
