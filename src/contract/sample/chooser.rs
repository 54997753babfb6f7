//! Every choice that making a value takes: by default, as somebody wants it, or by dice.

use std::collections::BTreeMap;

use crate::contract::sample::dice::Dice;
use crate::contract::sample::samples::SampleKind;

/// Options of one choice that are told apart; a longer list is cut.
pub(super) const MAX_OPTIONS: usize = 64;

/// Choices of one sample that are noted, so that others can deviate from them.
const MAX_NOTED: usize = 2_000;

/// What is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// Whether an optional member is there; the second option leaves it out.
    Member,
    /// Whether a member is there that the schema allows without naming it.
    Extra,
    /// The branch of the choice with this number among those of one value.
    Branch(usize),
    /// The type of a value.
    Type,
    /// One of the listed values.
    Listed,
    /// How large, long or many.
    Size,
}

/// A choice, told from all others of the same message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChoiceKey {
    /// Where the value stands in the data.
    pub(super) pointer: String,
    pub(super) about: About,
}

/// One option of a choice in words, as the name of the sample that takes it.
#[derive(Clone, Debug)]
pub(super) struct ChoiceOption {
    pub(super) kind: SampleKind,
    pub(super) name: String,
}

/// A choice that was made.
#[derive(Debug)]
pub(super) struct ChosenOption {
    pub(super) key: ChoiceKey,
    pub(super) options: Vec<ChoiceOption>,
    pub(super) taken: usize,
    /// Whether it is a member that is not there for want of a value.
    pub(super) is_given_up: bool,
}

/// Options by the choices for which they are wanted.
pub(super) type Wanted = BTreeMap<ChoiceKey, usize>;

/// Makes choices and notes them.
#[derive(Debug)]
pub(super) struct Chooser<'a> {
    pub(super) wanted: &'a Wanted,
    /// Leaves every optional member out that nobody wants.
    pub(super) is_sparse: bool,
    /// Varies what nobody wants.
    pub(super) dice: Option<Dice>,
    /// How many values around the one at hand are like another one that is noted already.
    pub(super) silence: usize,
    pub(super) noted: Vec<ChosenOption>,
}

impl<'a> Chooser<'a> {
    pub(super) const fn new(wanted: &'a Wanted) -> Self {
        Self { wanted, is_sparse: false, dice: None, silence: 0, noted: Vec::new() }
    }

    /// Chooses one of several options, by default the one with the number `usual`.
    pub(super) fn choose(
        &mut self,
        key: ChoiceKey,
        usual: usize,
        options: impl FnOnce() -> Vec<ChoiceOption>,
    ) -> usize {
        let mut options = options();
        options.truncate(MAX_OPTIONS);
        if options.len() < 2 {
            return 0;
        }
        let usual = usual.min(options.len() - 1);
        let taken = match self.wanted.get(&key) {
            Some(wanted) if *wanted < options.len() => *wanted,
            _ => self.unwanted(key.about, usual, options.len()),
        };
        if self.silence == 0 && self.noted.len() < MAX_NOTED {
            self.noted.push(ChosenOption { key, options, taken, is_given_up: false });
        }
        taken
    }

    fn unwanted(&mut self, about: About, usual: usize, options: usize) -> usize {
        let is_member = matches!(about, About::Member | About::Extra);
        match &mut self.dice {
            _ if self.is_sparse && is_member => 1,
            None => usual,
            Some(dice) => {
                // Members are mostly there, and sizes mostly ordinary.
                let keeps = match about {
                    About::Member => 3,
                    About::Size | About::Extra => 7,
                    About::Branch(_) | About::Type | About::Listed => 0,
                };
                if dice.below(keeps + 1) == 0 { dice.below(options) } else { usual }
            }
        }
    }

    /// Notes that an optional member is not there after all, for want of a value.
    pub(super) fn give_up(&mut self, pointer: &str) {
        let is_it = |chosen: &&mut ChosenOption| {
            chosen.key.pointer == pointer
                && matches!(chosen.key.about, About::Member | About::Extra)
        };
        if let Some(chosen) = self.noted.iter_mut().rev().find(is_it) {
            (chosen.taken, chosen.is_given_up) = (1, true);
        }
    }

    /// Chooses where nobody is told: the first option, or any.
    pub(super) fn silently(&mut self, options: usize) -> usize {
        self.dice.as_mut().map_or(0, |dice| dice.below(options))
    }
}
