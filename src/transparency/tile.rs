//! The names of tiles and of bundles of entries, as C2SP tlog-tiles has them.

use std::fmt;
use std::str::FromStr;

use crate::transparency::{MOST_LEAVES, StoredSpan, TILE_HEIGHT, TILE_WIDTH};

/// No path of a tile is longer: a level, seven elements of four, and a width.
const LONGEST: usize = 64;

/// A piece of a tree that is served as one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Of which level its hashes are; nothing: it is a bundle of the entries themselves.
    pub level: Option<u32>,
    /// Its number within the level.
    pub number: u64,
    /// How many hashes or entries it has, at most 256; fewer, and it is partial.
    pub width: u64,
}

/// A text that is not the path of a tile.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not the path of a tile, which is like `0/x001/234` or `entries/000.p/7`")]
pub struct TilePathError;

impl Tile {
    /// What is kept of it: its hashes, or the leaves of its entries.
    pub const fn span(&self) -> StoredSpan {
        let level = match self.level {
            Some(level) => level,
            None => 0,
        };
        StoredSpan { level, start: self.number * TILE_WIDTH, count: self.width }
    }

    /// Whether a tree of so many leaves has all of it.
    pub const fn is_in(&self, size: u64) -> bool {
        let span = self.span();
        span.start + span.count <= size >> (TILE_HEIGHT * span.level)
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "{level}/")?,
            None => f.write_str("entries/")?,
        }
        let mut divisor = 1_000_000_000_000_000_000;
        while divisor >= 1000 {
            if self.number >= divisor {
                write!(f, "x{:03}/", self.number / divisor % 1000)?;
            }
            divisor /= 1000;
        }
        write!(f, "{:03}", self.number % 1000)?;
        if self.width == TILE_WIDTH { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// Reads what [`Display`](fmt::Display) writes, and nothing else: one piece has one name.
impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        if path.len() > LONGEST {
            return Err(TilePathError);
        }
        let (level, rest) = path.split_once('/').ok_or(TilePathError)?;
        let (number, width) = rest.split_once(".p/").unwrap_or((rest, "256"));
        let tile = Self {
            level: match level {
                "entries" => None,
                level => Some(level.parse().map_err(|_| TilePathError)?),
            },
            number: number_of(number).ok_or(TilePathError)?,
            width: width.parse().map_err(|_| TilePathError)?,
        };
        // No tree has tiles above the level of 2^56 leaves, nor so many.
        let exists = tile.level.is_none_or(|level| level < 8)
            && (1..=TILE_WIDTH).contains(&tile.width)
            && tile.number < MOST_LEAVES / TILE_WIDTH;
        if exists && tile.to_string() == path { Ok(tile) } else { Err(TilePathError) }
    }
}

fn number_of(elements: &str) -> Option<u64> {
    elements.split('/').try_fold(0_u64, |number, element| {
        let digits = element.strip_prefix('x').unwrap_or(element);
        number.checked_mul(1000)?.checked_add(digits.parse().ok()?)
    })
}
