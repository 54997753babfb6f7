//! The log: what is appended, read, observed and dropped.

mod appending;
mod observing;
mod reading;
mod trimming;
