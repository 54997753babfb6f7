//! What callers changed, in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::eventlog::actions::SWEEP_ACTIONS_AFTER;
use crate::eventlog::testing::memory::{Held, MemoryLog, fill};
use crate::eventlog::{
    Action, ActionEnd, ActionId, ActionQuery, Actions, LogError, NewAction, Page,
};

/// The actions of a log in memory.
#[derive(Default)]
pub(super) struct HeldActions {
    kept: BTreeMap<ActionId, Action>,
    last: ActionId,
    begun: usize,
}

impl HeldActions {
    /// Drops what is too old or too much, once enough has come.
    fn sweep(&mut self, is_old: impl Fn(ActionId) -> bool, most: u64) {
        if self.begun < SWEEP_ACTIONS_AFTER {
            return;
        }
        self.begun = 0;
        self.kept.retain(|id, _| !is_old(*id));
        let mut of_caller: BTreeMap<_, u64> = BTreeMap::new();
        let newest_first: Vec<_> = self.kept.values().rev().cloned().collect();
        for action in newest_first {
            let count = of_caller.entry(action.begun.caller).or_default();
            *count += 1;
            if *count > most {
                self.kept.remove(&action.id);
            }
        }
    }
}

#[async_trait]
impl Actions for MemoryLog {
    async fn begin_action(&self, action: NewAction) -> Result<ActionId, LogError> {
        let (age, most) = (self.limits.action_age, self.limits.actions_per_caller);
        let mut held = self.hold()?;
        let Held { actions, ages, .. } = &mut *held;
        actions.last.0 += 1;
        actions.begun += 1;
        let id = actions.last;
        actions.kept.insert(id, Action { id, begun: action, end: ActionEnd::OPEN });
        ages.actions.insert(id, ages.now);
        actions.sweep(|id| ages.is_old(ages.actions.get(&id), age), most);
        Ok(id)
    }

    async fn end_action(&self, id: ActionId, end: ActionEnd) -> Result<(), LogError> {
        if let Some(action) = self.hold()?.actions.kept.get_mut(&id) {
            action.end = end;
        }
        Ok(())
    }

    async fn actions(&self, query: &ActionQuery, page: Page) -> Result<Vec<Action>, LogError> {
        let held = self.hold()?;
        let wanted = held.actions.kept.values().rev().filter(|action| is_wanted(action, query));
        Ok(fill(wanted.cloned(), page, Action::weight))
    }
}

fn is_wanted(action: &Action, query: &ActionQuery) -> bool {
    let begun = &action.begun;
    let is_at = |target: &str| {
        let below = begun.target.strip_prefix(target);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    query.before.is_none_or(|before| action.id < before)
        && query.caller.as_ref().is_none_or(|caller| *caller == begun.caller)
        && query.kind.is_none_or(|kind| kind == begun.kind)
        && query.target.as_deref().is_none_or(is_at)
        && query.from.is_none_or(|from| begun.at >= from)
        && query.to.is_none_or(|to| begun.at <= to)
        && query.owners.as_ref().is_none_or(|owners| owners.have(begun))
}
