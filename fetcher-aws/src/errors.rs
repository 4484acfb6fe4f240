//! From the SDK's errors to words for a person: what failed where, and what to do.
//!
//! Not retries, which the SDK has made by then. EC2 models no errors, so a typed variant never matches: everything
//! is decided by `code()`, by the HTTP status where there is none, and by the kind of failure else.
//! (Codes: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>)

use std::error::Error;
use std::fmt::Write;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use fetcher_core::printable::printable;
use fetcher_core::provider::FetchError;

/// Characters of text from outside in one message.
const MAX: usize = 300;

/// What was called where, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// In IAM's spelling: `ec2:DescribeInstances`.
    pub(crate) action: &'static str,
    /// An account's id, or what is known of it.
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    /// The region where the role is assumed.
    pub(crate) home: &'a str,
    /// The role that was assumed for it.
    pub(crate) role: Option<&'a str>,
    /// The id of the access key, where the failure is about the key.
    pub(crate) key: Option<&'a str>,
}

/// The error of a call, in words.
pub(crate) fn fetch_error<E>(call: &Call<'_>, error: &SdkError<E>) -> FetchError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    credentials_error(call, error).unwrap_or_else(|| call_error(call, error))
}

/// The same of a call that was signed.
fn call_error<E>(call: &Call<'_>, error: &SdkError<E>) -> FetchError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            match service.err().code() {
                Some(code) => of_code(call, code, service.err().message().unwrap_or_default(), status),
                None if is_refused(status) => FetchError::denied(format!(
                    "{call}: refused with HTTP status {status} and without an error code of AWS: the credentials{} are \
                     not accepted, or a proxy wants some of its own",
                    call.key_words()
                )),
                None if status == 429 => FetchError::throttled(
                    format!("{call}: HTTP status 429: a gateway on the way asks for fewer calls"),
                    None,
                ),
                None => call.unavailable(&format!(
                    "HTTP status {status} without an error code of AWS: a proxy or another server may have answered"
                )),
            }
        }
        SdkError::TimeoutError(_) => {
            call.unavailable(&format!("no whole answer in time: {}", chain(error)))
        }
        SdkError::DispatchFailure(_) => {
            call.unavailable(&format!("cannot be reached: {}", chain(error)))
        }
        SdkError::ResponseError(_) => {
            call.unavailable(&format!("a broken answer: {}", chain(error)))
        }
        _ => call.unavailable(&chain(error)),
    }
}

/// Whether the failure is about who signed, so that the id of the access key helps.
pub(crate) fn is_about_key<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let Some(code) = error.code() else {
        return error.raw_response().is_some_and(|raw| is_refused(raw.status().as_u16()));
    };
    matches!(kind(code, 0), Kind::Authentication | Kind::Clock | Kind::Expired | Kind::Region)
}

const fn is_refused(status: u16) -> bool {
    matches!(status, 401 | 403)
}

/// Whether the token of a page was refused: it expires, and then the list must begin anew.
pub(crate) fn is_stale_token<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    matches!(error.code(), Some("InvalidNextToken" | "InvalidPaginationToken" | "ExpiredNextToken"))
}

/// Whether this action, and not the credentials, was refused: asking again soon changes nothing. An endpoint that is
/// not AWS may not know the action at all.
pub(crate) fn is_not_allowed<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error
        .code()
        .is_some_and(|code| code == "InvalidAction" || matches!(kind(code, 0), Kind::Permission))
}

/// Whether the STS of another region may answer what this one did not: it is down or mistyped, or not enabled, and
/// then does not know keys that are good (`InvalidClientTokenId`).
pub(crate) fn is_of_region<E>(error: &SdkError<E>) -> bool
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let status = error.raw_response().map_or(0, |raw| raw.status().as_u16());
    match error.code() {
        Some("InvalidClientTokenId") => true,
        Some(code) => matches!(kind(code, status), Kind::Region | Kind::Server),
        // A refusal without a code is a proxy's, and credentials that failed were asked for elsewhere already.
        None => !(400..500).contains(&status) && find::<CredentialsError>(error).is_none(),
    }
}

/// The same of credentials that one region's STS was to give.
pub(crate) fn are_of_region(error: &CredentialsError) -> bool {
    matches!(error, CredentialsError::ProviderTimedOut(_))
        || find::<SdkError<AssumeRoleError>>(error).is_some_and(is_of_region)
        || find::<SdkError<AssumeRoleWithWebIdentityError>>(error).is_some_and(is_of_region)
}

enum Kind {
    Throttled,
    Permission,
    /// The region is not enabled, or the key is wrong: EC2 says the same for both.
    Region,
    Authentication,
    Expired,
    Clock,
    Request,
    Server,
}

fn kind(code: &str, status: u16) -> Kind {
    match code {
        "RequestLimitExceeded"
        | "EC2ThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "TooManyRequestsException"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete" => Kind::Throttled,
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => Kind::Permission,
        "AuthFailure" | "OptInRequired" | "RegionDisabledException" => Kind::Region,
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "Blocked"
        | "PendingVerification"
        | "InvalidAccessKeyId" => Kind::Authentication,
        "ExpiredToken" | "ExpiredTokenException" => Kind::Expired,
        "RequestExpired" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed" => Kind::Clock,
        "InternalError" | "InternalFailure" | "Unavailable" | "ServiceUnavailable" => Kind::Server,
        _ if (400..500).contains(&status) => Kind::Request,
        _ => Kind::Server,
    }
}

