//! How much a patch may do, counted before anything is copied.

use std::io;

use json_patch::jsonptr::Pointer;
use serde_json::Value;

use crate::enrich::Numbers;
use crate::enrich::crossing::CrossingCopy;

/// How much a patch may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct PatchLimits {
    /// The most operations, those in groups with them.
    pub operations: usize,
    /// The most groups.
    pub groups: usize,
    /// The most bytes of JSON that all operations write together.
    pub bytes: usize,
    /// The deepest nesting of the data.
    pub depth: usize,
    /// The longest pointer, in bytes.
    pub pointer: usize,
    /// The most items that all operations with a `*` look at together.
    pub items: usize,
    /// The most values that one `map` knows.
    pub values: usize,
}

/// What every patch is held to: 100 operations, 256 KiB, 64 levels, pointers of 1 KiB, 100,000 items.
pub(super) const LIMITS: PatchLimits = PatchLimits {
    operations: 100,
    groups: 100,
    bytes: 256 * 1024,
    depth: 64,
    pointer: 1024,
    items: 100_000,
    values: 1_000,
};

/// What is left to a patch while it is applied to one event.
pub(super) struct PatchEffort {
    numbers: Numbers,
    bytes: usize,
    items: usize,
}

impl PatchEffort {
    /// All that one event may cost.
    pub const fn of(numbers: Numbers) -> Self {
        Self { numbers, bytes: LIMITS.bytes, items: LIMITS.items }
    }

    /// Takes a value from the event.
    pub const fn crossing(&mut self) -> CrossingCopy<'_> {
        CrossingCopy { numbers: self.numbers, left: &mut self.bytes }
    }

    /// Takes the items of an array that are looked at.
    pub fn visit(&mut self, items: usize) -> Result<(), &'static str> {
        let left = self.items.checked_sub(items);
        self.items = left.ok_or("the operations with a `*` look at over 100,000 items")?;
        Ok(())
    }

    /// Takes what `value` will need at `path`.
    pub fn reserve(&mut self, path: &Pointer, value: &Value) -> Result<(), &'static str> {
        self.reserve_for_each(path, value, 1)
    }

    /// Takes what `value` will need at so many places like `path`.
    pub fn reserve_for_each(
        &mut self,
        path: &Pointer,
        value: &Value,
        places: usize,
    ) -> Result<(), &'static str> {
        deep_enough(path, value)?;
        let mut counter = OperationCount { left: self.bytes };
        serde_json::to_writer(&mut counter, value).map_err(|_| TOO_LARGE)?;
        let others = places.saturating_sub(1).saturating_mul(self.bytes - counter.left);
        self.bytes = counter.left.checked_sub(others).ok_or(TOO_LARGE)?;
        for _ in 0..places {
            self.spend_name(path);
        }
        Ok(())
    }

    /// Takes the name under which a value comes to stand.
    pub fn spend_name(&mut self, path: &Pointer) {
        let name = path.back().map_or(0, |member| member.encoded().len());
        self.bytes = self.bytes.saturating_sub(name);
    }

    /// Takes an empty object that is made as an item below `array`.
    pub fn make_item(&mut self, array: &Pointer) -> Result<(), &'static str> {
        // The item and what stands in it are two levels below the array's own name.
        if array.count() >= LIMITS.depth {
            return Err(TOO_DEEP);
        }
        self.bytes = self.bytes.checked_sub("{},".len()).ok_or(TOO_LARGE)?;
        Ok(())
    }
}

const TOO_LARGE: &str = "the data grows over 256 KiB";
const TOO_DEEP: &str = "the data is nested over 64 levels";

/// Whether a value may come to stand at `path`.
pub(super) fn deep_enough(path: &Pointer, value: &Value) -> Result<(), &'static str> {
    // The first token is `data` itself, whose own level is the first.
    let room = LIMITS.depth.checked_sub(path.count().saturating_sub(1));
    let fits = room.is_some_and(|levels| fits(value, levels));
    fits.then_some(()).ok_or(TOO_DEEP)
}

/// Whether a value has at most so many levels.
pub(super) fn fits(value: &Value, levels: usize) -> bool {
    let below = levels.checked_sub(1);
    match value {
        Value::Array(items) => below.is_some_and(|b| items.iter().all(|item| fits(item, b))),
        Value::Object(members) => below.is_some_and(|b| members.values().all(|v| fits(v, b))),
        _ => true,
    }
}

/// Counts bytes instead of writing them, and fails at the first one too many.
struct OperationCount {
    left: usize,
}

impl io::Write for OperationCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
