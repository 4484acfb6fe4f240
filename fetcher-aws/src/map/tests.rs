//! The mapping, from EC2's own XML as it comes.

use aws_sdk_ec2::types as ec2;
use fetcher_core::machine::Text;
use proptest::prelude::*;

use super::*;

fn place() -> Place {
    Place { account: Text::from("210987654321"), region: Text::from("eu-west-1") }
}

fn mapped(instance: &Instance) -> Machine {
    machine(&place(), instance, &mut Interner::default()).unwrap()
}

fn nested(device: i32, eni: &str, ips: &[&str], public: Option<&str>) -> InstanceNetworkInterface {
    let ips = ips.iter().map(|ip| {
        let of = public
            .map(|ip| ec2::InstanceNetworkInterfaceAssociation::builder().public_ip(ip).build());
        ec2::InstancePrivateIpAddress::builder().private_ip_address(*ip).set_association(of).build()
    });
    InstanceNetworkInterface::builder()
        .network_interface_id(eni)
        .mac_address("02:1A:2B:3C:4D:5E")
        .set_private_ip_addresses(Some(ips.collect()))
        .attachment(ec2::InstanceNetworkInterfaceAttachment::builder().device_index(device).build())
        .build()
}

#[test]
fn addresses_come_in_one_order_whatever_order_ec2_gives() {
    let first = nested(0, "eni-b", &["10.0.0.9", "10.0.0.10", "10.0.0.1"], None);
    let second = nested(1, "eni-a", &["10.1.0.1"], Some("203.0.113.9"));
    let build = |enis: [&InstanceNetworkInterface; 2]| {
        Instance::builder()
            .instance_id("i-1")
            .private_ip_address("10.0.0.10")
            .public_ip_address("203.0.113.1")
            .set_network_interfaces(Some(enis.map(Clone::clone).to_vec()))
            .build()
    };
    let one = mapped(&build([&first, &second]));
    let other = mapped(&build([&second, &first]));
    assert_eq!(one, other);
    let got: Vec<_> = one.addresses.iter().map(|a| &*a.address).collect();
    assert_eq!(
        got,
        ["10.0.0.10", "10.0.0.1", "10.0.0.9", "10.1.0.1", "203.0.113.1", "203.0.113.9"]
    );
    assert_eq!(one.interfaces[0].name.as_deref(), Some("eni-b"));
    assert_eq!(one.interfaces[0].mac.as_deref(), Some("02:1a:2b:3c:4d:5e"));
}

#[test]
fn words_that_this_version_does_not_know_survive() {
    let state = ec2::InstanceState::builder().name("hovering".into()).build();
    let instance = Instance::builder()
        .instance_id("i-1")
        .state(state)
        .instance_type("z99.nano".into())
        .architecture("riscv64".into())
        .instance_lifecycle("borrowed".into())
        .build();
    let got = mapped(&instance);
    assert_eq!(got.provider_state.as_deref(), Some("hovering"));
    assert_eq!((got.state, got.life), (State::Unknown, Life::Alive));
    assert_eq!(got.hardware.kind.as_deref(), Some("z99.nano"));
    assert_eq!(got.hardware.architecture.as_deref(), Some("riscv64"));
    assert_eq!(got.facts["lifecycle"], "borrowed".into());
}

#[test]
fn windows_is_windows_however_it_is_spelled() {
    for spelled in ["windows", "Windows"] {
        let instance = Instance::builder().instance_id("i-1").platform(spelled.into()).build();
        assert_eq!(mapped(&instance).os.name.as_deref(), Some("Windows"));
    }
}

#[test]
fn an_instance_without_an_id_is_none() {
    for instance in [Instance::builder().build(), Instance::builder().instance_id("").build()] {
        assert_eq!(machine(&place(), &instance, &mut Interner::default()), None);
    }
}

#[test]
fn who_manages_an_instance_is_a_fact() {
    let operator =
        ec2::OperatorResponse::builder().managed(true).principal("eks.amazonaws.com").build();
    let instance = Instance::builder().instance_id("i-1").operator(operator).build();
    assert_eq!(mapped(&instance).facts["manager"], "eks.amazonaws.com".into());
}

