//! `check`: what of configuration, provider, store and rights is as it must be, and what is missing, in words.
//!
//! One line a finding; nothing is written anywhere.

use crate::app::App;
use crate::args::Args;
use crate::config::StoreConfig;
use crate::exit;
use crate::observed::Lens;
use crate::printable::printable;
use crate::provider::{Discovery, FetchError, Finding, Provider};
use crate::schema::Schema;
use crate::settings::Settings;
use crate::store::file::FileStore;
use crate::store::kube;
use crate::{clock, daemon};

/// The longest finding that is printed, in characters.
const LONGEST: usize = 2000;

/// Looks at everything; gives the lines, and what to exit with.
pub(crate) async fn run<A: App>(args: Args<A::Flags>) -> (String, u8) {
    let config = args.common.config.clone();
    let findings = match daemon::build::<A>(args) {
        Err(error) => vec![bad(error.to_string())],
        Ok((settings, provider, _)) => {
            let from = config.map_or_else(|| "flags".to_owned(), |path| path.display().to_string());
            let mut findings = vec![good(format!("the configuration from {from} can be used"))];
            findings.extend(of_provider(&provider).await);
            findings.extend(of_store(&settings, A::NAME).await);
            daemon::close(&provider).await;
            findings
        }
    };
    (render(&findings), code(&findings))
}

async fn of_provider(provider: &impl Provider) -> Vec<Finding> {
    let mut findings = provider.check().await;
    findings.extend(of_sources(daemon::discover(provider).await));
    findings
}

fn of_sources(answer: Result<Discovery, FetchError>) -> Vec<Finding> {
    let discovery = match answer {
        Ok(discovery) => discovery,
        Err(error) => return vec![bad(format!("the sources cannot be found out: {error}"))],
    };
    let mut findings: Vec<_> =
        discovery.failed.iter().map(|(part, error)| bad(format!("{part}: {error}"))).collect();
    let names: Vec<_> =
        discovery.sources.iter().map(|served| served.source.name().to_string()).collect();
    findings.push(if names.is_empty() {
        bad("no source is served: name one in the configuration or by a flag".to_owned())
    } else {
        good(format!("{} sources are served: {}", names.len(), names.join(", ")))
    });
    findings
}

async fn of_store(settings: &Settings, provider: &'static str) -> Vec<Finding> {
    match &settings.store {
        StoreConfig::File(file) => {
            let lens = Lens { schema: Schema::ours(), selector: settings.selector.clone() };
            let store = std::sync::Arc::new(FileStore::new(file.path.clone(), lens));
            vec![store.check().await.map_or_else(|error| bad(error.to_string()), good)]
        }
        StoreConfig::Kubernetes(config) => {
            kube::check(config, provider, env!("CARGO_PKG_VERSION"), clock::now()).await
        }
    }
}

fn render(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let sign = if finding.ok { "ok      " } else { "MISSING " };
        format!("{sign}{}\n", printable(&finding.text, LONGEST))
    };
    findings.iter().map(line).collect()
}

fn code(findings: &[Finding]) -> u8 {
    if findings.iter().all(|finding| finding.ok) { exit::IN_SYNC } else { exit::USAGE }
}

const fn good(text: String) -> Finding {
    Finding { ok: true, text }
}

const fn bad(text: String) -> Finding {
    Finding { ok: false, text }
}
