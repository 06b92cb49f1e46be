//! Up or down, by health checks in a row.
//!
//! The counts keep one lost packet from taking an endpoint out, and one lucky answer from bringing it back.
//! The very first check decides at once, since there is nothing yet that it could contradict.

/// What health checks say of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// No check has ended yet, or there are none.
    #[default]
    Unknown,
    /// It passes; `against` checks in a row have failed since.
    Up {
        /// Below `fall`.
        against: u32,
    },
    /// It fails; `against` checks in a row have passed since.
    Down {
        /// Below `rise`.
        against: u32,
    },
}

impl Health {
    /// After one more check.
    #[must_use]
    pub fn after(self, passed: bool, rise: u32, fall: u32) -> Self {
        match (self, passed) {
            (Self::Unknown | Self::Up { .. }, true) => Self::Up { against: 0 },
            (Self::Unknown | Self::Down { .. }, false) => Self::Down { against: 0 },
            (Self::Up { against }, false) if against + 1 < fall => Self::Up { against: against + 1 },
            (Self::Up { .. }, false) => Self::Down { against: 0 },
            (Self::Down { against }, true) if against + 1 < rise => Self::Down { against: against + 1 },
            (Self::Down { .. }, true) => Self::Up { against: 0 },
        }
    }

    /// Whether it is known to be well.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(checks: &str) -> Health {
        checks.chars().fold(Health::Unknown, |health, check| health.after(check == '+', 2, 3))
    }

    #[test]
    fn the_first_check_decides() {
        assert_eq!(after("+"), Health::Up { against: 0 });
        assert_eq!(after("-"), Health::Down { against: 0 });
    }

    #[test]
    fn three_failures_in_a_row_take_it_out_and_two_successes_bring_it_back() {
        assert_eq!(after("+--"), Health::Up { against: 2 });
        assert_eq!(after("+--+--"), Health::Up { against: 2 });
        assert_eq!(after("+---"), Health::Down { against: 0 });
        assert_eq!(after("+---+"), Health::Down { against: 1 });
        assert_eq!(after("+---+-+"), Health::Down { against: 1 });
        assert_eq!(after("+---++"), Health::Up { against: 0 });
    }
}
