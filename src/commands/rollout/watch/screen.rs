//! A block on a terminal that the next one overwrites.
//!
//! Neither the whole screen is taken nor the cursor hidden: whoever interrupts the command finds the terminal as it
//! was, with the last block in it.

use std::fmt::Write;

use super::{
    super::super::{client::Stop, print_on},
    Show,
    frame::{Decision, Frame, Line, Paint},
};

/// Decisions that are remembered to be shown.
const KEPT: usize = 32;
/// A terminal that does not tell its size.
const USUAL: Size = Size { columns: 80, rows: 24 };

#[derive(Debug, Clone, Copy)]
struct Size {
    columns: usize,
    rows: usize,
}

#[derive(Debug)]
pub(super) struct Screen {
    paint: Paint,
    /// Lines of the block that is shown.
    shown: usize,
    decisions: Vec<Decision>,
}

impl Screen {
    pub(super) fn new(paint: Paint) -> Self {
        Self { paint, shown: 0, decisions: Vec::new() }
    }

    /// The text that puts these lines in the place of those that are shown.
    fn draw(&mut self, lines: &[Line], size: Size) -> String {
        let mut text = String::new();
        if self.shown > 0 {
            let _ = write!(text, "\u{1b}[{}A", self.shown);
        }
        text.push('\r');
        // What does not fit scrolls away, and could not be overwritten.
        let fit = &lines[..lines.len().min(size.rows.saturating_sub(1).max(1))];
        for line in fit {
            let cut: String = line.text.chars().take(size.columns.max(1)).collect();
            let painted = if line.colour.is_empty() { cut } else { self.paint.with(line.colour, &cut) };
            let _ = writeln!(text, "{painted}\u{1b}[K");
        }
        text.push_str("\u{1b}[J");
        self.shown = fit.len();
        text
    }
}

impl Show for Screen {
    fn frame(&mut self, frame: &Frame) -> bool {
        self.decisions.extend(frame.decisions.iter().cloned());
        let surplus = self.decisions.len().saturating_sub(KEPT);
        self.decisions.drain(..surplus);
        let lines = frame.block(&self.decisions);
        print_on(&self.draw(&lines, size()))
    }

    fn away(&mut self, why: &Stop) -> bool {
        let line = Line { text: format!("{why}; asking again"), colour: "33" };
        print_on(&self.draw(&[line], size()))
    }
}

fn size() -> Size {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        _ => USUAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line { text: (*text).into(), colour: "" }).collect()
    }

    #[test]
    fn a_block_takes_the_place_of_the_one_before_and_fits() {
        let mut screen = Screen::new(Paint::of_terminal());
        let size = Size { columns: 4, rows: 3 };
        assert_eq!(
            screen.draw(&lines(&["abcdef", "b", "c"]), size),
            "\rabcd\u{1b}[K\nb\u{1b}[K\n\u{1b}[J",
            "two lines fit above the cursor"
        );
        assert_eq!(screen.draw(&lines(&["x"]), size), "\u{1b}[2A\rx\u{1b}[K\n\u{1b}[J");
        assert!(screen.draw(&lines(&["y"]), size).starts_with("\u{1b}[1A"));
    }
}