/// The error for a code that AWS gave, with its message and status.
fn of_code(call: &Call<'_>, code: &str, message: &str, status: u16) -> FetchError {
    let said = said(code, message);
    match kind(code, status) {
        Kind::Throttled => FetchError::throttled(
            format!(
                "{call}: AWS asks for fewer calls ({said}); the limit is one for the whole account and region"
            ),
            None,
        ),
        Kind::Permission => FetchError::denied(format!(
            "{call}: the credentials may not do {}: allow this action in their IAM policy, and look for a deny in \
             service control policies ({said})",
            call.action
        )),
        Kind::Region => FetchError::denied(format!(
            "{call}: either region {} is not enabled for the account, or the credentials{} are wrong: AWS says the \
             same for both ({said})",
            call.region,
            call.key_words()
        )),
        Kind::Authentication => FetchError::denied(format!(
            "{call}: AWS does not accept the credentials{} ({said})",
            call.key_words()
        )),
        Kind::Expired => FetchError::denied(format!(
            "{call}: the session of the credentials{} has expired: log in again, or use credentials that renew \
             themselves ({said})",
            call.key_words()
        )),
        Kind::Clock => FetchError::denied(format!(
            "{call}: AWS does not accept the signature{}: either the clock of this machine is wrong by minutes \
             (compare it with NTP), or the secret key is ({said})",
            call.key_words()
        )),
        Kind::Request => FetchError::invalid(format!("{call}: AWS refused the request ({said})")),
        Kind::Server => call.unavailable(&format!("AWS failed ({said})")),
    }
}

/// The error of the credentials that a call was to be signed with, if that is what went wrong.
fn credentials_error(call: &Call<'_>, error: &(dyn Error + 'static)) -> Option<FetchError> {
    if let Some(refused) = find::<SdkError<AssumeRoleError>>(error) {
        return Some(role_error(call, refused));
    }
    // The innermost: the others carry it to several calls.
    match chained(error).filter_map(|error| error.downcast_ref::<CredentialsError>()).last()? {
        CredentialsError::CredentialsNotLoaded(_) => Some(FetchError::denied(format!(
            "{call}: no AWS credentials found: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, log \
             in with `aws sso login`, or run where an instance role or a service account gives some"
        ))),
        CredentialsError::InvalidConfiguration(_) => Some(FetchError::denied(format!(
            "{call}: the AWS credentials are set up wrongly: {}",
            chain(error)
        ))),
        _ => Some(
            call.unavailable(&format!("the credentials could not be loaded: {}", chain(error))),
        ),
    }
}

fn role_error(call: &Call<'_>, error: &SdkError<AssumeRoleError>) -> FetchError {
    let role = call.role.unwrap_or("the role");
    let assume = Call { action: "sts:AssumeRole", region: call.home, ..*call };
    let Some(code) = error.code() else {
        // Only what lies inside of it: the error itself would lead back here.
        let inner = error.source().and_then(|inner| credentials_error(&assume, inner));
        return inner.unwrap_or_else(|| call_error(&assume, error));
    };
    let status = error.raw_response().map_or(0, |raw| raw.status().as_u16());
    if !matches!(kind(code, status), Kind::Permission) {
        return of_code(&assume, code, error.message().unwrap_or_default(), status);
    }
    FetchError::denied(format!(
        "{assume}: {role} cannot be assumed: its trust policy must name who asks (and the external id, if it wants \
         one), and who asks must be allowed sts:AssumeRole on it ({})",
        said(code, error.message().unwrap_or_default())
    ))
}

impl Call<'_> {
    fn unavailable(&self, why: &str) -> FetchError {
        FetchError::unavailable(format!("{self}: {why}"))
    }

    fn key_words(&self) -> String {
        self.key.map_or_else(String::new, |key| format!(" (access key {})", printable(key, 40)))
    }
}

impl std::fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let account = self.account;
        // Before its id is known it is called by its credentials.
        let of = if account.starts_with(|c: char| c.is_ascii_digit()) {
            "of account"
        } else {
            "with the"
        };
        write!(f, "{} {of} {account} in {}", self.action, self.region)
    }
}

/// What AWS said, cut; an encoded authorization failure is hundreds of characters that nobody reads.
fn said(code: &str, message: &str) -> String {
    let message =
        message.split("Encoded authorization failure message").next().unwrap_or_default().trim();
    let code = printable(code, 60);
    if message.is_empty() { code } else { format!("{code}: {}", printable(message, MAX)) }
}

/// The first error of type `T` in the chain of causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chained(error).find_map(|error| error.downcast_ref())
}

/// The error and its causes, from the outside to the inside.
fn chained<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The causes from the outside to the inside, each once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in chained(error).skip(1) {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            let _ = write!(text, ": {words}");
        }
    }
    printable(&text, MAX)
}
