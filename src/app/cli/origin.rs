//! Where the value of a flag comes from, and which of two flags that exclude each other counts by that. Leaves finding it out
//! to `preset`, and what follows to whoever has the flags.

use std::cmp::Ordering;

/// Where a value comes from, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The program itself.
    Default,
    /// The file that `--config` names.
    File,
    /// A profile in that file.
    Profile,
    /// A variable of the environment.
    EnvVariable,
    /// The command line.
    CommandLine,
}

/// Which of two that exclude each other counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precedence {
    /// The first.
    First,
    /// The second.
    Second,
    /// Neither is stronger: somebody has to choose.
    Neither,
}

impl Origin {
    /// Which of two values counts, of which the first comes from here and the second from `other`.
    #[must_use]
    pub(crate) fn compare_precedence(self, other: Self) -> Precedence {
        match self.cmp(&other) {
            Ordering::Greater => Precedence::First,
            Ordering::Less => Precedence::Second,
            Ordering::Equal => Precedence::Neither,
        }
    }
}
