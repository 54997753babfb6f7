//! JSON Pointers (RFC 6901) as texts that are built and taken apart token by token.

use std::borrow::Cow;

/// Appends one token, escaped.
pub(super) fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    for c in token.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// The pointer with one token more.
pub(super) fn join(pointer: &str, token: &str) -> String {
    let mut longer = String::with_capacity(pointer.len() + token.len() + 1);
    longer.push_str(pointer);
    push(&mut longer, token);
    longer
}

/// The tokens, unescaped. The pointer is empty or begins with `/`.
pub(super) fn tokens(pointer: &str) -> impl Iterator<Item = Cow<'_, str>> {
    pointer.split('/').skip(1).map(|token| {
        if token.contains('~') {
            // In this order, so that `~01` becomes `~1` (RFC 6901, section 4).
            Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
        } else {
            Cow::Borrowed(token)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_were_pushed() {
        let pointer = join(&join("", "a/b~1"), "");

        assert_eq!(pointer, "/a~1b~01/");
        assert_eq!(tokens(&pointer).collect::<Vec<_>>(), ["a/b~1", ""]);
        assert_eq!(tokens("").count(), 0);
    }
}
