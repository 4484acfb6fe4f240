//! Why a request did not do what it was sent for, in words with a remedy, and by what the caller can do.
//!
//! An apiserver's own errors are told apart by their code alone: their `reason` is missing from some of them.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use rustls::CertificateError;
use serde::Deserialize;

use crate::store::StoreError;

/// A request without a good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// An answer, and not the one wanted.
    Answer(Refusal),
    /// No answer: why, with the remedy.
    Silence(String),
    /// No whole answer within this time.
    Overdue(Duration),
}

/// An error that an apiserver, or a proxy before it, answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
    /// Whether it is the apiserver's own object, and not some text: that is how a missing CRD answers.
    pub(super) is_status: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    message: String,
    code: u16,
    details: Details,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    retry_after_seconds: u64,
}

impl Refusal {
    pub(super) fn new(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut refusal = Self::from_body(body);
        refusal.code = code.as_u16();
        refusal.retry_after = seconds.map(Duration::from_secs).or(refusal.retry_after);
        refusal
    }

    /// From a `Status` object, as it stands in a watch too.
    pub(super) fn from_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Status>(body) {
            Ok(status) if status.kind == "Status" => Self {
                code: status.code,
                message: status.message,
                retry_after: (status.details.retry_after_seconds > 0)
                    .then(|| Duration::from_secs(status.details.retry_after_seconds)),
                is_status: true,
            },
            _ => Self {
                code: 0,
                message: String::from_utf8_lossy(body).trim().chars().take(200).collect(),
                retry_after: None,
                is_status: false,
            },
        }
    }

    /// Whether patience may help.
    pub(super) const fn is_busy(&self) -> bool {
        self.code == 429 || self.code >= 500
    }

    /// Whether there is no object of that name, though the apiserver knows the kind.
    pub(super) const fn is_absent(&self) -> bool {
        self.code == 404 && self.is_status
    }

    /// Whether the apiserver does not know our kind of object at all.
    const fn is_unknown_kind(&self) -> bool {
        self.code == 404 && !self.is_status
    }
}

/// What the request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Create,
    Write,
}

impl Failure {
    /// What the caller of the store can do about it. `what` names the request: `PUT hosts/a/status`.
    pub(super) fn error(self, purpose: Purpose, what: &str) -> StoreError {
        let refusal = match self {
            Self::Silence(message) => return StoreError::Unavailable(format!("{what}: {message}")),
            Self::Overdue(limit) => {
                let message = format!("{what}: no whole answer within {} s", limit.as_secs());
                return StoreError::Unavailable(message);
            }
            Self::Answer(refusal) => refusal,
        };
        let message = format!("{what}: {}", refusal.in_words());
        match (refusal.code, purpose) {
            // 410: what is listed in pages changes faster than they are read.
            _ if refusal.is_busy() || refusal.code == 410 => {
                StoreError::Busy { message, retry_after: refusal.retry_after }
            }
            (409, _) => StoreError::Conflict(message),
            (404, Purpose::Write) if !refusal.is_unknown_kind() => StoreError::Conflict(message),
            (401 | 404, _) | (_, Purpose::Read) => StoreError::Invalid(message),
            // 413 and the like as well as 400, 403 and 422: the next object may be taken.
            (400..=499, Purpose::Create | Purpose::Write) => StoreError::Refused(message),
            _ => StoreError::Invalid(message),
        }
    }
}

