//! Says in our own words why a YAML or JSON document cannot be read, and what to do.

use serde_saphyr::Error;
use serde_saphyr::budget::BudgetBreach;

use crate::event::nearest;

/// What is wrong, and what to do about it.
pub(super) type Words = (String, String);

/// What is wrong with a document of any shape.
pub(super) fn of_tree(error: &Error, deepest: usize) -> Words {
    let (problem, help) = match error {
        Error::AliasError { error, .. } => return of_tree(error, deepest),
        // The reader counts brackets before the budget does.
        Error::ExternalMessage { .. } if error.to_string().contains("recursion limit") => {
            return too_deep(deepest);
        }
        Error::MultipleDocuments { .. } => {
            ("a second document begins here", "one file holds one document; split it")
        }
        Error::ExternalMessage { .. }
        | Error::Eof { .. }
        | Error::ContainerEndMismatch { .. }
        | Error::UnexpectedSequenceEnd { .. }
        | Error::UnexpectedMappingEnd { .. }
        | Error::Unexpected { .. }
        | Error::IndentationError { .. } => (
            "this cannot be read as YAML or JSON",
            "look at indentation, quotes and brackets here and above",
        ),
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => return too_deep(deepest),
        other => return of_type(other),
    };
    (problem.to_owned(), help.to_owned())
}

/// What is wrong with a document that has to be of a type.
pub(super) fn of_type(error: &Error) -> Words {
    match error {
        Error::AliasError { error, .. } => of_type(error),
        Error::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown key `{field}`"), help_with(field, expected))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("unknown value `{variant}`"), help_with(variant, expected))
        }
        Error::SerdeMissingField { field, .. } => {
            (format!("the key `{field}` is missing"), String::new())
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            (format!("the key `{key}` stands here twice"), "keep one of them".to_owned())
        }
        Error::InvalidScalar { ty, .. } => number(ty),
        other => fixed(other).unwrap_or_else(|| {
            let problem = sentence(other);
            let help = example(&problem).to_owned();
            (problem, help)
        }),
    }
}

/// What is said in the same words whatever the document.
fn fixed(error: &Error) -> Option<Words> {
    let (problem, help) = match error {
        Error::UnknownAnchor { .. } => {
            ("there is no anchor of this name", "define it above as `&name`")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            ("an alias stands inside of what it stands for", "write out what is meant")
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::Budget { .. } => (
            "there is more here than is read, with what aliases unfold to",
            "write less, or in several files",
        ),
        Error::NullIntoString { .. } => (
            "`null` where a text belongs",
            "`null` without quotes is no text; if it is meant as one, write it in quotes",
        ),
        Error::Unexpected { expected, .. } if expected.contains("sequence") => {
            ("a list belongs here", "write `[…]`, or one item to a line behind `- `")
        }
        Error::Unexpected { expected, .. } if expected.contains("mapping") => {
            ("keys with values belong here", "write `{ key: value }`")
        }
        Error::Unexpected { expected, .. } if expected.contains("scalar") => {
            ("a text or a number belongs here", "it is a list or a mapping; write one value")
        }
        _ => return None,
    };
    Some((problem.to_owned(), help.to_owned()))
}

/// What a number of a type of Rust may be.
fn number(ty: &str) -> Words {
    let problem = match ty {
        "u8" => format!("a whole number from 0 to {} belongs here", u8::MAX),
        "u16" => format!("a whole number from 0 to {} belongs here", u16::MAX),
        "u32" => format!("a whole number from 0 to {} belongs here", u32::MAX),
        _ if ty.starts_with('u') => "a whole number, 0 or more, belongs here".to_owned(),
        _ if ty.starts_with('i') => "a whole number belongs here".to_owned(),
        "floating point" => "a number belongs here".to_owned(),
        "boolean" => "`true` or `false` belongs here".to_owned(),
        other => format!("this is no {other}"),
    };
    (problem, String::new())
}

fn too_deep(deepest: usize) -> Words {
    let problem = format!("this is nested in more than {deepest} levels");
    (problem, "bring deep parts to the top, and refer to them".to_owned())
}

fn sentence(error: &Error) -> String {
    let problem = error.to_string();
    // The crate appends the place to its sentence.
    problem.rsplit_once(" at line ").map_or(&*problem, |(problem, _)| problem).to_owned()
}

/// What fits, where the words of a library only say what does not.
fn example(problem: &str) -> &'static str {
    if problem.starts_with("invalid socket address") {
        "write an IP address and a port, such as 127.0.0.1:8080"
    } else if problem.starts_with("relative URL without a base") {
        "write an address with its scheme, such as https://events.example.com"
    } else {
        ""
    }
}

fn help_with(given: &str, known: &[&str]) -> String {
    match nearest(given, known.iter().copied()) {
        Some(best) => format!("did you mean `{best}`?"),
        None if known.is_empty() => String::new(),
        None => format!("known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::event::yaml;

    #[test]
    fn what_a_tree_cannot_hold_is_told_in_our_words() {
        let deep = |open: &str, close: &str| format!("a: {}{}", open.repeat(70), close.repeat(70));
        let bomb = |level: u32| {
            format!("a{level}: &a{level} [{}]\n", format!("*a{}, ", level - 1).repeat(10))
        };
        let bomb: String = (1..12).map(bomb).collect();
        for (text, words) in [
            (deep("[", "]"), "nested in more than 64 levels"),
            (deep("{a: ", "}"), "nested in more than 64 levels"),
            (format!("a0: &a0 [x]\n{bomb}"), "more here than is read"),
            ("a: &a {b: *a}".to_owned(), "an alias stands inside"),
            ("a: *b".to_owned(), "there is no anchor"),
        ] {
            // Without optimisation the library takes much stack for a level.
            let stack = std::thread::Builder::new().stack_size(8 * 1024 * 1024);
            let read = stack.spawn(move || yaml::read_tree("a.yaml", &text).unwrap_err());
            let mistake = read.unwrap().join().unwrap();
            assert!(mistake.problem.contains(words), "{mistake}");
            assert!(!mistake.help.is_empty());
        }
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Typed {
        list: Vec<String>,
        text: String,
        small: Option<u8>,
        large: Option<u64>,
    }

    #[test]
    fn what_a_type_cannot_hold_is_told_in_our_words() {
        for (text, words) in [
            ("list: x\ntext: y\n", "a list belongs here"),
            ("list: [x]\ntext: [y]\n", "a text or a number belongs here"),
            ("list: [x]\ntext: null\n", "`null` where a text belongs"),
            ("list: [x]\ntext: x\nsmall: 800\n", "a whole number from 0 to 255 belongs here"),
            ("list: [x]\ntext: x\nlarge: -1\n", "a whole number, 0 or more, belongs here"),
        ] {
            let mistake = yaml::read::<Typed>("a.yaml", text).unwrap_err();
            assert_eq!(mistake.problem, words, "{mistake}");
        }
    }
}
