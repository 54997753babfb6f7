//! Tests of the verifier against the vendor's own signer, beside the code they test.

use std::time::SystemTime;

use aws_sdk_eventbridge::config::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::ambient::{Secret, SecretReference};
use crate::source::AccessKey;

const BODY: &[u8] = br#"{"Entries":[]}"#;
const NOW: i64 = 1_795_283_489;

fn keys() -> AccessKeys {
    let secret = || SecretReference::Env("SECRET".into());
    let key = AccessKey { id: "AKIAEXAMPLE".into(), secret: secret(), sources: None };
    AccessKeys::new([(key, Secret::new("top secret".into()))])
}

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) {
    headers.insert(
        HeaderName::from_bytes(name.as_bytes()).unwrap(),
        HeaderValue::from_str(value).unwrap(),
    );
}

/// The headers of a request, signed by the vendor's signer.
fn signed(secret: &str, region: &str, at: i64, extra: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert(&mut headers, "host", "127.0.0.1:8080");
    insert(&mut headers, "content-type", "application/x-amz-json-1.1");
    insert(&mut headers, "x-amz-target", "AWSEvents.PutEvents");
    for (name, value) in extra {
        insert(&mut headers, name, value);
    }
    let identity = Credentials::new("AKIAEXAMPLE", secret, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap());
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("events")
        .time(time)
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let request =
        SignableRequest::new("POST", "http://127.0.0.1:8080/", pairs, SignableBody::Bytes(BODY))
            .unwrap();
    let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
    for (name, value) in instructions.headers() {
        insert(&mut headers, name, value);
    }
    headers
}

fn call<'a>(headers: &'a HeaderMap, body: &'a [u8]) -> Call<'a> {
    Call {
        method: "POST",
        path: "/",
        query: "",
        authority: None,
        headers,
        body,
        peer: None,
        room: &(),
    }
}

fn verify_headers(headers: &HeaderMap) -> Result<Identity, Refused> {
    verify(&call(headers, BODY), &keys(), now()).map(|(identity, _)| identity)
}

fn default_headers() -> HeaderMap {
    signed("top secret", "eu-west-1", NOW, &[])
}

fn refused(headers: &HeaderMap) -> Refused {
    verify_headers(headers).unwrap_err()
}

#[test]
fn what_the_vendors_signer_signs_is_verified_in_any_region_and_again() {
    for region in ["eu-west-1", "us-east-1", "eu-west-1"] {
        let headers = signed("top secret", region, NOW, &[("x-amz-meta", "  two   words ")]);
        for _ in 0..2 {
            assert_eq!(verify_headers(&headers).unwrap().access_key.as_ref(), "AKIAEXAMPLE");
        }
    }
}

#[test]
fn hints_that_no_client_signs_may_be_added_on_the_way() {
    let mut headers = default_headers();
    insert(&mut headers, "amz-sdk-request", "attempt=2; max=3");
    insert(&mut headers, "amz-sdk-invocation-id", "3ed9ae82");

    assert!(verify_headers(&headers).is_ok());
}

#[test]
fn another_secret_body_target_or_host_does_not_verify() {
    let wrong = refused(&signed("other secret", "eu-west-1", NOW, &[]));
    assert_eq!((wrong.kind, wrong.message.as_str()), (AwsErrorKind::InvalidSignature, MISMATCH));

    for (name, value) in [("x-amz-target", "AWSEvents.Other"), ("host", "example.com")] {
        let mut headers = default_headers();
        insert(&mut headers, name, value);
        assert_eq!(refused(&headers).message, MISMATCH, "{name}");
    }

    let headers = default_headers();
    let body = verify(&call(&headers, b"{}"), &keys(), now()).unwrap_err();
    assert!(body.message.contains("x-amz-content-sha256"), "{body}");
    let query = verify(&Call { query: "a=b", ..call(&headers, BODY) }, &keys(), now());
    assert_eq!(query.unwrap_err().message, MISMATCH);
}

#[test]
fn a_body_may_not_go_unsigned() {
    let mut headers = default_headers();
    for value in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"] {
        insert(&mut headers, "x-amz-content-sha256", value);
        assert!(refused(&headers).message.contains("does not match what was computed"));
    }
}

#[test]
fn a_signature_is_good_for_five_minutes_either_way() {
    let at = |seconds| verify_headers(&signed("top secret", "eu-west-1", NOW + seconds, &[]));

    assert!(at(-300).is_ok() && at(300).is_ok());
    let late = at(-301).unwrap_err().message;
    assert!(late.starts_with("Signature expired: ") && late.ends_with("- 5 min.)"), "{late}");
    let early = at(301).unwrap_err().message;
    assert!(early.starts_with("Signature not yet current: "), "{early}");
}

