//! How many steps of a program can be open at once: with the length of a text, its cost.

use crate::contract::pattern::program::{Address, Instruction, Program};
use crate::contract::pattern::syntax::Edge;

/// Steps that may wait for the same character, on average over a text.
const MAX_OPEN: usize = 600;

/// Whether some text may have more than [`MAX_OPEN`] steps wait for each of its characters.
///
/// The program is run over a text of which every class takes every character, and on which a
/// repetition that may go on goes on for ever: no text has more steps open at any place.
pub(super) fn is_too_wide(program: &Program) -> bool {
    let mut breadth = Breadth { program, lasting: lasting(program), seen: vec![0; program.len()] };
    let mut open = breadth.enter(vec![0], 0);
    let mut work = 0;
    // Each step is reached from a lasting one within the length of the program, if at all.
    for at in 1..=2 * program.len() {
        work += open.len();
        // To begin costs as much as the program is long, whatever is open.
        if work > program.len() + MAX_OPEN * at {
            return true;
        }
        let next = breadth.step(&open, at);
        if next == open {
            break;
        }
        open = next;
    }
    open.len() > MAX_OPEN
}

/// Which instructions can wait for any number of characters in a row, or come again.
fn lasting(program: &Program) -> Vec<bool> {
    let mut lasting = vec![false; program.len()];
    for address in 0..program.len() {
        let first = match program.get(address) {
            Some(Instruction::Count { .. }) => address,
            Some(Instruction::Jump(target)) if *target < address => *target,
            _ => continue,
        };
        if let Some(part) = lasting.get_mut(first..=address) {
            part.fill(true);
        }
    }
    lasting
}

struct Breadth<'p> {
    program: &'p Program,
    lasting: Vec<bool>,
    /// At which place each instruction was entered last, counted from 1.
    seen: Vec<usize>,
}

impl Breadth<'_> {
    /// The steps that wait for the next character once these have taken one.
    fn step(&mut self, open: &[Address], at: usize) -> Vec<Address> {
        let mut entered: Vec<Address> = open.iter().map(|address| address + 1).collect();
        let stays = |address: &Address| self.lasting.get(*address).copied().unwrap_or(false);
        entered.extend(open.iter().copied().filter(stays));
        if !self.program.is_anchored() {
            entered.push(0);
        }
        self.enter(entered, at)
    }

    /// Goes from instructions to all that wait for a character, in order.
    fn enter(&mut self, mut onward: Vec<Address>, at: usize) -> Vec<Address> {
        let mut open = Vec::new();
        while let Some(address) = onward.pop() {
            match self.seen.get_mut(address) {
                Some(seen) if *seen != at + 1 => *seen = at + 1,
                _ => continue,
            }
            match self.program.get(address) {
                Some(Instruction::One(_) | Instruction::Count { .. }) => open.push(address),
                Some(Instruction::Split(other)) => onward.extend([*other, address + 1]),
                Some(Instruction::Jump(target)) => onward.push(*target),
                Some(Instruction::Look(Edge::Start)) if at > 0 => {}
                Some(Instruction::Look(_)) => onward.push(address + 1),
                Some(Instruction::Found) | None => {}
            }
        }
        open.sort_unstable();
        open
    }
}
