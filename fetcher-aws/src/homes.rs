//! Where STS is asked: in one region of the configuration, or in another of them where that one does not answer.
//!
//! Not what is asked. One region that is mistyped, down or not enabled must not take its account's other regions along.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::SdkConfig;
use aws_sdk_ec2::config::Region;

/// Regions of one account at the most: each may use up all its attempts before the next one is asked.
const MOST: usize = 3;

/// The regions of one account that STS may be asked in.
#[derive(Debug)]
pub(crate) struct Homes {
    first: String,
    others: Vec<String>,
    /// The endpoint, if not the public one; `{region}` in it stands for the region.
    endpoint: Option<String>,
    /// Which one answered last: 0 is the first.
    at: AtomicUsize,
}

impl Homes {
    /// At an endpoint that is the same for all regions, only the first one is asked.
    pub(crate) fn new(first: String, others: &[String], endpoint: Option<String>) -> Self {
        let is_one = endpoint.as_ref().is_some_and(|url| !url.contains("{region}"));
        let many = if is_one { 0 } else { MOST - 1 };
        let others = others.iter().take(many).cloned().collect();
        Self { first, others, endpoint, at: AtomicUsize::new(0) }
    }

    /// The one that answered last.
    pub(crate) fn now(&self) -> &str {
        self.nth(self.at.load(Ordering::Relaxed))
    }

    /// The settings for calls of STS in the region `home`.
    pub(crate) fn sdk(&self, sdk: &SdkConfig, home: &str) -> SdkConfig {
        let mut sdk = sdk.clone().into_builder().region(Region::new(home.to_owned()));
        if let Some(url) = &self.endpoint {
            sdk = sdk.endpoint_url(url.replace("{region}", home));
        }
        sdk.build()
    }

    /// What `call` answers in the first region that gives no error of that region alone; the one that answered last
    /// is asked first. Where all give one: the error of that one.
    pub(crate) async fn ask<'a, T, E, F>(
        &'a self,
        call: impl Fn(&'a str) -> F,
        is_of_region: impl Fn(&E) -> bool,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let from = self.at.load(Ordering::Relaxed);
        let first = call(self.nth(from)).await;
        if !first.as_ref().is_err_and(&is_of_region) {
            return first;
        }
        let all = self.others.len() + 1;
        for at in (1..all).map(|next| (from + next) % all) {
            let answer = call(self.nth(at)).await;
            if !answer.as_ref().is_err_and(&is_of_region) {
                tracing::warn!(
                    home = self.nth(at),
                    instead = self.nth(from),
                    "STS is asked in another region"
                );
                self.at.store(at, Ordering::Relaxed);
                return answer;
            }
        }
        first
    }

    fn nth(&self, at: usize) -> &str {
        at.checked_sub(1).and_then(|at| self.others.get(at)).unwrap_or(&self.first)
    }
}
