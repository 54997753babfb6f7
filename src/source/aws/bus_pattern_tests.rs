//! Tests of what the embedded bus says of patterns.

use super::*;

#[tokio::test]
async fn a_pattern_is_tested_against_an_event_that_is_whole() {
    let house = House::open();
    let ask = async |pattern: &str, event: &Value| {
        let body = json!({"EventPattern": pattern, "Event": event.to_string()});
        house.call(&[("x-amz-target", "AWSEvents.TestEventPattern")], &body).await
    };
    let mut event = json!({
        "id": "e", "account": "", "source": "orders", "time": "2024-01-02T03:04:05Z",
        "region": "", "resources": [], "detail-type": "Made", "detail": {"n": 7},
    });

    let pattern = r#"{"source":["orders"],"detail":{"n":[{"numeric":[">",6]}]}}"#;
    assert_eq!(ask(pattern, &event).await, Ok(json!({"Result": true})));
    assert_eq!(ask(r#"{"source":["x"]}"#, &event).await, Ok(json!({"Result": false})));
    let broken = ask("{}", &event).await.unwrap_err();
    assert_eq!(broken.kind, AwsErrorKind::InvalidEventPattern);
    assert!(broken.message.starts_with("Event pattern is not valid. Reason: Empty objects"));
    event.as_object_mut().unwrap().remove("resources");
    event.as_object_mut().unwrap().remove("detail");
    assert_eq!(ask(r#"{"source":["orders"]}"#, &event).await, Ok(json!({"Result": true})));
    for member in ["id", "account", "source", "time", "region", "detail-type"] {
        let mut lacking = event.clone();
        lacking.as_object_mut().unwrap().remove(member);
        let refused = ask(pattern, &lacking).await.unwrap_err();
        assert_eq!(refused.message, "Parameter Event is not valid.", "{member}");
    }
    let null = house.call(&[("x-amz-target", "AWSEvents.TestEventPattern")], &json!({})).await;
    assert!(null.unwrap_err().message.contains("'eventPattern'"));
}

#[tokio::test]
async fn an_event_that_is_no_object_is_refused_in_the_words_of_aws_and_stricter_reading_gives_its_reason()
 {
    let house = House::open();
    let ask = async |event: &str| {
        let body = json!({"EventPattern": r#"{"source":["orders"]}"#, "Event": event});
        let asked = house.call(&[("x-amz-target", "AWSEvents.TestEventPattern")], &body).await;
        asked.unwrap_err().message
    };

    for event in ["words", "[]", "7", "{", "\"text\""] {
        assert_eq!(ask(event).await, "Parameter Event is not valid.", "{event}");
    }
    let twice = ask(r#"{"id": "a", "id": "b"}"#).await;
    assert!(twice.starts_with("Parameter Event is not valid. Reason: "), "{twice}");
}

#[tokio::test]
async fn a_pattern_is_refused_with_the_first_line_of_aws_and_no_more() {
    #[derive(serde::Deserialize)]
    struct Refusal {
        pattern: String,
        reason: String,
    }
    let text = include_str!("../../../tests/vectors/patterns/refusals.json");
    let recorded: Vec<Refusal> = serde_json::from_str(text).unwrap();
    let house = House::open();
    assert!(recorded.len() > 30);

    for Refusal { pattern, reason } in recorded {
        let body = json!({"EventPattern": pattern, "Event": "{}"});
        let asked = house.call(&[("x-amz-target", "AWSEvents.TestEventPattern")], &body).await;
        let refused = asked.unwrap_err();
        assert_eq!(refused.kind, AwsErrorKind::InvalidEventPattern, "{pattern}");
        let expected = format!("Event pattern is not valid. Reason: {reason}");
        assert_eq!(refused.message, expected, "{pattern}");
    }
    let body = json!({"EventPattern": "{\"a\\nb\": 1}", "Event": "{}"});
    let asked = house.call(&[("x-amz-target", "AWSEvents.TestEventPattern")], &body).await;
    assert!(!asked.unwrap_err().message.contains('\n'));
}
