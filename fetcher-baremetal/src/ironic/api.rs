//! The calls to Ironic: one pinned microversion on each, keyset paging built by ourselves, errors decoded.
//!
//! Not the mapping, and no decision about nodes. Sources: `ironic/api/controllers/v1/{node,port,versions}.py`.

use fetcher_core::http::{Answer, Http, segment};
use fetcher_core::provider::{FetchError, Progress};

use super::auth::Auth;
use super::wire::{self, Node, Nodes, Port, Ports};

/// The header every request carries; without it Ironic speaks 1.1, which has no names and hides states.
const VERSION_HEADER: &str = "X-OpenStack-Ironic-API-Version";
/// The microversion asked for, where the server has it.
const PINNED: u16 = 83;
/// The newest asked for of an older server: lessee came with it.
const OLDER: u16 = 65;
/// The oldest that can be spoken: `detail=True` came with it (Rocky, 2018).
const OLDEST: u16 = 43;
/// How often a listing starts anew because its marker was deleted.
const RESTARTS: u32 = 3;

/// The way to one Ironic.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) http: Http,
    pub(super) auth: Auth,
    pub(super) page_size: u32,
}

/// A microversion that the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version(u16);

impl Version {
    /// The one to ask for of a server whose newest is this.
    pub(super) fn of(newest: u16) -> Option<Self> {
        match newest {
            PINNED.. => Some(Self(PINNED)),
            OLDEST.. => Some(Self(newest.min(OLDER))),
            _ => None,
        }
    }

    /// The number behind `1.`.
    pub(super) const fn minor(self) -> u16 {
        self.0
    }

    /// The mapped fields that it does not have.
    pub(super) fn missing(self) -> Vec<&'static str> {
        [
            ("conductor_group", 46),
            ("protected", 48),
            ("owner", 50),
            ("description", 51),
            ("retired", 61),
            ("lessee", 65),
            ("shard", 82),
            ("parent_node", 83),
        ]
        .into_iter()
        .filter(|&(_, since)| since > self.0)
        .map(|(field, _)| field)
        .collect()
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// What an entry of a list is paged by.
trait Keyed {
    fn key(&self) -> &str;
}

impl Keyed for Node {
    fn key(&self) -> &str {
        &self.uuid
    }
}

impl Keyed for Port {
    fn key(&self) -> &str {
        &self.uuid
    }
}

/// A page of a list.
struct Page<T> {
    items: Vec<T>,
    is_last: bool,
}

impl Api {
    /// The microversion to speak. Asked without a login.
    pub(super) async fn version(&self) -> Result<Version, FetchError> {
        let answer = self.http.get("v1/").answer().await?;
        if !answer.status.is_success() {
            return Err(failure(&answer));
        }
        let newest = answer.header("X-OpenStack-Ironic-API-Maximum-Version").unwrap_or_default();
        let minor = newest.strip_prefix("1.").and_then(|minor| minor.parse().ok());
        let minor: u16 = minor.ok_or_else(|| {
            FetchError::inconsistent(format!(
                "{}v1/ does not answer as Ironic does (no microversions); check the url",
                self.http.base()
            ))
        })?;
        Version::of(minor).ok_or_else(|| {
            FetchError::invalid(format!(
                "the Ironic at {} speaks microversions up to 1.{minor}; 1.{OLDEST} is needed, which Rocky (2018) and later have",
                self.http.base()
            ))
        })
    }

    /// Hands over all nodes, page by page; `start` is called first, and again whenever the listing starts anew.
    pub(super) async fn nodes<S>(
        &self,
        version: Version,
        progress: &Progress,
        start: impl Fn() -> S,
        add: impl FnMut(&mut S, Node) -> Result<(), FetchError>,
    ) -> Result<S, FetchError> {
        let parse = |answer: Answer| {
            let page = answer.json::<Nodes>()?;
            progress.page(page.nodes.len());
            Ok(Page { is_last: page.next.is_none(), items: page.nodes })
        };
        self.list("v1/nodes", version, &[("detail", "True")], parse, start, add).await
    }

