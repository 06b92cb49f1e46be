//! Names in a list: those that the file gives are unique, the others are found.

use std::collections::HashMap;

use crate::{
    problem::{Position, Problems, Reported},
    raw::decode::{Field, Spanned},
};

/// The names of one list's elements. Given names are claimed before any default is found, so a default
/// never takes a name away from an element further down.
pub(super) struct Naming {
    kind: &'static str,
    taken: HashMap<String, usize>,
    repeated: HashMap<Position, Reported>,
}

impl Naming {
    /// Claims the given names; one that stands twice is reported where it stands again.
    pub(super) fn new<'a, N: ToString + 'a>(
        given: impl Iterator<Item = &'a Spanned<N>>,
        kind: &'static str,
        problems: &mut Problems,
    ) -> Self {
        let (mut taken, mut repeated) = (HashMap::new(), HashMap::new());
        for Spanned { place, value } in given {
            let name = value.to_string();
            if let Some(line) = taken.get(&name) {
                let wrong = format!("the {kind} of line {line} is named \"{name}\" already");
                let reported = problems.add(place, wrong, format!("give each {kind} a name of its own"));
                repeated.insert(place.at, reported);
            } else {
                taken.insert(name, place.at.line);
            }
        }
        Self { kind, taken, repeated }
    }

    /// The name of the element at `number`, from 1: its own; or `preferred` if that is free; or
    /// `<kind>-<number>`, counted up until it is free.
    pub(super) fn name<N: ToString>(
        &mut self,
        own: &Field<N>,
        preferred: Option<&str>,
        number: usize,
    ) -> Result<String, Reported> {
        match own {
            Field::Given(own) => {
                let repeated = self.repeated.get(&own.place.at);
                return repeated.map_or_else(|| Ok(own.value.to_string()), |reported| Err(*reported));
            }
            Field::Wrong(reported) => return Err(*reported),
            Field::Absent => {}
        }
        let numbered = (number..).map(|n| format!("{}-{n}", self.kind));
        let mut names = preferred.map(str::to_owned).into_iter().chain(numbered);
        let free = names.find(|name| !self.taken.contains_key(name)).unwrap_or_default();
        self.taken.insert(free.clone(), 0);
        Ok(free)
    }
}