impl Refusal {
    /// The answer in a sentence, with the remedy where there is one.
    pub(super) fn in_words(&self) -> String {
        let Self { code, message, .. } = self;
        match code {
            _ if self.is_unknown_kind() => format!(
                "{code}: the apiserver does not know hosts.inventory.fetcher.dev/v1: \
                 kubectl apply -f deploy/crds/hosts.yaml"
            ),
            401 => format!(
                "401: the apiserver does not accept our credentials ({message}): expired, or of another cluster; \
                 renew the certificate or token, the files are read again without a restart"
            ),
            // The words of RBAC; an admission policy has its own.
            403 if message.contains(" cannot ") => format!(
                "403: {message}; the Role and RoleBinding of deploy/rbac in this namespace give the rights"
            ),
            404 if message.contains("namespaces ") => {
                format!(
                    "404: {message}; make it with kubectl create namespace, or correct store.kubernetes.namespace"
                )
            }
            _ => format!("{code}: {message}"),
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::Silence(silence(&error))
    }
}

/// Why there was no answer, with the remedy where one is known.
pub(super) fn silence(error: &(dyn Error + 'static)) -> String {
    let chain = chain(error);
    match remedy(error) {
        Some(remedy) => format!("{remedy} ({chain})"),
        None => chain,
    }
}

fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    causes(error).find_map(|cause| {
        if let Some(rustls::Error::InvalidCertificate(why)) = cause.downcast_ref() {
            return Some(certificate(why));
        }
        if let Some(rustls::Error::AlertReceived(_)) = cause.downcast_ref() {
            return Some("the apiserver refused the TLS handshake: is the client certificate of its authority?");
        }
        match cause.downcast_ref::<io::Error>()?.kind() {
            io::ErrorKind::ConnectionRefused => {
                Some("nothing listens there: is the apiserver running, and its address right?")
            }
            io::ErrorKind::TimedOut => {
                Some("no connection in time: is the address right, and the way there open?")
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Some("there is no way to that address from here")
            }
            _ => None,
        }
    })
}

const fn certificate(why: &CertificateError) -> &'static str {
    match why {
        // A bad signature: an authority of the same name with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the apiserver's certificate is not signed by the authority we trust: caFile (or the kubeconfig's \
             certificate-authority) must hold the one of this apiserver"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the apiserver's certificate is for another name: use a name or address that stands in it"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the apiserver's certificate has expired: renew it, or set this machine's clock"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the apiserver's certificate is not valid yet: set this machine's clock"
        }
        _ => "the apiserver's certificate is not accepted",
    }
}

/// An error and its causes in one line, each said once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        // An io::Error hides what it wraps: its source is that one's source.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &'a (dyn Error + 'static)),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u16, body: &str) -> Failure {
        let code = StatusCode::from_u16(code).unwrap();
        Failure::Answer(Refusal::new(code, &HeaderMap::new(), body.as_bytes()))
    }

    fn kind(code: u16, purpose: Purpose) -> &'static str {
        refusal(code, r#"{"kind": "Status", "message": "m"}"#).error(purpose, "x").reason()
    }

    #[test]
    fn what_the_caller_can_do_follows_from_the_code_and_the_purpose() {
        use Purpose::{Create, Read, Write};
        for (code, purpose, expected) in [
            (409, Create, "conflict"),
            (409, Write, "conflict"),
            (404, Write, "conflict"),
            (404, Create, "invalid"),
            (400, Write, "refused"),
            (403, Write, "refused"),
            (422, Create, "refused"),
            (413, Create, "refused"),
            (413, Write, "refused"),
            (413, Read, "invalid"),
            (302, Write, "invalid"),
            (403, Read, "invalid"),
            (400, Read, "invalid"),
            (401, Write, "invalid"),
            (401, Create, "invalid"),
            (429, Write, "busy"),
            (500, Create, "busy"),
            (503, Read, "busy"),
        ] {
            assert_eq!(kind(code, purpose), expected, "{code} {purpose:?}");
        }
    }

    #[test]
    fn a_missing_crd_is_no_conflict_and_names_the_remedy() {
        let error =
            refusal(404, "404 page not found\n").error(Purpose::Write, "PUT hosts/a/status");
        assert_eq!(error.reason(), "invalid");
        assert!(error.to_string().contains("deploy/crds/hosts.yaml"), "{error}");
    }

    #[test]
    fn the_time_to_wait_is_taken_from_the_header_or_the_body() {
        let mut headers = HeaderMap::new();
        let body = br#"{"kind": "Status", "details": {"retryAfterSeconds": 7}}"#;
        let busy = StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(Refusal::new(busy, &headers, body).retry_after, Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, http::HeaderValue::from_static("2"));
        assert_eq!(Refusal::new(busy, &headers, body).retry_after, Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_cause_inside_an_io_error_is_found_and_said_once() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let outer = io::Error::new(io::ErrorKind::InvalidData, inner);
        let text = silence(&outer);
        assert!(text.contains("caFile"), "{text}");
        assert_eq!(text.matches("UnknownIssuer").count(), 1, "{text}");
    }
}
