//! The calls: projects, devices of a project, one device.
//!
//! Not the mapping (`map`), not what an answer means (`answer`) and not when a list is whole (`paging`).

use std::sync::{Mutex, PoisonError};

use fetcher_core::app::InvalidConfig;
use fetcher_core::http::{Call, Http, HttpOptions, segment};
use fetcher_core::machine::{Interner, Machine, Source, Text};
use fetcher_core::provider::{
    self, Discovery, Fetch, FetchError, Finding, Listing, Lookup, Served,
};
use fetcher_core::selector::{Key, Selector, Test};
use futures::future::try_join_all;
use serde::de::DeserializeOwned;

use crate::answer::{body, failure, is_json};
use crate::api::{Device, DevicePage, Project, ProjectPage};
use crate::config::{self, Config};
use crate::map;
use crate::paging::{Paging, Step};

/// The word for this infrastructure API.
pub(crate) const NAME: &str = "packet";

/// Devices asked for at once: what the API's introduction allows; its schema says more.
const PAGE_SIZE: usize = 100;

/// What may be left out of an answer. A hint: names that the server does not know it ignores.
const EXCLUDE: &str = "root_password,userdata,customdata,ssh_keys";

/// A Packet API.
#[derive(Debug)]
pub struct Packet {
    http: Http,
    config: Config,
    /// The projects of the last discovery that worked.
    discovered: Mutex<Vec<String>>,
}

impl Packet {
    /// Reads files at the most.
    ///
    /// # Errors
    /// What of the connection's settings cannot be used.
    pub(crate) fn new(config: Config) -> Result<Self, InvalidConfig> {
        let options = HttpOptions::new(config.url.clone()).with(&config.http)?;
        Ok(Self { http: Http::new(options)?, config, discovered: Mutex::default() })
    }

    /// A GET with the key as it is now.
    fn get(&self, path: &str) -> Result<Call, FetchError> {
        Ok(self.http.get(path).secret_header("X-Auth-Token", &self.config.token.read()?))
    }

    async fn page<T: DeserializeOwned>(&self, call: Call) -> Result<T, FetchError> {
        body(call.answer().await?)
    }

    async fn projects(&self) -> Result<Vec<String>, FetchError> {
        let path = match &self.config.organization {
            Some(id) => format!("organizations/{}/projects", segment(id)?),
            None => "projects".to_owned(),
        };
        let mut paging = Paging::<Project>::new();
        loop {
            let call = self.get(&path)?.query("per_page", &PAGE_SIZE);
            let page: ProjectPage = self.page(call.query("page", &paging.page())).await?;
            if paging.take(page.projects, page.meta)? == Step::Whole {
                break;
            }
        }
        let checked = |project: Project| config::checked(&project.id);
        paging
            .into_items()
            .into_iter()
            .map(checked)
            .collect::<Result<_, _>>()
            .map_err(|e| FetchError::inconsistent(e.to_string()))
    }

    /// The devices of a project, all of them; with `tag`, those that the server says have it.
    async fn devices(
        &self,
        project: &str,
        tag: Option<&str>,
        progress: &provider::Progress,
    ) -> Result<Vec<Machine>, FetchError> {
        let path = format!("projects/{}/devices", segment(project)?);
        let mut texts = Interner::default();
        let mut paging = Paging::new();
        loop {
            let mut call = self.get(&path)?.query("per_page", &PAGE_SIZE);
            call = call.query("page", &paging.page()).query("exclude", EXCLUDE);
            if let Some(tag) = tag {
                call = call.query("tag", tag);
            }
            let page: DevicePage = self.page(call).await?;
            progress.page(page.devices.len());
            if take(&mut paging, &page, project, &mut texts)? == Step::Whole {
                return Ok(paging.into_items());
            }
        }
    }

    /// The device if it is in `project`. "Not found" for one that does not exist, that was moved to another project,
    /// and that the key may not see: the API says 403 of devices whose order failed.
    async fn device(&self, id: &Text, project: &str) -> Result<Option<Machine>, FetchError> {
        let path = format!("devices/{}", segment(id)?);
        let answer = self.get(&path)?.query("exclude", EXCLUDE).answer().await?;
        if matches!(answer.status.as_u16(), 403 | 404) {
            // Only what this API itself says: a page of a proxy is no evidence.
            return match is_json(&answer) {
                true => Ok(None),
                false => Err(failure(&answer)),
            };
        }
        let device: Device = body(answer)?;
        if device.id != **id {
            return Err(FetchError::inconsistent(format!(
                "asked for device {id}, the API answered with another one"
            )));
        }
        let moved = map::project(&device).is_some_and(|its| !its.eq_ignore_ascii_case(project));
        Ok((!moved).then(|| map::machine(&device, project, &mut Interner::default())))
    }

