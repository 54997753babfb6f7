//! Tests of the room as a whole: public suites, numbers of any size, and generated pairs.

mod suite;
