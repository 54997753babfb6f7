//! Asks for one deviation from the ordinary sample after the other, and keeps what the gate lets pass.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use serde_json::Value;

use crate::contract::Message;
use crate::contract::discriminator;
use crate::contract::sample::chooser::{
    About, ChoiceKey, ChoiceOption, Chooser, ChosenOption, Wanted,
};
use crate::contract::sample::dice::Dice;
use crate::contract::sample::graph::SchemaGraph;
use crate::contract::sample::maker::Maker;
use crate::contract::sample::pattern::PatternBook;
use crate::contract::sample::samples::{Sample, SampleKind, SampleRequest, Samples};
use crate::enrich::as_crossed;
use crate::event::Violation;

/// Samples that are given at the most, whatever is asked for.
const MAX_COUNT: usize = 10_000;

/// Steps of one search; an ordinary sample takes some hundred.
const MAX_STEPS: u64 = 3_000_000;

/// How often a sample is tried with the members left out that broke it.
const MENDED: u64 = 4;

/// How often it is tried by dice after that.
const ROLLED: u64 = 10;

/// What is listed as unreached.
const MAX_UNREACHED: usize = 100;

impl Message {
    /// Makes data that keeps this message, the same for the same request.
    pub fn samples(&self, request: &SampleRequest) -> Samples {
        let mut schema = self.schema().clone();
        discriminator::refine(&mut schema);
        search(&schema, &|data| self.check(data), request)
    }
}

/// What judges a sample: every way in which it breaks the message.
type Judge<'a> = &'a dyn Fn(&Value) -> Vec<Violation>;

/// Makes data from a schema in normal form, and gives what the judge finds nothing wrong with.
fn search(schema: &Value, judge: Judge<'_>, request: &SampleRequest) -> Samples {
    let graph = SchemaGraph::of(schema);
    let mut search = Search {
        judge,
        graph: &graph,
        request,
        book: PatternBook::default(),
        steps: MAX_STEPS,
        given: HashSet::new(),
        tried: BTreeMap::new(),
        reached: BTreeSet::new(),
        samples: Samples::default(),
    };
    search.run();
    search.samples
}

/// An option that some sample could take, and what has to be chosen before it comes up.
struct Deviation {
    wanted: Wanted,
    key: ChoiceKey,
    index: usize,
    option: ChoiceOption,
}

/// Deviations that wait to be tried, what is asked for most first.
#[derive(Default)]
struct Waiting {
    known: BTreeSet<(ChoiceKey, usize)>,
    without: VecDeque<Deviation>,
    alternatives: VecDeque<Deviation>,
    edges: VecDeque<Deviation>,
}

struct Search<'a> {
    judge: Judge<'a>,
    graph: &'a SchemaGraph,
    request: &'a SampleRequest,
    book: PatternBook,
    steps: u64,
    /// The samples that were given, as text.
    given: HashSet<String>,
    /// Options that were asked for, and their names.
    tried: BTreeMap<(ChoiceKey, usize), String>,
    /// Options that some valid sample took.
    reached: BTreeSet<(ChoiceKey, usize)>,
    samples: Samples,
}

/// Data that keeps the message, and the choices that led to it.
type ChosenData = (Value, Vec<ChosenOption>);

