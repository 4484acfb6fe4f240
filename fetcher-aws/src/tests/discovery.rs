//! Accounts and regions: found, lost, and found again.

use super::*;

fn regions(names: &[(&str, &str)]) -> Answer {
    let items: String = names
        .iter()
        .map(|(name, status)| {
            format!(
                "<item><regionName>{name}</regionName><optInStatus>{status}</optInStatus></item>"
            )
        })
        .collect();
    Answer::Http(
        200,
        format!(
            "<DescribeRegionsResponse><regionInfo>{items}</regionInfo></DescribeRegionsResponse>"
        ),
    )
}

async fn scopes(ec2: &Ec2) -> (Vec<String>, Vec<(String, &'static str)>) {
    let discovery = ec2.sources().await.unwrap();
    let failed = discovery.failed.iter().map(|(name, error)| (name.clone(), error.reason()));
    let failed = failed.collect();
    (discovery.sources.iter().map(|served| served.source.scope().to_string()).collect(), failed)
}

#[tokio::test]
async fn all_regions_are_those_that_are_enabled() {
    let server = Server::start().await;
    server.script("GetCallerIdentity", [caller(ACCOUNT)]);
    server.script(
        "DescribeRegions",
        [regions(&[
            ("us-east-1", "opt-in-not-required"),
            ("af-south-1", "opted-in"),
            ("me-south-1", "not-opted-in"),
        ])],
    );
    let (scopes, failed) = scopes(&ec2(&server, "regions: all")).await;
    assert_eq!(scopes, ["210987654321/af-south-1", "210987654321/us-east-1"]);
    assert_eq!(failed, []);
}

#[tokio::test]
async fn a_discovery_that_fails_keeps_the_last_set_and_says_so() {
    let server = Server::start().await;
    server.script("GetCallerIdentity", [caller(ACCOUNT), sts_error(500, "InternalFailure", "x")]);
    let enabled = regions(&[("us-east-1", "opt-in-not-required")]);
    server.script("DescribeRegions", [enabled, error(500, "InternalError", "x")]);
    let ec2 = ec2(&server, "regions: all");
    let first = scopes(&ec2).await;
    let second = scopes(&ec2).await;
    assert_eq!(first.0, second.0);
    assert_eq!(second.1, [(ACCOUNT.to_owned(), "unavailable")]);
}

#[tokio::test]
async fn an_account_that_cannot_be_asked_does_not_stop_the_others() {
    let server = Server::start().await;
    server.script("GetCallerIdentity", [caller(ACCOUNT)]);
    server.script("AssumeRole", [sts_error(403, "AccessDenied", "no")]);
    server.script("DescribeRegions", [regions(&[("us-east-1", "opted-in")])]);
    let yaml = "regions: all\naccounts: [{roleArn: 'arn:aws:iam::111111111111:role/x'}, {}]";
    let (scopes, failed) = scopes(&ec2(&server, yaml)).await;
    assert_eq!(scopes, ["210987654321/us-east-1"]);
    assert_eq!(failed, [("111111111111".to_owned(), "denied")]);
}

#[tokio::test]
async fn an_account_named_as_role_and_by_its_own_credentials_is_listed_once() {
    let server = Server::start().await;
    server.script("GetCallerIdentity", [caller("111111111111")]);
    let yaml =
        "regions: [us-east-1]\naccounts: [{roleArn: 'arn:aws:iam::111111111111:role/x'}, {}]";
    let (scopes, failed) = scopes(&ec2(&server, yaml)).await;
    assert_eq!(scopes, ["111111111111/us-east-1"]);
    assert_eq!(failed, [("aws-111111111111-us-east-1".to_owned(), "invalid")]);
}

#[tokio::test]
async fn a_role_is_assumed_once_for_all_regions() {
    let server = Server::start().await;
    server.script("AssumeRole", [assumed("ASIA1")]);
    server.script(LIST, [Answer::Http(200, page("111111111111", &[], None))]);
    let yaml = "regions: [eu-west-1, eu-west-2, eu-west-3]\ninstanceTypes: false\n\
                accounts: [{roleArn: 'arn:aws:iam::111111111111:role/x'}]";
    let ec2 = ec2(&server, yaml);
    for served in ec2.sources().await.unwrap().sources {
        fetch(&ec2, &served.source, "").await.unwrap();
    }
    assert_eq!(server.requests(LIST).len(), 3);
    assert_eq!(server.requests("AssumeRole").len(), 1);
}

#[tokio::test]
async fn settings_of_a_region_win_over_those_of_its_account() {
    let server = Server::start().await;
    server.script("GetCallerIdentity", [caller(ACCOUNT)]);
    let yaml = "accounts: [{gone: {floor: 2, maxFraction: 0.5}, regions: [us-east-1, \
                {name: eu-west-1, suspend: true, gone: {floor: 9}, expect: {min: 3}}]}]";
    let discovery = ec2(&server, yaml).sources().await.unwrap();
    let [first, second] = [0, 1].map(|at| &discovery.sources[at].settings);
    assert_eq!((first.gone.floor, first.suspend), (Some(2), false));
    assert_eq!((second.gone.floor, second.gone.max_fraction), (Some(9), Some(0.5)));
    assert!(second.suspend);
    assert_eq!(second.expect.min, 3);
}

#[tokio::test]
async fn check_names_each_region_and_the_action_that_is_not_allowed() {
    let server = Server::start().await;
    server.script("GetCallerIdentity", [caller(ACCOUNT)]);
    let allowed =
        error(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
    server.script(LIST, [allowed]);
    server.script(
        "DescribeInstanceTypes",
        [error(403, "UnauthorizedOperation", "You are not authorized")],
    );
    let ec2 = ec2(&server, "regions: [eu-west-1]");
    let findings = ec2.check().await;
    let got: Vec<bool> = findings.iter().map(|finding| finding.ok).collect();
    assert_eq!(got, [true, false], "{findings:?}");
    assert!(findings[1].text.contains("ec2:DescribeInstanceTypes"), "{findings:?}");
}

#[tokio::test]
async fn check_asks_no_region_that_is_suspended() {
    let server = Server::start().await;
    server.script("GetCallerIdentity", [caller(ACCOUNT)]);
    let ec2 = ec2(&server, "regions: [{name: eu-west-1, suspend: true}]");
    let findings = ec2.check().await;
    assert!(findings.iter().all(|finding| finding.ok), "{findings:?}");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].text.contains("aws-210987654321-eu-west-1: suspended"), "{findings:?}");
    assert_eq!(server.requests(LIST).len() + server.requests("DescribeInstanceTypes").len(), 0);
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused_with_its_place() {
    let cases = [
        ("regions: []", "empty"),
        ("regions: [eu-west-1, eu-west-1]", "twice"),
        ("regions: [Ireland]", "no region's name"),
        ("states: []", "aws.states"),
        ("pageSize: 4", "aws.pageSize"),
        ("attemptTimeout: 1h", "aws.attemptTimeout"),
        ("accounts: [{roleArn: 'arn:aws:iam::12:role/x'}]", "aws.accounts[0]"),
        ("accounts: [{externalId: x}]", "`externalId` says nothing without `roleArn`"),
        ("accounts: [{roleArn: 'arn:aws:iam::111111111111:role/x', duration: 5m}]", "15m to 12h"),
        ("accounts: [{}, {}]", "name it once"),
    ];
    for (yaml, words) in cases {
        let section: Section = serde_saphyr::from_str(yaml).unwrap();
        let error = config::fleet(section, &Flags::default()).unwrap_err().to_string();
        assert!(error.contains(words), "{yaml}: {error}");
    }
    for (yaml, words) in
        [("region: x", "unknown field"), ("regions: [{nam: x}]", "nam"), ("regions: some", "`all`")]
    {
        let error = serde_saphyr::from_str::<Section>(yaml).unwrap_err().to_string();
        assert!(error.contains(words), "{yaml}: {error}");
    }
}

#[test]
fn regions_of_the_flag_stand_in_place_of_all_others() {
    let yaml = "regions: all\naccounts: [{regions: [us-east-1]}]";
    assert_eq!(flagged(yaml, &["eu-west-1", ""]), [config::Region::named("eu-west-1")]);
}

/// A first region in which STS cannot be asked, for one reason or the other.
fn dead_ends() -> [Answer; 4] {
    let refused = |code| sts_error(403, code, "x");
    [
        Answer::Cut(String::new()),
        refused("RegionDisabledException"),
        refused("InvalidClientTokenId"),
        sts_error(500, "InternalFailure", "x"),
    ]
}

fn regions_asked(server: &Server, action: &str) -> Vec<String> {
    let mut asked: Vec<_> =
        server.requests(action).iter().map(|request| request["Region"].clone()).collect();
    asked.dedup();
    asked
}

#[tokio::test]
async fn a_region_that_is_dead_does_not_take_the_account_along() {
    for dead in dead_ends() {
        let server = Server::start().await;
        server.script("GetCallerIdentity in eu-wset-1", [dead.clone()]);
        server.script("GetCallerIdentity", [caller(ACCOUNT)]);
        let ec2 = ec2(&server, "regions: [eu-wset-1, us-east-1]");
        let wanted = ["210987654321/eu-wset-1", "210987654321/us-east-1"];
        for _ in 0..2 {
            let (scopes, failed) = scopes(&ec2).await;
            assert_eq!((scopes.as_slice(), failed), (&wanted.map(String::from)[..], vec![]));
        }
        let asked = regions_asked(&server, "GetCallerIdentity");
        assert_eq!(asked, ["eu-wset-1", "us-east-1"], "{dead:?}: the second time it is known");
    }
}

#[tokio::test]
async fn a_role_is_assumed_in_another_region_where_the_first_one_is_dead() {
    for dead in dead_ends() {
        let server = Server::start().await;
        server.script("AssumeRole in eu-wset-1", [dead.clone()]);
        server.script("AssumeRole", [assumed("ASIA1")]);
        server.script(LIST, [Answer::Http(200, page("111111111111", &[], None))]);
        let ec2 = ec2(&server, &role_in("[eu-wset-1, us-east-1]"));
        for served in ec2.sources().await.unwrap().sources {
            fetch(&ec2, &served.source, "").await.unwrap();
        }
        let asked = regions_asked(&server, "AssumeRole");
        assert_eq!(asked, ["eu-wset-1", "us-east-1"], "{dead:?}");
    }
}

#[tokio::test]
async fn a_role_that_can_be_assumed_nowhere_names_the_region_that_was_asked() {
    let server = Server::start().await;
    server.script("AssumeRole", [sts_error(500, "InternalFailure", "x")]);
    let regions = "[eu-wset-1, {name: eu-west-2, suspend: true}, us-east-1, us-east-2, us-west-1]";
    let ec2 = ec2(&server, &role_in(regions));
    let served = ec2.sources().await.unwrap().sources;
    let error = fetch(&ec2, &served[2].source, "").await.unwrap_err();
    assert_eq!(error.reason(), "unavailable");
    let words = "sts:AssumeRole of account 111111111111 in eu-wset-1: ";
    assert!(error.to_string().starts_with(words), "{error}");
    let asked = regions_asked(&server, "AssumeRole");
    assert_eq!(asked, ["eu-wset-1", "us-east-1", "us-east-2"], "not all, and no suspended one");
}

#[tokio::test]
async fn a_refusal_of_the_role_and_a_named_discovery_region_are_taken_at_their_word() {
    let server = Server::start().await;
    server.script("AssumeRole", [sts_error(403, "AccessDenied", "no")]);
    let ec2 = ec2(&server, &role_in("[eu-west-1, us-east-1]"));
    let source = ec2.sources().await.unwrap().sources[1].source.clone();
    let error = fetch(&ec2, &source, "").await.unwrap_err();
    assert_eq!(error.reason(), "denied");
    assert_eq!(regions_asked(&server, "AssumeRole"), ["eu-west-1"]);

    let server = Server::start().await;
    server.script("GetCallerIdentity", [sts_error(500, "InternalFailure", "x")]);
    let yaml = "regions: [eu-west-1, us-east-1]\ndiscoveryRegion: eu-central-1";
    let (scopes, _) = scopes(&super::ec2(&server, yaml)).await;
    assert!(scopes.is_empty());
    assert_eq!(regions_asked(&server, "GetCallerIdentity"), ["eu-central-1"]);
}

fn role_in(regions: &str) -> String {
    let role = "accounts: [{roleArn: 'arn:aws:iam::111111111111:role/x'}]";
    format!("regions: {regions}\ninstanceTypes: false\n{role}")
}

/// The regions of the first account under `--region` with these.
fn flagged(yaml: &str, names: &[&str]) -> Vec<config::Region> {
    let section: Section = serde_saphyr::from_str(yaml).unwrap();
    let regions = names.iter().map(ToString::to_string).collect();
    let fleet = config::fleet(section, &Flags { regions }).unwrap();
    let plan = &fleet.accounts[0];
    let listed = plan.regions.as_ref().unwrap().listed();
    listed.iter().map(|region| plan.region(&region.name)).collect()
}

#[test]
fn a_flag_chooses_the_regions_and_keeps_what_the_file_says_of_them() {
    let section =
        "[{name: eu-west-1, suspend: true, expect: {min: 9}}, {name: us-east-1, suspend: true}]";
    let yaml = format!("regions: {section}\naccounts: [{{regions: [us-east-1]}}]");
    let got = flagged(&yaml, &["us-east-1", "eu-west-1", "eu-west-2"]);
    let got: Vec<_> =
        got.iter().map(|region| (&*region.name, region.suspend, region.expect.min)).collect();
    let wanted = [("us-east-1", false, 0), ("eu-west-1", true, 9), ("eu-west-2", false, 0)];
    assert_eq!(got, wanted, "the account's own words come first");
}

#[tokio::test]
async fn all_regions_by_a_flag_keep_what_the_file_says_of_them_too() {
    let server = Server::start().await;
    server.script("GetCallerIdentity", [caller(ACCOUNT)]);
    let enabled = [("eu-west-1", "opted-in"), ("us-east-1", "opted-in")];
    server.script("DescribeRegions", [regions(&enabled), error(500, "InternalError", "x")]);
    let yaml = "regions: [{name: us-east-1, suspend: true}]";
    let ec2 = ec2_flagged(&server, yaml, &["all"]);
    for asked in ["well", "in vain"] {
        let discovery = ec2.sources().await.unwrap();
        let got: Vec<_> = discovery.sources.iter().map(|s| s.settings.suspend).collect();
        assert_eq!(got, [false, true], "asked {asked}");
    }
}

#[test]
fn states_that_do_not_count_as_present_are_deselected() {
    let section: Section = serde_saphyr::from_str("states: [running, pending]").unwrap();
    let ec2 = Ec2::new(config::fleet(section, &Flags::default()).unwrap());
    assert_eq!(ec2.requires().to_string(), "@provider-state notin (stopped,stopping)");
    let ec2 = Ec2::new(config::fleet(Section::default(), &Flags::default()).unwrap());
    assert!(ec2.requires().is_empty(), "a state that EC2 invents tomorrow counts as present");
}
