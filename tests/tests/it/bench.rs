//! The benchmark in small, so that it cannot rot; and what it counts, which holds at any size. Nothing about time.

use std::collections::BTreeMap;

use anyhow::Result;
use fetcher_tests::bench::Bench;
use fetcher_tests::bench::sample::{Case, Who};
use fetcher_tests::namespace::Namespace;
use fetcher_tests::plane::Plane;
use serde_json::Value;

const MACHINES: usize = 60;

async fn bench() -> Result<Bench> {
    Ok(Bench { plane: Plane::shared().await?.clone(), machines: MACHINES })
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(request, count)| ((*request).to_owned(), *count)).collect()
}

/// All Hosts of a namespace, without what differs from one run to the next.
async fn hosts(namespace: &Namespace) -> Result<Vec<Value>> {
    let list = namespace.kubectl(&["get", "hosts", "-o", "json"]).await?.ok()?;
    let mut list: Value = serde_json::from_str(&list)?;
    let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    Ok(items
        .into_iter()
        .map(|mut host| {
            for key in ["uid", "resourceVersion", "creationTimestamp", "namespace", "generation"] {
                host["metadata"].as_object_mut().unwrap().remove(key);
            }
            host["status"].as_object_mut().unwrap().remove("firstSeen");
            host["status"]["conditions"][0].as_object_mut().unwrap().remove("lastTransitionTime");
            host
        })
        .collect())
}

#[tokio::test]
async fn the_limit_sends_what_the_fetcher_sends_and_leaves_the_same_hosts() -> Result<()> {
    let bench = bench().await?;
    let (limit, its) = bench.limit(MACHINES, 8).await?;
    let (once, ours) = bench.once().await?;
    let writes = [("create hosts 201", MACHINES), ("update hosts/status 200", MACHINES)];
    assert_eq!(limit.requests, counts(&writes));
    let listed = [writes[0], ("list hosts 200", 2), writes[1]];
    assert_eq!(once.requests, counts(&listed), "the source, and whether there are others");
    assert_eq!(hosts(&its).await?, hosts(&ours).await?);
    Ok(())
}

#[tokio::test]
async fn the_benchmark_runs_and_what_changed_is_all_that_is_asked_and_written() -> Result<()> {
    let bench = bench().await?;
    let mut fleet = bench.fleet().await?;
    let mut samples = bench.change(&mut fleet, 0, 1).await?;
    samples.extend(bench.unchanged(&mut fleet, 2).await?);
    let requests = |case, who| {
        samples.iter().find(|s| (s.case, s.who) == (case, who)).map(|s| s.requests.clone())
    };
    let one = counts(&[("get hosts 200", 1), ("update hosts/status 200", 1)]);
    assert_eq!(requests(Case::Change, Who::Limit), Some(one.clone()));
    let round = |case| {
        let mut round = requests(case, Who::Daemon).unwrap();
        // Between two watches the apiserver may be asked, by a list of one Host, where it is.
        assert!(round.remove("list hosts 200").unwrap_or_default() <= 1, "{round:?}");
        round.remove("watch hosts 200");
        round
    };
    assert_eq!(round(Case::Change), one);
    assert_eq!(round(Case::Unchanged), counts(&[]));
    assert_eq!(requests(Case::Unchanged, Who::Once), Some(counts(&[("list hosts 200", 2)])));
    bench.parse()?;
    let kubectl = bench.kubectl().await?;
    assert!(kubectl.requests.values().sum::<usize>() >= 2 * MACHINES, "{:?}", kubectl.requests);
    Ok(())
}
