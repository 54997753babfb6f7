//! What subscriptions want: each wish is kept and compiled once, however many refer to it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::route::{Filter, FilterError};

/// Entries of wishes that are gone, beside as many that are not, before they are cleared away.
const SPARE: usize = 64;

/// The `types` and `filters` of a subscription as text, which is neither a tree nor compiled: it can
/// be kept and shown without being read.
#[derive(Clone)]
pub struct WishText {
    types: Arc<[String]>,
    filters: Arc<RawValue>,
}

impl WishText {
    /// Writes types and filters as text.
    pub fn new(types: &[String], filters: &[Value]) -> Self {
        // Writing trees to memory cannot fail.
        let filters = serde_json::value::to_raw_value(filters).unwrap_or_default();
        Self { types: types.into(), filters: filters.into() }
    }

    /// The types.
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// The filters, a JSON array.
    pub fn filters(&self) -> &RawValue {
        &self.filters
    }

    /// Whether there are filters, beside types.
    pub fn has_filters(&self) -> bool {
        self.filters.get() != "[]"
    }

    /// The filters as trees.
    pub fn read_filters(&self) -> Vec<Value> {
        // What was written from trees, or read as JSON, is read again; an array is checked for.
        serde_json::from_str(self.filters.get()).unwrap_or_default()
    }

    /// Compiles it.
    ///
    /// # Errors
    ///
    /// The caller's turn: a type or a filter is not valid, or there are too many.
    pub fn compile(&self) -> Result<Filter, FilterError> {
        Filter::new(&self.types, &self.read_filters())
    }

    /// How many bytes its text has.
    pub fn size(&self) -> u64 {
        let types = self.types.iter().map(String::len).sum::<usize>();
        (types + self.filters.get().len()) as u64
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for name in &*self.types {
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name);
        }
        hash.update(u64::MAX.to_be_bytes());
        hash.update(self.filters.get());
        hash.finalize().into()
    }
}

impl PartialEq for WishText {
    fn eq(&self, other: &Self) -> bool {
        self.types == other.types && self.filters.get() == other.filters.get()
    }
}

impl Eq for WishText {}

/// Written as `[types, filters]`.
impl Serialize for WishText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&*self.types, &*self.filters).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WishText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (types, filters) = <(Vec<String>, Box<RawValue>)>::deserialize(from)?;
        if !filters.get().starts_with('[') {
            return Err(serde::de::Error::custom("filters are a list"));
        }
        Ok(Self { types: types.into(), filters: filters.into() })
    }
}

/// Shows its size: filters are the consumer's.
impl fmt::Debug for WishText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WishText({} types, {} bytes)", self.types.len(), self.size())
    }
}

/// A wish that was compiled. Those who want the same refer to the same one, and it is gone with the
/// last of them.
pub struct KeptWish {
    text: WishText,
    digest: [u8; 32],
    filter: Arc<Filter>,
}

impl KeptWish {
    /// The types and filters that it was made from.
    pub const fn text(&self) -> &WishText {
        &self.text
    }

    /// Its filter.
    pub const fn filter(&self) -> &Arc<Filter> {
        &self.filter
    }

    /// Whether both say the same, whatever the order of members.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.digest == other.digest
            || (self.text.types == other.text.types
                && self.text.read_filters() == other.text.read_filters())
    }

    /// Its name among all.
    pub(super) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl PartialEq for KeptWish {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// Shows its size: filters are the consumer's.
impl fmt::Debug for KeptWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// Gives the same wish to all who want the same.
#[derive(Default)]
pub struct Wishes {
    known: Mutex<HashMap<[u8; 32], Weak<KeptWish>>>,
    compiled: AtomicU64,
}

impl Wishes {
    /// The wish of this text: one that someone refers to already, or one that is compiled now.
    ///
    /// # Errors
    ///
    /// The caller's turn: it is not valid.
    pub(super) fn of(&self, text: WishText) -> Result<Arc<KeptWish>, FilterError> {
        let digest = text.digest();
        if let Some(wish) = self.lock().get(&digest).and_then(Weak::upgrade) {
            return Ok(wish);
        }
        // Nobody waits for the lock while a filter is compiled; of two at once, the later one goes.
        let filter = Arc::new(text.compile()?);
        self.compiled.fetch_add(1, Ordering::Relaxed);
        let wish = Arc::new(KeptWish { text, digest, filter });
        let mut known = self.lock();
        if let Some(earlier) = known.get(&digest).and_then(Weak::upgrade) {
            return Ok(earlier);
        }
        if known.len() >= known.capacity().max(SPARE) {
            known.retain(|_, wish| wish.strong_count() > 0);
        }
        known.insert(digest, Arc::downgrade(&wish));
        Ok(wish)
    }

    /// How many wishes someone refers to.
    pub fn kept(&self) -> usize {
        self.lock().values().filter(|wish| wish.strong_count() > 0).count()
    }

    /// How often a wish was compiled.
    pub fn compiled(&self) -> u64 {
        self.compiled.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Weak<KeptWish>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(word: &str) -> WishText {
        WishText::new(&["Order.*".to_owned()], &[json!({"exact": {"source": word}})])
    }

    #[test]
    fn those_who_want_the_same_refer_to_one_wish_and_it_goes_with_the_last() {
        let wishes = Wishes::default();
        let (first, second) = (wishes.of(text("a")).unwrap(), wishes.of(text("a")).unwrap());
        assert!(Arc::ptr_eq(&first, &second));
        let other = wishes.of(text("b")).unwrap();
        assert_eq!((wishes.kept(), wishes.compiled()), (2, 2));

        drop(first);
        assert_eq!(wishes.kept(), 2);
        drop((second, other));
        assert_eq!(wishes.kept(), 0);
    }

    #[test]
    fn what_is_gone_is_cleared_away() {
        let wishes = Wishes::default();
        for n in 0..10_000 {
            drop(wishes.of(text(&n.to_string())).unwrap());
        }
        assert!(wishes.lock().len() < 1000, "{}", wishes.lock().len());
    }

    #[test]
    fn a_text_is_written_as_it_always_was_and_read_again() {
        let written = serde_json::to_string(&text("a")).unwrap();
        assert_eq!(written, r#"[["Order.*"],[{"exact":{"source":"a"}}]]"#);
        let read: WishText = serde_json::from_str(&written).unwrap();
        assert!(read == text("a") && read != text("b"));
        assert!(serde_json::from_str::<WishText>("[[],{}]").is_err());
        assert_eq!(format!("{read:?}"), "WishText(1 types, 33 bytes)");
    }

    #[test]
    fn the_order_of_members_is_no_other_wish() {
        let wishes = Wishes::default();
        let of = |filter| wishes.of(WishText::new(&[], &[filter])).unwrap();
        let one = of(json!({"exact": {"source": "a", "subject": "b"}}));
        let same = of(json!({"exact": {"subject": "b", "source": "a"}}));
        assert!(
            one.says_the_same(&same)
                && !one.says_the_same(&of(json!({"not": {"exact": {"a": "b"}}})))
        );
    }
}
