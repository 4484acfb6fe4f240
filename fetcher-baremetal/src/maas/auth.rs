//! The login: OAuth 1.0 with the signature PLAINTEXT, a header made anew for each request.
//!
//! An API key is `consumer_key:token_key:token_secret`; the consumer's own secret is empty.
//! (`docs/reference/api-reference/api-login.md`; RFC 5849 §3.4.4)

use std::hash::{BuildHasher, Hasher, RandomState};

use fetcher_core::provider::FetchError;
use fetcher_core::secret::Secret;

/// The parts of an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    consumer: Secret,
    token: Secret,
    secret: Secret,
}

impl Key {
    /// Takes an API key apart.
    ///
    /// # Errors
    /// Anything but three parts that are not empty; the message does not hold them.
    pub(super) fn parse(key: &Secret) -> Result<Self, FetchError> {
        let parts: Vec<&str> = key.expose().trim().split(':').collect();
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
        match parts.as_slice() {
            [consumer, token, secret] if parts.iter().all(|part| is_part(part)) => Ok(Self {
                consumer: Secret::new(*consumer),
                token: Secret::new(*token),
                secret: Secret::new(*secret),
            }),
            _ => Err(FetchError::denied(format!(
                "the MAAS API key has {} parts instead of three with colons between them: copy it whole from the \
                 user's page (API keys)",
                parts.len()
            ))),
        }
    }

    /// The value of the header `Authorization` for one request, at this time.
    pub(super) fn header(&self, now: jiff::Timestamp) -> Secret {
        let encode = |part: &Secret| encoded(part.expose());
        Secret::new(format!(
            "OAuth oauth_version=\"1.0\", oauth_signature_method=\"PLAINTEXT\", oauth_consumer_key=\"{}\", \
             oauth_token=\"{}\", oauth_signature=\"%26{}\", oauth_nonce=\"{:016x}{:016x}\", oauth_timestamp=\"{}\"",
            encode(&self.consumer),
            encode(&self.token),
            encode(&self.secret),
            random(),
            random(),
            now.as_second()
        ))
    }

    /// The parts, to keep them out of errors.
    pub(super) fn parts(&self) -> [&Secret; 3] {
        [&self.consumer, &self.token, &self.secret]
    }
}

/// A number that is used once: the standard library seeds each of these by the system's randomness.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Percent-encoded as OAuth wants it: all but letters, digits and `-._~` (RFC 5849 §3.6).
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // A String takes every write.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
