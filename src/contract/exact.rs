//! When two JSON values are equal: numbers by their value, members in any order.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Number, Value};

use crate::event::NumericValue;
use crate::event::number::crossing_text;

/// Whether two values are equal.
pub(super) fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => equal_numbers(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, member)| other.get(name).is_some_and(|other| equal(member, other)))
        }
        (Value::String(one), Value::String(other)) => one == other,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Null, Value::Null) => true,
        _ => false,
    }
}

fn equal_numbers(one: &Number, other: &Number) -> bool {
    one.as_str() == other.as_str()
        || NumericValue::of(one.as_str()) == NumericValue::of(other.as_str())
}

/// Whether no two items are equal.
pub(super) fn all_differ(items: &[Value]) -> bool {
    let mut seen = HashSet::with_capacity(items.len());
    items.len() < 2 || items.iter().all(|item| seen.insert(Exact(item)))
}

/// A value that is equal to another as [`equal`] has it.
struct Exact<'v>(&'v Value);

impl PartialEq for Exact<'_> {
    fn eq(&self, other: &Self) -> bool {
        equal(self.0, other.0)
    }
}

impl Eq for Exact<'_> {}

impl Hash for Exact<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            Value::Null => 0_u8.hash(state),
            Value::Bool(value) => value.hash(state),
            Value::Number(number) => match crossing_text(number.as_str()) {
                Ok(text) => text.hash(state),
                // Too long or too large: numbers that cannot cross may share a hash.
                Err(_) => NumericValue::of(number.as_str()).hash(state),
            },
            Value::String(text) => text.hash(state),
            Value::Array(items) => {
                items.len().hash(state);
                for item in items {
                    Exact(item).hash(state);
                }
            }
            // Members may come in any order.
            Value::Object(members) => {
                let mut members: Vec<(&String, &Value)> = members.iter().collect();
                members.sort_unstable_by_key(|(name, _)| *name);
                members.len().hash(state);
                for (name, member) in members {
                    name.hash(state);
                    Exact(member).hash(state);
                }
            }
        }
    }
}

/// So many values are compared one by one.
const FEW: usize = 8;

/// Values that a contract lists, quick to ask however many there are.
#[derive(Debug)]
pub(super) struct ValueSet {
    values: Vec<Value>,
    /// Where in the list the values of a hash stand.
    places: HashMap<u64, Vec<usize>>,
}

impl ValueSet {
    pub(super) fn of(values: &[Value]) -> Self {
        let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
        for (index, value) in values.iter().enumerate() {
            places.entry(hash_of(value)).or_default().push(index);
        }
        Self { values: values.to_vec(), places }
    }

    pub(super) fn contains(&self, value: &Value) -> bool {
        if self.values.len() <= FEW {
            return self.values.iter().any(|known| equal(known, value));
        }
        self.places.get(&hash_of(value)).is_some_and(|places| {
            places.iter().any(|at| self.values.get(*at).is_some_and(|known| equal(known, value)))
        })
    }

    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }
}

/// A fixed hash: what it is asked for are values of the contract, which collide with nobody's will.
fn hash_of(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    Exact(value).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn values_are_equal_by_what_they_are_worth_and_not_by_their_text() {
        for (one, other, same) in [
            ("1", "1.0", true),
            ("1e2", "100", true),
            ("0", "-0.0", true),
            ("0.1", "0.10", true),
            ("9007199254740993", "9007199254740992", false),
            ("1e400", "10e399", true),
            ("1", "true", false),
            ("0", "false", false),
            ("\"1\"", "1", false),
            ("null", "false", false),
            ("[1,[2.0]]", "[1.0,[2]]", true),
            ("[]", "{}", false),
            ("{\"a\":1,\"b\":[]}", "{\"b\":[],\"a\":1.0}", true),
            ("{\"a\":1}", "{\"a\":1,\"b\":1}", false),
        ] {
            let (one, other) = (read(one), read(other));
            assert_eq!(equal(&one, &other), same, "{one} {other}");
            assert_eq!(all_differ(&[one.clone(), other.clone()]), !same, "{one} {other}");
            assert_eq!(ValueSet::of(&[json!("x"), one.clone()]).contains(&other), same);
            assert_eq!(ValueSet::of(std::slice::from_ref(&one)).contains(&other), same);
            let mut many: Vec<Value> = (100..120).map(Value::from).collect();
            many.push(one);
            let own_number = other.as_u64() == Some(100);
            assert_eq!(ValueSet::of(&many).contains(&other), same || own_number);
        }
    }

    #[test]
    fn a_long_list_of_numbers_that_binary64_rounds_alike_is_compared_in_time() {
        let items: Vec<Value> =
            (0..50_000).map(|n| read(&format!("123456789012345678901234567890{n:05}"))).collect();

        assert!(all_differ(&items));
    }
}
