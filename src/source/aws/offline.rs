//! Entries of `PutEvents` as the bus would take them, for whoever tries them without a bus.

use crate::event::Timestamp;
use crate::source::aws::answer::EntryResult;
use crate::source::aws::entries::{self, Checked};
use crate::source::aws::operations::Buses;
use crate::source::aws::unreadable::UnreadableEntry;
use crate::source::aws::{Identity, Refused};
use crate::source::{Config, Received};

/// Reads the body of `PutEvents` as the bus of these settings would from a producer that may publish
/// as every source. The bus mints the ids of events; here an entry has that of its place, from 0.
///
/// # Errors
///
/// The caller's turn: the request breaks a constraint as a whole. Of an entry that would fail alone
/// it is the text that is given.
pub fn read_offline(
    body: &[u8],
    config: &Config,
    now: Timestamp,
) -> Result<Vec<Result<Received, String>>, Refused> {
    let buses = Buses::new(config);
    let checked = entries::read(body, &Identity::unsigned(""), &buses, config)?;
    let receive = |(place, checked): (usize, Checked)| match checked {
        Checked::Take(entry) => {
            Ok(entry.into_received((format!("entry-{place}"), false), None, (config, now)))
        }
        Checked::Drop => Err("its bus does not exist, so that the event is dropped".to_owned()),
        Checked::Fail(EntryResult::Failed { error_code, error_message })
        | Checked::Unreadable(UnreadableEntry {
            failed: EntryResult::Failed { error_code, error_message },
            ..
        }) => Err(format!("{error_code}: {error_message}")),
        Checked::Fail(EntryResult::Taken { .. }) | Checked::Unreadable(_) => {
            Err("it is taken and goes nowhere".to_owned())
        }
    };
    Ok(checked.into_iter().enumerate().map(receive).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_the_bus_reads_them_each_by_itself() {
        let body = r#"{"Entries": [
            {"Source": "shop", "DetailType": "Ordered", "Detail": "{\"id\": 7}"},
            {"Source": "shop", "DetailType": "Ordered", "Detail": "[]"},
            {"Source": "shop", "DetailType": "Ordered", "Detail": "{}", "EventBusName": "other"}
        ]}"#;

        let read = read_offline(body.as_bytes(), &Config::default(), Timestamp::EPOCH).unwrap();

        let envelope = &read[0].as_ref().unwrap().envelope;
        assert_eq!((&*envelope.id, &envelope.detail["id"]), ("entry-0", &7.into()));
        assert_eq!(envelope.account.as_deref(), Some("000000000000"));
        assert_eq!(read[1].as_ref().unwrap_err(), "MalformedDetail: Detail is malformed.");
        assert!(read[2].as_ref().unwrap_err().starts_with("ResourceNotFoundException"));
        let wrong = br#"{"Entries": []}"#;
        assert!(read_offline(wrong, &Config::default(), Timestamp::EPOCH).is_err());
    }
}