    /// Hands over all ports.
    pub(super) async fn ports<S>(
        &self,
        version: Version,
        start: impl Fn() -> S,
        mut add: impl FnMut(&mut S, Port),
    ) -> Result<S, FetchError> {
        let parse = |answer: Answer| {
            let page = answer.json::<Ports>()?;
            Ok(Page { is_last: page.next.is_none(), items: page.ports })
        };
        let fields = [("fields", "uuid,address,node_uuid")];
        let add = |all: &mut S, port| {
            add(all, port);
            Ok(())
        };
        self.list("v1/ports", version, &fields, parse, start, add).await
    }

    /// One node, none if Ironic says that there is none of this uuid.
    pub(super) async fn node(
        &self,
        version: Version,
        uuid: &str,
    ) -> Result<Option<Node>, FetchError> {
        let path = format!("v1/nodes/{}", segment(uuid)?);
        let answer = self.get(&path, version, &[]).await?;
        if is_no_such_entry(&answer) {
            return Ok(None);
        }
        if answer.status.is_success() { answer.json().map(Some) } else { Err(failure(&answer)) }
    }

    /// Keyset paging: the same query with the last uuid as marker, until a page has no `next`. The server's own
    /// link drops filters and may name another host.
    async fn list<T: Keyed, S>(
        &self,
        path: &str,
        version: Version,
        query: &[(&str, &str)],
        parse: impl Fn(Answer) -> Result<Page<T>, FetchError>,
        start: impl Fn() -> S,
        mut add: impl FnMut(&mut S, T) -> Result<(), FetchError>,
    ) -> Result<S, FetchError> {
        for _ in 0..=RESTARTS {
            let mut all = start();
            let mut marker: Option<String> = None;
            loop {
                let answer = self.page(path, version, query, marker.as_deref()).await?;
                if marker.is_some() && is_no_such_entry(&answer) {
                    break;
                }
                if !answer.status.is_success() {
                    return Err(failure(&answer));
                }
                let page = parse(answer)?;
                let last = page.items.last().map(|item| item.key().to_owned());
                for item in page.items {
                    add(&mut all, item)?;
                }
                // A full last page has a `next` too; then one more page, empty, is the end.
                match last {
                    Some(last) if !page.is_last => {
                        if marker.as_ref() == Some(&last) {
                            return Err(FetchError::inconsistent(format!(
                                "{path}: the page after {last} ends with it again"
                            )));
                        }
                        marker = Some(last);
                    }
                    _ => return Ok(all),
                }
            }
        }
        Err(FetchError::inconsistent(format!(
            "{path}: the entry that marks the page was deleted {} times in a row while listing",
            RESTARTS + 1
        )))
    }

    async fn page(
        &self,
        path: &str,
        version: Version,
        query: &[(&str, &str)],
        marker: Option<&str>,
    ) -> Result<Answer, FetchError> {
        let limit = self.page_size.to_string();
        let mut query = query.to_vec();
        query.push(("limit", &limit));
        query.extend(marker.map(|marker| ("marker", marker)));
        self.get(path, version, &query).await
    }

    /// GET with version and login; after a 401 once more with a new login, if there is one.
    async fn get(
        &self,
        path: &str,
        version: Version,
        query: &[(&str, &str)],
    ) -> Result<Answer, FetchError> {
        let answer = self.send(path, version, query).await?;
        if answer.status.as_u16() == 401 && self.auth.renew().await {
            return self.send(path, version, query).await;
        }
        Ok(answer)
    }

    async fn send(
        &self,
        path: &str,
        version: Version,
        query: &[(&str, &str)],
    ) -> Result<Answer, FetchError> {
        let mut call = self.http.get(path).header(VERSION_HEADER, &version.to_string());
        for (key, value) in query {
            call = call.query(key, *value);
        }
        self.auth.sign(call).await?.answer().await
    }
}

/// A 404 is only believed when Ironic itself says it: a proxy's page is no evidence.
pub(super) fn is_no_such_entry(answer: &Answer) -> bool {
    answer.status.as_u16() == 404
        && wire::fault(&answer.body).is_some_and(|said| said.contains("could not be found"))
}

/// What a failed answer means, in Ironic's own words where it has some.
pub(super) fn failure(answer: &Answer) -> FetchError {
    match wire::fault(&answer.body) {
        Some(said) => answer.failure_saying(&said),
        None => answer.failure(),
    }
}
