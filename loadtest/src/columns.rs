//! Columns of a terminal, as wide as what stands in them.

use std::fmt::Write;

/// Rows with their cells in columns: the first to the left, the others to the right. A row may be shorter than others.
pub(crate) fn columns<R: AsRef<[String]>>(rows: &[R]) -> String {
    let widths = widths(rows);
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.as_ref().iter().zip(&widths).enumerate() {
            // Writing to a string can't fail.
            let _ = match column {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The same as a table in Markdown; the first row is its head.
pub(crate) fn markdown<R: AsRef<[String]>>(rows: &[R]) -> String {
    let widths = widths(rows);
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.as_ref().iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, "| {cell:<width$} |"),
                _ => write!(text, " {cell:>width$} |"),
            };
        }
        text.push('\n');
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let line = "-".repeat(*width);
                let _ = if column == 0 { write!(text, "|-{line}-|") } else { write!(text, "-{line}:|") };
            }
            text.push('\n');
        }
    }
    text
}

fn widths<R: AsRef<[String]>>(rows: &[R]) -> Vec<usize> {
    let columns = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.as_ref().get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    (0..columns).map(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        [&["", "p50"][..], &["GET /", "1.5 µs"], &["all"]]
            .map(|row| row.iter().map(|cell| (*cell).into()).collect())
            .into()
    }

    #[test]
    fn the_first_column_stands_left_and_the_others_right() {
        assert_eq!(columns(&rows()), "          p50\nGET /  1.5 µs\nall\n");
    }

    #[test]
    fn a_table_in_markdown_has_a_line_below_its_head() {
        assert_eq!(markdown(&rows()[..2]), "|       |    p50 |\n|-------|-------:|\n| GET / | 1.5 µs |\n");
    }
}
