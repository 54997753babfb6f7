//! Which keys exist, what each is for, and how long each lives.
