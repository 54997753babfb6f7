//! Tests of the room as a whole: public suites, numbers of any size, and generated pairs.

mod dialects;
mod dice;
mod generated;
mod numbers;
mod oracle;
mod pairs;
mod shrink;
mod suite;
