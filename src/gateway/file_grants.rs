//! Makes the grants of a running gateway what their files say, when it is told to reload.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{Access, AccessError, BY_FILES, Grant, GrantDocument, GrantId, GrantState};
use crate::config::GrantFiles;
use crate::event::{Diagnostic, Timestamp};

/// What is done about the grants of files; found out before anything is done.
#[derive(Debug, Default)]
pub(super) struct GrantPlan {
    give: Vec<(String, GrantDocument)>,
    move_end: Vec<(GrantId, Option<Timestamp>)>,
    /// What a file says and nothing is done about, with why.
    warnings: Vec<Diagnostic>,
    /// What files name.
    named: BTreeSet<GrantId>,
}

impl GrantPlan {
    /// Compares files with what is there. A grant that no file names is left alone: it may have been given
    /// by hand.
    ///
    /// # Errors
    ///
    /// The operator's turn: a file says otherwise what a grant cannot change, or there is no room.
    pub(super) fn of(
        files: GrantFiles,
        access: &Access,
        now: Timestamp,
    ) -> Result<Self, Vec<Diagnostic>> {
        let there: BTreeMap<GrantId, _> =
            access.grants().into_iter().map(|grant| (grant.id(), grant)).collect();
        let (mut plan, mut mistakes) =
            (Self { named: files.keys().cloned().collect(), ..Self::default() }, Vec::new());
        for (id, (file, document)) in files {
            let grant = there.get(&id).map(|grant| &**grant);
            mistakes.extend(plan.add((id, &file, document), grant, now).err());
        }
        let coming: Vec<&GrantDocument> = plan.give.iter().map(|(_, document)| document).collect();
        if let Err((at, error)) = access.check_room(&coming) {
            let file = plan.give.get(at).map_or("", |(file, _)| file);
            mistakes.push(Box::new(Diagnostic::of_file(file, error.to_string())));
        }
        let mistakes: Vec<Diagnostic> = mistakes.into_iter().map(|one| *one).collect();
        if mistakes.is_empty() { Ok(plan) } else { Err(mistakes) }
    }

    /// Compares one file with the grant of its name, if there is one.
    fn add(
        &mut self,
        (id, file, document): (GrantId, &str, GrantDocument),
        there: Option<&Grant>,
        now: Timestamp,
    ) -> Result<(), Box<Diagnostic>> {
        let mistake = |problem: String, help: &str| {
            Err(Box::new(Diagnostic::of_file(file, problem).with_help(help)))
        };
        let warning = |problem: String| Diagnostic::of_file(file, problem).into_warning();
        let Some(grant) = there else {
            if document.until.is_some_and(|until| until <= now) {
                let problem = format!("grant `{id}` has ended already, so it is not given");
                self.warnings.push(warning(problem));
            } else {
                self.give.push((file.to_owned(), document));
            }
            return Ok(());
        };
        if !is_same(grant, &document) {
            let problem = format!("grant `{id}` changes nothing but its end");
            return mistake(problem, "give the other one another `id`");
        }
        let state = grant.state(now);
        if !matches!(state, GrantState::Planned | GrantState::Active) {
            self.warnings
                .push(warning(format!("grant `{id}` is {state}, and its file does nothing")));
        } else if grant.until != document.until {
            if document.until.is_some_and(|until| until <= now.max(grant.from)) {
                let help = "name a moment that comes, or recall it: `sealway grants recall`";
                return mistake(format!("grant `{id}` cannot end at a moment that is past"), help);
            }
            self.move_end.push((id, document.until));
        }
        Ok(())
    }

