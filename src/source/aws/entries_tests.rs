//! Tests of the entries of `PutEvents`, beside the code they test.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read_with(config: &Config, entries: &Value) -> Result<Vec<Checked>, Refused> {
    let body = json!({ "Entries": entries }).to_string();
    read(body.as_bytes(), &Identity::unsigned(""), &Buses::new(config), config)
}

fn read_default(entries: &Value) -> Result<Vec<Checked>, Refused> {
    read_with(&Config::default(), entries)
}

fn good() -> Value {
    json!({ "Source": "orders", "DetailType": "OrderCreated", "Detail": "{\"id\":101}" })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut entry = good();
    entry[name] = value.into();
    entry
}

fn failure(entry: &Value) -> (String, String) {
    match read_default(&json!([entry])).unwrap().pop().unwrap() {
        Checked::Fail(EntryResult::Failed { error_code, error_message })
        | Checked::Unreadable(UnreadableEntry {
            failed: EntryResult::Failed { error_code, error_message },
            ..
        }) => (error_code.to_owned(), error_message),
        _ => panic!("the entry was taken"),
    }
}

fn taken(entry: &Value) -> PutEntry {
    match read_default(&json!([entry])).unwrap().pop().unwrap() {
        Checked::Take(entry) => *entry,
        _ => panic!("the entry was not taken"),
    }
}

fn refusal(entries: &Value) -> Refused {
    read_default(entries).map(|_| ()).unwrap_err()
}

#[test]
fn missing_arguments_are_reported_one_at_a_time_in_the_order_of_aws() {
    let mut entry = json!({});
    for name in ["Source", "DetailType", "Detail"] {
        let expected =
            format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
        assert_eq!(failure(&entry), ("InvalidArgument".to_owned(), expected));
        entry[name] = "".into();
        assert!(failure(&entry).1.contains(name), "empty counts as missing");
        entry[name] = "x".into();
    }
}

#[test]
fn a_detail_that_is_no_object_is_malformed_and_our_own_rules_give_their_reason() {
    for detail in ["text", "[1]", "{\"a\":", "\"{}\"", "7", "null"] {
        let expected = ("MalformedDetail".to_owned(), "Detail is malformed.".to_owned());
        assert_eq!(failure(&with("Detail", detail)), expected, "{detail}");
    }
    for (detail, reason) in [
        ("{\"secret\":1,\"secret\":2}", "repeated"),
        (&format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000)), "too deeply"),
    ] {
        let (code, message) = failure(&with("Detail", detail));
        assert_eq!(code, "MalformedDetail");
        assert!(message.starts_with("Detail is malformed. Reason: "), "{message}");
        assert!(message.contains(reason) && !message.contains("secret"), "{message}");
    }
}

#[test]
fn a_source_of_aws_or_of_someone_else_is_not_authorized() {
    let expected = "NotAuthorizedForSourceException".to_owned();

    for other in ["aws.s3", "sealway", "Sealway"] {
        assert_eq!(failure(&with("Source", other)).0, expected, "{other}");
    }
    assert_eq!(taken(&with("Source", "awesome")).source, "awesome");
}

#[test]
fn constraints_are_reported_together_and_before_any_entry_is_looked_at() {
    let none = refusal(&json!([]));
    assert!(none.message.contains("greater than or equal to 1"), "{none}");

    let eleven = Value::Array(vec![json!({}); 11]);
    let refused = refusal(&eleven);
    assert_eq!(refused.kind, AwsErrorKind::Validation);
    assert_eq!(
        refused.message,
        "1 validation error detected: Value '[...]' at 'entries' failed to satisfy constraint: \
         Member must have length less than or equal to 10"
    );

    let mut entry = with("DetailType", "t".repeat(129));
    entry["EventBusName"] = "a bus".into();
    entry["TraceHeader"] = "r".repeat(501).into();
    let refused = refusal(&json!([good(), entry]));
    assert!(refused.message.starts_with("3 validation errors detected: "), "{refused}");
    assert!(refused.message.contains("'entries.2.member.eventBusName'"), "{refused}");
}

