//! The rules of the house, by kind: [`walls`] between rooms, [`wings`] within them, no [`circles`] of
//! files, [`sizes`], [`names`], and [`links`] of pages. They read [`sources`] as text, and [`imports`] out of it.

mod circles;
mod imports;
mod links;
mod names;
mod sizes;
mod sources;
mod walls;
mod wings;
