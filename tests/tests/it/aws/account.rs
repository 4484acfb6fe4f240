//! An account at the moto server, as its owner uses it: starts, stops and tags instances.
//!
//! Plain HTTP with a signature that is none: moto takes the service and region from it, and checks nothing until told to.

use anyhow::{Context, Result, ensure};
use reqwest::Client;

/// One account.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) id: &'static str,
    endpoint: String,
    client: Client,
}

impl Account {
    pub(super) fn new(endpoint: &str, id: &'static str) -> Result<Self> {
        let client = Client::builder().no_proxy().build()?;
        Ok(Self { id, endpoint: endpoint.to_owned(), client })
    }

    /// Calls an action of `service` and returns the XML of its answer.
    pub(super) async fn call(
        &self,
        service: &str,
        region: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String> {
        let scope = format!("Credential=AKIAOWNER/20260101/{region}/{service}/aws4_request");
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.append_pair("Action", action).append_pair("Version", version(service));
        body.extend_pairs(parameters);
        let answer = self
            .client
            .post(&self.endpoint)
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"),
            )
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-moto-account-id", self.id)
            .body(body.finish())
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{action}: {status}: {text}");
        Ok(text)
    }

    async fn ec2(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> Result<String> {
        self.call("ec2", region, action, parameters).await
    }

    /// Starts an instance with these tags; its id.
    pub(super) async fn run(&self, region: &str, tags: &[(&str, &str)]) -> Result<String> {
        let names: Vec<_> = (1..=tags.len())
            .map(|n| ["Key", "Value"].map(|what| format!("TagSpecification.1.Tag.{n}.{what}")))
            .collect();
        let mut parameters = vec![
            ("ImageId", "ami-12c6146b"),
            ("InstanceType", "t3.micro"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("TagSpecification.1.ResourceType", "instance"),
        ];
        for ([key, value], tag) in names.iter().zip(tags) {
            parameters.extend([(key.as_str(), tag.0), (value.as_str(), tag.1)]);
        }
        let answer = self.ec2(region, "RunInstances", &parameters).await?;
        element(&answer, "instanceId").context("no instanceId")
    }

    /// Does `action` (`StopInstances`, `TerminateInstances`) to an instance.
    pub(super) async fn act(&self, region: &str, action: &str, id: &str) -> Result<()> {
        self.ec2(region, action, &[("InstanceId.1", id)]).await.map(drop)
    }

    /// Gives an instance a tag, or another value of it.
    pub(super) async fn tag(&self, region: &str, id: &str, key: &str, value: &str) -> Result<()> {
        let tag = [("ResourceId.1", id), ("Tag.1.Key", key), ("Tag.1.Value", value)];
        self.ec2(region, "CreateTags", &tag).await.map(drop)
    }

    /// Takes a tag from an instance.
    pub(super) async fn untag(&self, region: &str, id: &str, key: &str) -> Result<()> {
        let tag = [("ResourceId.1", id), ("Tag.1.Key", key)];
        self.ec2(region, "DeleteTags", &tag).await.map(drop)
    }
}

fn version(service: &str) -> &'static str {
    if service == "iam" { "2010-05-08" } else { "2016-11-15" }
}

/// The text of the first element of this name.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(text, _)| text.to_owned())
}
