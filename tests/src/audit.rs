//! What the apiserver was asked, from its audit log: every request with verb, resource and code, by namespace.
//! The metric `apiserver_request_total` cannot tell that: it knows no namespace.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::namespace::AGENT;
use crate::plane::Plane;
use crate::poll::poll_until;

/// The requests about one namespace from one moment on.
pub struct Audit {
    plane: Plane,
    namespace: String,
    from: u64,
}

/// One request that the apiserver has answered; a watch counts when its answer has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, …
    pub verb: String,
    /// `hosts`, or `hosts/status`.
    pub resource: String,
    /// The object's name; empty for a list.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// Who asked.
    pub user: String,
    /// With which program.
    pub agent: String,
}

impl Audit {
    pub(crate) fn new(plane: Plane, namespace: String, from: u64) -> Self {
        Self { plane, namespace, from }
    }

    /// Forgets what was until now, so that the next count begins here.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn restart(&mut self) -> Result<()> {
        self.from = self.flushed().await?;
        Ok(())
    }

    /// The requests of programs whose user agent begins with `agent`, without the test bed's own.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn requests(&self, agent: &str) -> Result<Vec<Request>> {
        let until = self.flushed().await?;
        let namespace = format!("\"namespace\":\"{}\"", self.namespace);
        let lines = self.lines(until)?;
        let events = lines
            .iter()
            .filter(|l| l.contains(&namespace))
            .map(|l| serde_json::from_str::<Event>(l));
        let mut requests = Vec::new();
        for event in events {
            requests.extend(event?.request(&self.namespace));
        }
        requests.retain(|r| r.agent.starts_with(agent) && !r.agent.starts_with(AGENT));
        Ok(requests)
    }

    /// The same, counted: `"update hosts/status 200"` -> 3.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn counts(&self, agent: &str) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        for Request { verb, resource, code, .. } in self.requests(agent).await? {
            *counts.entry(format!("{verb} {resource} {code}")).or_default() += 1;
        }
        Ok(counts)
    }

    /// Where the log ends, once it holds everything that was answered until now: a request of our own is sent, and
    /// looked for in it.
    async fn flushed(&self) -> Result<u64> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let marker =
            format!("audit-marker-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let client = self.plane.client(&self.plane.admin(), AGENT)?;
        let path = format!("/api/v1/namespaces/{}/configmaps/{marker}", self.namespace);
        // It is not there: 404 is the answer, and it is in the log like any other.
        let _ = client.request_text(http::Request::get(path).body(Vec::new())?).await;
        let mut until = self.from;
        poll_until("the audit log holds the last request", Duration::from_secs(60), async || {
            let lines = self.lines_from(until, u64::MAX)?;
            let found = lines.iter().any(|l| l.contains(&marker));
            until += lines.iter().map(|l| l.len() as u64).sum::<u64>();
            Ok(found.then_some(until))
        })
        .await
    }

    /// What fetchers have done that no fetcher ever may, in the part of the log that nobody has looked at yet, whatever
    /// namespace it was about. Only programs are judged (`fetcher-…/VERSION`), not stores that a test opened to see
    /// them refused (`0-test`).
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn trespasses(mut self) -> Result<Vec<String>> {
        static JUDGED: Mutex<BTreeMap<PathBuf, u64>> = Mutex::new(BTreeMap::new());
        let log = self.plane.about().audit_log.clone();
        let judged = || JUDGED.lock().unwrap_or_else(PoisonError::into_inner);
        self.from = judged().get(&log).copied().unwrap_or(0);
        let until = self.flushed().await?;
        let found = self.trespasses_of("fetcher-", until)?;
        let mut judged = judged();
        let position = judged.entry(log).or_default();
        *position = until.max(*position);
        Ok(found)
    }

    /// The same of programs whose user agent begins like this, up to a position of the log.
    fn trespasses_of(&self, agent: &str, until: u64) -> Result<Vec<String>> {
        let agent = format!("\"userAgent\":\"{agent}");
        let mut found = Vec::new();
        for line in self.lines(until)? {
            if line.contains(&agent) && !line.contains("/0-test\"") {
                found.extend(serde_json::from_str::<Event>(&line)?.trespass());
            }
        }
        Ok(found)
    }

    fn lines(&self, until: u64) -> Result<Vec<String>> {
        self.lines_from(self.from, until)
    }

    /// Whole lines between two positions, each with its newline.
    fn lines_from(&self, from: u64, until: u64) -> Result<Vec<String>> {
        let path = &self.plane.about().audit_log;
        let mut file = File::open(path).with_context(|| path.display().to_string())?;
        file.seek(SeekFrom::Start(from))?;
        let (mut reader, mut at, mut lines) = (BufReader::new(file), from, Vec::new());
        while at < until {
            let mut line = String::new();
            at += reader.read_line(&mut line)? as u64;
            if !line.ends_with('\n') {
                break;
            }
            lines.push(line);
        }
        Ok(lines)
    }
}

