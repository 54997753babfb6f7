//! What tests take for AWS behaves as AWS does, seen by the vendor's own clients.

mod buses;
mod faults;
mod queues;
mod roles;
