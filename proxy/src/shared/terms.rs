//! What housekeeping lets workers know for the comparison of versions: from when on a request hangs, and which of the
//! stable version's attempts are in the negative control. The first is off but for the two versions of a service whose
//! canary and stable version have weight.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use serin_split::control::Control;

/// In place of a number of endpoints: the version has one.
const SHARE: u32 = u32::MAX;

/// The terms of one version.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    hang_us: AtomicU64,
    control: AtomicU32,
}

impl Terms {
    /// The age from which a request without an answer hangs, if that is looked at.
    pub(crate) fn hang_after(&self) -> Option<Duration> {
        Some(self.hang_us.load(Relaxed)).filter(|us| *us > 0).map(Duration::from_micros)
    }

    /// Which attempts are in the control.
    pub(crate) fn control(&self) -> Control {
        match self.control.load(Relaxed) {
            0 => Control::Off,
            SHARE => Control::Share,
            endpoints => Control::Endpoints(endpoints),
        }
    }

    /// Sets both.
    pub(crate) fn set(&self, hang_after: Option<Duration>, control: Control) {
        let us = hang_after.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        self.hang_us.store(us, Relaxed);
        let control = match control {
            Control::Off => 0,
            Control::Endpoints(endpoints) => endpoints.min(SHARE - 1),
            Control::Share => SHARE,
        };
        self.control.store(control, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_as_they_were_set() {
        let terms = Terms::default();
        assert_eq!((terms.hang_after(), terms.control()), (None, Control::Off));
        for (hang, control) in [
            (Some(Duration::from_secs(10)), Control::Endpoints(3)),
            (Some(Duration::from_secs(240)), Control::Share),
            (None, Control::Off),
        ] {
            terms.set(hang, control);
            assert_eq!((terms.hang_after(), terms.control()), (hang, control));
        }
    }
}
