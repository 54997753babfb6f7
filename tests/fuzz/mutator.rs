//! Alters inputs of a corpus by chance that follows from a seed.

/// Texts that parsers have a branch for.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    "\n\n",
    "\n",
    "\r\n",
    "\0",
    " ",
    "\t",
    "null",
    "true",
    "-0",
    "1e400",
    "-1",
    "9223372036854775808",
    "0.1",
    "\\ud83d",
    "\\u0000",
    "\u{feff}",
    "é",
    "..",
    "/",
    "~1",
    "%",
    "*",
    "&a",
    "*a",
    "<<",
    "|",
    ">",
    "$ref",
    "$or",
    "hunter2",
    "0001-01-01T00:00:00Z",
    "9999",
    "Z",
    "+14:00",
    "AAAA",
    "=",
    ".",
    "~",
    "<0>",
    "<1>",
    "allOf",
    "not",
    "exists",
    "wildcard",
    "numeric",
    "anything-but",
];

/// The longest input.
pub const LONGEST: usize = 16 * 1024;

/// A generator of numbers (splitmix64), so that a seed says everything.
pub struct Chance(u64);

impl Chance {
    /// Begins with a seed and the name of what it is for.
    pub fn new(seed: u64, name: &str) -> Self {
        let mix = |state: u64, byte: u8| state.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte);
        Self(name.bytes().fold(seed, mix))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below a bound, which is 1 at least.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// One of these.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Makes a new input of one or two of a corpus.
pub fn mutate(corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut input = chance.one(corpus).clone();
    for _ in 0..=chance.below(6) {
        alter(&mut input, corpus, chance);
    }
    input.truncate(LONGEST);
    input
}

fn alter(input: &mut Vec<u8>, corpus: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(input.len() + 1);
    let end = (at + 1 + chance.below(16)).min(input.len());
    match chance.below(9) {
        0 if at < input.len() => input[at] ^= 1 << chance.below(8),
        1 if at < input.len() => input[at] = u8::try_from(chance.below(256)).unwrap(),
        2 => drop(input.drain(at.min(end)..end)),
        3 => insert(input, at, &[u8::try_from(chance.below(256)).unwrap()]),
        4 => {
            let piece = input[at.min(end)..end].to_vec();
            insert(input, at, &piece.repeat(1 + chance.below(40)));
        }
        5 => {
            let other = chance.one(corpus);
            let from = chance.below(other.len() + 1);
            let to = (from + chance.below(80)).min(other.len());
            insert(input, at, &other[from..to]);
        }
        6 => input.truncate(at),
        _ => insert(input, at, chance.one(WORDS).as_bytes()),
    }
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    input.splice(at..at, piece.iter().copied());
}
