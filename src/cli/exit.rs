//! Exit codes, all of them: part of the interface.

/// It worked.
pub const OK: u8 = 0;
/// It did not work: a run or a test failed, an address is in use, the store cannot be opened.
pub const FAILED: u8 = 1;
/// The arguments are wrong, or name something that is not there.
pub const USAGE: u8 = 2;
/// The project has errors; the report says which.
pub const FINDINGS: u8 = 3;
/// Another process holds the data folder, such as a `serve`.
pub const IN_USE: u8 = 4;

/// The codes as `dovetail help` tells them.
pub const HELP: &str = "\
Exit codes:
  0  it worked
  1  it did not work: a run or a test failed, an address is taken, the store is damaged
  2  the arguments are wrong, or name something that is not there
  3  the project has errors; the report says which
  4  the data folder is in use by another process, such as `dovetail serve`

Data goes to stdout, talk to stderr. Secrets come from DOVETAIL_SECRET_<NAME>
or from the file given with --secrets.";

/// Why a command ends, when it is neither a finding nor a failure.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Findings(String),
    #[error("{0}")]
    InUse(String),
}

impl Refusal {
    fn code(&self) -> u8 {
        match self {
            Refusal::Usage(_) => USAGE,
            Refusal::Findings(_) => FINDINGS,
            Refusal::InUse(_) => IN_USE,
        }
    }
}

/// An error that says that the arguments are wrong.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Refusal::Usage(message.into()).into()
}

/// Has another process the data folder?
pub fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Refusal::InUse(_)))
}

/// The code of an error that ended a command.
pub fn code_of(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Refusal>().map_or(FAILED, Refusal::code)
}
