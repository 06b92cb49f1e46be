//! What is done to processes and to the ways between them, and how it is undone.
//!
//! A proxy that is about to be killed or stopped is drained first, as behind a load balancer; one that is paused is
//! not: its users wait.

use super::{
    schedule::{Fault, Way, Which},
    world::{Gone, NAMES, World},
};
use crate::harness::relay::Relay;

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Up,
    Paused,
    Down,
    /// Started, and not ready yet.
    Returning,
}

/// What has to be healed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wound {
    Plane(usize, Way),
    Member(usize, Way),
    StoreStall(usize),
    EdgeStall(usize),
    Edge(usize, Way),
}

impl World {
    /// Does it; gives what has to be healed later. What befell somebody who is in another fault is left out.
    pub(super) fn strike(&mut self, fault: Fault) -> Option<Wound> {
        match fault {
            Fault::Plane(which, way) => {
                let plane = self.which(which).filter(|plane| self.lives.0[*plane] == Life::Up)?;
                self.log.say(&format!("{} control-{}{}", word(way), plane + 1, self.leads(plane)));
                self.lives.0[plane] = after(way);
                match way {
                    Way::Pause => self.planes[plane].member.signal("STOP"),
                    Way::Kill => self.planes[plane].member.kill(),
                    Way::Stop => self.planes[plane].member.signal("TERM"),
                }
                Some(Wound::Plane(plane, way))
            }
            Fault::Member(member, way) => {
                if self.lives.1[member] != Life::Up {
                    return None;
                }
                self.log.say(&format!("{} member {} of etcd", word(way), member + 1));
                self.lives.1[member] = after(way);
                match way {
                    Way::Pause => self.cluster.signal(member, "STOP"),
                    Way::Kill | Way::Stop => self.cluster.kill(member),
                }
                Some(Wound::Member(member, way))
            }
            Fault::StoreCut(which) => {
                let plane = self.which(which)?;
                self.log.say(&format!("cut control-{} from etcd{}", plane + 1, self.leads(plane)));
                self.stores[plane].iter().for_each(Relay::cut);
                None
            }
            Fault::StoreStall(which) => {
                let plane = self.which(which).filter(|plane| !self.stalled[*plane])?;
                self.log.say(&format!("stall control-{}'s ways to etcd{}", plane + 1, self.leads(plane)));
                self.stalled[plane] = true;
                self.stores[plane].iter().for_each(|relay| relay.stall_all(true));
                Some(Wound::StoreStall(plane))
            }
            Fault::StreamsCut(which) => {
                let plane = self.which(which)?;
                self.log.say(&format!("cut all streams at control-{}{}", plane + 1, self.leads(plane)));
                self.streams[plane].cut();
                None
            }
            Fault::EdgeStall(edge) => {
                if self.lives.2[edge] != Life::Up {
                    return None;
                }
                self.log.say(&format!("stall {}'s ways to the control planes", NAMES[edge]));
                self.begin_obstacle(edge);
                self.streams.iter().for_each(|relay| relay.stall(NAMES[edge], true));
                Some(Wound::EdgeStall(edge))
            }
            Fault::Edge(edge, way) => {
                if self.lives.2[edge] != Life::Up {
                    return None;
                }
                self.log.say(&format!("{} {}", word(way), NAMES[edge]));
                self.begin_obstacle(edge);
                match way {
                    Way::Pause => self.edges[edge].member.signal("STOP"),
                    Way::Kill | Way::Stop => self.end(edge, way),
                }
                self.lives.2[edge] = after(way);
                Some(Wound::Edge(edge, way))
            }
        }
    }

    /// Takes a wound away.
    pub(super) fn heal(&mut self, wound: Wound) {
        match wound {
            Wound::Plane(plane, way) => {
                let name = format!("control-{}", plane + 1);
                self.lives.0[plane] = Life::Up;
                match way {
                    Way::Pause => {
                        self.log.say(&format!("resume {name}"));
                        self.planes[plane].member.signal("CONT");
                    }
                    Way::Kill | Way::Stop => {
                        // It has had seconds to end by itself, and its ports are needed.
                        self.planes[plane].member.kill();
                        self.log.say(&format!("start {name}"));
                        self.said.push((name, self.planes[plane].member.stderr()));
                        self.planes[plane].begin_again();
                    }
                }
            }
            Wound::Member(member, way) => {
                let name = format!("member {} of etcd", member + 1);
                self.lives.1[member] = Life::Up;
                match way {
                    Way::Pause => {
                        self.log.say(&format!("resume {name}"));
                        self.cluster.signal(member, "CONT");
                    }
                    Way::Kill | Way::Stop => {
                        self.log.say(&format!("start {name}"));
                        self.said.push((format!("etcd-{}", member + 1), self.cluster.stderr(member)));
                        self.cluster.start_again(member);
                    }
                }
            }
            Wound::StoreStall(plane) => {
                self.log.say(&format!("free control-{}'s ways to etcd", plane + 1));
                self.stalled[plane] = false;
                self.stores[plane].iter().for_each(|relay| relay.stall_all(false));
            }
            Wound::EdgeStall(edge) => {
                self.log.say(&format!("free {}'s ways", NAMES[edge]));
                self.streams.iter().for_each(|relay| relay.stall(NAMES[edge], false));
                self.end_obstacle(edge);
            }
            Wound::Edge(edge, Way::Pause) => {
                self.log.say(&format!("resume {}", NAMES[edge]));
                self.edges[edge].member.signal("CONT");
                self.lives.2[edge] = Life::Up;
                self.end_obstacle(edge);
            }
            Wound::Edge(edge, _) => {
                self.log.say(&format!("start {}", NAMES[edge]));
                self.said.push((NAMES[edge].into(), self.edges[edge].member.stderr()));
                self.edges[edge].begin_again();
                self.lives.2[edge] = Life::Returning;
            }
        }
    }

    /// Drains a proxy, and ends it at once after that.
    fn end(&mut self, edge: usize, way: Way) {
        self.drain(edge);
        let metrics = self.edges[edge].member.metrics();
        let waiting = metrics.sum("serin_proxy_control_windows_waiting", &[]) as u64;
        let at = self.clock.now();
        match way {
            Way::Stop => drop(self.edges[edge].member.stop()),
            Way::Kill | Way::Pause => self.edges[edge].member.kill(),
        }
        let kept = self.edges[edge].kept_generation().map(|generation| (generation, at));
        if let Some(past) = self.past.last_mut() {
            past.kept = kept;
        }
        self.gone.push(Gone { edge, way, at, waiting });
    }

    fn begin_obstacle(&mut self, edge: usize) {
        let now = self.clock.now();
        self.obstacles[edge].push((now, None));
    }

    pub(super) fn end_obstacle(&mut self, edge: usize) {
        let now = self.clock.now();
        if let Some((_, end)) = self.obstacles[edge].last_mut() {
            *end = Some(now);
        }
    }

    fn which(&self, which: Which) -> Option<usize> {
        match which {
            Which::Leader => self.leaders.now(),
            Which::Number(plane) => Some(plane),
        }
    }

    fn leads(&self, plane: usize) -> &'static str {
        if self.leaders.now() == Some(plane) { " (leads)" } else { "" }
    }
}

const fn word(way: Way) -> &'static str {
    match way {
        Way::Kill => "kill",
        Way::Pause => "pause",
        Way::Stop => "stop",
    }
}

const fn after(way: Way) -> Life {
    match way {
        Way::Pause => Life::Paused,
        Way::Kill | Way::Stop => Life::Down,
    }
}
