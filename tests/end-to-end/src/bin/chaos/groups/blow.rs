//! What can happen to a member of a group.

/// What happens to a member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// SIGKILL, and another one in its place when it is over.
    Kill,
    /// It leaves, and another one comes when it is over.
    Leave,
    /// SIGSTOP, and SIGCONT when it is over.
    Freeze,
    /// It does not poll for so long, and its client shows that it lives.
    Abandon,
    /// One more comes.
    Join,
    /// It leaves for good, unless it is the only one.
    Shrink,
}

impl Blow {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [Self::Kill, Self::Leave, Self::Freeze, Self::Abandon, Self::Join, Self::Shrink];

    /// Its name in the report.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Kill => "SIGKILL of a member",
            Self::Leave => "a member leaves, another comes",
            Self::Freeze => "SIGSTOP of a member",
            Self::Abandon => "a member does not poll",
            Self::Join => "a member more",
            Self::Shrink => "a member less",
        }
    }
}
