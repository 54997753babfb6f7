//! A queue of SQS is a source: what it holds crosses once, and is deleted after the log's yes.

mod bodies;
mod crashes;
mod dead_letters;
mod emulators;
mod scene;
mod trouble;
