//! The room that a web console will move into; deliberately empty.
