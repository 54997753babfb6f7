//! JSON, YAML and lines: what everything else is written in.

use serde_json::Value;

use sealway::config::Config;
use sealway::event::json::{self, Limits};
use sealway::event::{read_pieces, read_whole, yaml};
use sealway::identify::canonical;
use sealway::source::{LineError, Lines};

use super::tells_no_secret;

const LIMITS: Limits = Limits { bytes: 64 * 1024, depth: 64, values: 10_000 };
/// Written again, a text may be longer: each control character then takes six bytes.
const AGAIN: Limits = Limits { bytes: 7 * LIMITS.bytes, ..LIMITS };

/// What is read strictly is read alike leniently, is written and read again as itself, and has one
/// canonical form.
pub fn json(input: &[u8]) {
    let strict = json::read(input, LIMITS);
    let lenient = json::read_event(input, LIMITS);
    match (&strict, &lenient) {
        (Ok(strict), Ok(lenient)) => {
            assert_eq!(strict, lenient);
            let again = serde_json::to_string(strict).unwrap();
            assert_eq!(&json::read(again.as_bytes(), AGAIN).unwrap(), strict);
            is_canonical(strict);
        }
        (Ok(_), Err(error)) => panic!("only strictly read: {error}"),
        (Err(_), _) => {}
    }
    for error in [strict.err(), lenient.err()].into_iter().flatten() {
        tells_no_secret(&error);
    }
}

fn is_canonical(tree: &Value) {
    match canonical(tree) {
        Ok(text) => {
            let again = json::read(text.as_bytes(), AGAIN).unwrap();
            assert_eq!(canonical(&again).unwrap(), text);
        }
        Err(error) => tells_no_secret(&error),
    }
}

/// Lines are the lines of the input, those that are too long are named, and the number is right.
pub fn lines(input: &[u8]) {
    const LONGEST: usize = 40;
    let pieces: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    for line in Lines::new(input, LONGEST) {
        match line {
            Ok(line) => {
                let piece = pieces[line.number - 1];
                assert!(line.text.len() <= LONGEST && !line.text.trim().is_empty());
                assert!(String::from_utf8_lossy(piece).contains(&line.text));
            }
            Err(LineError::TooLong { number, .. }) => {
                assert!(pieces[number - 1].len() > LONGEST);
            }
            Err(LineError::NotUtf8 { number }) => {
                assert!(std::str::from_utf8(pieces[number - 1]).is_err());
            }
            Err(LineError::Input { .. }) => panic!("memory can be read"),
        }
    }
}

/// A tree that is read is read as a value too, and every mistake has a place in the text.
pub fn yaml(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // A carriage return alone ends a line of YAML, too.
    let last = 1 + text.matches(['\r', '\n']).count();
    match yaml::read_tree("file.yaml", text) {
        Ok(_) => {}
        Err(mistake) => {
            assert!(mistake.place.is_none_or(|(line, _)| line <= last), "{mistake}");
            let pieces = read_pieces::<Value>("file.yaml", text, *mistake);
            assert!(!pieces.mistakes.is_empty());
        }
    }
    if let Err(mistakes) = read_whole::<Value>("file.yaml", text) {
        assert!(!mistakes.is_empty());
    }
}

/// Settings that are read are written and read again as the same.
pub fn settings(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match read_whole::<Config>("gateway.yaml", text) {
        Ok(config) => {
            let again = serde_json::to_string(&config).unwrap();
            assert!(read_whole::<Config>("gateway.json", &again).is_ok_and(|read| read == config));
        }
        Err(mistakes) => assert!(!mistakes.is_empty()),
    }
}
