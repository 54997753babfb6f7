//! Reads what follows a backslash, inside and outside of a set.

use regex_syntax::hir::ClassUnicode;

use crate::contract::pattern::class::{DIGITS, SPACES, WORDS, all_but, set_of};
use crate::contract::pattern::mistake::PatternMistake;
use crate::contract::pattern::property;
use crate::contract::pattern::reader::Reader;

/// What a backslash and what follows it stand for.
pub(super) enum Escaped {
    /// One of several characters.
    Set(ClassUnicode),
    /// One character; nothing for half a surrogate pair, which no text holds.
    Character(Option<char>),
    /// `\b`.
    Word,
    /// `\B`.
    NoWord,
}

/// Reads what follows a backslash, which has been read.
pub(super) fn read(reader: &mut Reader) -> Result<Escaped, PatternMistake> {
    let Some(c) = reader.next() else {
        return Err(reader.mistake("a backslash at the end"));
    };
    Ok(match c {
        'd' => Escaped::Set(set_of(&DIGITS)),
        'D' => Escaped::Set(all_but(set_of(&DIGITS))),
        'w' => Escaped::Set(set_of(&WORDS)),
        'W' => Escaped::Set(all_but(set_of(&WORDS))),
        's' => Escaped::Set(set_of(&SPACES)),
        'S' => Escaped::Set(all_but(set_of(&SPACES))),
        'p' => Escaped::Set(of_property(reader)?),
        'P' => Escaped::Set(all_but(of_property(reader)?)),
        'b' => Escaped::Word,
        'B' => Escaped::NoWord,
        'n' => Escaped::Character(Some('\n')),
        'r' => Escaped::Character(Some('\r')),
        't' => Escaped::Character(Some('\t')),
        'v' => Escaped::Character(Some('\u{b}')),
        'f' => Escaped::Character(Some('\u{c}')),
        'c' => Escaped::Character(Some(control(reader)?)),
        'x' => Escaped::Character(char::from_u32(hexadecimal(reader, 2)?)),
        'u' => Escaped::Character(unicode(reader)?),
        '0' if !reader.peek().is_some_and(|next| next.is_ascii_digit()) => {
            Escaped::Character(Some('\0'))
        }
        '0' => return Err(reader.mistake("an octal escape; write `\\x` and two digits")),
        '1'..='9' | 'k' => return Err(reader.nonlinear("back-reference")),
        'A' => return Err(reader.mistake("`\\A`; the start of the text is `^`")),
        'z' | 'Z' => return Err(reader.mistake(format!("`\\{c}`; the end of the text is `$`"))),
        c if c.is_ascii_alphanumeric() => {
            return Err(reader.mistake(format!("`\\{c}`, which stands for nothing")));
        }
        c => Escaped::Character(Some(c)),
    })
}

/// Reads `{Name}` or one letter.
fn of_property(reader: &mut Reader) -> Result<ClassUnicode, PatternMistake> {
    let name = if reader.skip("{") {
        reader.until('}').ok_or_else(|| reader.mistake("a `\\p{` that does not end"))?
    } else {
        reader.next().map(String::from).unwrap_or_default()
    };
    property::characters(&name).ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        reader.mistake(format!("Unicode has no property `{shown}`"))
    })
}

/// Reads the letter of `\cX`.
fn control(reader: &mut Reader) -> Result<char, PatternMistake> {
    match reader.next() {
        Some(letter) if letter.is_ascii_alphabetic() => Ok(char::from(letter as u8 & 0x1f)),
        _ => Err(reader.mistake("a `\\c` without a letter")),
    }
}

fn hexadecimal(reader: &mut Reader, digits: usize) -> Result<u32, PatternMistake> {
    let mut code = 0;
    for _ in 0..digits {
        let digit = reader.next().and_then(|c| c.to_digit(16));
        let digit = digit.ok_or_else(|| {
            reader.mistake(format!("an escape that needs {digits} hexadecimal digits"))
        })?;
        code = code * 16 + digit;
    }
    Ok(code)
}

/// Reads `\uXXXX`, a pair of them that is one character, or `\u{X…}`.
fn unicode(reader: &mut Reader) -> Result<Option<char>, PatternMistake> {
    if reader.skip("{") {
        let digits = reader.until('}').unwrap_or_default();
        let is_number = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_hexdigit());
        let code = u32::from_str_radix(&digits, 16).ok().filter(|code| *code <= 0x0010_ffff);
        return match code {
            Some(code) if is_number => Ok(char::from_u32(code)),
            _ => Err(reader.mistake("a `\\u{…}` that names no character")),
        };
    }
    let first = hexadecimal(reader, 4)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Ok(char::from_u32(first));
    }
    let place = reader.place();
    if reader.skip("\\u")
        && let Ok(second @ 0xdc00..0xe000) = hexadecimal(reader, 4)
    {
        return Ok(char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
    }
    reader.back_to(place);
    Ok(None)
}
