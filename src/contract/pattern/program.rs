//! A pattern as a program over characters.

use std::sync::Arc;

use regex_syntax::hir::ClassUnicode;

use crate::contract::pattern::class::CharClass;
use crate::contract::pattern::mistake::PatternMistake;
use crate::contract::pattern::syntax::{Edge, Piece};

/// Instructions of one pattern.
const MAX_INSTRUCTIONS: usize = 5_000;

/// Where an instruction stands in its program.
pub(super) type Address = usize;

/// One step; after it comes the next one, unless it says otherwise.
#[derive(Debug)]
pub(super) enum Instruction {
    /// Takes one character.
    One(Arc<CharClass>),
    /// Takes as many characters as this, by the counter of this number.
    Count { class: Arc<CharClass>, least: usize, most: usize, counter: usize },
    /// Goes on with the next one and there.
    Split(Address),
    /// Goes on there.
    Jump(Address),
    /// Goes on at such a place only.
    Look(Edge),
    /// The pattern is found.
    Found,
}

/// A pattern as a program.
#[derive(Debug)]
pub(super) struct Program {
    instructions: Vec<Instruction>,
    counters: usize,
    is_anchored: bool,
}

impl Program {
    pub(super) fn of(
        piece: &Piece,
        class: &mut impl FnMut(&ClassUnicode) -> Arc<CharClass>,
    ) -> Result<Self, PatternMistake> {
        let mut writer = Writer { class, instructions: Vec::new(), counters: 0 };
        writer.write(piece)?;
        writer.push(Instruction::Found)?;
        let mut instructions = writer.instructions;
        instructions.shrink_to_fit();
        let is_anchored = matches!(instructions.first(), Some(Instruction::Look(Edge::Start)));
        Ok(Self { counters: writer.counters, instructions, is_anchored })
    }

    pub(super) fn len(&self) -> usize {
        self.instructions.len()
    }

    pub(super) fn get(&self, address: Address) -> Option<&Instruction> {
        self.instructions.get(address)
    }

    /// How many counters it needs.
    pub(super) const fn counters(&self) -> usize {
        self.counters
    }

    /// Whether it can only be found at the start of a text.
    pub(super) const fn is_anchored(&self) -> bool {
        self.is_anchored
    }
}

struct Writer<'c, C> {
    class: &'c mut C,
    instructions: Vec<Instruction>,
    counters: usize,
}

impl<C: FnMut(&ClassUnicode) -> Arc<CharClass>> Writer<'_, C> {
    fn push(&mut self, instruction: Instruction) -> Result<Address, PatternMistake> {
        if self.instructions.len() >= MAX_INSTRUCTIONS {
            return Err(PatternMistake::TooLarge);
        }
        self.instructions.push(instruction);
        Ok(self.instructions.len() - 1)
    }

    /// Lets an earlier split or jump lead to what comes next.
    fn land(&mut self, address: Address) {
        let here = self.instructions.len();
        if let Some(Instruction::Split(target) | Instruction::Jump(target)) =
            self.instructions.get_mut(address)
        {
            *target = here;
        }
    }

    fn write(&mut self, piece: &Piece) -> Result<(), PatternMistake> {
        match piece {
            Piece::One(set) => {
                let class = (self.class)(set);
                self.push(Instruction::One(class)).map(|_| ())
            }
            Piece::Look(edge) => self.push(Instruction::Look(*edge)).map(|_| ()),
            Piece::All(pieces) => pieces.iter().try_for_each(|piece| self.write(piece)),
            Piece::Either(pieces) => self.either(pieces),
            Piece::Repeat { piece, least, most } => match &**piece {
                Piece::One(set) => self.counted(set, *least, *most),
                group => self.copied(group, *least, *most),
            },
        }
    }

    fn either(&mut self, pieces: &[Piece]) -> Result<(), PatternMistake> {
        let Some((last, others)) = pieces.split_last() else { return Ok(()) };
        let mut ends = Vec::with_capacity(others.len());
        for piece in others {
            let split = self.push(Instruction::Split(0))?;
            self.write(piece)?;
            ends.push(self.push(Instruction::Jump(0))?);
            self.land(split);
        }
        self.write(last)?;
        for end in ends {
            self.land(end);
        }
        Ok(())
    }

    /// One class of characters, which is counted whatever the numbers.
    fn counted(
        &mut self,
        set: &ClassUnicode,
        least: u32,
        most: Option<u32>,
    ) -> Result<(), PatternMistake> {
        if most == Some(0) {
            return Ok(());
        }
        let skip = if least == 0 { Some(self.push(Instruction::Split(0))?) } else { None };
        let class = (self.class)(set);
        let least = usize::try_from(least.max(1)).unwrap_or(usize::MAX);
        let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        if most == 1 {
            self.push(Instruction::One(class))?;
        } else {
            let counter = self.counters;
            self.counters += 1;
            self.push(Instruction::Count { class, least, most, counter })?;
        }
        if let Some(skip) = skip {
            self.land(skip);
        }
        Ok(())
    }

    /// A group, which is written as often as it may come.
    fn copied(
        &mut self,
        group: &Piece,
        least: u32,
        most: Option<u32>,
    ) -> Result<(), PatternMistake> {
        for _ in 0..least {
            let before = self.instructions.len();
            self.write(group)?;
            if self.instructions.len() == before {
                return Ok(());
            }
        }
        let Some(most) = most else {
            let split = self.push(Instruction::Split(0))?;
            self.write(group)?;
            self.push(Instruction::Jump(split))?;
            self.land(split);
            return Ok(());
        };
        let mut skips = Vec::new();
        for _ in least..most {
            skips.push(self.push(Instruction::Split(0))?);
            self.write(group)?;
        }
        for skip in skips {
            self.land(skip);
        }
        Ok(())
    }
}
