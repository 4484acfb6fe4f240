//! The sending of a call: attempts, waits between them, redirects, deadlines, and the body within its limit.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode, header};
use tokio::time::Instant;
use url::Url;

use super::answer::Answer;
use super::call::{Call, sensitive};
use super::quote::{self, Hidden};
use super::retry::{Waits, is_retried, retry_after};
use super::tls;
use crate::provider::FetchError;

/// How many redirects within the endpoint are followed.
const REDIRECTS: u32 = 3;

/// Why one attempt gave no answer that counts.
enum Failed {
    /// Sending it again makes no sense.
    Final(FetchError),
    /// It does, after what the server asked for.
    Again(FetchError, Option<Duration>),
}

impl Call {
    /// Sends it, again where that makes sense; the last answer, whatever its status.
    ///
    /// # Errors
    /// [`FetchError::Unavailable`] without a whole answer within the deadlines; [`FetchError::Inconsistent`] for a
    /// body above the limit and for a redirect that leads away.
    pub async fn answer(self) -> Result<Answer, FetchError> {
        let mut url = self.url.clone()?;
        let options = &self.http.0.options;
        let mut waits = Waits::new(options.backoff);
        let mut deadline = None;
        let (mut attempt, mut redirects) = (1, 0);
        loop {
            let slot = self.http.0.in_flight.acquire().await;
            self.http.0.limit.token().await;
            // Waiting for our own pace is no fault of the server: its time begins with the first request.
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + options.deadline);
            let answer = match self.attempt(&url, deadline).await {
                Ok(answer) => answer,
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Again(error, asked)) => {
                    drop(slot);
                    if !self.pause(&mut waits, attempt, asked, deadline).await {
                        return Err(error);
                    }
                    attempt += 1;
                    continue;
                }
            };
            if is_redirect(answer.status) {
                redirects += 1;
                url = self.redirected(&url, &answer, redirects)?;
                continue;
            }
            let asked = retry_after(&answer.headers);
            drop(slot);
            if !is_retried(&self.method, answer.status)
                || !self.pause(&mut waits, attempt, asked, deadline).await
            {
                return Ok(answer);
            }
            attempt += 1;
        }
    }

    /// Waits before the next attempt; false if there is none.
    #[expect(
        clippy::disallowed_methods,
        reason = "waiting before a retry is what this file is for"
    )]
    async fn pause(
        &self,
        waits: &mut Waits,
        attempt: u32,
        asked: Option<Duration>,
        deadline: Instant,
    ) -> bool {
        let wait = waits.next(asked);
        if attempt >= self.attempts || Instant::now() + wait >= deadline {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }

    async fn attempt(&self, url: &Url, deadline: Instant) -> Result<Answer, Failed> {
        let start = Instant::now();
        let end = deadline.min(start + self.timeout.unwrap_or(self.http.0.options.timeout));
        let place = format!("{} {}", self.method, quote::shown(url));
        match tokio::time::timeout_at(end, self.exchange(url, &place)).await {
            Ok(done) => done,
            Err(_) => Err(self.again(FetchError::unavailable(format!(
                "{place}: no whole answer within {:.1?}; a slow server may need a longer timeout",
                end - start
            )))),
        }
    }

    async fn exchange(&self, url: &Url, place: &str) -> Result<Answer, Failed> {
        let mut hidden = self.hidden.clone();
        let mut request = self
            .http
            .0
            .client
            .request(self.method.clone(), url.clone())
            .headers(self.headers.clone());
        if let Some((name, sign)) = &self.signed {
            let secret = sign();
            hidden.add(secret.expose());
            let value = sensitive(secret.expose()).ok_or_else(|| {
                Failed::Final(FetchError::denied(format!(
                    "{place}: the signature holds characters that no header can carry"
                )))
            })?;
            request = request.header(name, value);
        }
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let mut response = request.send().await.map_err(|e| self.lost(place, &hidden, e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.read(&mut response, place, &hidden).await?;
        tracing::debug!(place, status = status.as_u16(), bytes = body.len(), "Request answered");
        Ok(Answer { status, headers, body, place: place.to_owned(), hidden })
    }

    async fn read(
        &self,
        response: &mut reqwest::Response,
        place: &str,
        hidden: &Hidden,
    ) -> Result<Bytes, Failed> {
        let limit = self.http.0.options.body_limit;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.lost(place, hidden, e))? {
            if body.len() + chunk.len() > limit {
                return Err(Failed::Final(FetchError::inconsistent(format!(
                    "{place}: the answer is larger than {limit} bytes; ask for less, or raise bodyLimitMiB"
                ))));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// No answer, or not all of it.
    fn lost(&self, place: &str, hidden: &Hidden, error: reqwest::Error) -> Failed {
        let error = error.without_url();
        if let Some(words) = tls::words(&error, &self.http.0.options) {
            return Failed::Final(FetchError::unavailable(format!("{place}: {words}")));
        }
        let not_sent = error.is_connect();
        let what = if not_sent {
            "no connection"
        } else if error.is_body() || error.is_decode() {
            "the answer broke off"
        } else {
            "no answer"
        };
        let failure =
            FetchError::unavailable(format!("{place}: {what}: {}", hidden.causes(&error)));
        if not_sent { Failed::Again(failure, None) } else { self.again(failure) }
    }

    /// Worth another attempt, unless the server may have done what was asked.
    fn again(&self, error: FetchError) -> Failed {
        if self.method == Method::POST { Failed::Final(error) } else { Failed::Again(error, None) }
    }

    fn redirected(&self, from: &Url, answer: &Answer, count: u32) -> Result<Url, FetchError> {
        let place = &answer.place;
        let target = answer.header(header::LOCATION.as_str()).unwrap_or_default();
        let to = from.join(target).ok().filter(|_| !target.is_empty()).ok_or_else(|| {
            FetchError::inconsistent(format!("{place}: {} without a place to go to", answer.status))
        })?;
        let to_text = answer.hidden.clean(&quote::shown(&to));
        if self.method != Method::GET || to.origin() != from.origin() {
            return Err(FetchError::inconsistent(format!(
                "{place}: {} to {to_text}: not followed, because the credentials would go along; \
                 if that is where the API is, configure it as the url",
                answer.status
            )));
        }
        if count > REDIRECTS {
            return Err(FetchError::inconsistent(format!(
                "{place}: more than {REDIRECTS} redirects, the last to {to_text}"
            )));
        }
        self.http.resolve(from, target)
    }
}

/// Those that name another place; 304 is an answer.
fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
