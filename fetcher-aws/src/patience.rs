//! What EC2 itself never says but a gateway before it may: 429, with `Retry-After` or without, is waited out.
//!
//! Not AWS's own throttling (503 with a code), which the SDK knows.

use std::time::Duration;

use aws_sdk_ec2::config::interceptors::InterceptorContext;
use aws_sdk_ec2::config::retry::{ClassifyRetry, RetryAction};
use aws_smithy_types::retry::ErrorKind;

/// The longest wait between two attempts.
pub(crate) const BACKOFF: Duration = Duration::from_secs(20);

/// Retries 429.
#[derive(Debug)]
pub(crate) struct Patience;

impl ClassifyRetry for Patience {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(answer) = context.response().filter(|answer| answer.status().as_u16() == 429)
        else {
            return RetryAction::NoActionIndicated;
        };
        let seconds =
            answer.headers().get("retry-after").and_then(|after| after.trim().parse().ok());
        seconds.map_or_else(RetryAction::throttling_error, |seconds| {
            let after = Duration::from_secs(seconds).min(BACKOFF);
            RetryAction::retryable_error_with_explicit_delay(ErrorKind::ThrottlingError, after)
        })
    }

    fn name(&self) -> &'static str {
        "TooManyRequests"
    }
}
