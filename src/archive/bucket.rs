//! Bundles in a bucket of an S3-compatible service.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use url::Url;

use crate::ambient::Clock;
use crate::archive::{ArchiveError, BundleStore};
use crate::aws::AwsClients;
use crate::egress::{GuardedClients, GuardedRequest};
use crate::event::TokenDigest;

/// Time for one request, however slow the network.
const PATIENCE: Duration = Duration::from_mins(5);
/// How much of an answer is read: its code stands near the beginning.
const ANSWER: usize = 4 * 1024;
/// Where the digest of an object is kept beside it.
const DIGEST: &str = "x-amz-meta-sealway-sha256";
/// Of how long a refusal's code is told.
const LONGEST_CODE: usize = 64;

/// What a [`S3Bucket`] is put together from.
pub struct S3BucketParts {
    /// Its name.
    pub name: String,
    /// What the names of objects begin with.
    pub prefix: String,
    /// Its region.
    pub region: String,
    /// The service's address; nothing: Amazon's own.
    pub endpoint: Option<Url>,
    /// Where bundles are gathered.
    pub spool: PathBuf,
    /// Gives credentials.
    pub aws: Arc<AwsClients>,
    /// Dials, where the egress guard lets it.
    pub clients: GuardedClients,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A bucket. Objects are put with `If-None-Match: *`, so that none is overwritten.
pub struct S3Bucket(S3BucketParts);

/// A request to the service.
struct BucketRequest<'a> {
    method: Method,
    url: &'a Url,
    headers: HeaderMap,
    body: Bytes,
}

/// What the service answers.
struct BucketAnswer {
    status: StatusCode,
    digest: Option<String>,
    code: Option<String>,
}

impl S3Bucket {
    /// Asks nobody yet.
    pub const fn new(parts: S3BucketParts) -> Self {
        Self(parts)
    }

    /// The address of an object: below the host of the bucket at Amazon's own, and below the path of the
    /// bucket where an address was named, or where the name has a dot that no certificate covers.
    fn address(&self, name: &str) -> Result<Url, ArchiveError> {
        let S3BucketParts { name: bucket, prefix, region, endpoint, .. } = &self.0;
        let text = match endpoint {
            Some(endpoint) => {
                format!("{}/{bucket}/{prefix}{name}", endpoint.as_str().trim_end_matches('/'))
            }
            None if bucket.contains('.') => {
                format!("https://s3.{region}.amazonaws.com/{bucket}/{prefix}{name}")
            }
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/{prefix}{name}"),
        };
        text.parse().map_err(|error| ArchiveError::Request(Box::new(error)))
    }

    async fn send(&self, mut request: BucketRequest<'_>) -> Result<BucketAnswer, ArchiveError> {
        self.sign(&mut request).await?;
        let BucketRequest { method, url, headers, body } = request;
        let unreachable = |error| ArchiveError::Unreachable(error);
        let client = self.0.clients.client_for(url).map_err(|error| unreachable(error.into()))?;
        let request =
            GuardedRequest { method, url, headers, body, body_limit: ANSWER, patience: PATIENCE };
        let answer = client.exchange(request).await.map_err(|error| unreachable(error.into()))?;
        let digest = answer.headers().get(DIGEST).and_then(|value| value.to_str().ok());
        Ok(BucketAnswer {
            status: answer.status(),
            digest: digest.map(str::to_owned),
            code: code_in(answer.body()),
        })
    }

    /// Signs as every service of AWS asks for it (Signature Version 4), with the body's digest.
    async fn sign(&self, request: &mut BucketRequest<'_>) -> Result<(), ArchiveError> {
        let config = self.0.aws.client_config(&self.0.region, None).await.sdk;
        let no_credentials =
            |error: Box<dyn std::error::Error + Send + Sync>| ArchiveError::Credentials(error);
        let provider = config
            .credentials_provider()
            .ok_or_else(|| no_credentials("there is no provider of credentials".into()))?;
        let identity = provider.provide_credentials().await;
        let identity = identity.map_err(|error| no_credentials(error.into()))?.into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let now = u64::try_from(self.0.clock.now().unix_seconds()).unwrap_or_default();
        let unsignable =
            |error: Box<dyn std::error::Error + Send + Sync>| ArchiveError::Request(error);
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.0.region)
            .name("s3")
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(now))
            .settings(settings)
            .build()
            .map_err(|error| unsignable(error.into()))?
            .into();
        let fields = request.headers.iter();
        let fields = fields.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(&request.body);
        let signable =
            SignableRequest::new(request.method.as_str(), request.url.as_str(), fields, body)
                .map_err(|error| unsignable(error.into()))?;
        let (instructions, _) =
            sign(signable, &parameters).map_err(|error| unsignable(error.into()))?.into_parts();
        for (name, value) in instructions.headers() {
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|error| unsignable(error.into()))?;
            let mut value =
                HeaderValue::from_str(value).map_err(|error| unsignable(error.into()))?;
            value.set_sensitive(true);
            request.headers.insert(name, value);
        }
        Ok(())
    }

    /// Whether an object of these bytes is there; nothing if there is none of the name.
    async fn holds(&self, url: &Url, sha256: TokenDigest) -> Result<Option<bool>, ArchiveError> {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        let asked = self.send(BucketRequest { method: Method::HEAD, url, headers, body }).await?;
        match asked.status {
            StatusCode::OK => Ok(Some(asked.digest == Some(sha256.to_string()))),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(asked.refused()),
        }
    }
}

