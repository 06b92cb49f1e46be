//! What is wrong with a file: where, what, and what would be right instead.
//!
//! A check that stops at the first mistake makes its user run it ten times, so everything here collects.
//! [`Problems::add`] hands out a [`Reported`], the only way to get one: a conversion that returns
//! `Err(Reported)` has therefore said why, and "refused without a reason" does not compile.

use std::{fmt, path::Path as FilePath, rc::Rc, sync::Arc};

use crate::limits::PROBLEMS_MAX;

/// The most characters of a user's text that are repeated in one message.
const SHOWN_MAX: usize = 60;

/// A place in a file: line and column, both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl Position {
    /// The first character of the file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// The way from the top of the document to a node: `services.shop.split` or `routes[0].host`.
#[derive(Debug, Clone, Default)]
pub struct Path(Option<Rc<(Path, Segment)>>);

#[derive(Debug)]
enum Segment {
    Key(String),
    Index(usize),
}

impl Path {
    /// The top of the document.
    pub const TOP: Self = Self(None);

    /// The value of `key` in the map that stands here.
    pub fn key(&self, key: &str) -> Self {
        Self(Some(Rc::new((self.clone(), Segment::Key(shown(key))))))
    }

    /// The element of the list that stands here, from 0.
    pub fn index(&self, index: usize) -> Self {
        Self(Some(Rc::new((self.clone(), Segment::Index(index)))))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(link) = &self.0 else { return Ok(()) };
        let (parent, segment) = &**link;
        parent.fmt(f)?;
        match segment {
            Segment::Key(key) => write!(f, "{}{key}", if parent.0.is_some() { "." } else { "" }),
            Segment::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A node's position and its path.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where its text begins.
    pub at: Position,
    /// The way to it.
    pub path: Path,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The path in the document, such as `services.shop.split.v2`; empty at its top.
    pub path: String,
    /// What was wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl fmt::Display for Problem {
    /// `serin.yaml:12:9: services.shop.split: the weights sum to 95%, not to 100% — …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} — {}", self.wrong, self.right)
    }
}

/// Proof that a problem was reported; only [`Problems::add`] makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported(());

/// All mistakes of one file, sorted by position; the first [`PROBLEMS_MAX`] are kept, the rest counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    file: Arc<str>,
    kept: Vec<Problem>,
    left_out: usize,
}

impl Problems {
    /// None yet, for the file of that name.
    pub fn new(file: &str) -> Self {
        Self { file: file.into(), kept: Vec::new(), left_out: 0 }
    }

    /// Reports one mistake: what was wrong at `place`, and what would be right.
    pub fn add(&mut self, place: &Place, wrong: impl Into<String>, right: impl Into<String>) -> Reported {
        let Position { line, column } = place.at;
        let rank = self.kept.partition_point(|kept| (kept.line, kept.column) <= (line, column));
        if rank >= PROBLEMS_MAX {
            self.left_out += 1;
            return Reported(());
        }
        if self.kept.len() == PROBLEMS_MAX {
            self.kept.pop();
            self.left_out += 1;
        }
        let (file, path) = (self.file.clone(), place.path.to_string());
        self.kept
            .insert(rank, Problem { file, line, column, path, wrong: wrong.into(), right: right.into() });
        Reported(())
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The mistakes that were kept, by position.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.kept.iter()
    }

    /// How many more there are.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The kept mistakes as lines, and one line for those left out.
    pub fn lines(&self) -> Vec<String> {
        let more = (self.left_out > 0)
            .then(|| format!("{}: {} more problems are not shown", self.file, self.left_out));
        self.kept.iter().map(Problem::to_string).chain(more).collect()
    }
}