#[test]
fn why_an_instance_is_in_its_state_is_three_facts() {
    let reason = ec2::StateReason::builder().code("Client.X").message("Client.X: somebody").build();
    let instance = Instance::builder()
        .instance_id("i-1")
        .state_reason(reason)
        .state_transition_reason("User initiated (2026-09-01 09:30:00 GMT)")
        .build();
    let facts = mapped(&instance).facts;
    assert_eq!(facts["reason"], "Client.X".into());
    assert_eq!(facts["reason-message"], "Client.X: somebody".into());
    assert_eq!(facts["transition-reason"], "User initiated (2026-09-01 09:30:00 GMT)".into());
    let running = Instance::builder().instance_id("i-1").state_transition_reason("").build();
    assert!(mapped(&running).facts.get("transition-reason").is_none());
}

proptest! {
    #![proptest_config(crate::tests::cases())]

    #[test]
    fn every_instance_with_an_id_keeps_it_and_no_field_of_it_panics(
        id in "\\PC{1,30}", word in "\\PC{0,20}", ip in "[0-9a-f.:]{0,20}", mac in "\\PC{0,20}",
        cores in any::<Option<i32>>(), seconds in any::<i64>(), nanos in 0_u32..1_000_000_000,
        tags in prop::collection::vec(("\\PC{0,10}", prop::option::of("\\PC{0,10}")), 0..4),
    ) {
        let time = aws_smithy_types::DateTime::from_secs_and_nanos(seconds, nanos);
        let options = ec2::CpuOptions::builder().set_core_count(cores).set_threads_per_core(cores);
        let attachment = ec2::InstanceNetworkInterfaceAttachment::builder().device_index(0).attach_time(time);
        let eni = InstanceNetworkInterface::builder().private_ip_address(&ip).mac_address(mac)
            .attachment(attachment.build()).build();
        let tags = tags.into_iter().map(|(key, value)| ec2::Tag::builder().key(key).set_value(value).build());
        let instance = Instance::builder().instance_id(&id).private_dns_name(&word).public_ip_address(ip)
            .state(ec2::InstanceState::builder().name(word.as_str().into()).build())
            .instance_type(word.as_str().into()).platform(word.as_str().into()).platform_details(word)
            .cpu_options(options.build()).launch_time(time).network_interfaces(eni)
            .set_tags(Some(tags.collect())).build();
        prop_assert_eq!(&*mapped(&instance).id, id.as_str());
    }

    #[test]
    fn a_machine_ends_in_the_two_states_that_are_never_left_and_in_no_other(
        word in "(pending|running|stopping|stopped|shutting-down|terminated|[a-z-]{0,14})",
    ) {
        let state = ec2::InstanceState::builder().name(word.as_str().into()).build();
        let got = mapped(&Instance::builder().instance_id("i-1").state(state).build());
        let ended = ["shutting-down", "terminated"].contains(&word.as_str());
        prop_assert_eq!(got.life == Life::Terminated, ended);
    }

    /// EC2 promises no order, neither of the lists nor inside of them.
    #[test]
    fn the_order_of_lists_does_not_matter(
        enis in prop::collection::vec((0_i32..3, prop::collection::vec(0_u8..5, 0..4), any::<bool>()), 0..4),
        tags in prop::collection::btree_map("[a-c]{1,2}", "[a-c]{0,2}", 0..4),
    ) {
        let build = |turned: bool| {
            let mut interfaces: Vec<_> = enis.iter().enumerate().map(|(at, (device, ips, public))| {
                let mut ips: Vec<String> = ips.iter().map(|ip| format!("10.0.{at}.{ip}")).collect();
                if turned { ips.reverse(); }
                let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
                nested(*device, &format!("eni-{at}"), &ips, public.then_some("203.0.113.9"))
            }).collect();
            if turned { interfaces.reverse(); }
            let mut tags: Vec<_> =
                tags.iter().map(|(key, value)| ec2::Tag::builder().key(key).value(value).build()).collect();
            if turned { tags.reverse(); }
            Instance::builder().instance_id("i-1").set_network_interfaces(Some(interfaces)).set_tags(Some(tags)).build()
        };
        prop_assert_eq!(mapped(&build(false)), mapped(&build(true)));
    }
}
