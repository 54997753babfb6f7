//! Reads one segment of a path.

/// Undoes what a client would take for percent escapes; what is none stays as it is.
pub fn decode_segment(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        let escaped = if byte == b'%' { digit(0).zip(digit(1)) } else { None };
        if let Some(escaped) = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            bytes.push(escaped);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| segment.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        let segments = [("1.0.0", "1.0.0"), ("%2E", "."), ("a%2fb", "a/b"), ("%C3%A9", "é")];
        for (segment, text) in
            segments.into_iter().chain([("%", "%"), ("%zz", "%zz"), ("%ff", "%ff")])
        {
            assert_eq!(decode_segment(segment), text);
        }
    }
}
