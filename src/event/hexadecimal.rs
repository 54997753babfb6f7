//! Bytes as lower-case hexadecimal digits, written at once.

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes at most 32 bytes, two digits for each.
pub(crate) fn write_hexadecimal(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        let digits = [byte >> 4, byte & 15];
        for (digit, value) in pair.iter_mut().zip(digits) {
            *digit = DIGITS.get(usize::from(value)).copied().unwrap_or_default();
        }
    }
    let text = text.get(..bytes.len() * 2).unwrap_or_default();
    f.write_str(std::str::from_utf8(text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shown<'a>(&'a [u8]);

    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_hexadecimal(f, self.0)
        }
    }

    #[test]
    fn each_byte_has_two_digits() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in all.chunks(32) {
            let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let expected = digits.concat();
            assert_eq!(Shown(bytes).to_string(), expected);
        }
        assert_eq!(Shown(&[]).to_string(), "");
    }
}
