//! Where the bytes of a request's body are counted.

/// Room for the body of one request, which is given back when the request is done.
pub trait BodyRoom: Send + Sync {
    /// Takes room for so many bytes more; says whether there was room.
    fn take(&self, bytes: usize) -> bool;

    /// Notes that the sender of the request is known for sure.
    fn trust(&self);
}

/// Room without end, where nobody counts.
impl BodyRoom for () {
    fn take(&self, _: usize) -> bool {
        true
    }

    fn trust(&self) {}
}
