//! Tests of entries of which no event can be made, where the bus keeps them in quarantine.

use super::*;

/// A bus that tells producers nothing of violations.
fn quarantining() -> House {
    let mut house = House::new(Signatures::Required);
    house.bus.config.on_violation = OnViolation::Quarantine;
    house
}

fn entry(detail: &str) -> Value {
    json!({"Source": "s", "DetailType": "t", "Detail": detail})
}

/// Puts entries with these details as the producer of an access key, as if it had signed them.
async fn put_as(
    house: &House,
    key: &str,
    invocation: Option<&str>,
    details: &[&str],
) -> Result<Vec<EntryResult>, Refused> {
    let entries: Vec<Value> = details.iter().map(|detail| entry(detail)).collect();
    let body = json!({ "Entries": entries }).to_string();
    let headers = HeaderMap::from_iter([
        (http::header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        (http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1")),
    ]);
    let call = Call {
        method: "POST",
        path: "/",
        query: "",
        authority: None,
        headers: &headers,
        body: body.as_bytes(),
        peer: None,
        room: &(),
    };
    let invocation = invocation.map(|id| Invocation::new(key, id, body.as_bytes()));
    let invocation = (invocation, invocation.is_some());
    let put = house.bus.put_once(call, &Identity::unsigned(key), invocation).await;
    put.map(|settled| settled.into_iter().map(|entry| entry.result).collect())
}

fn codes(results: &[EntryResult]) -> Vec<Option<&'static str>> {
    results.iter().map(EntryResult::error_code).collect()
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_waits_as_bytes_where_producers_are_not_told() {
    let mut house = House::new(Signatures::Required);

    let refused = put_as(&house, "AKIA1", None, &["{}", "broken"]).await.unwrap();
    house.bus.config.on_violation = OnViolation::Quarantine;
    let kept = put_as(&house, "AKIA1", None, &["{}", "broken"]).await.unwrap();
    let unknown = put_as(&house, "AKIA9", None, &["{}", "broken"]).await.unwrap();

    assert_eq!(codes(&refused), [None, Some("MalformedDetail")]);
    assert_eq!(codes(&kept), [None, None]);
    assert_eq!(codes(&unknown), [None, Some("MalformedDetail")]);
    let aside = house.recorder.aside.lock().unwrap();
    let [batch] = aside.as_slice() else { panic!("{aside:?}") };
    let [unparsed] = batch.as_slice() else { panic!("{aside:?}") };
    assert_eq!(unparsed.body, entry("broken").to_string().as_bytes());
    let EntryResult::Taken { event_id } = &kept[1] else { panic!("{kept:?}") };
    assert_eq!(unparsed.id.as_deref(), Some(&*event_id.to_string()));
    let message = &unparsed.reason.message;
    assert!(message.starts_with("Detail is malformed. Reason: "), "{message}");
    assert!(message.ends_with(" at line 1, column 1. (MalformedDetail)"), "{message}");
}

#[tokio::test]
async fn a_kept_entry_of_a_compressed_request_is_not_said_to_be_compressed() {
    let house = quarantining();

    put_as(&house, "AKIA1", None, &["broken"]).await.unwrap();

    let aside = house.recorder.aside.lock().unwrap();
    let headers = aside[0][0].headers.to_map();
    assert_eq!(headers.len(), 1);
    assert_eq!(headers["content-type"], "application/x-amz-json-1.1");
}

#[tokio::test]
async fn what_cannot_be_read_is_set_aside_at_once_and_each_entry_has_its_own_answer() {
    let house = quarantining();
    *house.recorder.aside_answers.lock().unwrap() =
        vec![Ok(()), Err(refusal(Fault::Caller, "too-large")), Ok(())];

    let answer = put_as(&house, "AKIA1", None, &["a", "{}", "b", "c"]).await.unwrap();

    assert_eq!(codes(&answer), [None, None, Some("InvalidArgument"), None]);
    let aside = house.recorder.aside.lock().unwrap();
    assert_eq!(aside.iter().map(Vec::len).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn a_request_of_which_nothing_could_be_kept_is_to_be_repeated_whole() {
    for (fault, kind) in [
        (Fault::Later, AwsErrorKind::ServiceUnavailable),
        (Fault::Ours, AwsErrorKind::InternalFailure),
    ] {
        for invocation in [None, Some("i1")] {
            let house = quarantining();
            house.recorder.aside_answers.lock().unwrap().push(Err(refusal(fault, "busy")));

            let refused = put_as(&house, "AKIA1", invocation, &["broken"]).await.unwrap_err();
            let later = put_as(&house, "AKIA1", invocation, &["broken"]).await.unwrap();

            assert_eq!((refused.kind, codes(&later)), (kind, vec![None]));
            let aside = house.recorder.aside.lock().unwrap();
            assert_eq!(aside[0][0].id == aside[1][0].id, invocation.is_some());
        }
    }
}

#[tokio::test]
async fn when_a_neighbor_was_stored_only_a_recognizable_request_is_repeated_whole() {
    let busy = || vec![Err(refusal(Fault::Later, "busy"))];
    let house = quarantining();

    *house.recorder.aside_answers.lock().unwrap() = busy();
    let whole = put_as(&house, "AKIA1", Some("i1"), &["{}", "broken"]).await.unwrap_err();
    *house.recorder.aside_answers.lock().unwrap() = busy();
    let apart = put_as(&house, "AKIA1", None, &["{}", "broken"]).await.unwrap();

    assert_eq!(whole.kind, AwsErrorKind::ServiceUnavailable);
    assert_eq!(codes(&apart), [None, Some("ThrottlingException")]);
}

#[tokio::test]
async fn nothing_is_set_aside_of_a_request_that_is_to_be_repeated_whole() {
    for invocation in [None, Some("i1")] {
        let house = quarantining();
        house.recorder.will_answer([Err(refusal(Fault::Later, "busy"))]);

        let refused = put_as(&house, "AKIA1", invocation, &["{}", "broken"]).await.unwrap_err();

        assert_eq!(refused.kind, AwsErrorKind::ServiceUnavailable);
        assert!(house.recorder.aside.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_producer_whose_quarantine_is_full_is_told_so_of_that_entry_alone() {
    for (invocation, details) in
        [(None, &["broken"][..]), (Some("i1"), &["broken"]), (Some("i2"), &["broken", "{}"])]
    {
        let house = quarantining();
        let full = Err(refusal(Fault::Later, "quarantine-full"));
        house.recorder.aside_answers.lock().unwrap().push(full);

        let answer = put_as(&house, "AKIA1", invocation, details).await.unwrap();

        assert_eq!(codes(&answer)[0], Some("ThrottlingException"));
        assert!(answer[1..].iter().all(|result| result.error_code().is_none()), "{answer:?}");
    }
}
