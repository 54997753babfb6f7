//! The text of a token, which is made once and shared by whoever sends or keeps it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// A token in compact form. Cloning shares its text; `Debug` shows its length only.
#[derive(Clone, Eq, PartialEq)]
pub struct TokenText(Arc<String>);

impl From<String> for TokenText {
    fn from(token: String) -> Self {
        Self(Arc::new(token))
    }
}

impl From<TokenText> for String {
    fn from(TokenText(token): TokenText) -> Self {
        Arc::unwrap_or_clone(token)
    }
}

/// As the body of a request.
impl From<TokenText> for Bytes {
    fn from(token: TokenText) -> Self {
        Self::from_owner(token)
    }
}

impl AsRef<[u8]> for TokenText {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Deref for TokenText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenText({} characters)", self.0.len())
    }
}
