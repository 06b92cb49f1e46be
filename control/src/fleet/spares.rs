//! Cells of windows that were added up, to be filled again.
//!
//! A fleet tells a quarter of a million cells in a second, each with lists of its own. They are read by one thread and
//! dropped by another as soon as they are added, and to have memory for them from the allocator, and give it back from
//! elsewhere, costs more than all else that is done with them. So whoever adds gives them back here, and whoever reads
//! takes them: the windows of one fleet have the same cells, with lists of much the same length.

use std::sync::{Mutex, PoisonError};

use serin_config::{limits::WINDOWS_QUEUED_MAX, wire::WindowCell};

/// The cells of some windows: as many as can wait to be added.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<Vec<Vec<WindowCell>>>);

impl Spares {
    /// Keeps the cells of a window, if there is room.
    pub(crate) fn put(&self, cells: Vec<WindowCell>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !cells.is_empty() && kept.len() < WINDOWS_QUEUED_MAX {
            kept.push(cells);
        }
    }

    /// Those that were put here last, or none.
    pub(super) fn take(&self) -> Vec<WindowCell> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serin_config::Generation;

    use super::*;
    use crate::fixtures::report;

    #[test]
    fn what_is_put_is_taken_once_and_there_is_an_end_to_it() {
        let spares = Spares::default();
        let cells = report(1, Generation(1), (10, 1), (90, 2)).cells;
        spares.put(Vec::new());
        assert!(spares.take().is_empty());
        (0..=WINDOWS_QUEUED_MAX).for_each(|_| spares.put(cells.clone()));
        let taken = (0..=WINDOWS_QUEUED_MAX).filter(|_| spares.take() == cells).count();
        assert_eq!(taken, WINDOWS_QUEUED_MAX);
    }
}
