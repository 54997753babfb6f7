//! The nested JWT: signed inside, encrypted outside, and the way back.
