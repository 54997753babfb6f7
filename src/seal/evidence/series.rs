//! Reads where a bundle stands in a series.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::seal::evidence::{PreviousBundle, SeriesGap, SeriesPlace};

/// So many names may a gateway have had.
const MOST_ALIASES: usize = 64;

/// Reads the member `previous` of a first line: missing where the bundle is in no series, and null in the
/// first one. Says what is wrong.
pub(super) fn read(previous: Option<&Value>) -> Result<Option<SeriesPlace>, String> {
    let members = match previous {
        None => return Ok(None),
        Some(Value::Null) => return Ok(Some(SeriesPlace::First)),
        Some(Value::Object(members)) => members,
        Some(_) => return Err("`previous` is malformed".to_owned()),
    };
    let sequence = members.get("sequence").and_then(Value::as_u64);
    let gap = match members.get("gap") {
        None => None,
        Some(word) => {
            Some(word.as_str().and_then(SeriesGap::of_word).ok_or_else(|| malformed("gap"))?)
        }
    };
    Ok(Some(SeriesPlace::After(PreviousBundle {
        sha256: text(members, "sha256")?,
        sequence: sequence.ok_or_else(|| malformed("sequence"))?,
        chain: text(members, "chain")?,
        gap,
    })))
}

/// Reads what a gateway was called before.
pub(super) fn aliases(aliases: Option<&Value>) -> Result<Vec<String>, String> {
    let Some(aliases) = aliases else { return Ok(Vec::new()) };
    let read: Option<Vec<String>> = aliases
        .as_array()
        .filter(|aliases| aliases.len() <= MOST_ALIASES)
        .and_then(|all| all.iter().map(|one| one.as_str().map(str::to_owned)).collect());
    read.ok_or_else(|| "`aliases` is no list of names, or too long a one".to_owned())
}

fn malformed(name: &str) -> String {
    format!("`{name}` in `previous` is missing or malformed")
}

fn text<T: FromStr>(members: &Map<String, Value>, name: &str) -> Result<T, String> {
    let text = members.get(name).and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::{ChainValue, TokenDigest};

    #[test]
    fn what_a_bundle_says_of_its_series_is_read_or_refused() {
        let chain = ChainValue::start(&"shop".parse().unwrap());
        let sha256 = TokenDigest::of("x");
        let good = json!({"sha256": sha256.to_string(), "sequence": 3, "chain": chain.to_string()});
        let previous = PreviousBundle { sha256, sequence: 3, chain, gap: None };

        assert_eq!(read(None), Ok(None));
        assert_eq!(read(Some(&Value::Null)), Ok(Some(SeriesPlace::First)));
        assert_eq!(read(Some(&good)), Ok(Some(SeriesPlace::After(previous))));
        let mut told = good.clone();
        told["gap"] = json!("dropped");
        let with_gap = PreviousBundle { gap: Some(SeriesGap::Dropped), ..previous };
        assert_eq!(read(Some(&told)), Ok(Some(SeriesPlace::After(with_gap))));
        for (name, value) in
            [("gap", json!("other")), ("sequence", json!("3")), ("chain", json!(1))]
        {
            let mut bad = good.clone();
            bad[name] = value;
            assert!(read(Some(&bad)).is_err(), "{bad}");
        }
        assert!(read(Some(&json!("x"))).is_err());
    }
}
