//! A watch as a stream of events: one line of JSON each, read as it comes.
//!
//! What an event does to the index is `watch`'s. A stream that ends in the middle of a line was cut.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::{Refusal, chain};
use super::list::Seen;
use crate::observed::Lens;

/// The longest event: etcd takes objects of 1.5 MiB at the most.
const LONGEST: usize = 16 << 20;

/// What a watch tells.
#[derive(Debug)]
pub(super) enum Event {
    /// A Host is there, new or changed.
    Put(Seen),
    /// A Host was deleted; its revision is the deletion's.
    Remove(Seen),
    /// Everything up to this revision has been told; with the mark, all that there was at the start.
    Bookmark { revision: u64, is_initial_end: bool },
    /// The server gives up on this watch.
    Error(Refusal),
}

/// Why no event could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The connection broke, or ended in the middle of an event.
    Cut(String),
    /// Nothing came in time.
    Silent,
    /// What came is no event.
    Garbled(String),
}

/// The lines of an answer under way.
pub(super) struct Lines {
    body: Body,
    read: BytesMut,
    /// How much of `read` is known to hold no end of a line.
    seen: usize,
    /// When the last byte came.
    pub(super) heard: Instant,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self { body, read: BytesMut::new(), seen: 0, heard: Instant::now() }
    }

    /// The next line, none after a clean end. Gives up when nothing comes for `patience`.
    pub(super) async fn next(&mut self, patience: Duration) -> Result<Option<Bytes>, Trouble> {
        loop {
            if let Some(end) = self.read[self.seen..].iter().position(|&byte| byte == b'\n') {
                let line = self.read.split_to(self.seen + end + 1).freeze();
                self.seen = 0;
                return Ok(Some(line));
            }
            self.seen = self.read.len();
            if self.seen > LONGEST {
                return Err(Trouble::Garbled(format!("an event of more than {LONGEST} bytes")));
            }
            let frame = tokio::time::timeout(patience, self.body.frame());
            match frame.await.map_err(|_| Trouble::Silent)? {
                Some(Ok(frame)) => {
                    self.heard = Instant::now();
                    self.read.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                }
                Some(Err(error)) => return Err(Trouble::Cut(chain(&error))),
                None if self.read.is_empty() => return Ok(None),
                None => {
                    return Err(Trouble::Cut("the answer ended in the middle of an event".into()));
                }
            }
        }
    }
}

impl Event {
    /// From one line of a watch.
    pub(super) fn new(line: &[u8], lens: &Lens) -> Result<Self, Trouble> {
        let garbled = |error: serde_json::Error| Trouble::Garbled(format!("no event: {error}"));
        let Raw { kind, object } = serde_json::from_slice(line).map_err(garbled)?;
        match kind {
            "ADDED" | "MODIFIED" => Ok(Self::Put(Seen::new(object.get(), lens))),
            "DELETED" => Ok(Self::Remove(Seen::new(object.get(), lens))),
            "ERROR" => Ok(Self::Error(Refusal::from_body(object.get().as_bytes()))),
            "BOOKMARK" => {
                let Bookmark { metadata } = serde_json::from_str(object.get()).map_err(garbled)?;
                let revision = metadata.resource_version.parse();
                let revision = revision.map_err(|_| {
                    Trouble::Garbled(format!(
                        "a bookmark of revision {:?}",
                        metadata.resource_version
                    ))
                })?;
                let is_initial_end = metadata.annotations.initial_events_end == "true";
                Ok(Self::Bookmark { revision, is_initial_end })
            }
            other => Err(Trouble::Garbled(format!("an event of type {other:?}"))),
        }
    }
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: BookmarkMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMeta {
    resource_version: String,
    #[serde(default)]
    annotations: BookmarkAnnotations,
}

#[derive(Default, Deserialize)]
struct BookmarkAnnotations {
    #[serde(default, rename = "k8s.io/initial-events-end")]
    initial_events_end: String,
}
