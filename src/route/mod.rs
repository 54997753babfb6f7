//! Who wants this event: patterns, one by one and all at once.
