//! What was read from files, and is read again when they change.
//!
//! Files that belong together are seldom replaced together: a certificate is there before its key, or half of
//! it. So a new state of the files is taken only when two looks in a row, some time apart, found the same; and
//! if it is no good, the last good one stays and the reason is said once.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    sync::Arc,
};

use super::pem;

/// The bytes of each file, or why it can't be read.
pub(super) type Contents = Vec<Result<Vec<u8>, String>>;

/// Why files can't be used: which of them, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct Unusable {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Something that is made of files.
#[derive(Debug)]
pub(super) struct Reading<T> {
    files: Vec<PathBuf>,
    make: fn(&[PathBuf], &Contents) -> Result<T, Unusable>,
    last_good: Option<Arc<T>>,
    /// The state of the files that was judged last, for better or worse.
    judged: u64,
    /// A newer state that was seen once.
    sighted: Option<u64>,
}

/// What a look at the files found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing new.
    Same,
    /// Something new, which must be seen once more.
    Unsettled,
    /// A new state was taken.
    Taken,
    /// A new state was refused.
    Refused(Unusable),
}

impl<T> Reading<T> {
    /// Reads for the first time. What can't be used now may be later.
    pub(super) fn begin(
        files: Vec<PathBuf>,
        make: fn(&[PathBuf], &Contents) -> Result<T, Unusable>,
    ) -> (Self, Result<Arc<T>, Unusable>) {
        let contents = contents(&files);
        let made = make(&files, &contents).map(Arc::new);
        let (last_good, judged) = (made.as_ref().ok().cloned(), fingerprint(&contents));
        (Self { files, make, last_good, judged, sighted: None }, made)
    }

    /// Looks at the files again.
    pub(super) fn look(&mut self) -> Look {
        let contents = contents(&self.files);
        let now = fingerprint(&contents);
        if now == self.judged {
            self.sighted = None;
            return Look::Same;
        }
        if self.sighted != Some(now) {
            self.sighted = Some(now);
            return Look::Unsettled;
        }
        (self.sighted, self.judged) = (None, now);
        match (self.make)(&self.files, &contents) {
            Ok(made) => {
                self.last_good = Some(Arc::new(made));
                Look::Taken
            }
            Err(unusable) => Look::Refused(unusable),
        }
    }

    /// The last good state, if there ever was one.
    pub(super) fn last_good(&self) -> Option<&Arc<T>> {
        self.last_good.as_ref()
    }

    /// What it is made of.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

fn contents(files: &[PathBuf]) -> Contents {
    files.iter().map(|file| pem::read(file)).collect()
}

fn fingerprint(contents: &Contents) -> u64 {
    let mut hasher = DefaultHasher::new();
    contents.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn make(files: &[PathBuf], contents: &Contents) -> Result<Vec<u8>, Unusable> {
        let wrong = |why: &str| Unusable { path: files[0].clone(), why: why.into() };
        let bytes = contents[0].as_ref().map_err(|why| wrong(why))?;
        if bytes.starts_with(b"good") { Ok(bytes.clone()) } else { Err(wrong("it is bad")) }
    }

    #[test]
    fn a_change_is_taken_when_it_was_seen_twice_and_a_bad_one_leaves_the_last_good() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.pem");
        let (mut reading, made) = Reading::begin(vec![path.clone()], make);
        assert_eq!(made.unwrap_err().why, "there is no such file");
        assert!(reading.last_good().is_none());
        assert_eq!(reading.look(), Look::Same);
        let good =
            |reading: &Reading<Vec<u8>>| String::from_utf8(reading.last_good().unwrap().to_vec()).unwrap();

        fs::write(&path, "good 1").unwrap();
        assert_eq!(reading.look(), Look::Unsettled);
        fs::write(&path, "good 2").unwrap();
        assert_eq!(reading.look(), Look::Unsettled, "it is another than was seen before");
        assert_eq!(reading.look(), Look::Taken);
        assert_eq!((reading.look(), good(&reading)), (Look::Same, "good 2".into()));

        fs::write(&path, "bad").unwrap();
        assert_eq!(reading.look(), Look::Unsettled);
        assert!(matches!(reading.look(), Look::Refused(unusable) if unusable.why == "it is bad"));
        assert_eq!((reading.look(), good(&reading)), (Look::Same, "good 2".into()), "said once");

        fs::remove_file(&path).unwrap();
        assert_eq!(reading.look(), Look::Unsettled);
        fs::write(&path, "bad").unwrap();
        assert_eq!(reading.look(), Look::Same, "the state that was judged is back");
        fs::write(&path, "good 3").unwrap();
        assert_eq!([reading.look(), reading.look()], [Look::Unsettled, Look::Taken]);
        assert_eq!(good(&reading), "good 3");
    }
}
