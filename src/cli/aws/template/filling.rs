//! Fills the text of a template in.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, Value};
use serde::Serialize;

/// Fills a text in. Every value is written as JSON, but those that are [`plain`].
///
/// # Errors
///
/// Ours: the text names a value that is not there, or is no template.
pub fn fill(text: &str, values: &impl Serialize) -> Result<String, Error> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()?,
    );
    environment.set_auto_escape_callback(|_| AutoEscape::Json);
    environment.render_str(text, Value::from(Serde(values)))
}

/// A part of a checked name, such as a region, which a comment shows without quotation marks.
pub fn plain(part: &str) -> Value {
    Value::from_safe_string(part.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_that_only_steers_leaves_no_trace() {
        let text = "a: {{ a }}\n{% if b %}\nb: 1\n{% endif %}\nc: \"{% raw %}{{c}}{% endraw %}\"\n";

        assert_eq!(
            fill(text, &json!({"a": "x: #", "b": false})).unwrap(),
            "a: \"x: #\"\nc: \"{{c}}\"\n"
        );
        assert!(fill("{{ missing }}", &json!({})).is_err());
    }

    proptest! {
        #[test]
        fn no_value_can_end_where_it_stands(text in any::<String>()) {
            let filled = fill("a: {{ a }}\nb: [{{ a }}, {{ list }}]\n", &json!({"a": text, "list": [text]}));

            let filled = filled.unwrap();
            prop_assert_eq!(filled.lines().count(), 2);
            for line in filled.lines() {
                let value = line.split_once(": ").unwrap().1;
                let read: serde_json::Value = serde_json::from_str(value).unwrap();
                prop_assert!(read == json!(text) || read == json!([text, [text]]));
            }
        }
    }
}
