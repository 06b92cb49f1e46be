//! The paths of one host's routes, and which of them a path meets first.
//!
//! A handful is tried one by one, which beats any index; more are looked up: an exact path by its hash, a prefix by
//! the hashes of the path and of each of its parents. Regular expressions are tried in their order either way.

use std::collections::HashMap;

use serin_config::matching::{PathMatch, Pattern};

/// Up to so many are tried one by one.
const FEW: usize = 8;
/// More segments than any prefix of the file has are not looked up.
const NEVER: usize = usize::MAX;

/// Routes of one host by their paths; positions rise with the order in which routes are tried.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    first: usize,
    exact: Level,
    regexes: Vec<(Pattern, usize)>,
    prefixes: Level,
    /// The most segments of a prefix.
    deepest: usize,
}

/// Paths of one kind.
#[derive(Debug, Clone)]
enum Level {
    /// In rising order.
    Few(Vec<(Box<str>, usize)>),
    /// By path, each in rising order.
    Many(HashMap<Box<str>, Vec<usize>>),
}

impl Default for Level {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Paths {
    pub(super) fn new<'a>(routes: impl Iterator<Item = (usize, &'a PathMatch)>) -> Self {
        let (mut exact, mut prefixes, mut regexes) = (Vec::new(), Vec::new(), Vec::new());
        let mut first = NEVER;
        for (at, path) in routes {
            first = first.min(at);
            match path {
                PathMatch::Exact(path) => exact.push((path.as_str().into(), at)),
                PathMatch::Prefix(prefix) => prefixes.push((prefix.trim_end_matches('/').into(), at)),
                // A clone has working memory of its own, so that workers do not wait for each other's.
                PathMatch::Regex(pattern) => regexes.push((pattern.clone(), at)),
            }
        }
        let depth = |(prefix, _): &(Box<str>, usize)| prefix.matches('/').count();
        let deepest = prefixes.iter().map(depth).max().unwrap_or(0);
        Self { first, exact: Level::new(exact), regexes, prefixes: Level::new(prefixes), deepest }
    }

    /// The lowest position below `before` whose path takes `path`, and that `takes` accepts.
    pub(super) fn first_before(
        &self,
        before: usize,
        path: &str,
        takes: &impl Fn(usize) -> bool,
    ) -> Option<usize> {
        if self.first >= before {
            return None;
        }
        let exact = self.exact.first_before(before, path, takes);
        let before = exact.unwrap_or(before);
        let matches = |(pattern, at): &&(Pattern, usize)| pattern.matches(path.as_bytes()) && takes(*at);
        let regex = self.regexes.iter().take_while(|(_, at)| *at < before).find(matches).map(|(_, at)| *at);
        let before = regex.unwrap_or(before);
        let prefix = self.prefixes.first_with_prefix(before, path, self.deepest, takes);
        prefix.or(regex).or(exact)
    }
}

impl Level {
    fn new(paths: Vec<(Box<str>, usize)>) -> Self {
        if paths.len() <= FEW {
            return Self::Few(paths);
        }
        let mut many = HashMap::<Box<str>, Vec<usize>>::new();
        for (path, at) in paths {
            many.entry(path).or_default().push(at);
        }
        Self::Many(many)
    }

    fn first_before(&self, before: usize, path: &str, takes: &impl Fn(usize) -> bool) -> Option<usize> {
        match self {
            Self::Few(paths) => {
                let mut before = paths.iter().take_while(|(_, at)| *at < before);
                before.find(|(own, at)| **own == *path && takes(*at)).map(|(_, at)| *at)
            }
            Self::Many(paths) => first(paths.get(path)?, before, takes),
        }
    }

    fn first_with_prefix(
        &self,
        mut before: usize,
        path: &str,
        deepest: usize,
        takes: &impl Fn(usize) -> bool,
    ) -> Option<usize> {
        match self {
            Self::Few(prefixes) => {
                let mut before = prefixes.iter().take_while(|(_, at)| *at < before);
                before.find(|(prefix, at)| whole_segments(prefix, path) && takes(*at)).map(|(_, at)| *at)
            }
            Self::Many(prefixes) => {
                // Each end of a segment ends a prefix; a slash at the end of the path makes no segment.
                let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
                let mut found = None;
                for end in ends.take(deepest + 1) {
                    let at = prefixes.get(&path[..end]).and_then(|at| first(at, before, takes));
                    if let Some(at) = at {
                        (before, found) = (at, Some(at));
                    }
                }
                found
            }
        }
    }
}

fn first(positions: &[usize], before: usize, takes: &impl Fn(usize) -> bool) -> Option<usize> {
    positions.iter().copied().take_while(|at| *at < before).find(|at| takes(*at))
}

fn whole_segments(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
