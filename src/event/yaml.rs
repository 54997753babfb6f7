//! Reads YAML that people write, into a type or a tree, with every mistake at its place.

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, NonFiniteFloatPolicy, Options};

use crate::event::yaml_tree::place;
use crate::event::yaml_words;
use crate::event::{Diagnostic, Placed, YamlNode};

/// Bytes of one file. Real contracts stay below a tenth of it.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Levels of nesting; a level of data takes two levels of schema.
const MAX_DEPTH: usize = 64;

/// Reads one YAML document.
///
/// Duplicate keys are refused, `on` and `yes` are text, and an unknown key is answered with the
/// nearest one that exists.
///
/// # Errors
///
/// The caller's turn: the document is not YAML, or not of this type.
pub fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Box<Diagnostic>> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let (problem, help) = yaml_words::of_type(error.without_snippet());
        Box::new(misread(file, text, &error, problem).with_help(help))
    })
}

/// Reads one document of any shape in YAML, or in the JSON that is YAML too.
///
/// Numbers with leading zeros or underscores are text, as in YAML 1.2.
///
/// # Errors
///
/// The caller's turn: the document is not YAML, or has no form in JSON.
pub fn read_tree(file: &str, text: &str) -> Result<Placed<YamlNode>, Box<Diagnostic>> {
    must_fit(file, text)?;
    let mut options = options();
    options.leading_zero_numbers_as_strings = true;
    options.underscored_numbers_as_strings = true;
    if let Some(budget) = &mut options.budget {
        budget.max_depth = MAX_DEPTH;
        // Sooner than the depth, which counts what is built.
        budget.flow_nesting_limit = MAX_DEPTH;
    }
    serde_saphyr::from_str_with_options(text, options)
        .map(|tree: Placed<YamlNode>| tree.with_exact_numbers(text))
        .map_err(|error| {
            let (problem, help) = yaml_words::of_tree(error.without_snippet(), MAX_DEPTH);
            Box::new(misread(file, text, &error, problem).with_help(help))
        })
        .and_then(|tree| match tree.infinite() {
            None => Ok(tree),
            Some(at) => {
                let problem = "an infinite number, which JSON does not have";
                let help = "write the largest number that is meant, or leave the bound out";
                Err(Box::new(Diagnostic::at(file, text, at, problem).with_help(help)))
            }
        })
}

fn must_fit(file: &str, text: &str) -> Result<(), Box<Diagnostic>> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    let problem = format!("{} bytes are more than the {MAX_BYTES} that are read", text.len());
    Err(Box::new(Diagnostic::of_file(file, problem)))
}

/// The library's own budget bounds size, depth, nodes, aliases, and what aliases unfold to.
fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        // Numbers beyond binary64 are infinite to it; their digits are read from the text.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
    }
}

fn misread(file: &str, text: &str, error: &Error, problem: String) -> Diagnostic {
    match error.location() {
        Some(location) => Diagnostic::at(file, text, place(location), problem),
        None => Diagnostic::of_file(file, problem),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Sample {
        port: u16,
        #[serde(default)]
        names: Vec<String>,
        listen: Option<std::net::SocketAddr>,
        issuer: Option<url::Url>,
    }

    fn mistake(text: &str) -> String {
        read::<Sample>("a.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest_one_that_exists() {
        assert_eq!(
            mistake("port: 1\nnmaes: []\n"),
            "a.yaml:2:1: unknown key `nmaes`\n 2 | nmaes: []\n   | ^\n  help: did you mean `names`?"
        );
        assert!(
            mistake("port: 1\nzebra: 2\n")
                .ends_with("help: known here: port, names, listen, issuer")
        );
    }

    #[test]
    fn an_address_that_is_none_is_answered_with_one() {
        assert!(mistake("port: 1\nlisten: localhost\n").ends_with("such as 127.0.0.1:8080"));
        assert!(mistake("port: 1\nissuer: me\n").ends_with("such as https://events.example.com"));
    }

    #[test]
    fn every_kind_of_mistake_has_its_place() {
        for (text, place, problem) in [
            ("port: 9000x\n", "a.yaml:1:7: ", "9000x"),
            ("port: 1\nport: 2\n", "a.yaml:2:1: ", "the key `port` stands here twice"),
            ("names: []\n", "a.yaml:1:1: ", "the key `port` is missing"),
            ("port: [1\n", "a.yaml:", ""),
            ("port: 1\nnames: yes\n", "a.yaml:2:8: ", ""),
        ] {
            let shown = mistake(text);
            assert!(shown.starts_with(place) && shown.contains(problem), "{shown}");
            assert!(!shown.contains(" at line "), "{shown}");
        }
    }
}
