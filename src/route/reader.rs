//! Reads the JSON of a pattern into a tree in which everything knows its place.
//!
//! The event reader gives values without places; whoever writes a pattern wants to know where the
//! mistake is, and a repeated member must be seen, so patterns have a reader of their own.

use crate::route::PatternError;

/// A JSON value and the byte at which it begins.
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

/// What a JSON value is.
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// The number as it was spelled.
    Number(String),
    Text(String),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

/// A member of an object, in the order of the text.
pub(super) struct Member {
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) value: Node,
}

/// The most characters of a word that a message repeats.
const LONGEST_TOKEN: usize = 64;

/// Reads one JSON text whole (RFC 8259).
pub(super) fn read(text: &str, depth: usize) -> Result<Node, PatternError> {
    let mut reader = PatternReader { text, at: 0 };
    reader.skip_space();
    let node = reader.value(depth)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.mistake("Unexpected text after the pattern").with_help("remove it"));
    }
    Ok(node)
}

struct PatternReader<'t> {
    text: &'t str,
    at: usize,
}

impl PatternReader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn mistake(&self, message: impl Into<String>) -> PatternError {
        PatternError::at(self.text, self.at, message)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Node, PatternError> {
        let at = self.at;
        let kind = match self.peek() {
            Some(b'{') => Kind::Object(self.object(self.deeper(depth)?)?),
            Some(b'[') => Kind::Array(self.array(self.deeper(depth)?)?),
            Some(b'"') => Kind::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Kind::Number(self.number()?),
            Some(_) => self.word()?,
            None => return Err(self.mistake("The pattern ends before it is complete")),
        };
        Ok(Node { at, kind })
    }

    fn deeper(&self, depth: usize) -> Result<usize, PatternError> {
        depth.checked_sub(1).ok_or_else(|| {
            self.mistake("The pattern is nested too deeply")
                .with_help("use dotted names, or fewer levels")
        })
    }

