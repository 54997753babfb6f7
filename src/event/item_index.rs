//! Tokens of pointers that name an item of an array (RFC 6901, section 4).

/// Whether a token names an item by its index: digits, without a sign or further zeros.
pub fn is_item_index(token: &str) -> bool {
    is_digits(token) && (token == "0" || !token.starts_with('0'))
}

/// Whether a token looks like an index and is none, such as `-1` or `01`: it can name a member only.
pub fn is_false_index(token: &str) -> bool {
    is_digits(token.strip_prefix(['-', '+']).unwrap_or(token)) && !is_item_index(token)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_neither_a_sign_nor_a_zero_too_many() {
        for token in ["0", "7", "10", "18446744073709551616"] {
            assert!(is_item_index(token) && !is_false_index(token), "{token}");
        }
        for token in ["01", "00", "-1", "+1", "-0"] {
            assert!(!is_item_index(token) && is_false_index(token), "{token}");
        }
        for token in ["", "-", "*", "a", "1a", "--1", "\u{661}"] {
            assert!(!is_item_index(token) && !is_false_index(token), "{token}");
        }
    }
}
