//! The life of a delivery, from the first attempt to the last.