impl BucketAnswer {
    fn refused(self) -> ArchiveError {
        ArchiveError::Refused { status: self.status.as_u16(), code: self.code }
    }
}

/// The `Code` of an error as the service writes it, if it is one word.
fn code_in(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_word = code.len() <= LONGEST_CODE && code.chars().all(|c| c.is_ascii_alphanumeric());
    is_word.then(|| code.to_owned())
}

#[async_trait]
impl BundleStore for S3Bucket {
    fn spool(&self) -> PathBuf {
        self.0.spool.clone()
    }

    async fn put(&self, name: &str, spool: &Path, sha256: TokenDigest) -> Result<(), ArchiveError> {
        let url = self.address(name)?;
        let body = match tokio::fs::read(spool).await {
            Ok(body) => Bytes::from(body),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Bytes::new(),
            Err(error) => return Err(ArchiveError::io("read", spool)(error)),
        };
        if TokenDigest::of_bytes(&body) != sha256 {
            // It went before this was noted, or is another's.
            return match self.holds(&url, sha256).await? {
                Some(true) => Ok(()),
                Some(false) => Err(ArchiveError::Taken(name.to_owned())),
                None => Err(ArchiveError::SpoolGone),
            };
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let digest = HeaderValue::from_str(&sha256.to_string());
        let digest = digest.map_err(|error| ArchiveError::Request(Box::new(error)))?;
        headers.insert(HeaderName::from_static(DIGEST), digest);
        let put =
            self.send(BucketRequest { method: Method::PUT, url: &url, headers, body }).await?;
        match put.status {
            status if status.is_success() => {}
            // It is there already: ours, where an answer was lost.
            StatusCode::PRECONDITION_FAILED => match self.holds(&url, sha256).await? {
                Some(true) => {}
                Some(false) => return Err(ArchiveError::Taken(name.to_owned())),
                None => return Err(put.refused()),
            },
            _ => return Err(put.refused()),
        }
        match tokio::fs::remove_file(spool).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ArchiveError::io("remove", spool)(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ambient::ManualClock;
    use crate::aws::Config;
    use crate::egress::{Egress, EgressConfig};
    use crate::event::Timestamp;

    fn bucket(name: &str, endpoint: Option<&str>) -> S3Bucket {
        let egress = Arc::new(Egress::new(EgressConfig::default()));
        S3Bucket::new(S3BucketParts {
            name: name.to_owned(),
            prefix: "a/".to_owned(),
            region: "eu-west-1".to_owned(),
            endpoint: endpoint.map(|text| text.parse().unwrap()),
            spool: "spool".into(),
            aws: Arc::new(AwsClients::new(Config::default(), &egress)),
            clients: GuardedClients::new(&egress).unwrap(),
            clock: Arc::new(ManualClock::at(Timestamp::EPOCH)),
        })
    }

    #[test]
    fn an_object_is_below_the_host_or_the_path_of_its_bucket() {
        let address = |name: &str, endpoint| bucket(name, endpoint).address("x.ndjson").unwrap();

        let own = address("proofs", None);
        assert_eq!(own.as_str(), "https://proofs.s3.eu-west-1.amazonaws.com/a/x.ndjson");
        let dotted = address("pro.ofs", None);
        assert_eq!(dotted.as_str(), "https://s3.eu-west-1.amazonaws.com/pro.ofs/a/x.ndjson");
        let named = address("proofs", Some("http://127.0.0.1:9000"));
        assert_eq!(named.as_str(), "http://127.0.0.1:9000/proofs/a/x.ndjson");
    }

    #[tokio::test]
    async fn the_guard_refuses_an_address_of_this_machine() {
        let url = "http://127.0.0.1:9/proofs/x".parse().unwrap();
        let parts = (Method::HEAD, HeaderMap::new(), Bytes::new());
        let bucket = bucket("proofs", None);
        let client = bucket.0.clients.client_for(&url);

        assert!(client.is_err(), "{parts:?}");
    }

    #[test]
    fn a_refusals_code_is_one_word_or_not_told() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>";
        assert_eq!(code_in(body).as_deref(), Some("AccessDenied"));
        assert_eq!(code_in(b"<Code>a secret\n</Code>"), None);
        assert_eq!(code_in(b""), None);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let told = code_in(&body);
            prop_assert!(told.is_none_or(|code| code.len() <= LONGEST_CODE));
        }
    }
}
