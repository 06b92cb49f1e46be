//! Several small numbers from the one random number that a pick is given.

/// A row of numbers that its seed decides (SplitMix64).
#[derive(Debug)]
pub(super) struct Draws(u64);

impl From<u64> for Draws {
    fn from(seed: u64) -> Self {
        Self(seed)
    }
}

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `count`; zero if that is zero.
    pub(super) fn below(&mut self, count: usize) -> usize {
        // Scaled by multiplication, which has none of the bias of a remainder; 32 bits are enough for it.
        ((u64::from(high(self.next())) * count as u64) >> 32) as usize
    }

    /// True with the given chance, 0 to 1.
    pub(super) fn chance(&mut self, chance: f64) -> bool {
        f64::from(high(self.next())) < chance * f64::from(u32::MAX)
    }
}

/// The upper half.
pub(super) fn high(random: u64) -> u32 {
    (random >> 32) as u32
}

/// A number that looks random, for tests that count up.
#[cfg(test)]
pub(super) fn mixed(number: u64) -> u64 {
    Draws(number).next()
}