#[test]
fn the_size_of_a_request_is_counted_as_aws_counts() {
    let entry = json!({
        "Source": "s", "DetailType": "t", "Detail": "{}", "Resources": ["r\u{e9}"], "Time": 1,
    });
    let size = 14 + 1 + 1 + 2 + 3;
    let limited = |bytes| Config { max_entries: crate::ambient::Size(bytes), ..Config::default() };

    assert!(read_with(&limited(size + 1), &json!([entry])).is_ok());
    let refused = read_with(&limited(size), &json!([entry])).map(|_| ()).unwrap_err();
    assert_eq!(refused.message, "Total size of the entries in the request is over the limit.");
}

#[test]
fn a_bus_is_named_by_name_or_arn_and_an_unknown_one_is_refused_or_dropped() {
    let arn = "arn:aws:events:us-east-1:000000000000:event-bus/default";
    taken(&with("EventBusName", "default"));
    taken(&with("EventBusName", arn));
    for unknown in ["other", &arn.replace("us-east-1", "eu-west-1"), &arn.replace('0', "1")] {
        let (code, message) = failure(&with("EventBusName", unknown));
        assert_eq!(code, "ResourceNotFoundException");
        assert_eq!(message, format!("Event bus {unknown} does not exist."));
    }

    let dropping = Config { unknown_bus: UnknownBus::Drop, ..Config::default() };
    let checked = read_with(&dropping, &json!([with("EventBusName", "other")])).unwrap();
    assert!(matches!(checked.as_slice(), [Checked::Drop]));
}

#[test]
fn a_time_out_of_range_fails_its_entry_and_one_that_aws_cannot_read_the_request() {
    assert_eq!(taken(&with("Time", -62_135_596_800_i64)).time.unwrap().to_string(), SENTINEL);
    assert_eq!(taken(&with("Time", SENTINEL)).time.unwrap().to_string(), SENTINEL);
    for (time, problem) in [
        (json!(253_402_300_800_i64), "must be in the years 0000 to 9999."),
        (json!("2026-02-30T00:00:00Z"), "names a day"),
        (json!(format!("2026-02-20T00:00:00.{}Z", "1".repeat(200))), "is too long"),
    ] {
        let (code, message) = failure(&with("Time", time));
        assert_eq!(code, "InvalidArgument");
        let words = "Parameter Time is not valid. Reason: Time ";
        assert!(message.starts_with(&format!("{words}{problem}")), "{message}");
    }
    let mixed = json!([good(), with("Time", 1e300), good()]);
    let mixed = read_default(&mixed).unwrap();
    assert!(matches!(
        mixed.as_slice(),
        [Checked::Take(_), Checked::Unreadable(_), Checked::Take(_)]
    ));

    for time in [json!(true), json!("now"), json!([1])] {
        let refused = refusal(&json!([good(), with("Time", time)]));
        assert_eq!(refused.kind, AwsErrorKind::Serialization);
        assert!(refused.message.contains("Time is not valid"), "{refused}");
    }
}

const SENTINEL: &str = "0001-01-01T00:00:00Z";

#[test]
fn the_trace_header_becomes_the_trace_and_a_broken_one_costs_nothing() {
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    let trace = taken(&with("TraceHeader", header)).trace.unwrap();

    assert_eq!(trace.trace_id(), "5759e988bd862e3fe1be46a994272793");
    assert_eq!(taken(&with("TraceHeader", "nonsense")).trace, None);
}

