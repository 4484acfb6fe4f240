//! The mapping, from EC2's own XML as it comes.

use aws_sdk_ec2::types as ec2;
use fetcher_core::machine::Text;

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
