//! The plain kind of pattern: `^[A-Z]{2}\d{6,8}$`, where each step takes all that it can.

use std::sync::Arc;

use regex_syntax::hir::ClassUnicode;

use crate::contract::pattern::class::CharClass;
use crate::contract::pattern::syntax::{Edge, Piece};

/// Steps from the start of a text, of which none leaves a choice to the next one.
#[derive(Debug)]
pub(super) struct Sequence {
    steps: Vec<Step>,
    to_the_end: bool,
}

#[derive(Debug)]
struct Step {
    class: Arc<CharClass>,
    least: u32,
    most: u32,
}

impl Sequence {
    /// The steps of a pattern; nothing if one of them would leave a choice.
    pub(super) fn of(
        piece: &Piece,
        class: &mut impl FnMut(&ClassUnicode) -> Arc<CharClass>,
    ) -> Option<Self> {
        let Piece::All(pieces) = piece else { return None };
        let (Piece::Look(Edge::Start), mut rest) = pieces.split_first()? else { return None };
        let to_the_end = matches!(rest.last(), Some(Piece::Look(Edge::End)));
        if to_the_end {
            rest = rest.get(..rest.len() - 1)?;
        }
        let mut steps = Vec::with_capacity(rest.len());
        for piece in rest {
            let (set, least, most) = match piece {
                Piece::One(set) => (set, 1, 1),
                Piece::Repeat { piece, least, most } => match &**piece {
                    Piece::One(set) => (set, *least, most.unwrap_or(u32::MAX)),
                    _ => return None,
                },
                _ => return None,
            };
            steps.push(Step { class: class(set), least, most });
        }
        let decided = (0..steps.len()).all(|index| is_decided(steps.get(index..)));
        decided.then_some(Self { steps, to_the_end })
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether a text begins as the steps say, and ends there if it has to.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut characters = text.chars();
        for step in &self.steps {
            let mut count = 0;
            while count < step.most {
                let before = characters.clone();
                if !characters.next().is_some_and(|c| step.class.contains(c)) {
                    characters = before;
                    break;
                }
                count += 1;
            }
            if count < step.least {
                return false;
            }
        }
        !self.to_the_end || characters.next().is_none()
    }
}

/// Whether the first step may take all that it can: what has to follow takes none of it.
fn is_decided(steps: Option<&[Step]>) -> bool {
    let Some((step, rest)) = steps.and_then(<[Step]>::split_first) else { return true };
    if step.least == step.most {
        return true;
    }
    for next in rest {
        if !step.class.is_disjoint(&next.class) {
            return false;
        }
        if next.least > 0 {
            break;
        }
    }
    true
}
