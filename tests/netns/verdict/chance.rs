//! Numbers by chance, the same for the same seed.

/// A generator (`SplitMix64`), good enough to mix cases and small enough to be read.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("64 bits");
        usize::try_from(self.number() % bound).expect("it is below a usize")
    }

    /// Sixteen bits.
    pub fn word(&mut self) -> u16 {
        let [high, low, ..] = self.number().to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// Eight bits.
    pub fn byte(&mut self) -> u8 {
        self.number().to_be_bytes()[0]
    }

    /// Thirty-two bits.
    pub fn long(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.number().to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
