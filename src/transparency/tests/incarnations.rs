//! Which incarnation a position is of, and what is left of each.

use std::time::Duration;

use proptest::prelude::*;

use crate::event::{EventId, Timestamp};
use crate::transparency::{Incarnation, Incarnations, LogHead, TreeHash, TreeHead, TreeRoot};

fn head(incarnation: u64, position: u64) -> LogHead {
    let tree = TreeRoot { size: position, root: TreeHash::of_nothing() };
    LogHead {
        incarnation,
        position,
        event: (position > 0).then(|| EventId::first_of(position)),
        tree: Some(TreeHead { first: 1, tree }),
    }
}

/// One that goes on from another behind a position, begun after so many minutes.
fn begun(number: u64, from: u64, survived: u64) -> Incarnation {
    Incarnation {
        number,
        id: format!("life {number}"),
        began: Timestamp::EPOCH.after(Duration::from_mins(number)),
        survivors: head(from, survived),
        before: None,
    }
}

#[test]
fn a_position_is_of_the_incarnation_that_took_it() {
    let none = Incarnations::default();
    assert_eq!((none.current(), none.at(7), none.when(Timestamp::EPOCH)), (1, 1, 1));

    // The third goes back behind the beginning of the second, and of that one nothing is left.
    let all = Incarnations::new(vec![begun(5, 2, 8), begun(2, 1, 10)]);

    assert_eq!(all.current(), 5);
    assert_eq!([1, 8, 9, 10, 11, 12].map(|position| all.at(position)), [1, 1, 5, 5, 5, 5]);
    let moment = |minutes| Timestamp::EPOCH.after(Duration::from_mins(minutes));
    assert_eq!([0, 2, 4, 5, 9].map(|minutes| all.when(moment(minutes))), [1, 2, 2, 5, 5]);
    let now = TreeRoot { size: 30, root: TreeHash::of_nothing() };
    let size = |number| all.tree_of(number, now).map(|tree| tree.size);
    assert_eq!([1, 2, 5].map(size), [Some(8), Some(8), Some(30)]);
    assert_eq!([0, 3, 6].map(size), [None, None, None]);
}

#[test]
fn a_record_whose_parts_do_not_fit_is_none() {
    let sound = |alter: &dyn Fn(&mut Incarnation)| {
        let mut one = begun(3, 1, 10);
        one.before = Some(head(1, 12));
        alter(&mut one);
        one.is_sound()
    };

    assert!(sound(&|_| {}));
    assert!(sound(&|one| one.before = None));
    assert!(sound(&|one| one.before = Some(head(1, 10))), "nothing was lost");
    assert!(sound(&|one| one.before = Some(head(2, 4))), "another line went less far");
    assert!(!sound(&|one| one.number = 1));
    assert!(!sound(&|one| one.id.clear()));
    assert!(!sound(&|one| one.survivors.incarnation = 3));
    assert!(!sound(&|one| one.survivors.incarnation = 0));
    assert!(!sound(&|one| one.survivors.tree = None));
    assert!(!sound(&|one| one.survivors.position = 11), "the tree ends elsewhere");
    assert!(!sound(&|one| one.before = Some(head(1, 9))), "less than what survived");
    assert!(!sound(&|one| one.before = Some(head(3, 12))));
    let mut other_root = head(1, 10);
    other_root.tree.as_mut().unwrap().tree.root =
        TreeHash::of_node(TreeHash::of_nothing(), TreeHash::of_nothing());
    assert!(!sound(&|one| one.before = Some(other_root.clone())), "one size and two roots");
}

#[test]
fn what_was_lost_is_counted_and_told_by_id() {
    let mut one = begun(2, 1, 10);
    assert_eq!(one.lost(), None);
    one.before = Some(head(1, 12));
    assert_eq!(one.lost(), Some(2));

    let kept = |position| one.has_kept(EventId::first_of(position));
    assert_eq!((kept(10), kept(11)), (Some(true), Some(false)));
    one.survivors.event = None;
    assert_eq!(one.has_kept(EventId::first_of(10)), None, "it is not known");
    let empty = begun(2, 1, 0);
    assert_eq!(empty.has_kept(EventId::MIN), Some(false));
}

proptest! {
    #[test]
    fn each_position_is_of_one_that_began_before_it(
        survived in proptest::collection::vec(0_u64..50, 0..8), position in 1_u64..60,
    ) {
        let all = (2..).zip(&survived).map(|(number, survived)| begun(number, number - 1, *survived));
        let all = Incarnations::new(all.collect());
        let number = all.at(position);
        for one in all.records() {
            let is_its_own = position > one.survivors.position;
            prop_assert!(one.number <= number || !is_its_own);
            prop_assert!(one.number != number || is_its_own);
        }
    }

    #[test]
    fn a_record_reads_what_it_writes(number in 2_u64..9, survived in 0_u64..9, lost in 0_u64..9) {
        let one = Incarnation { before: Some(head(1, survived + lost)), ..begun(number, 1, survived) };
        let text = serde_json::to_string(&one).unwrap();
        prop_assert_eq!(serde_json::from_str::<Incarnation>(&text).unwrap(), one);
    }
}
