//! Whether the answer to a copy is like the one to its request.

/// A copy is slower if it takes more than so many times as long…
const SLOWER_TIMES: u64 = 2;
/// … and longer by so many microseconds: below that the network and the scheduler decide.
const SLOWER_BY_US: u64 = 10_000;

/// What is remembered of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its status.
    pub status: u16,
    /// The length of its body in bytes.
    pub length: u64,
    /// From the request to the answer's head, in microseconds.
    pub headers_us: u64,
}

/// In what two answers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Differences {
    /// In their status.
    pub status: bool,
    /// In the length of their bodies.
    pub length: bool,
    /// The copy's came clearly later.
    pub slower: bool,
}

/// Compares the answer to a copy with the answer to its request.
pub fn differences(real: Seen, copy: Seen) -> Differences {
    let slower = copy.headers_us > real.headers_us.saturating_mul(SLOWER_TIMES)
        && copy.headers_us > real.headers_us.saturating_add(SLOWER_BY_US);
    Differences { status: copy.status != real.status, length: copy.length != real.length, slower }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_is_told_apart() {
        let real = Seen { status: 200, length: 7, headers_us: 8_000 };
        assert_eq!(differences(real, real), Differences::default());
        assert!(differences(real, Seen { status: 201, ..real }).status);
        assert!(differences(real, Seen { length: 8, ..real }).length);
        for (headers_us, slower) in [(15_000, false), (17_000, false), (19_000, true), (1, false)] {
            assert_eq!(differences(real, Seen { headers_us, ..real }).slower, slower, "{headers_us}");
        }
        let slow = Seen { headers_us: 1_000_000, ..real };
        assert!(!differences(slow, Seen { headers_us: 1_900_000, ..real }).slower);
    }
}
