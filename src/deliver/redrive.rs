//! Brings dead letters back.

use crate::deliver::{Command, Line, Office, OfficeError};
use crate::eventlog::{Changes, DeadLetter, DeadLetterId, Page, Retry};
use crate::subscriptions::{Error as SubscriptionError, State, Subscription};

/// Which dead letters are redriven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redrive {
    /// These.
    Some(Vec<DeadLetterId>),
    /// All that were given up for this reason, or all.
    All {
        /// A word of the closed list; nothing: any reason.
        reason: Option<String>,
    },
}

impl Office {
    /// Has dead letters delivered again from their first attempt on; says how many.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is no such dead letter. Ours: the log failed.
    pub async fn redrive(
        &self,
        subscription: &Subscription,
        which: Redrive,
    ) -> Result<usize, OfficeError> {
        let line = self.dispatch.line(&subscription.id);
        let line =
            line.ok_or(SubscriptionError::Step { from: State::Closed, to: State::Active })?;
        let mut redriven = 0;
        let mut after = DeadLetterId(0);
        loop {
            let page =
                self.log.dead_letters(Some(&subscription.id), after, Page::default()).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let chosen: Vec<_> = page.iter().filter(|letter| which.chooses(letter)).collect();
            redriven += chosen.len();
            self.revive(&line, &chosen).await?;
        }
        match &which {
            Redrive::Some(ids) if redriven < ids.len() => Err(OfficeError::NoDeadLetter),
            Redrive::Some(_) | Redrive::All { .. } => Ok(redriven),
        }
    }

    /// Turns dead letters into retries that are due now, a page at a time.
    async fn revive(&self, line: &Line, letters: &[&DeadLetter]) -> Result<(), OfficeError> {
        let now = self.clock.now();
        let to_retry = |letter: &&DeadLetter| Retry {
            key: letter.key.clone(),
            position: letter.position,
            link: letter.link,
            attempts: 0,
            first_attempt: now,
            due: now,
        };
        let retries: Vec<Retry> = letters.iter().map(to_retry).collect();
        let revived = letters.iter().map(|letter| letter.id).collect();
        let changes = Changes { retries: retries.clone(), revived, ..Changes::default() };
        self.log.commit(changes).await?;
        for retry in retries {
            // A courier that has ended takes the retry up at its next start.
            let _ = line.commands.send(Command::Retry(retry)).await;
        }
        Ok(())
    }
}

impl Redrive {
    fn chooses(&self, letter: &DeadLetter) -> bool {
        match self {
            Self::Some(ids) => ids.contains(&letter.id),
            Self::All { reason } => {
                reason.as_deref().is_none_or(|reason| *letter.reason == *reason)
            }
        }
    }
}
