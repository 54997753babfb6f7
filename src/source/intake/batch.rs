//! Splits the text of a JSON array into its items, so that each event is read by itself.

use crate::event::json;
use crate::source::intake::Unreadable;

/// The items of an array, as they were sent.
pub(super) struct Items<'a> {
    /// The first of them, without the white space around them.
    pub first: Vec<&'a [u8]>,
    /// How many there are in all.
    pub count: usize,
}

/// Splits an array, gives out the first `most` items and counts the others.
///
/// Only what separates events is looked at: where texts begin and end, which brackets belong
/// together, and the commas between items. What stands between is for the reader of one event, so
/// that a `NaN`, a repeated member or a wrong byte costs one event and not its neighbors.
///
/// # Errors
///
/// The caller's turn: the text is no array, or it is so broken that nobody can say where an event
/// ends.
pub(super) fn split(body: &[u8], most: usize) -> Result<Items<'_>, Unreadable> {
    let mut scan = Scan { body, at: 0 };
    scan.skip_white_space();
    if scan.next() != Some(b'[') {
        return Err(Unreadable::NotABatch);
    }
    let mut items = Items { first: Vec::new(), count: 0 };
    scan.skip_white_space();
    if scan.peek() == Some(b']') {
        scan.at += 1;
    } else {
        loop {
            let start = scan.at;
            let separator = scan.item()?;
            let item = body.get(start..scan.at - 1).unwrap_or_default().trim_ascii_end();
            if item.is_empty() {
                return Err(scan.broken("a comma without an event before or after it"));
            }
            items.count += 1;
            if items.count <= most {
                items.first.push(item);
            }
            if separator == b']' {
                break;
            }
            scan.skip_white_space();
        }
    }
    scan.skip_white_space();
    if scan.at < body.len() { Err(scan.broken("something after the array")) } else { Ok(items) }
}

/// A place in a body.
struct Scan<'a> {
    body: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip_white_space(&mut self) {
        while self.peek().is_some_and(is_white_space) {
            self.at += 1;
        }
    }

    /// Passes over one item and what ends it, and gives the latter: a comma or `]`.
    fn item(&mut self) -> Result<u8, Unreadable> {
        // The brackets that are open, each as the one that will close it.
        let mut open: Vec<u8> = Vec::new();
        // What stands before a text must end what was there: otherwise its quotation mark belongs
        // to a text that began elsewhere, and no border after it can be believed.
        let mut last = b',';
        while let Some(byte) = self.next() {
            match byte {
                b'"' if matches!(last, b',' | b':' | b'[' | b'{') => self.text()?,
                b'"' => return Err(self.broken("a quotation mark inside of a value")),
                b'[' => open.push(b']'),
                b'{' => open.push(b'}'),
                b',' | b']' if open.is_empty() => return Ok(byte),
                b']' | b'}' if open.pop() != Some(byte) => {
                    return Err(self.broken("a bracket that closes another one"));
                }
                _ => {}
            }
            if !is_white_space(byte) {
                last = byte;
            }
        }
        Err(self.broken("the array does not end"))
    }

    /// Passes over the rest of a text, and looks whether something follows that may.
    fn text(&mut self) -> Result<(), Unreadable> {
        while let Some(byte) = self.next() {
            match byte {
                b'\\' => self.at += 1,
                b'"' => {
                    let rest = self.body.get(self.at..).unwrap_or_default();
                    let follows = rest.trim_ascii_start().first();
                    return match follows {
                        None | Some(b',' | b':' | b']' | b'}') => Ok(()),
                        Some(_) => Err(self.broken("a text that goes on after its end")),
                    };
                }
                _ => {}
            }
        }
        Err(self.broken("a text does not end"))
    }

    /// Says where the array cannot be split, without repeating anything of it.
    fn broken(&self, reason: &str) -> Unreadable {
        let before = self.body.get(..self.at.saturating_sub(1)).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
        Unreadable::Json(json::Error::Malformed { reason: reason.to_owned(), line, column })
    }
}

const fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn texts(body: &str) -> Vec<String> {
        let items = split(body.as_bytes(), usize::MAX).unwrap();
        items.first.iter().map(|item| String::from_utf8_lossy(item).into_owned()).collect()
    }

    fn problem(body: &[u8]) -> String {
        match split(body, 9).err().unwrap() {
            Unreadable::Json(error) => error.to_string(),
            other => other.to_string(),
        }
    }

    #[test]
    fn a_broken_item_is_told_from_its_neighbors() {
        for broken in [
            r#"{"n":NaN}"#,
            r#"{"n":01}"#,
            r#"{"n":1,}"#,
            r#"{"n":1,"n":2}"#,
            r#"{"a":"\x"}"#,
            "{\"a\":\"\n\"}",
            r"{'a':tru}",
            r#"{"a":"\ud83d"}"#,
            r#"{"a":"[\"{\\"}"#,
            "7",
            "nonsense",
        ] {
            let body = format!(" [ {{\"first\":[]}} ,{broken}\n, {{}} ] ");
            assert_eq!(texts(&body), [r#"{"first":[]}"#, broken, "{}"]);
        }
        let latin = split(b"[{},{\"a\":\"\xe9\"},{}]", 9).unwrap();
        assert_eq!(latin.first.get(1), Some(&&b"{\"a\":\"\xe9\"}"[..]));
    }

    #[test]
    fn an_array_whose_items_have_no_certain_end_is_refused_with_the_place() {
        for (body, reason) in [
            ("{}", "a batch must be"),
            ("", "a batch must be"),
            ("[", "does not end"),
            ("[{},{}", "does not end"),
            ("[{},]", "a comma without an event"),
            ("[,{}]", "a comma without an event"),
            ("[{}] {}", "something after the array"),
            ("[{]}", "a bracket"),
            ("[{\"a\":[}]", "a bracket"),
            ("[{\"a\":\"b}, {\"a\":1}]", "goes on after its end"),
            ("[{\"a\":\"b}]", "a text does not end"),
            ("[{\"a\":\"say \"hi\" now\"}]", "goes on after its end"),
            ("[{\"a\":1\"}, {\"b\":\"2\"}]", "inside of a value"),
        ] {
            assert!(
                problem(body.as_bytes()).contains(reason),
                "{body}: {}",
                problem(body.as_bytes())
            );
        }
        assert!(problem(b"[{},\n {]}").ends_with("at line 2, column 3"));
    }

    #[test]
    fn more_items_than_are_wanted_are_only_counted() {
        let items = split(b"[1,2,3,4]", 2).unwrap();

        assert_eq!((items.first.len(), items.count), (2, 4));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_array_is_split_into_its_items(
            values in prop::collection::vec(any_json(), 0..6),
            is_pretty in any::<bool>(),
        ) {
            let array = json!(values);
            let text = if is_pretty {
                serde_json::to_string_pretty(&array).unwrap()
            } else {
                array.to_string()
            };
            let items = split(text.as_bytes(), usize::MAX).unwrap();
            prop_assert_eq!(items.count, values.len());
            let read: Vec<Value> =
                items.first.iter().map(|item| serde_json::from_slice(item).unwrap()).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn arbitrary_bytes_are_split_or_refused(
            bytes in prop::collection::vec(
                prop_oneof![prop::sample::select(b"[]{},:\"\\ \n1a".to_vec()), any::<u8>()],
                0..60,
            ),
        ) {
            if let Ok(items) = split(&bytes, 3) {
                prop_assert!(items.first.len() <= 3 && items.first.len() <= items.count);
                prop_assert!(items.first.iter().all(|item| !item.is_empty()));
            }
        }
    }
}
