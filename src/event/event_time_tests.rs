//! Tests of the times of events, beside the code they test.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> EventTime {
    text.parse().unwrap_or_else(|error| panic!("{text} {error}"))
}

#[test]
fn every_rfc_3339_time_of_the_years_0000_to_9999_is_kept_as_it_was_sent() {
    for text in [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59.999999999999Z",
        "0000-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2026-11-21T21:17:00+01:00",
        "2026-11-21T20:17:00-00:00",
        "2026-11-21T20:17:00+00:00",
        "2026-11-21T20:17:00+23:59",
        "2026-11-21T20:17:00.000Z",
        "2026-11-21T20:17:00.250Z",
        "2026-11-21T20:17:00.1234567891Z",
        "2016-12-31T23:59:60Z",
        "1990-12-31T15:59:60-08:00",
        "0000-02-29T00:00:00Z",
        "2024-02-29T00:00:00Z",
        "1677-09-21T00:12:43.145224192Z",
        "1677-09-21T00:12:43.145224191Z",
        "2262-04-11T23:47:16.854775807Z",
        "2262-04-11T23:47:16.854775808Z",
    ] {
        assert_eq!(read(text).to_string(), text);
    }
}

#[test]
fn letters_and_a_space_become_those_that_every_reader_knows() {
    for (sent, kept) in [
        ("2026-11-21t20:17:00z", "2026-11-21T20:17:00Z"),
        ("2026-11-21 20:17:00.50z", "2026-11-21T20:17:00.50Z"),
        ("2026-11-21 20:17:00+01:00", "2026-11-21T20:17:00+01:00"),
        ("2026-11-21_20:17:00Z", "2026-11-21T20:17:00Z"),
        ("0001-01-01 00:00:00z", "0001-01-01T00:00:00Z"),
    ] {
        assert_eq!(read(sent).to_string(), kept);
        assert_eq!(read(sent), read(kept));
    }
}

#[test]
fn what_is_no_time_is_told_apart_from_a_time_that_does_not_exist() {
    for text in [
        "",
        "yesterday",
        "2026-11-21",
        "2026-11-21T20:17:00",
        "2026-11-21T20:17Z",
        "2026-11-21T20:17:00.Z",
        "2026-11-21T20:17:00,5Z",
        "2026-11-21T20:17:00+01",
        "2026-11-21T20:17:00+0100",
        "2026-11-21T20:17:00 Z",
        " 2026-11-21T20:17:00Z",
        "2026-11-21T20:17:00Z\n",
        "+2026-11-21T20:17:00Z",
        "10000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "２026-11-21T20:17:00Z",
        "2026-11-21T20:17:00.5Zé",
        "1795282931",
    ] {
        assert_eq!(text.parse::<EventTime>(), Err(EventTimeError::Form), "{text}");
    }
    for text in [
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-00-10T00:00:00Z",
        "2026-13-10T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T12:00:60Z",
        "2026-06-29T23:59:60Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+01:60",
    ] {
        assert_eq!(text.parse::<EventTime>(), Err(EventTimeError::Value), "{text}");
    }
    let digits = |count| format!("2026-11-21T20:17:00.{}Z", "3".repeat(count));
    let most = EventTime::MAX - "2026-11-21T20:17:00.Z".len();
    assert_eq!(read(&digits(most)).to_string(), digits(most));
    assert_eq!(digits(most + 1).parse::<EventTime>(), Err(EventTimeError::TooLong));
}

#[test]
fn seconds_since_1970_follow_the_offset_and_there_are_none_before() {
    for (text, seconds) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("1970-01-01T00:00:00.9+00:00", Some(0)),
        ("1970-01-01T00:00:00+00:01", None),
        ("1969-12-31T23:59:59.9Z", None),
        ("1969-12-31T23:59:59.90Z", None),
        ("1969-12-31T23:00:00-01:00", Some(0)),
        ("0001-01-01T00:00:00Z", None),
        ("2016-12-31T23:59:60Z", Some(1_483_228_799)),
        ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
        ("9999-12-31T23:59:59-14:00", Some(253_402_351_199)),
    ] {
        assert_eq!(read(text).epoch_seconds(), seconds, "{text}");
    }
}

#[test]
fn seconds_with_decimals_become_a_text_in_utc() {
    let made = |seconds, decimals| EventTime::from_epoch(seconds, decimals).map(|t| t.to_string());

    assert_eq!(made(0, "").as_deref(), Ok("1970-01-01T00:00:00Z"));
    assert_eq!(made(-1, "5").as_deref(), Ok("1969-12-31T23:59:59.5Z"));
    assert_eq!(made(-62_167_219_200, "").as_deref(), Ok("0000-01-01T00:00:00Z"));
    assert_eq!(made(253_402_300_799, "").as_deref(), Ok("9999-12-31T23:59:59Z"));
    for seconds in [i64::MIN, -62_167_219_201, 253_402_300_800, i64::MAX] {
        assert_eq!(made(seconds, ""), Err(EventTimeError::Range), "{seconds}");
    }
}

#[test]
fn a_time_survives_json() {
    for text in ["2026-11-21T20:17:00Z", "0001-01-01T00:00:00+01:00"] {
        let json = serde_json::to_string(&read(text)).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<EventTime>(&json).unwrap(), read(text));
    }
}

proptest! {
    #[test]
    fn what_a_timestamp_prints_is_that_timestamp(nanos in any::<i64>(), by in 0_u32..10) {
        // Rounded, so that fractions of every length come up.
        let unit = 10_i64.pow(by);
        let moment = Timestamp::from_unix_nanos(nanos / unit * unit);
        let time = read(&moment.to_string());
        prop_assert_eq!(&time, &EventTime::from(moment));
        prop_assert_eq!(time.own_text(), None);
        prop_assert_eq!(time.nearest(), moment);
    }

    #[test]
    fn number_and_text_of_a_time_give_it_back(
        days in -719_528_i64..2_932_897,
        second in 0..SECONDS_PER_DAY,
        fraction in "(\\.[0-9]{1,12})?",
        zone in "Z|[+-](0[0-9]|1[0-4]):[0-5][0-9]",
    ) {
        let utc = EventTime::from_epoch(days * SECONDS_PER_DAY + second, "").unwrap().to_string();
        let text = format!("{}{fraction}{zone}", utc.trim_end_matches('Z'));
        let time = read(&text);
        prop_assert_eq!(time.to_string(), text.as_str());
        let again = time.own_text().map_or_else(|| time.nearest().into(), read);
        prop_assert_eq!(again, time.clone());
        // As the library reads it, where both do.
        if let Ok(moment) = text.parse::<Timestamp>() {
            prop_assert_eq!(time.nearest(), moment);
            prop_assert_eq!(time.epoch_seconds(), u64::try_from(moment.unix_seconds()).ok());
        }
    }

    #[test]
    fn arbitrary_texts_never_panic_and_what_is_taken_is_written_the_same_again(
        text in r"(\PC{0,40}|[0-9]{4}-[01][0-9]-[0-3][0-9][Tt _x][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,12})?([Zz]|[+-][0-2][0-9]:[0-6][0-9]))",
    ) {
        if let Ok(time) = text.parse::<EventTime>() {
            let written = time.to_string();
            prop_assert_eq!(written.to_uppercase(), text.to_uppercase().replace([' ', '_'], "T"));
            prop_assert_eq!(read(&written), time);
        }
    }
}
