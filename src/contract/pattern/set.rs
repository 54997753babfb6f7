//! Reads a set of characters in brackets: `[A-Za-z_\d]`.

use regex_syntax::hir::ClassUnicode;

use crate::contract::pattern::class::{all_but, folded, set_of};
use crate::contract::pattern::escape::{self, Escaped};
use crate::contract::pattern::mistake::PatternMistake;
use crate::contract::pattern::reader::Reader;

/// Reads a set, whose `[` has been read.
pub(super) fn read(reader: &mut Reader, ignore_case: bool) -> Result<ClassUnicode, PatternMistake> {
    let negated = reader.skip("^");
    let mut set = ClassUnicode::empty();
    loop {
        if reader.skip("[:") {
            let problem = "`[:`, of a POSIX class; write `\\p{L}`, `\\d` or `A-Z`";
            return Err(reader.mistake(problem));
        }
        let Some(c) = reader.next() else {
            return Err(reader.mistake("a `[` that is not closed"));
        };
        if c == ']' {
            break;
        }
        set.union(&member_or_range(reader, c)?);
    }
    if ignore_case {
        set = folded(set);
    }
    Ok(if negated { all_but(set) } else { set })
}

/// What stands in a set: a character, or several by one name.
enum SetMember {
    Character(Option<char>),
    Named(ClassUnicode),
}

impl SetMember {
    fn set(&self) -> ClassUnicode {
        match self {
            Self::Character(Some(c)) => set_of(&[(*c, *c)]),
            Self::Character(None) => ClassUnicode::empty(),
            Self::Named(set) => set.clone(),
        }
    }
}

fn member_or_range(reader: &mut Reader, c: char) -> Result<ClassUnicode, PatternMistake> {
    let first = member(reader, c)?;
    let place = reader.place();
    let last = if reader.skip("-") { reader.next() } else { None };
    match last {
        // A `-` before the end stands for itself.
        None | Some(']') => {
            reader.back_to(place);
            Ok(first.set())
        }
        Some(c) => {
            let last = member(reader, c)?;
            range(reader, &first, &last)
        }
    }
}

fn member(reader: &mut Reader, c: char) -> Result<SetMember, PatternMistake> {
    if c != '\\' {
        return Ok(SetMember::Character(Some(c)));
    }
    // In a set, `\b` is the backspace.
    if reader.skip("b") {
        return Ok(SetMember::Character(Some('\u{8}')));
    }
    match escape::read(reader)? {
        Escaped::Set(set) => Ok(SetMember::Named(set)),
        Escaped::Character(c) => Ok(SetMember::Character(c)),
        Escaped::Word | Escaped::NoWord => Err(reader.mistake("`\\B` in a set")),
    }
}

fn range(
    reader: &Reader,
    first: &SetMember,
    last: &SetMember,
) -> Result<ClassUnicode, PatternMistake> {
    match (first, last) {
        (SetMember::Character(Some(first)), SetMember::Character(Some(last))) if first <= last => {
            Ok(set_of(&[(*first, *last)]))
        }
        (SetMember::Character(Some(_)), SetMember::Character(Some(_))) => {
            Err(reader.mistake("a range whose ends are the wrong way round"))
        }
        // No text holds half a surrogate pair, so what such a range has beside them is at its ends.
        (SetMember::Character(first), SetMember::Character(last)) => {
            let before = first.map(|first| (first, first.max('\u{d7ff}')));
            let after = last.map(|last| ('\u{e000}'.min(last), last));
            Ok(set_of(&before.into_iter().chain(after).collect::<Vec<_>>()))
        }
        // As in `[\w-.]`: the `-` stands for itself.
        _ => {
            let mut set = first.set();
            set.union(&last.set());
            set.union(&set_of(&[('-', '-')]));
            Ok(set)
        }
    }
}
