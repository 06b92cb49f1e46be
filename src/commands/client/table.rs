//! Columns that are as wide as what stands in them.

use super::plain;

/// A table; the last column may be as long as it likes.
#[derive(Debug)]
pub(in crate::commands) struct Table {
    head: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    name: &'static str,
    right: bool,
}

impl Table {
    /// A table with these columns; one whose name begins with `>` holds numbers, and is aligned to the right.
    pub(in crate::commands) fn new<const N: usize>(columns: [&'static str; N]) -> Self {
        let head = columns.map(|name| match name.strip_prefix('>') {
            Some(name) => Column { name, right: true },
            None => Column { name, right: false },
        });
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row. What steers a terminal is left out of it: names and reasons come from elsewhere.
    pub(in crate::commands) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| plain(&cell)).to_vec());
    }

    /// The lines, the head first.
    pub(in crate::commands) fn lines(&self) -> Vec<String> {
        let head: Vec<String> = self.head.iter().map(|column| column.name.to_owned()).collect();
        let all = || std::iter::once(&head).chain(&self.rows);
        let width = |at: usize| all().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..self.head.len()).map(|at| width(at).unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let mut line = String::new();
            for (at, ((cell, column), width)) in row.iter().zip(&self.head).zip(&widths).enumerate() {
                let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
                line.push_str(if at == 0 { "" } else { "  " });
                let (before, after) = if column.right { (gap.as_str(), "") } else { ("", gap.as_str()) };
                line.push_str(before);
                line.push_str(cell);
                line.push_str(after);
            }
            line.trim_end().to_owned()
        };
        all().map(line).collect()
    }

    /// The same as text.
    pub(in crate::commands) fn text(&self) -> String {
        self.lines().into_iter().map(|line| line + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["service", ">id", "why"]);
        table.row(["shop".into(), "7".into(), "a\u{1b}b".into()]);
        table.row(["recommendations".into(), "1234".into(), String::new()]);
        assert_eq!(
            table.text(),
            "service            id  why\nshop                7  a b\nrecommendations  1234\n"
        );
    }

    #[test]
    fn a_first_column_of_numbers_is_aligned_too() {
        let mut table = Table::new([">id", "state"]);
        table.row(["7".into(), "running".into()]);
        table.row(["12".into(), "paused".into()]);
        assert_eq!(table.text(), "id  state\n 7  running\n12  paused\n");
    }
}
