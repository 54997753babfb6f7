//! An error with all its causes in one line.

use std::error::Error;
use std::fmt;

/// Shows an error and its causes, outermost first: `cannot read keys: permission denied`.
pub fn chain(error: &(dyn Error + 'static)) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        write!(f, "{error}")?;
        let mut cause = error.source();
        while let Some(inner) = cause {
            write!(f, ": {inner}")?;
            cause = inner.source();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] fmt::Error);

    #[test]
    fn every_cause_is_shown_once() {
        let error = Outer(fmt::Error);

        assert_eq!(chain(&error).to_string(), format!("outer: {}", fmt::Error));
    }
}