#[test]
fn every_way_of_being_unsigned_has_its_own_words() {
    let with = |authorization: &str| {
        let mut headers = default_headers();
        insert(&mut headers, "authorization", authorization);
        let refused = refused(&headers);
        (refused.kind, refused.message)
    };
    let full = |credential: &str, signed: &str| {
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature=ab")
    };
    let scope = "AKIAEXAMPLE/20261121/eu-west-1/events/aws4_request";

    assert_eq!(refused(&HeaderMap::new()).kind, AwsErrorKind::MissingAuthenticationToken);
    assert_eq!(with("Bearer abc").0, AwsErrorKind::IncompleteSignature);
    assert_eq!(with("Bearer").0, AwsErrorKind::IncompleteSignature);
    let (kind, message) = with("AWS4-HMAC-SHA256 Credential=a/b/c/d/e");
    assert_eq!(kind, AwsErrorKind::IncompleteSignature);
    assert!(message.contains("'SignedHeaders'") && message.contains("'Signature'"), "{message}");
    assert!(with(&full("a/b", "host")).1.contains("exactly 5"));
    assert!(with(&full("a/20261121/r/s3/aws4_request", "host")).1.contains("'events'"));
    assert!(with(&full("a/20261121/r/events/aws5", "host")).1.contains("valid terminator"));
    assert!(with(&full("a/20261120/r/events/aws4_request", "host")).1.contains("does not match"));
    assert!(with(&full(scope, "x-amz-date")).1.contains("'Host'"));
    assert!(with(&full(scope, "host;x-amz-date")).1.contains("'x-amz-target' must be"));
    assert!(with(&full(scope, "host;x-amz-date;x-amz-target;x-gone")).1.contains("not part of"));
    let unknown = scope.replace("AKIAEXAMPLE", "AKIAOTHER");
    assert_eq!(
        with(&full(&unknown, "host;x-amz-date;x-amz-target")).0,
        AwsErrorKind::UnrecognizedClient
    );
}

#[test]
fn repeated_unsorted_or_too_many_signed_headers_are_refused_before_the_body_is_read() {
    let with = |signed: &str, value: &str| {
        let mut headers = default_headers();
        insert(&mut headers, "a", value);
        let scope = "AKIAEXAMPLE/20261121/eu-west-1/events/aws4_request";
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature=ab");
        insert(&mut headers, "authorization", &authorization);
        check_headers(&headers, &keys(), now()).map_err(|refused| (refused.kind, refused.message))
    };
    let refused = |signed: &str, value: &str, words: &str| {
        let (kind, message) = with(signed, value).unwrap_err();
        assert_eq!(kind, AwsErrorKind::InvalidSignature, "{message}");
        assert!(message.contains(words), "{message}");
    };
    let plain = "host;x-amz-date;x-amz-target";
    let repeated = format!("{}{plain}", "a;".repeat(15_000));
    refused(&repeated, &"b".repeat(30_000), "name each header once");
    refused("host;x-amz-target;x-amz-date", "", "sorted");
    let many = (0..62).map(|at| format!("a{at:02};")).collect::<Vec<_>>().concat();
    refused(&format!("{many}{plain}"), "", "64 headers");
    refused(&format!("a;{plain}"), &"b".repeat(17_000), "16384 bytes");

    assert_eq!(with(&format!("a;{plain}"), &"b".repeat(15_000)), Ok(()));
    assert_eq!(with(plain, &"b".repeat(30_000)), Ok(()), "what is not signed does not count");
}

#[test]
fn session_tokens_are_refused_in_clear_words() {
    let headers = signed("top secret", "eu-west-1", NOW, &[("x-amz-security-token", "FwoG")]);

    let refused = refused(&headers);

    assert_eq!(refused.kind, AwsErrorKind::UnrecognizedClient);
    assert!(refused.message.contains("long-lived access keys"), "{refused}");
}

#[test]
fn the_host_of_an_http_2_request_is_its_authority() {
    let mut headers = default_headers();
    headers.remove("host");

    let verified =
        verify(&Call { authority: Some("127.0.0.1:8080"), ..call(&headers, BODY) }, &keys(), now());

    assert!(verified.is_ok());
    assert!(verify_headers(&headers).is_err());
}

proptest! {
    #[test]
    fn arbitrary_headers_never_panic_and_never_verify(
        authorization in "(AWS4-HMAC-SHA256 )?[ -~]{0,120}",
        date in "[0-9TZ]{0,17}",
    ) {
        let mut headers = default_headers();
        insert(&mut headers, "authorization", &authorization);
        insert(&mut headers, "x-amz-date", &date);
        prop_assert!(verify_headers(&headers).is_err());
    }
}
