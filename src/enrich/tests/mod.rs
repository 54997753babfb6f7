//! Tests of the room as a whole: the public suite and numbers, through files of publications.

mod patch_suite;