    /// Adds what a person should know who still asks the public service.
    fn explain(&self, error: FetchError) -> FetchError {
        let host = self.http.base().host_str().unwrap_or_default();
        if !matches!(host, "api.equinix.com" | "api.packet.net") {
            return error;
        }
        let say = |message| {
            format!(
                "{message}; the public service at {host} was shut down on 2026-06-30: set packet.url to the API you run"
            )
        };
        match error {
            FetchError::Denied { message } => FetchError::denied(say(message)),
            FetchError::Unavailable { message } => FetchError::unavailable(say(message)),
            FetchError::Inconsistent { message } => FetchError::inconsistent(say(message)),
            FetchError::Invalid { message } => FetchError::invalid(say(message)),
            throttled @ FetchError::Throttled { .. } => throttled,
        }
    }

    fn served(&self, discovered: &[String]) -> Vec<Served> {
        let configured = &self.config.projects;
        let new = discovered.iter().filter(|id| configured.iter().all(|(known, _)| known != *id));
        let new = new.map(|id| (id, Default::default()));
        let known = configured.iter().map(|(id, settings)| (id, settings.clone()));
        known
            .chain(new)
            .map(|(id, settings)| Served { source: Source::new(NAME, &[id]), settings })
            .collect()
    }

    async fn check_project(&self, id: &str) -> Finding {
        let visible = async {
            let call = self.get(&format!("projects/{}/devices", segment(id)?))?;
            let call = call.query("per_page", &1).query("page", &1).query("exclude", EXCLUDE);
            Ok(self.page::<DevicePage>(call).await?.meta.total)
        };
        match visible.await {
            Ok(total) => {
                Finding { ok: true, text: format!("project {id}: {total} devices visible") }
            }
            Err(e) => Finding { ok: false, text: format!("project {id}: {}", self.explain(e)) },
        }
    }
}

impl provider::Provider for Packet {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn sources(&self) -> Result<Discovery, FetchError> {
        if !self.config.discover {
            return Ok(Discovery { sources: self.served(&[]), failed: Vec::new() });
        }
        let asked = self.projects().await;
        let mut last = self.discovered.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = match asked {
            Ok(projects) => {
                *last = projects;
                Vec::new()
            }
            Err(error) => vec![("projects".to_owned(), self.explain(error))],
        };
        Ok(Discovery { sources: self.served(&last), failed })
    }

    async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        let tag = if self.config.push_down { tag(request.selector) } else { None };
        let devices = self.devices(request.source.scope(), tag.as_deref(), request.progress).await;
        let machines = devices.map_err(|error| self.explain(error))?;
        Ok(Listing { machines: machines.into(), notes: Vec::new() })
    }

    async fn lookup(&self, source: &Source, ids: &[Text]) -> Result<Lookup, FetchError> {
        let asked = try_join_all(ids.iter().map(|id| self.device(id, source.scope()))).await;
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for (id, device) in ids.iter().zip(asked.map_err(|error| self.explain(error))?) {
            match device {
                Some(machine) => found.push(machine),
                None => missing.push(id.clone()),
            }
        }
        Ok(Lookup::Answered { found, missing })
    }

    /// One call an id: a batch is what goes side by side, its control id included.
    fn lookup_batch(&self) -> usize {
        20
    }

    async fn check(&self) -> Vec<Finding> {
        if let Err(error) = self.config.token.read() {
            return vec![Finding { ok: false, text: error.to_string() }];
        }
        let mut findings = Vec::new();
        let mut discovered = Vec::new();
        if self.config.discover {
            match self.projects().await {
                Ok(projects) => {
                    let text = format!("{}: {} projects visible", self.http.base(), projects.len());
                    findings.push(Finding { ok: !projects.is_empty(), text });
                    discovered = projects;
                }
                Err(error) => {
                    let text = format!(
                        "{}; a project's key cannot list projects: name them under packet.projects",
                        self.explain(error)
                    );
                    findings.push(Finding { ok: false, text });
                }
            }
        }
        for served in self.served(&discovered) {
            findings.push(self.check_project(served.source.scope()).await);
        }
        findings
    }
}

/// Takes in a page of the devices of `project`.
pub(crate) fn take(
    paging: &mut Paging<Machine>,
    page: &DevicePage,
    project: &str,
    texts: &mut Interner,
) -> Result<Step, FetchError> {
    let map = |device| map::machine(device, project, texts);
    paging.take(page.devices.iter().map(map).collect(), page.meta)
}

/// One tag that every machine of the selector has, as the text it is at the API. Not one with a comma: it can be
/// several tags joined by `map`.
fn tag(selector: &Selector) -> Option<String> {
    selector.requirements().iter().find_map(|requirement| {
        match (&requirement.key, &requirement.test) {
            (Key::Tag(key), Test::In(values)) if values.len() == 1 => {
                let value = values.first()?;
                let plain = !key.is_empty() && !key.contains('=');
                (plain && !value.is_empty() && !value.contains(','))
                    .then(|| format!("{key}={value}"))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests;
