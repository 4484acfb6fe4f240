//! An answer is whole or it is an error: every body is read to its end tag, and only so far.
//!
//! Not parsing, which is the SDK's. It is needed because the SDK's XML reader takes the end of the text for the end
//! of every open element: half a page, cut by a proxy without an error, would be a shorter last page, and
//! its missing instances would look gone. And the SDK collects a body without a limit, until its timeout, and never
//! looks at its content type.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aws_sdk_ec2::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_smithy_types::body::SdkBody;
use bytes::{Buf, Bytes};
use fetcher_core::printable::printable;
use http_body::{Body, Frame};

use crate::throttle::Throttle;

/// The longest body in bytes. A page of 1,000 instances is about 4 MB, with many interfaces and tags 20.
const LIMIT: usize = 64 << 20;
/// What every answer of EC2 and STS in their query protocol ends with, white space aside.
const END: &[u8] = b"Response>";
/// How much of the end of a body is kept to look for [`END`].
const TAIL: usize = 64;

/// Watches over the answers of one client.
#[derive(Debug)]
pub(crate) struct Whole {
    /// What is told how the calls went.
    throttle: Option<Arc<Throttle>>,
}

impl Whole {
    pub(crate) const fn new(throttle: Option<Arc<Throttle>>) -> Self {
        Self { throttle }
    }
}

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "WholeAnswer"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let status = response.status();
        if let Some(throttle) = &self.throttle {
            // 503 is RequestLimitExceeded, EC2ThrottledException and Unavailable: fewer calls help all three.
            match status.as_u16() {
                429 | 503 => throttle.slow_down(),
                _ if status.is_success() => throttle.went_well(),
                _ => {}
            }
        }
        let wants_end = status.is_success();
        let kind = response.headers().get("content-type").filter(|_| wants_end);
        let foreign = kind.filter(|kind| !kind.contains("xml"));
        let foreign = foreign.map(|kind| Broken::Foreign { kind: printable(kind, 60) });
        let body = std::mem::replace(response.body_mut(), SdkBody::taken());
        let watched = Watched { body, read: 0, tail: Vec::new(), wants_end, foreign };
        *response.body_mut() = SdkBody::from_body_1_x(watched);
        Ok(())
    }
}

/// A body that errs at its end unless that is the end of an answer, and when it grows too long.
struct Watched {
    body: SdkBody,
    read: usize,
    tail: Vec<u8>,
    /// A failure may come from a gateway, in any form.
    wants_end: bool,
    /// It says itself that it is no answer of AWS.
    foreign: Option<Broken>,
}

impl Watched {
    fn keep_tail(&mut self, data: &Bytes) {
        let new = &data.chunk()[data.len().saturating_sub(TAIL)..];
        self.tail.extend_from_slice(new);
        let extra = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..extra);
    }

    fn end(&self) -> Option<Broken> {
        let whole = !self.wants_end || self.tail.trim_ascii_end().ends_with(END);
        (!whole).then_some(Broken::Cut { read: self.read })
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(broken) = self.foreign.take() {
            return Poll::Ready(Some(Err(broken.into())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.read += data.len();
                    if self.read > LIMIT {
                        return Poll::Ready(Some(Err(Broken::Endless.into())));
                    }
                    self.keep_tail(data);
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => Some(Err(error)),
            None => self.end().map(|broken| Err(broken.into())),
        })
    }
}

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the answer ends in the middle, after {read} bytes")]
    Cut { read: usize },
    #[error("the answer is {kind} and no XML: a proxy or another server has answered")]
    Foreign { kind: String },
    #[error("the answer is longer than {} MiB", LIMIT >> 20)]
    Endless,
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};
    use proptest::prelude::*;

    use super::*;

    async fn read(chunks: impl IntoIterator<Item = String>) -> Result<usize, String> {
        let frames: Vec<_> =
            chunks.into_iter().map(|text| Ok::<_, BoxError>(Frame::data(text.into()))).collect();
        let body = SdkBody::from_body_1_x(StreamBody::new(futures::stream::iter(frames)));
        let watched = Watched { body, read: 0, tail: Vec::new(), wants_end: true, foreign: None };
        let read = watched.collect().await.map_err(|error| error.to_string())?;
        Ok(read.to_bytes().len())
    }

    #[tokio::test]
    async fn an_end_tag_is_found_however_the_body_comes() {
        let whole = format!("<XResponse>{}</XResponse>\n\n", "x".repeat(200));
        for size in [1, 3, 7, 60, 64, 65, 1000] {
            let chunks = whole.as_bytes().chunks(size);
            let chunks = chunks.map(|chunk| String::from_utf8_lossy(chunk).into_owned());
            assert_eq!(read(chunks).await, Ok(whole.len()), "in chunks of {size}");
        }
        let cut = read([whole.replace("</XResponse>", "")]).await.unwrap_err();
        assert!(cut.contains("ends in the middle"), "{cut}");
    }

    #[tokio::test]
    async fn a_body_is_not_read_beyond_its_limit() {
        let mebibyte = "x".repeat(1 << 20);
        let endless = std::iter::repeat_n(mebibyte, 65);
        assert!(read(endless).await.unwrap_err().contains("longer than 64 MiB"));
    }

    proptest! {
        #![proptest_config(crate::tests::cases())]

        /// However the bytes come, a body is whole when all of it ends with the end tag, white space aside.
        #[test]
        fn a_body_is_whole_exactly_when_its_end_tag_is_there(
            chunks in prop::collection::vec("(</XRes|ponse>|</XResponse>|[ \n]{0,40}|x{0,70})", 0..8),
        ) {
            let all = chunks.concat();
            let whole = all.trim_ascii_end().ends_with("Response>");
            // More white space than any answer has hides the tag, and then it is an error.
            let seen = all[all.len().saturating_sub(TAIL)..].trim_ascii_end().ends_with("Response>");
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(read(chunks));
            prop_assert_eq!(read.is_ok(), seen, "{:?}", read);
            prop_assert!(whole || read.is_err());
        }
    }
}
