//! Event patterns and filters, of strangers and on strangers' events.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use sealway::route::{Filter, Pattern, Table};

use super::halves;

/// Events of every shape that a pattern asks about, and one of the input itself.
fn events(own: &[u8]) -> Vec<Value> {
    static EVENTS: OnceLock<Vec<Value>> = OnceLock::new();
    let fixed = EVENTS.get_or_init(|| {
        let items: Vec<_> = (0..40).map(|number| json!({ "n": number, "s": "ab" })).collect();
        vec![
            json!({}),
            json!({ "source": "depot", "detail": { "n": 1, "s": "abc", "x": null, "b": true } }),
            json!({ "detail": { "a": items, "ip": "10.1.2.3", "n": -1.5e3 } }),
            json!({ "detail": [[1, [2, "a"]], { "a": { "a": {} } }] }),
        ]
    });
    fixed.iter().cloned().chain(serde_json::from_slice(own).ok()).collect()
}

/// Enough for what matches.
const STEPS: u64 = u64::MAX;

/// A pattern that is read is shown as a text that means the same, agrees with its own explanation and
/// with the table, and so does what it matches.
pub fn pattern(input: &[u8]) {
    let (text, event) = halves(input);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(pattern) = Pattern::parse(text) else { return };
    let again = Pattern::parse(pattern.text()).expect("what is shown is read");
    assert!(again == pattern);
    let table = Table::new();
    table.insert(1, Arc::new(Filter::from(pattern.clone())));
    for event in events(event) {
        let matches = pattern.matches(&event);
        assert_eq!(again.matches(&event), matches);
        assert_eq!(table.matches(&event), if matches { vec![1] } else { vec![] });
        if matches {
            let explained = pattern.explain(&event, STEPS);
            assert!(explained.is_ok_and(|all| all.is_empty()), "a match is explained away");
        }
    }
}

/// Filters as subscriptions have them: `{"types": […], "filters": […]}`.
pub fn filter(input: &[u8]) {
    let (wish, event) = halves(input);
    let Ok(wish) = serde_json::from_slice::<Value>(wish) else { return };
    let texts = |name: &str| {
        let items = wish[name].as_array().into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let filters = wish["filters"].as_array().cloned().unwrap_or_default();
    let Ok(filter) = Filter::new(&texts("types"), &filters) else { return };
    let filter = Arc::new(filter);
    let table = Table::new();
    table.insert(1, Arc::clone(&filter));
    for event in events(event) {
        assert_eq!(!table.matches(&event).is_empty(), filter.matches(&event));
        let _ = filter.explain(&event, STEPS);
    }
}
