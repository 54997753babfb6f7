//! An error with all its causes in one line.

use std::error::Error;
use std::fmt;

/// Shows an error and its causes, outermost first: `cannot read keys: permission denied`.
///
/// Nothing is said twice: many an error has its cause in its own text and gives it as its source,
/// too. Of two texts of which one contains the other, only the longer is shown.
pub fn error_chain(error: &(dyn Error + 'static)) -> impl fmt::Display {
    fmt::from_fn(move |f| f.write_str(&texts(error).join(": ")))
}

/// What an error and its causes say, without what is said elsewhere among them.
fn texts(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        next = cause.source();
        let text = cause.to_string();
        if texts.iter().any(|said| said.contains(&text)) {
            continue;
        }
        match texts.last_mut() {
            Some(last) if text.contains(&**last) => *last = text,
            _ => texts.push(text),
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Said {
        text: &'static str,
        #[source]
        cause: Option<Box<Self>>,
    }

    /// The chain of an error that says these, outermost first.
    fn shown(texts: &[&'static str]) -> String {
        let nest =
            |cause: Option<Box<Said>>, text: &&'static str| Some(Box::new(Said { text, cause }));
        let error = texts.iter().rev().fold(None, nest).unwrap();
        error_chain(&*error).to_string()
    }

    #[test]
    fn every_cause_is_shown_outermost_first() {
        assert_eq!(shown(&["cannot start"]), "cannot start");
        assert_eq!(
            shown(&["cannot read", "no such file", "code 2"]),
            "cannot read: no such file: code 2"
        );
    }

    #[test]
    fn a_cause_that_stands_in_the_text_of_its_error_is_not_said_again() {
        assert_eq!(
            shown(&["not valid at /sink: no host", "/sink: no host"]),
            "not valid at /sink: no host"
        );
        assert_eq!(
            shown(&["cannot send: refused", "network", "refused"]),
            "cannot send: refused: network"
        );
        assert_eq!(
            shown(&["cannot read", "no file", "no file", "no file"]),
            "cannot read: no file"
        );
    }

    #[test]
    fn a_cause_that_says_more_than_its_error_takes_its_place() {
        let texts = ["x is damaged", "not a database", "Error code 26: not a database"];
        assert_eq!(shown(&texts), "x is damaged: Error code 26: not a database");
    }
}
