//! One pass over a JSON text (RFC 8259), which keeps what libraries would change or refuse.
//!
//! Written here because `serde_json` reads no half surrogate pair, nests at most 128 levels, takes
//! an object with a private name for a number, and needs a second pass for the digits.

use serde_json::{Map, Number, Value};

use crate::event::text::LONE_SURROGATE;

/// How strictly texts within the JSON are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TextRules {
    /// Only what RFC 8259 allows and Unicode can express.
    Strict,
    /// A control character may stand unescaped, and half a surrogate pair is kept in a form that
    /// cannot cross.
    Lenient,
}

/// What is wrong, and at which byte.
pub(super) struct Mistake {
    pub reason: &'static str,
    pub at: usize,
}

/// The reason of a text that nests too deeply; who set the bound says how deep it may.
pub(super) const TOO_DEEP: &str = "nested too deeply";

/// The reason of a text that holds too much.
pub(super) const TOO_MANY: &str = "too many values";

type Read<T> = Result<T, Mistake>;

/// Where the reader stands.
pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
    texts: TextRules,
    /// How many values may still come.
    values: usize,
}

impl<'t> Reader<'t> {
    pub const fn new(text: &'t str, texts: TextRules, values: usize) -> Self {
        Self { text, at: 0, texts, values }
    }

    /// Reads the one value that the text is.
    pub fn whole(mut self, depth: usize) -> Read<Value> {
        let value = self.value(depth)?;
        self.space();
        if self.at == self.text.len() { Ok(value) } else { self.fail("more than one value") }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, reason: &'static str) -> Read<()> {
        if self.eat(byte) { Ok(()) } else { self.fail(reason) }
    }

    fn fail<T>(&self, reason: &'static str) -> Read<T> {
        let reason =
            if self.at >= self.text.len() { "the text ends within a value" } else { reason };
        Err(Mistake { reason, at: self.at.min(self.text.len()) })
    }

    fn value(&mut self, depth: usize) -> Read<Value> {
        self.space();
        let Some(left) = self.values.checked_sub(1) else { return self.fail(TOO_MANY) };
        self.values = left;
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            Some(b'N' | b'I' | b'T' | b'F' | b'u') => {
                self.fail("expected a value; JSON has no NaN, Infinity, None, True or undefined")
            }
            _ => self.fail("expected a value"),
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Read<Value> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return self.fail("expected a value");
        }
        self.at += word.len();
        Ok(value)
    }

    fn deeper(&self, depth: usize) -> Read<usize> {
        depth.checked_sub(1).ok_or(Mistake { reason: TOO_DEEP, at: self.at })
    }

    fn array(&mut self, depth: usize) -> Read<Value> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            if self.eat(b']') {
                return Ok(Value::Array(items));
            }
            self.expect(b',', "expected `,` or `]`")?;
        }
    }

    fn object(&mut self, depth: usize) -> Read<Value> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        let mut members = Map::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return self.fail("expected the name of a member, in double quotes");
            }
            let name = self.string()?;
            self.space();
            self.expect(b':', "expected `:`")?;
            let value = self.value(depth)?;
            // The name is the sender's and may be private, so the error gives its place only.
            if members.insert(name, value).is_some() {
                return Err(Mistake { reason: "a member name that is repeated", at: start });
            }
            self.space();
            if self.eat(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',', "expected `,` or `}`")?;
        }
    }

    fn number(&mut self) -> Read<Value> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9' | b'.')) {
            return self.fail("a number has no leading zeros and one point at most");
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let number: Result<Number, _> = text.parse();
        number.map(Value::Number).map_err(|_| Mistake { reason: "expected a number", at: start })
    }

    fn digits(&mut self) -> Read<()> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.fail("expected a digit");
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Read<String> {
        self.at += 1;
        let plain = self.plain()?;
        if self.eat(b'"') {
            return Ok(plain.to_owned());
        }
        let mut string = plain.to_owned();
        loop {
            if self.eat(b'"') {
                return Ok(string);
            }
            self.escape(&mut string)?;
            string.push_str(self.plain()?);
        }
    }

    /// Takes what stands before the next quote or escape.
    fn plain(&mut self) -> Read<&'t str> {
        let start = self.at;
        let strict = self.texts == TextRules::Strict;
        loop {
            match self.peek() {
                Some(b'"' | b'\\') => {
                    return Ok(self.text.get(start..self.at).unwrap_or_default());
                }
                Some(byte) if byte < b' ' && strict => {
                    return self.fail("a control character that is not escaped");
                }
                Some(_) => self.at += 1,
                None => return self.fail("the text ends within a string"),
            }
        }
    }

    fn escape(&mut self, string: &mut String) -> Read<()> {
        let start = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start, string),
            _ => return self.fail("an escape that JSON does not have"),
        };
        self.at += 1;
        string.push(character);
        Ok(())
    }

    /// Reads the four digits of an escape, and with them the second half of a surrogate pair.
    fn unicode(&mut self, start: usize, string: &mut String) -> Read<()> {
        self.at += 1;
        let unit = self.hexadecimal()?;
        if let Some(character) = char::from_u32(unit) {
            string.push(character);
            return Ok(());
        }
        let after = self.at;
        if unit < 0xdc00 && self.eat(b'\\') && self.eat(b'u') {
            let low = self.hexadecimal()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                string.push(char::from_u32(code).unwrap_or(LONE_SURROGATE));
                return Ok(());
            }
        }
        self.at = after;
        if self.texts == TextRules::Strict {
            return Err(Mistake { reason: "half a surrogate pair", at: start });
        }
        // The digits keep two names apart that differ in this half alone.
        string.push(LONE_SURROGATE);
        string.push_str(self.text.get(after - 4..after).unwrap_or_default());
        Ok(())
    }

    fn hexadecimal(&mut self) -> Read<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        let value = digits.iter().try_fold(0, |value, byte| {
            char::from(*byte).to_digit(16).map(|digit| value << 4 | digit)
        });
        match value {
            Some(value) if digits.len() == 4 => {
                self.at += 4;
                Ok(value)
            }
            _ => self.fail("an escape that JSON does not have"),
        }
    }
}