    pub(super) fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Does it, and says what was done.
    ///
    /// # Errors
    ///
    /// Later or ours: the log or the registry failed. What was given stays, and is not given twice.
    pub(super) async fn carry_out(self, access: &Access) -> Result<Vec<String>, AccessError> {
        let mut told = Vec::new();
        access.keep_named(self.named);
        for (_, document) in self.give {
            match access.give(document, BY_FILES).await {
                Ok(grant) => told.push(format!("grants added: {}", grant.id())),
                // Somebody gave it by hand just now; the next reload compares the two.
                Err(AccessError::Exists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        for (id, until) in self.move_end {
            access.end_at(&id, until).await?;
            let end = until.map_or_else(|| "never by itself".to_owned(), |until| until.to_string());
            told.push(format!("grants changed: {id} ends {end}"));
        }
        Ok(told)
    }
}

/// Whether a grant is what a document says, but for its end.
fn is_same(grant: &Grant, document: &GrantDocument) -> bool {
    grant.consumer == document.consumer
        && grant.publication == document.publication
        && grant.history == document.history
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::{AccessParts, Config};
    use crate::ambient::{Clock as _, ManualClock, SeededEntropy};
    use crate::config::add_grant;
    use crate::eventlog::{LogLimits, MemoryLog};

    const NOW: i64 = 1_795_282_931;

    async fn access() -> (Access, ManualClock) {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(NOW));
        let entropy = Arc::new(SeededEntropy::new(1));
        let log = MemoryLog::new(
            LogLimits::default(),
            Arc::new(clock.clone()),
            Arc::clone(&entropy) as _,
        );
        let parts = AccessParts {
            config: Config { grants_per_consumer: 2, ..Config::default() },
            registry: Arc::clone(&log) as _,
            log: Arc::clone(&log) as _,
            clock: Arc::new(clock.clone()),
            entropy,
        };
        (Access::open(parts, &[]).await.unwrap(), clock)
    }

    fn files(texts: &[&str]) -> GrantFiles {
        let mut files = GrantFiles::new();
        for (number, text) in texts.iter().enumerate() {
            add_grant(&mut files, format!("{number}.yaml"), text).unwrap();
        }
        files
    }

    #[tokio::test]
    async fn files_give_once_move_ends_and_never_take_back() {
        let (access, clock) = access().await;
        let one = "id: a\nconsumer: shop\npublication: x/Y\n";
        let plan = |texts: &[&str]| GrantPlan::of(files(texts), &access, clock.now());

        let told = plan(&[one]).unwrap().carry_out(&access).await.unwrap();
        assert_eq!(told, ["grants added: x/a"]);
        assert_eq!(plan(&[one]).unwrap().carry_out(&access).await.unwrap(), [] as [&str; 0]);
        let ends = format!("{one}until: 2099-01-01T00:00:00Z\n");
        let told = plan(&[&ends]).unwrap().carry_out(&access).await.unwrap();
        assert_eq!(told, ["grants changed: x/a ends 2099-01-01T00:00:00Z"]);
        assert_eq!(plan(&[]).unwrap().carry_out(&access).await.unwrap(), [] as [&str; 0]);
        assert_eq!(access.grants().len(), 1);
    }

    #[tokio::test]
    async fn what_is_over_is_a_warning_and_what_cannot_be_is_a_mistake() {
        let (access, clock) = access().await;
        let plan = |texts: &[&str]| GrantPlan::of(files(texts), &access, clock.now());
        let one = "id: a\nconsumer: shop\npublication: x/Y\n";
        let past = "id: b\nconsumer: shop\npublication: x/Y\nuntil: 2020-01-01T00:00:00Z\n";
        plan(&[one]).unwrap().carry_out(&access).await.unwrap();

        assert_eq!(plan(&[past]).unwrap().warnings().len(), 1);
        let other = plan(&["id: a\nconsumer: other\npublication: x/Y\n"]).unwrap_err();
        assert!(other[0].problem.contains("changes nothing but its end"), "{other:?}");
        let past_end = plan(&[&past.replace("id: b", "id: a")]).unwrap_err();
        assert!(past_end[0].problem.contains("a moment that is past"), "{past_end:?}");
        let more = ["c", "d"].map(|id| one.replace("id: a", &format!("id: {id}")));
        let full = plan(&[&more[0], &more[1]]).unwrap_err();
        assert!(full[0].file == "1.yaml" && full[0].problem.contains("2 grants"), "{full:?}");

        access.recall(&"x/a".parse().unwrap(), ("ops", "")).await.unwrap();
        let recalled = plan(&[one]).unwrap();
        assert!(recalled.warnings()[0].problem.contains("is recalled"));
        assert_eq!(recalled.carry_out(&access).await.unwrap(), [] as [&str; 0]);
    }
}