impl Search<'_> {
    fn run(&mut self) {
        let mut waiting = Waiting::default();
        let none = Wanted::new();
        let (ordinary, noted) = self.attempt(&none, None);
        waiting.add(&none, noted.iter().flatten(), false);
        match ordinary {
            Some(made) => {
                waiting.add(&none, &made.1, true);
                self.miss_given_up(&made.1);
                self.give(SampleKind::Ordinary, "ordinary", made);
            }
            None => self.samples.unreached.push("the ordinary sample".to_owned()),
        }
        if self.request.deviations {
            self.deviations(&mut waiting);
        }
        if self.request.varied {
            self.vary();
        }
        self.samples.is_cut_short |= self.steps == 0;
        let missed = self.tried.iter().filter(|(option, _)| !self.reached.contains(*option));
        let missed = missed.map(|(_, name)| name.clone());
        self.samples.unreached.extend(missed.take(MAX_UNREACHED));
    }

    /// Notes the members for which the ordinary sample found no value: they are missed unless another
    /// sample shows them.
    fn miss_given_up(&mut self, noted: &[ChosenOption]) {
        for chosen in noted.iter().filter(|chosen| chosen.is_given_up) {
            if let Some(option) = chosen.options.first() {
                self.tried.insert((chosen.key.clone(), 0), option.name.clone());
            }
        }
    }

    fn deviations(&mut self, waiting: &mut Waiting) {
        let mut is_sparse_done = false;
        while !self.is_done() {
            // Behind each member alone come all together.
            if waiting.without.is_empty() && !is_sparse_done {
                is_sparse_done = true;
                self.sparse(&Wanted::new(), waiting);
            } else if let Some(deviation) = waiting.next() {
                self.deviate(&deviation, waiting);
            } else {
                break;
            }
        }
        self.samples.is_cut_short |= waiting.next().is_some();
    }

    fn is_done(&self) -> bool {
        self.steps == 0 || self.samples.found.len() >= self.request.count.min(MAX_COUNT)
    }

    /// The sample with no optional member at all.
    fn sparse(&mut self, none: &Wanted, waiting: &mut Waiting) {
        let mut chooser = Chooser::new(none);
        chooser.is_sparse = true;
        if let (Some(data), noted) = self.make(chooser)
            && (self.judge)(&data).is_empty()
        {
            waiting.add(none, &noted, true);
            self.give(SampleKind::Without, "without any optional member", (data, noted));
        }
    }

    fn deviate(&mut self, deviation: &Deviation, waiting: &mut Waiting) {
        let Deviation { wanted, key, index, option } = deviation;
        let mut wanted = wanted.clone();
        wanted.insert(key.clone(), *index);
        self.tried.insert((key.clone(), *index), option.name.clone());
        let (made, noted) = self.attempt(&wanted, Some((key, *index)));
        match made {
            Some(made) => {
                waiting.add(&wanted, &made.1, true);
                self.give(option.kind, &option.name, made);
            }
            None => waiting.add(&wanted, noted.iter().flatten(), false),
        }
    }

    fn vary(&mut self) {
        let none = Wanted::new();
        let asked = self.request.count.min(MAX_COUNT);
        for number in 0..4 * asked as u64 {
            if self.is_done() {
                break;
            }
            let mut chooser = Chooser::new(&none);
            chooser.dice = Some(Dice::new(self.seed(number)));
            if let (Some(data), noted) = self.make(chooser)
                && (self.judge)(&data).is_empty()
            {
                self.give(SampleKind::Varied, &format!("varied {number}"), (data, noted));
            }
        }
    }

    fn seed(&self, number: u64) -> u64 {
        self.request.seed.wrapping_mul(0x1_0000_01b3).wrapping_add(number + 1)
    }

    /// Tries until the gate lets a sample pass that takes the option: plainly, then without the
    /// members that broke it, then by dice. Without success, gives what was chosen at first.
    fn attempt(
        &mut self,
        wanted: &Wanted,
        option: Option<(&ChoiceKey, usize)>,
    ) -> (Option<ChosenData>, Option<Vec<ChosenOption>>) {
        let takes = |noted: &[ChosenOption]| {
            option.is_none_or(|(key, index)| {
                noted.iter().any(|chosen| chosen.key == *key && chosen.taken == index)
            })
        };
        let mut mended = wanted.clone();
        let mut first = None;
        for round in 0..=MENDED + ROLLED {
            let chooser =
                if round > MENDED { self.rolled(wanted, round) } else { Chooser::new(&mended) };
            let (data, noted) = self.make(chooser);
            let Some(data) = data.filter(|_| takes(&noted)) else {
                first.get_or_insert(noted);
                continue;
            };
            let violations = (self.judge)(&data);
            if violations.is_empty() {
                return (Some((data, noted)), None);
            }
            mend(&mut mended, wanted, &violations, &noted);
            first.get_or_insert(noted);
        }
        (None, first)
    }

    /// Chooses by dice, in the last round without optional members.
    fn rolled<'w>(&self, wanted: &'w Wanted, round: u64) -> Chooser<'w> {
        let mut chooser = Chooser::new(wanted);
        chooser.dice = Some(Dice::new(self.seed(round)));
        chooser.is_sparse = round == MENDED + ROLLED;
        chooser
    }

    fn make(&mut self, chooser: Chooser<'_>) -> (Option<Value>, Vec<ChosenOption>) {
        let fixed = &self.request.fixed;
        let mut maker = Maker::new(self.graph, &mut self.book, chooser, fixed, &mut self.steps);
        let made = maker.value(&[0], "", 0);
        // What was made is held against the message, which costs as much again.
        let _ = maker.spend(2 * maker.values());
        let noted = maker.chooser.noted;
        (made.and_then(|data| as_crossed(&data).ok()), noted)
    }

    fn give(&mut self, kind: SampleKind, name: &str, (data, noted): ChosenData) {
        let options = noted.into_iter().map(|chosen| (chosen.key, chosen.taken));
        self.reached.extend(options);
        if self.given.insert(data.to_string()) {
            self.samples.found.push(Sample { kind, name: name.to_owned(), data });
        }
    }
}

/// Leaves out the members at which a sample broke its message.
fn mend(mended: &mut Wanted, wanted: &Wanted, violations: &[Violation], noted: &[ChosenOption]) {
    for violation in violations {
        let at = violation.pointer.as_str();
        let holds = |chosen: &&ChosenOption| {
            let member = chosen.key.pointer.as_str();
            let is_around = at
                .strip_prefix(member)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            is_around
                && chosen.key.about == About::Member
                && chosen.taken == 0
                && !wanted.contains_key(&chosen.key)
        };
        let nearest = noted.iter().filter(holds).max_by_key(|chosen| chosen.key.pointer.len());
        if let Some(chosen) = nearest {
            mended.insert(chosen.key.clone(), 1);
        }
    }
}

impl Waiting {
    /// Notes every option that was not taken; where the gate let nothing pass, the taken ones too.
    fn add<'n>(
        &mut self,
        wanted: &Wanted,
        noted: impl IntoIterator<Item = &'n ChosenOption>,
        has_passed: bool,
    ) {
        for chosen in noted {
            for (index, option) in chosen.options.iter().enumerate() {
                let is_known = !self.known.insert((chosen.key.clone(), index));
                if is_known || (has_passed && index == chosen.taken) {
                    continue;
                }
                let deviation = Deviation {
                    wanted: wanted.clone(),
                    key: chosen.key.clone(),
                    index,
                    option: option.clone(),
                };
                match option.kind {
                    SampleKind::Without => self.without.push_back(deviation),
                    SampleKind::Alternative => self.alternatives.push_back(deviation),
                    _ => self.edges.push_back(deviation),
                }
            }
        }
    }

    fn next(&mut self) -> Option<Deviation> {
        let queues = [&mut self.without, &mut self.alternatives, &mut self.edges];
        queues.into_iter().find_map(VecDeque::pop_front)
    }
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "any_schema_tests.rs"]
mod any_schema_tests;