impl fmt::Display for Problems {
    /// One line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for Problems {}

/// A user's text as it may stand in a message: short, and without characters that move the cursor.
pub(crate) fn shown(text: &str) -> String {
    shown_up_to(SHOWN_MAX, text)
}

/// The same with at most `most` characters.
pub(crate) fn shown_up_to(most: usize, text: &str) -> String {
    let mut short: String = text.chars().take(most).flat_map(printable).collect();
    if text.chars().nth(most).is_some() {
        short.push('…');
    }
    short
}

/// Whether a character has no shape of its own, but steers a terminal, or what is read where: control characters, marks of
/// direction, separators of lines, spaces without width. No text of other people may have one in a log or on a terminal.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn printable(c: char) -> impl Iterator<Item = char> {
    let escaped = steers(c);
    let (plain, escape) = if escaped { (None, Some(c.escape_default())) } else { (Some(c), None) };
    plain.into_iter().chain(escape.into_iter().flatten())
}

/// A path of the file system as it may stand in a message.
pub(crate) fn shown_path(path: &FilePath) -> String {
    shown_up_to(4 * SHOWN_MAX, &path.display().to_string())
}

/// The candidate that `text` was probably meant to be, if one is near enough.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR: f64 = 0.5;
    if text.len() > 2 * crate::limits::NAME_LENGTH_MAX {
        return None; // the distance takes time in proportion to both lengths
    }
    let text = text.to_ascii_lowercase();
    let rated = candidates.into_iter().map(|candidate| {
        (strsim::normalized_damerau_levenshtein(&text, &candidate.to_ascii_lowercase()), candidate)
    });
    rated.filter(|(rate, _)| *rate >= NEAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

/// What to write instead of a name that is not there. It is worked out only if the problem is kept.
pub(crate) struct Suggestion<'t, I> {
    /// What was written.
    pub(crate) text: &'t str,
    /// What the candidates are: `fields`.
    pub(crate) kind: &'static str,
    /// What could have been meant.
    pub(crate) candidates: I,
}

impl<'a, I: IntoIterator<Item = &'a str> + Clone> From<Suggestion<'_, I>> for String {
    /// `did you mean "x"?`, or else what there is to choose from.
    fn from(Suggestion { text, kind, candidates }: Suggestion<'_, I>) -> Self {
        const LISTED_MAX: usize = 16;
        if let Some(near) = nearest(text, candidates.clone()) {
            return format!("did you mean \"{}\"?", shown(near));
        }
        let mut all = candidates.into_iter().map(shown);
        let listed: Vec<_> = all.by_ref().take(LISTED_MAX).collect();
        let more = if all.next().is_some() { ", …" } else { "" };
        if listed.is_empty() {
            format!("there are no {kind} to choose from")
        } else {
            format!("the {kind} are {}{more}", listed.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, column: usize) -> Place {
        Place { at: Position { line, column }, path: Path::TOP.key("routes").index(1).key("host") }
    }

    #[test]
    fn a_problem_names_file_line_column_path_fault_and_remedy() {
        let mut problems = Problems::new("serin.yaml");
        problems.add(&place(12, 9), "it is wrong", "do it right");
        assert_eq!(problems.to_string(), "serin.yaml:12:9: routes[1].host: it is wrong — do it right");
    }

    #[test]
    fn problems_are_sorted_by_position_and_the_first_hundred_are_kept() {
        let mut problems = Problems::new("f");
        for line in (1..=PROBLEMS_MAX + 7).rev() {
            problems.add(&place(line, 1), "w", "r");
        }
        let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, (1..=PROBLEMS_MAX).collect::<Vec<_>>());
        assert_eq!(problems.left_out(), 7);
        assert_eq!(problems.lines().last().unwrap(), "f: 7 more problems are not shown");
    }

    #[test]
    fn a_message_can_not_move_the_cursor() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(shown(&"é".repeat(61)), format!("{}…", "é".repeat(60)));
    }

    #[test]
    fn the_nearest_name_is_suggested_and_otherwise_all_are_listed() {
        let suggest = |text, candidates: &[&'static str]| {
            let candidates = candidates.iter().copied();
            String::from(Suggestion { text, kind: "fields", candidates })
        };
        assert_eq!(suggest("lisners", &["routes", "listeners"]), "did you mean \"listeners\"?");
        assert_eq!(suggest("xyz", &["routes", "admin"]), "the fields are routes, admin");
        assert_eq!(suggest("xyz", &[]), "there are no fields to choose from");
    }
}
