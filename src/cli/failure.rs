//! How a command ends.

use std::fmt;
use std::process::ExitCode;

use crate::event::{Blame, Fault};
use crate::telemetry::error_chain;

/// The exit code where the reader of standard output has gone: 128 and the number of `SIGPIPE`.
pub(super) const CLOSED_PIPE: u8 = 141;

/// How a command ended that did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or the answer is yes.
    Done,
    /// The answer is no.
    No,
    /// Nothing is wrong, but whether to believe it was not asked of anyone.
    Unproved,
    /// It was told twice to stop, and has not waited for what it was doing.
    AtOnce,
}

/// What a command returns.
pub type CommandResult = Result<Exit, Failure>;

/// Why a command did not do its work; its `Display` is what the person reads, each cause once.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    /// The command line, a file or the request is wrong (exit code 2).
    pub fn input(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 2, error: error.into() }
    }

    /// The gateway cannot be reached, or something of ours is broken (exit code 3).
    pub fn ours(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 3, error: error.into() }
    }

    /// Standard output does not take what was written. Where its reader has gone (`sealway … | head`),
    /// that is said by the exit code alone, which is as of a program that the signal has ended.
    pub fn unwritten(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self { code: CLOSED_PIPE, error: error.into() };
        }
        Self::ours(error).context("cannot write to standard output")
    }

    /// Whether nothing is to be said of it: nobody reads any more.
    pub const fn is_silent(&self) -> bool {
        self.code == CLOSED_PIPE
    }

    /// Asks the error itself whose turn it is.
    pub fn blame<E>(error: E) -> Self
    where
        E: Blame + std::error::Error + Send + Sync + 'static,
    {
        match error.fault() {
            Fault::Caller => Self::input(error),
            Fault::Later | Fault::Ours => Self::ours(error),
        }
    }

    /// Says what was being done, in front of the cause.
    pub fn context(self, doing: impl fmt::Display + Send + Sync + 'static) -> Self {
        Self { error: self.error.context(doing), ..self }
    }

    /// Gives what went wrong away, with its causes.
    pub fn into_error(self) -> anyhow::Error {
        self.error
    }

    /// Whether the command line, a file or the request is to be changed.
    pub const fn is_input(&self) -> bool {
        self.code == 2
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        error_chain(&*self.error).fmt(f)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::No => Self::from(1),
            Exit::Unproved => Self::from(4),
            // As of a program that the signal has ended.
            Exit::AtOnce => Self::from(130),
        }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.code)
    }
}
