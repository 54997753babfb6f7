//! The rules of the house, by kind: [`walls`] between rooms, [`wings`] within them, no [`circles`] of
//! files, [`sizes`], and [`names`]. They read [`sources`] as text, and [`imports`] out of it.

mod circles;
mod imports;
mod names;
mod sizes;
mod sources;
mod walls;
mod wings;
