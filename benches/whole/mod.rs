//! The whole gateway under measurement: its settings, a producer, and sinks that cost next to nothing.

mod ground;
mod producer;
mod sink;
mod usage;

pub use ground::{Ground, Operator};
pub use producer::Producer;
pub use sink::CountingSink;
pub use usage::Usage;
