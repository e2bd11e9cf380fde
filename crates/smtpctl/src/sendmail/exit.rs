//! How sendmail ends: the codes of sysexits.h, which its callers know.

/// The codes.
pub(crate) mod code {
    /// The command line is wrong.
    pub(crate) const USAGE: u8 = 64;
    /// The message is wrong.
    pub(crate) const DATAERR: u8 = 65;
    /// A recipient is unknown.
    pub(crate) const NOUSER: u8 = 67;
    /// The server refuses.
    pub(crate) const UNAVAILABLE: u8 = 69;
    /// Standard input or output failed.
    pub(crate) const IOERR: u8 = 74;
    /// Not now: the caller should try again later.
    pub(crate) const TEMPFAIL: u8 = 75;
    /// The user may not do this.
    pub(crate) const NOPERM: u8 = 77;
    /// The configuration that was named cannot be used.
    pub(crate) const CONFIG: u8 = 78;
}

/// An end that is no success: the code, and a line for each thing that is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl Exit {
    pub(crate) fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}
