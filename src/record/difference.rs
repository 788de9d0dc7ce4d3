//! Why the kernel did otherwise than was predicted.

use serde::{Serialize, Serializer};

/// What explains a packet with which the kernel did otherwise than was predicted. All but the last are known to
/// connection tracking alone, and there the kernel's word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Connection tracking found the packet invalid.
    Invalid,
    /// The same of a TCP segment of a known connection: it lies outside the window, or fits the connection's state not.
    Window,
    /// The packet's checksum is wrong.
    Checksum,
    /// One side, the kernel or the prediction, remembered a connection that the other had forgotten, or not seen begin.
    TimeOut,
    /// Connection tracking's table was full: it gave connections up.
    TableFull,
    /// Connection tracking was told to leave the packet alone.
    Untracked,
    /// Rules of others stand in front of pfw's, and may have dropped it; or somebody had changed pfw's.
    Others,
    /// Nothing that is known: a defect.
    Unexplained,
}

impl Cause {
    /// All causes, in the order of their discriminants.
    pub const ALL: [Self; 8] = [
        Self::Invalid,
        Self::Window,
        Self::Checksum,
        Self::TimeOut,
        Self::TableFull,
        Self::Untracked,
        Self::Others,
        Self::Unexplained,
    ];

    /// The name that lines and summaries carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Window => "window",
            Self::Checksum => "checksum",
            Self::TimeOut => "time-out",
            Self::TableFull => "table-full",
            Self::Untracked => "untracked",
            Self::Others => "others",
            Self::Unexplained => "unexplained",
        }
    }
}

/// Packets with which the kernel did otherwise than was predicted, counted by cause. Serialized it is an object with a
/// member for each cause, in the spelling of the summary's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences([u64; Cause::ALL.len()]);

impl Differences {
    /// Counts one.
    pub fn add(&mut self, cause: Cause) {
        if let Some(n) = self.0.get_mut(cause as usize) {
            *n += 1;
        }
    }

    /// How many there were, of whatever cause.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The causes that there were, with how many packets.
    pub fn iter(&self) -> impl Iterator<Item = (Cause, u64)> {
        Cause::ALL.into_iter().zip(self.0).filter(|&(_, n)| n > 0)
    }
}

impl Serialize for Differences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Cause::ALL.iter().map(|cause| cause.name().replace('-', "_")).zip(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_counted_by_its_name() {
        let mut differences = Differences::default();
        for (n, cause) in (1..).zip(Cause::ALL) {
            (0..n).for_each(|_| differences.add(cause));
        }
        assert_eq!(differences.iter().collect::<Vec<_>>(), Cause::ALL.into_iter().zip(1..).collect::<Vec<_>>());
        assert_eq!(
            serde_json::to_string(&differences).unwrap(),
            r#"{"invalid":1,"window":2,"checksum":3,"time_out":4,"table_full":5,"untracked":6,"others":7,"unexplained":8}"#
        );
        assert_eq!((differences.total(), Differences::default().iter().count()), (36, 0));
    }
}
