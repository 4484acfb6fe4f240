//! Every fetcher under the conformance suite: one test a case and adapter.

use fetcher_tests::conformance::{
    Adapter, AwsAdapter, CloudformsAdapter, FileAdapter, IronicAdapter, MaasAdapter, NetBoxAdapter,
    PacketAdapter, RedfishAdapter, cases,
};

macro_rules! conformance {
    ($($name:ident: $adapter:ty;)*) => {
        $(mod $name {
            use super::*;
            cases_of!($adapter: paging converges order duplicates moves_between_pages failing_page
                throttled_once throttled_once_with_retry_after throttled_for_ever credentials empty_after_full
                html content_type truncated_body huge_body slow_body redirect down refusals unknown_state
                missing_fields identity renamed same_name_twice vanishes_and_returns lookup_contradicts
                lookup_fails retagged ended mass_removal secrets);
        })*
    };
}

macro_rules! cases_of {
    ($adapter:ty: $($case:ident)*) => {
        $(#[tokio::test]
        async fn $case() -> anyhow::Result<()> {
            let verdict = cases::$case::<$adapter>().await?;
            verdict.expected(stringify!($case), <$adapter>::MEANINGLESS)
        })*
    };
}

conformance! {
    aws: AwsAdapter;
    packet: PacketAdapter;
    cloudforms: CloudformsAdapter;
    file: FileAdapter;
    ironic: IronicAdapter;
    netbox: NetBoxAdapter;
    maas: MaasAdapter;
    redfish: RedfishAdapter;
}
