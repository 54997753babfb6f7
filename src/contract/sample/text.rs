//! Texts: in the formats that are checked, and plain ones of any length.

/// Texts in a format, the plainest first; nothing for formats that say nothing about validity.
pub(super) fn formatted(format: &str, vary: u64) -> Vec<String> {
    let day = 1 + vary % 28;
    let number = vary + 1;
    let text = match format {
        "date" => format!("2026-01-{day:02}"),
        "date-time" => format!("2026-01-{day:02}T12:30:{:02}Z", vary % 60),
        "time" => format!("12:30:{:02}Z", vary % 60),
        "duration" => format!("P{number}D"),
        "email" => return vec![format!("person{number}@example.com"), format!("{number}@b.cd")],
        "idn-email" => format!("person{number}@example.com"),
        "hostname" | "idn-hostname" => {
            return vec![format!("host{number}.example.com"), format!("h{number}")];
        }
        "ipv4" => format!("192.0.2.{}", number % 255),
        "ipv6" => format!("2001:db8::{:x}", number % 0xffff),
        "uri" | "iri" => return vec![format!("https://example.com/{number}"), format!("a:{vary}")],
        "uri-reference" | "iri-reference" => {
            return vec![format!("/example/{number}"), format!("{number}"), String::new()];
        }
        "uri-template" => format!("/example/{{id}}/{number}"),
        "json-pointer" => return vec![format!("/example/{vary}"), String::new()],
        "relative-json-pointer" => format!("{vary}/example"),
        "uuid" => format!("01234567-89ab-4def-8123-{:012x}", number & 0xffff_ffff_ffff),
        "regex" => format!("^[a-z]{{{number}}}$"),
        _ => return Vec::new(),
    };
    vec![text]
}

/// A text about a member, of a length between bounds.
pub(super) fn plain(about: &str, vary: u64, least: usize, most: Option<usize>) -> String {
    let mut word = spoken(about);
    if vary > 0 {
        word = format!("{word} {vary}");
    }
    let mut length = word.chars().count();
    if length < least {
        let filling = "abcdefghijklmnopqrstuvwxyz".chars().cycle();
        let missing = least - length;
        word = filling.take(missing).chain(word.chars()).collect();
        length = least;
    }
    let surplus = most.map_or(0, |most| length.saturating_sub(most));
    // The end is what varies.
    let skipped = if vary > 0 { surplus } else { 0 };
    word.chars().skip(skipped).take(length - surplus).collect()
}

/// The words of a member's name: `orderId` is `order id`.
fn spoken(name: &str) -> String {
    let mut words = String::new();
    let mut was_lower = false;
    for c in name.chars().take(40) {
        if c.is_alphanumeric() {
            if c.is_uppercase() && was_lower {
                words.push(' ');
            }
            words.extend(c.to_lowercase());
        } else if !words.ends_with(' ') && !words.is_empty() {
            words.push(' ');
        }
        was_lower = c.is_lowercase() || c.is_numeric();
    }
    let words = words.trim();
    let is_index = words.chars().all(|c| c.is_ascii_digit());
    if is_index { "example".to_owned() } else { words.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::format::TEXT_FORMATS;
    use crate::contract::rules::Rules;

    #[test]
    fn every_checked_format_has_texts_that_keep_it() {
        for format in TEXT_FORMATS {
            let rules = Rules::compile(&serde_json::json!({ "format": format })).ok().unwrap();
            for vary in [0, 1, 27, 999_999_999] {
                let texts = formatted(format, vary);
                assert!(!texts.is_empty(), "{format}");
                for text in texts {
                    assert!(rules.accept(&text.as_str().into()), "{format}: {text}");
                }
            }
        }
    }

    #[test]
    fn plain_texts_have_the_length_that_is_asked_for() {
        assert_eq!(plain("orderId", 0, 0, None), "order id");
        assert_eq!(plain("note", 0, 0, Some(0)), "");
        assert_eq!(plain("note", 3, 0, Some(1)), "3");
        assert_eq!(plain("note", 0, 9, Some(9)), "abcdenote");
        assert_eq!(plain("0", 0, 0, None), "example");
    }
}