#[test]
fn a_global_endpoint_is_refused_and_a_body_that_is_not_the_operations_says_where() {
    let config = Config::default();
    let refuse = |body: &[u8]| {
        read(body, &Identity::unsigned(""), &Buses::new(&config), &config).map(|_| ()).unwrap_err()
    };

    let endpoint = refuse(br#"{"Entries":[{}],"EndpointId":"abc.def"}"#);
    assert!(endpoint.message.contains("EndpointId is not valid"), "{endpoint}");
    for (body, problem) in [
        (&br#"{"Entries":[{"Source":5678}]}"#[..], "`Source` of entry 1 must be a string."),
        (br#"{"Entries":[{},{"Detail":{"a":"5678"}}]}"#, "`Detail` of entry 2 must be a string."),
        (br#"{"Entries":[{"TraceHeader":[5678]}]}"#, "`TraceHeader` of entry 1 must be a string."),
        (
            br#"{"Entries":[{"Resources":"5678"}]}"#,
            "`Resources` of entry 1 must be a list of strings.",
        ),
        (br#"{"Entries":[{"Source":5678,"Source":5678}]}"#, "a member of entry 1 is of the wrong"),
        (br#"{"Entries":[null]}"#, "entry 1 must be an object."),
        (br#"{"Entries":[["5678","t","{}",null,null,null,null]]}"#, "entry 1 must be an object."),
        (br#"{"Entries":["#, "cut short"),
        (b"{\"Entries\":[{\"Source\":\"\xff5678\"}]}", "not JSON"),
        (b"", "cut short"),
    ] {
        let refused = refuse(body);
        assert_eq!(refused.kind, AwsErrorKind::Serialization);
        assert!(refused.message.contains(problem), "{refused}");
        assert!(!refused.message.contains("5678"), "{refused}");
    }
}

#[test]
fn an_entry_that_cannot_be_read_fails_alone_and_keeps_its_text() {
    let config = Config::default();
    let good = good().to_string();
    for (broken, code, problem) in [
        (r#"{"Source":"5678","Source":"5678"}"#, "InvalidArgument", "repeated, at column"),
        (r#"{"Source":"5678\ud83d"}"#, "InvalidArgument", "not Unicode, at column"),
        (
            r#"{"Source":"5678","DetailType":"t","Detail":"{\"5678\":\ud83d}"}"#,
            "InvalidArgument",
            "not Unicode",
        ),
        (r#"{"Source":"5678","DetailType":"t","Detail":"5678 {"}"#, "MalformedDetail", "malformed"),
        (r#"{"DetailType":"5678"}"#, "InvalidArgument", "Source is a required argument"),
    ] {
        let body = format!(r#"{{"Entries":[{good}, {broken} ,{good}]}}"#);
        let identity = Identity::unsigned("");
        let checked = read(body.as_bytes(), &identity, &Buses::new(&config), &config).unwrap();

        let [Checked::Take(_), Checked::Unreadable(entry), Checked::Take(_)] = checked.as_slice()
        else {
            panic!("{broken}: the neighbors are taken, and it alone is not")
        };
        assert_eq!(&*entry.raw, broken);
        let EntryResult::Failed { error_code, error_message } = &entry.failed else {
            panic!("{broken} was taken")
        };
        assert_eq!(*error_code, code);
        assert!(
            error_message.contains(problem) && !error_message.contains("5678"),
            "{error_message}"
        );
    }
}

#[test]
fn the_quarantine_is_told_the_reason_and_its_place_where_the_words_of_aws_have_none() {
    for (detail, told, kept) in [
        (r#"{"a": oops}"#, "Detail is malformed.", " Reason: "),
        ("{\n\"a\"", "Detail is malformed.", " at line 2, column 4. (MalformedDetail)"),
        ("[1]", "Detail is malformed.", " Reason: it is not a JSON object. (MalformedDetail)"),
        (r#"{"b":1,"b":2}"#, "Detail is malformed. Reason: ", " (MalformedDetail)"),
    ] {
        let mut checked = read_default(&json!([with("Detail", detail)])).unwrap();
        let Some(Checked::Unreadable(entry)) = checked.pop() else {
            panic!("{detail} can be read")
        };
        assert!(failure(&with("Detail", detail)).1.starts_with(told), "{detail}");
        let why = entry.why();
        assert!(why.starts_with(told) && why.contains(kept), "{why}");
        assert_eq!(why.matches("Reason: ").count(), 1, "{why}");
        assert!(!why.contains("oops"), "{why}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let config = Config::default();
        let _ = read(&bytes, &Identity::unsigned(""), &Buses::new(&config), &config);
    }

    #[test]
    fn arbitrary_entries_give_one_answer_each(
        entries in proptest::collection::vec(
            ("[a-z.]{0,8}", ".{0,140}", r#"[\[\]{}",:0-9a ]{0,20}"#, "[a-z:/ ]{0,10}"), 1..10),
    ) {
        let entries: Vec<Value> = entries
            .into_iter()
            .map(|(source, detail_type, detail, bus)| json!({
                "Source": source, "DetailType": detail_type, "Detail": detail, "EventBusName": bus,
            }))
            .collect();
        if let Ok(checked) = read_default(&Value::Array(entries.clone())) {
            prop_assert_eq!(checked.len(), entries.len());
        }
    }
}
