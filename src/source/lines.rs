//! Newline-delimited JSON from a file or a pipe, one event to a line.

use std::io::{self, BufRead};

use crate::event::{Blame, Fault};

/// A line and its place.
#[derive(Clone, PartialEq, Eq)]
pub struct InputLine {
    /// Its number in the input, from 1; blank lines count and are not given out.
    pub number: usize,
    /// Its text, without the line break.
    pub text: String,
}

/// Why a line was not read. Reading goes on after it, unless the input broke off.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The line is longer than allowed.
    #[error("line {number} is longer than {limit} bytes")]
    TooLong {
        /// Its number, from 1.
        number: usize,
        /// The longest line that is read.
        limit: usize,
    },
    /// The line is not text.
    #[error("line {number} is not UTF-8")]
    NotUtf8 {
        /// Its number, from 1.
        number: usize,
    },
    /// The input broke off.
    #[error("cannot read line {number}")]
    Input {
        /// Its number, from 1.
        number: usize,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl LineError {
    /// What is wrong with the line, without its number.
    pub fn reason(&self) -> String {
        match self {
            Self::TooLong { limit, .. } => format!("longer than {limit} bytes"),
            Self::NotUtf8 { .. } => "not UTF-8".to_owned(),
            Self::Input { .. } => "cannot be read".to_owned(),
        }
    }

    /// The number of the line, from 1.
    pub const fn number(&self) -> usize {
        match self {
            Self::TooLong { number, .. }
            | Self::NotUtf8 { number }
            | Self::Input { number, .. } => *number,
        }
    }
}

impl Blame for LineError {
    fn fault(&self) -> Fault {
        match self {
            Self::TooLong { .. } | Self::NotUtf8 { .. } => Fault::Caller,
            Self::Input { .. } => Fault::Ours,
        }
    }
}

/// Reads lines without ever holding more than one, nor more of it than allowed.
///
/// Blank lines are skipped, and a byte order mark before the first line is. A line that is too long
/// or not text is an error of its own, and the next line follows it.
pub struct Lines<R> {
    input: R,
    longest: usize,
    number: usize,
    is_over: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads lines of at most `longest` bytes.
    pub const fn new(input: R, longest: usize) -> Self {
        Self { input, longest, number: 0, is_over: false }
    }

    /// Reads up to the next line break; nothing at the end of the input.
    fn read(&mut self) -> Result<Option<String>, LineError> {
        let number = self.number;
        let mut bytes = Vec::new();
        // One byte more than allowed, and the line break, tell a full line from one that is too long.
        let most = u64::try_from(self.longest).unwrap_or(u64::MAX).saturating_add(2);
        let read = io::Read::take(&mut self.input, most)
            .read_until(b'\n', &mut bytes)
            .map_err(|source| LineError::Input { number, source })?;
        if read == 0 {
            return Ok(None);
        }
        let is_whole = bytes.last() == Some(&b'\n');
        if is_whole {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if bytes.len() > self.longest {
            if !is_whole {
                let passed = self.input.skip_until(b'\n');
                passed.map_err(|source| LineError::Input { number, source })?;
            }
            return Err(LineError::TooLong { number, limit: self.longest });
        }
        String::from_utf8(bytes).map(Some).map_err(|_| LineError::NotUtf8 { number })
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<InputLine, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            self.number += 1;
            match self.read() {
                Ok(Some(mut text)) => {
                    if self.number == 1 && text.starts_with('\u{feff}') {
                        text.remove(0);
                    }
                    if !text.trim().is_empty() {
                        return Some(Ok(InputLine { number: self.number, text }));
                    }
                }
                Ok(None) => self.is_over = true,
                Err(error) => {
                    self.is_over = matches!(error, LineError::Input { .. });
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(input: &[u8], longest: usize) -> Vec<Result<(usize, String), String>> {
        Lines::new(input, longest)
            .map(|line| match line {
                Ok(line) => Ok((line.number, line.text)),
                Err(error) => Err(error.to_string()),
            })
            .collect()
    }

    #[test]
    fn lines_keep_their_numbers_over_blank_ones_and_a_missing_last_break() {
        let read = texts("\u{feff}{}\r\n\n  \n[1]".as_bytes(), 10);

        assert_eq!(read, [Ok((1, "{}".to_owned())), Ok((4, "[1]".to_owned()))]);
        assert_eq!(texts(b"", 10), []);
    }

    #[test]
    fn a_line_that_is_too_long_or_not_text_is_told_by_its_number_and_the_next_one_is_read() {
        let long = || Err("line 2 is longer than 4 bytes".to_owned());
        for middle in ["12345", "123456", "1234567", "123456789012345"] {
            let input = format!("1234\n{middle}\r\n1\n");
            assert_eq!(
                texts(input.as_bytes(), 4),
                [Ok((1, "1234".to_owned())), long(), Ok((3, "1".to_owned()))]
            );
            let input = format!("1\n{middle}");
            assert_eq!(texts(input.as_bytes(), 4), [Ok((1, "1".to_owned())), long()]);
        }
        assert_eq!(texts(b"1234\r\n", 4), [Ok((1, "1234".to_owned()))]);
        assert_eq!(
            texts(b"a\n\xff\nb", 4),
            [
                Ok((1, "a".to_owned())),
                Err("line 2 is not UTF-8".to_owned()),
                Ok((3, "b".to_owned()))
            ]
        );
    }

    #[test]
    fn an_input_that_breaks_off_ends_the_reading() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }

        let read: Vec<_> = Lines::new(io::BufReader::new(Broken), 4).collect();

        assert!(matches!(read.as_slice(), [Err(LineError::Input { number: 1, .. })]));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_give_lines_in_order_and_within_the_bound(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            longest in 0_usize..20,
        ) {
            let mut last = 0;
            for line in Lines::new(bytes.as_slice(), longest) {
                let number = match line {
                    Ok(line) => {
                        prop_assert!(line.text.len() <= longest);
                        line.number
                    }
                    Err(error) => error.number(),
                };
                prop_assert!(number > last);
                last = number;
            }
            prop_assert!(last <= bytes.split(|byte| *byte == b'\n').count());
        }
    }
}
