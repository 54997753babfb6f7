//! Where each key of a YAML file stands.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// The keys of a mapping, each with line and column from 1, and the keys below it.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, ((usize, usize), Self)>);

impl Places {
    /// The place of the deepest key of a path that the file has; nothing if it has none of them.
    pub(super) fn of(&self, path: &[&str]) -> Option<(usize, usize)> {
        let (first, rest) = path.split_first()?;
        let (place, below) = self.0.get(*first)?;
        below.of(rest).or(Some(*place))
    }
}

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Places;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Places, A::Error> {
        let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let mut places = BTreeMap::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let place = (index(key.referenced.line()), index(key.referenced.column()));
            places.insert(key.value, (place, map.next_value()?));
        }
        Ok(Places(places))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Places, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Places::default())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_unit<E: Error>(self) -> Result<Places, E> {
        Ok(Places::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::yaml;

    #[test]
    fn a_path_leads_to_the_deepest_key_that_is_there() {
        let text = "listen: x\nkeys:\n  directory: ../keys\n  list: [1, 2]\n  n: 1.5\n";
        let places: Places = yaml::read("a.yaml", text).unwrap();

        assert_eq!(places.of(&["keys", "directory"]), Some((3, 3)));
        assert_eq!(places.of(&["keys", "missing"]), Some((2, 1)));
        assert_eq!(places.of(&["missing", "directory"]), None);
    }
}
