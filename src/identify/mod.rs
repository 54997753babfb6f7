//! Gives an event its names and its public shape.
