//! Reads one segment of a path.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Undoes what a client would take for percent escapes; what is none stays as it is.
pub fn decode_segment(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8().unwrap_or(Cow::Borrowed(segment))
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
