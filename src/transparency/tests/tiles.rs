//! The names of tiles are those of C2SP tlog-tiles.

use proptest::prelude::*;

use crate::transparency::{Tile, TilePathError};

#[test]
fn a_tile_has_the_name_of_the_specification() {
    let tile = |level, number, width| Tile { level, number, width }.to_string();
    assert_eq!(tile(Some(0), 1_234_067, 256), "0/x001/x234/067");
    assert_eq!(tile(Some(1), 0, 17), "1/000.p/17");
    assert_eq!(tile(None, 5_000, 1), "entries/x005/000.p/1");
    assert_eq!(tile(Some(2), 1_000_067, 255), "2/x001/x000/067.p/255");
}

#[test]
fn a_tree_of_70_000_has_the_tiles_of_the_specification() {
    let is_in = |path: &str| path.parse::<Tile>().unwrap().is_in(70_000);
    for path in ["0/000", "0/272", "0/273.p/112", "1/000", "1/001.p/17", "2/000.p/1"] {
        assert!(is_in(path), "{path}");
    }
    for path in ["0/273", "0/273.p/113", "0/274.p/1", "1/001.p/18", "2/000.p/2", "3/000.p/1"] {
        assert!(!is_in(path), "{path}");
    }
    assert!(is_in("entries/273.p/112") && !is_in("entries/273.p/113"));
}

#[test]
fn other_names_are_refused() {
    let long = format!("0/{}000", "x001/".repeat(12));
    let refused = [
        "",
        "0",
        "0/",
        "0/0",
        "0/00",
        "0/0000",
        "00/000",
        "+0/000",
        "64/000",
        "8/000",
        "0/x001",
        "0/001/000",
        "0/x000/001",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/07",
        "0/000.p/+7",
        "0/000.p",
        "0/000/",
        "0//000",
        "data/000",
        "entries/000.p/257",
        "0/-01",
        "0/xx01/000",
        "0/x999/x999/x999/x999/x999/x999/x999",
        &long,
        "0/000.p/1.p/1",
        "Entries/000",
        "0/ſ00",
    ];
    for path in refused {
        assert_eq!(path.parse::<Tile>(), Err(TilePathError), "{path}");
    }
}

proptest! {
    #[test]
    fn a_name_leads_to_its_tile_and_no_other_does(
        level in proptest::option::of(0_u32..8), number in 0_u64..1 << 54, width in 1_u64..=256,
        text in "[0-9x/.pentris]{0,30}",
    ) {
        let tile = Tile { level, number, width };
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        if let Ok(read) = text.parse::<Tile>() {
            prop_assert_eq!(read.to_string(), text);
        }
    }
}
