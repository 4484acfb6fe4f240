//! `check`, by the binary: each thing that can be wrong on the way to an apiserver is a sentence with its remedy, and the
//! exit code is 2. What is wrong with a provider is told in that provider's suite.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::kubectl::Ran;
use fetcher_tests::namespace::Namespace;
use fetcher_tests::pki::{Authority, Identity, Validity};
use fetcher_tests::plane::Plane;
use fetcher_tests::ports;

/// How the configuration of a fetcher names its way to the apiserver.
pub(crate) struct Way {
    server: String,
    ca: String,
    cert: String,
    key: String,
    namespace: String,
    more: &'static str,
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The way on which everything is well.
pub(crate) fn way(namespace: &Namespace) -> Way {
    Way {
        server: namespace.plane().url().to_owned(),
        ca: text(&namespace.plane().ca()),
        cert: text(&namespace.fetcher().certificate),
        key: text(&namespace.fetcher().key),
        namespace: namespace.name().to_owned(),
        more: "",
    }
}

impl Way {
    fn of(self, user: &Identity) -> Self {
        Self { cert: text(&user.certificate), key: text(&user.key), ..self }
    }

    /// What `check` says of it.
    pub(crate) async fn check(&self, folder: &Path) -> Result<Ran> {
        let Self { server, ca, cert, key, namespace, more } = self;
        let config = format!(
            "selector: \"\"\n{more}store:\n  kubernetes: {{namespace: {namespace}, server: {server:?}, \
             caFile: {ca:?}, certFile: {cert:?}, keyFile: {key:?}}}\n\
             baremetal: {{sources: [{{file: {{name: hall, path: machines.yaml}}}}]}}\n"
        );
        std::fs::write(folder.join("config.yaml"), config)?;
        std::fs::write(folder.join("machines.yaml"), "machines:\n- id: a\n...\n")?;
        Fetcher::new("fetcher-baremetal", folder)?.run(&["check", "--config", "config.yaml"]).await
    }

    /// `check` ends with 2 and says all of this.
    async fn is_wrong(&self, folder: &Path, expected: &[&str]) -> Result<()> {
        says(&self.check(folder).await?, expected);
        Ok(())
    }
}

/// Whether a check ended with 2 and said all of this.
pub(crate) fn says(ran: &Ran, expected: &[&str]) {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 2, "{said}");
    for expected in expected {
        assert!(said.contains(expected), "{expected:?} is not in: {said}");
    }
}

async fn namespace() -> Result<Namespace> {
    Plane::shared().await?.namespace("check").await
}

#[tokio::test]
async fn check_of_a_good_configuration_ends_with_0() -> Result<()> {
    let namespace = namespace().await?;
    let ran = way(&namespace).check(namespace.dir()).await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn check_without_an_apiserver_asks_whether_it_is_running() -> Result<()> {
    let namespace = namespace().await?;
    let nobody = format!("https://127.0.0.1:{}", ports::free()?);
    let way = Way { server: nobody.clone(), ..way(&namespace) };
    way.is_wrong(namespace.dir(), &[&nobody, "is the apiserver running"]).await
}

#[tokio::test]
async fn check_with_the_wrong_ca_names_ca_file() -> Result<()> {
    let namespace = namespace().await?;
    let other = Authority::create(namespace.dir(), "other")?;
    let way = Way { ca: text(&other.certificate), ..way(&namespace) };
    way.is_wrong(namespace.dir(), &["caFile"]).await
}

#[tokio::test]
async fn check_with_an_expired_certificate_says_since_when_and_to_renew_it() -> Result<()> {
    let namespace = namespace().await?;
    let expired = namespace.mint("expired", Validity::Ended(Duration::from_secs(60)))?;
    way(&namespace).of(&expired).is_wrong(namespace.dir(), &["expired on", "renew it"]).await
}

#[tokio::test]
async fn check_without_a_verb_names_it_and_the_role() -> Result<()> {
    let namespace = namespace().await?;
    let reader = namespace.person("reader", "inventory-reader").await?;
    let expected =
        ["may not create hosts, patch hosts, update hosts/status", "apply the Role of deploy/rbac"];
    way(&namespace).of(&reader).is_wrong(namespace.dir(), &expected).await
}

#[tokio::test]
async fn check_in_the_wrong_namespace_asks_whether_it_is_the_right_one() -> Result<()> {
    let namespace = namespace().await?;
    let way = Way { namespace: "elsewhere".to_owned(), ..way(&namespace) };
    let expected = ["elsewhere", "is store.kubernetes.namespace the right one?"];
    way.is_wrong(namespace.dir(), &expected).await
}

#[tokio::test]
async fn check_with_a_file_that_cannot_be_read_names_it() -> Result<()> {
    let namespace = namespace().await?;
    let missing = namespace.dir().join("not-there.crt");
    let way1 = Way { cert: text(&missing), ..way(&namespace) };
    way1.is_wrong(namespace.dir(), &["not-there.crt"]).await?;
    let folder = Way { ca: text(namespace.dir()), ..way(&namespace) };
    folder.is_wrong(namespace.dir(), &[&text(namespace.dir())]).await
}

#[tokio::test]
async fn check_with_an_unknown_key_names_key_and_line() -> Result<()> {
    let namespace = namespace().await?;
    let way = Way { more: "selektor: a=b\n", ..way(&namespace) };
    way.is_wrong(namespace.dir(), &["selektor", "line 2"]).await
}