    fn word(&mut self) -> Result<Kind, PatternError> {
        for (word, kind) in
            [("null", Kind::Null), ("true", Kind::Bool(true)), ("false", Kind::Bool(false))]
        {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(kind);
            }
        }
        Err(self.no_value())
    }

    /// What stands where a value should, in the words of EventBridge, whose reader is Jackson.
    fn no_value(&self) -> PatternError {
        const WANTED: &str =
            "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
        let is_part = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '$');
        let token: String = self.rest().chars().take_while(is_part).take(LONGEST_TOKEN).collect();
        if token.is_empty() {
            return self.unexpected(&format!("expected a valid value {WANTED}"));
        }
        self.mistake(format!("Unrecognized token '{token}': was expecting {WANTED}"))
    }

    fn unexpected(&self, wanted: &str) -> PatternError {
        match self.rest().chars().next() {
            Some(next) if !next.is_control() => {
                let code = u32::from(next);
                self.mistake(format!("Unexpected character ('{next}' (code {code})): {wanted}"))
            }
            Some(next) => {
                let code = u32::from(next);
                self.mistake(format!("Unexpected character (code {code}): {wanted}"))
            }
            None => self.mistake("The pattern ends before it is complete"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Vec<Member>, PatternError> {
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(members);
        }
        loop {
            self.skip_space();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("was expecting double-quote to start field name"));
            }
            let name = self.string()?;
            if members.iter().any(|member| member.name == name) {
                return Err(PatternError::at(self.text, at, format!("\"{name}\" is repeated"))
                    .with_help("join the two members into one"));
            }
            self.skip_space();
            if !self.take(b':') {
                return Err(self.mistake("Expected ':' after the member name"));
            }
            self.skip_space();
            members.push(Member { at, name, value: self.value(depth)? });
            self.skip_space();
            if self.take(b'}') {
                return Ok(members);
            }
            if !self.take(b',') {
                return Err(self.mistake("Expected ',' or '}'"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Node>, PatternError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(items);
        }
        loop {
            self.skip_space();
            items.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(items);
            }
            if !self.take(b',') {
                return Err(self.mistake("Expected ',' or ']'"));
            }
        }
    }

    fn digits(&mut self) -> Result<(), PatternError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.mistake("Expected a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<String, PatternError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default().to_owned())
    }

    fn string(&mut self) -> Result<String, PatternError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(next) = self.rest().chars().next() {
            match next {
                '"' => {
                    self.at += 1;
                    return Ok(text);
                }
                '\\' => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                '\0'..='\x1f' => {
                    return Err(self.mistake("Control characters in a string must be escaped"));
                }
                other => {
                    self.at += other.len_utf8();
                    text.push(other);
                }
            }
        }
        Err(PatternError::at(self.text, start, "The string has no closing quote"))
    }

    fn escape(&mut self) -> Result<char, PatternError> {
        let escaped = match self.peek() {
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.mistake("Unknown escape in a string")),
        };
        self.at += 1;
        Ok(escaped)
    }

    fn unicode_escape(&mut self) -> Result<char, PatternError> {
        let unit = self.four_hex_digits()?;
        let code = match unit {
            0xd800..=0xdbff if self.rest().starts_with("\\u") => {
                self.at += 2;
                let low = self.four_hex_digits()?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return Err(self.mistake("Half of a surrogate pair is missing"));
                }
                0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            }
            _ => unit,
        };
        char::from_u32(code).ok_or_else(|| self.mistake("Half of a surrogate pair is missing"))
    }

    fn four_hex_digits(&mut self) -> Result<u32, PatternError> {
        let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.mistake("Expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }
}

impl Kind {
    /// What it is, in words, for messages; never its value.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Number, Value};

    use super::*;

    fn to_value(node: Node) -> Value {
        match node.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(value),
            Kind::Number(text) => Value::Number(text.parse::<Number>().unwrap()),
            Kind::Text(text) => Value::String(text),
            Kind::Array(items) => items.into_iter().map(to_value).collect(),
            Kind::Object(members) => Value::Object(
                members.into_iter().map(|m| (m.name, to_value(m.value))).collect::<Map<_, _>>(),
            ),
        }
    }

    #[test]
    fn escapes_numbers_and_nesting_are_read_as_the_library_reads_them() {
        let text = r#" {"a":["\u00e9\ud83d\ude00\n\/",-0.5e+3,0,true,null],"b":{"c":[{}]}} "#;

        assert_eq!(to_value(read(text, 9).unwrap()), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn every_mistake_has_its_place() {
        for (text, line, column) in [
            ("{\"a\":\n 01}", 2, 3),
            ("{\"a\":[1,]}", 1, 9),
            ("{\"a\":1 \"b\"}", 1, 8),
            ("{a:1}", 1, 2),
            ("[\"é\\x\"]", 1, 5),
            ("{} {}", 1, 4),
            ("", 1, 1),
            ("{\"a\":\"x", 1, 6),
            ("{\"a\":1,\n\"a\":2}", 2, 1),
            ("[\"\\ud800x\"]", 1, 9),
        ] {
            let error = read(text, 9).err().unwrap();
            assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
        }
        assert!(read("[[[]]]", 2).is_err());
        assert!(read("[[[]]]", 3).is_ok());
    }

    proptest! {
        #[test]
        fn it_accepts_what_the_library_accepts(text in r#"[\[\]{}",:0-9eE+\-. \\aun/]{0,40}"#) {
            // The library alone knows repeated members and out-of-range numbers differently.
            let library = serde_json::from_str::<Value>(&text);
            match read(&text, 60) {
                Ok(_) => prop_assert!(
                    library.as_ref().map_or_else(|e| e.to_string().contains("out of range"), |_| true),
                    "{library:?}"
                ),
                Err(error) => prop_assert!(library.is_err() || error.message.contains("repeated")),
            }
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = read(&text, 8);
        }
    }
}