/// As much of an `audit.k8s.io/v1` Event as is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<ObjectRef>,
    response_status: Option<Value>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

impl Event {
    /// What is wrong with this request of a fetcher, if anything is: a delete, a write that the apiserver refused as a
    /// change of `spec` or as no valid Host, anything in a namespace that is not the one it is named after.
    fn trespass(self) -> Option<String> {
        let object = self.object_ref.filter(|_| self.stage != "RequestReceived")?;
        let code = self.response_status.as_ref().and_then(|status| status["code"].as_u64());
        let deletes = self.verb.starts_with("delete");
        // A certificate of the test bed is named after its namespace, a service account belongs to one.
        let user = &self.user.username;
        let account =
            user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split(':').next());
        let strays = !object.namespace.is_empty() && object.namespace != account.unwrap_or(user);
        // An apiserver that begins refuses for a moment what it knows no binding for yet; a fetcher reads first.
        let reads = matches!(self.verb.as_str(), "get" | "list" | "watch");
        let refused = matches!(code, Some(403 | 422)) && !object.namespace.is_empty() && !reads;
        (deletes || strays || refused).then(|| {
            format!(
                "{} as {}: {} {} {} in namespace {}: {}",
                self.user_agent,
                self.user.username,
                self.verb,
                object.resource,
                object.name,
                object.namespace,
                code.unwrap_or_default()
            )
        })
    }

    fn request(self, namespace: &str) -> Option<Request> {
        let counted = if self.verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
        let object =
            self.object_ref.filter(|o| o.namespace == namespace && self.stage == counted)?;
        let code = self.response_status?.get("code")?.as_u64()?;
        let slash = if object.subresource.is_empty() { "" } else { "/" };
        Some(Request {
            verb: self.verb,
            resource: format!("{}{slash}{}", object.resource, object.subresource),
            name: object.name,
            code: u16::try_from(code).ok()?,
            user: self.user.username,
            agent: self.user_agent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trespass(verb: &str, namespace: &str, code: u16) -> Option<String> {
        let event = serde_json::json!({
            "stage": "ResponseComplete", "verb": verb, "userAgent": "fetcher-toy/1.0", "user": {"username": "house"},
            "objectRef": {"resource": "hosts", "namespace": namespace, "name": "a"}, "responseStatus": {"code": code},
        });
        serde_json::from_value::<Event>(event).unwrap().trespass()
    }

    #[test]
    fn deletes_refused_writes_and_other_namespaces_are_trespasses_and_nothing_else_is() {
        for (verb, namespace, code) in [
            ("delete", "house", 403),
            ("deletecollection", "house", 200),
            ("patch", "house", 403),
            ("update", "house", 422),
            ("get", "other", 200),
            ("create", "other", 403),
        ] {
            let found = trespass(verb, namespace, code).unwrap();
            assert!(
                found.starts_with(&format!("fetcher-toy/1.0 as house: {verb} hosts a")),
                "{found}"
            );
        }
        for (verb, namespace, code) in [
            ("create", "house", 201),
            ("update", "house", 409),
            ("get", "house", 404),
            ("list", "house", 429),
            ("watch", "house", 403),
            ("create", "", 201),
        ] {
            assert_eq!(trespass(verb, namespace, code), None);
        }
    }
}
