//! The wire: what the ManageIQ API answers, as far as we ask for it.
//!
//! Not the mapping of it. Attributes are named in the request, and virtual ones come only then; a null one may be
//! missing instead (before Jansa), so that both are the same here.
//! Source of the fields: manageiq-api (2026-06) and its documentation.

use serde::Deserialize;

/// The attributes of a VM that are asked for.
pub(crate) const VM_ATTRIBUTES: &str = "id,guid,name,vendor,type,template,retired,active,archived,orphaned,\
    power_state,connection_state,hostnames,ipaddresses,mac_addresses,cpu_total_cores,num_cpu,ram_size,\
    ems_id,uid_ems,ems_ref,ems_cluster_name,host_name,v_owning_datacenter,created_on,ems_created_on,boot_time,\
    ext_management_system.name,availability_zone.name,flavor.name,tenant.name,operating_system.product_name";

/// The attributes of a hypervisor that are asked for.
pub(crate) const HOST_ATTRIBUTES: &str = "id,guid,name,hostname,ipaddress,ipmi_address,mac_address,vmm_vendor,\
    vmm_product,vmm_version,power_state,connection_state,maintenance,service_tag,uid_ems,ems_id,ems_ref,\
    ems_cluster_name,created_on,ext_management_system.name";

/// The attributes of a manager that are asked for.
pub(crate) const MANAGER_ATTRIBUTES: &str =
    "id,name,type,last_refresh_date,last_refresh_status,last_refresh_error";

/// One page of a collection.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    /// All of the collection, whatever the filter.
    pub(crate) count: usize,
    /// Those on this page.
    pub(crate) subcount: usize,
    /// All that the filter lets through; only with a filter, an offset and a limit, and not by every version.
    #[serde(default)]
    pub(crate) subquery_count: Option<usize>,
    pub(crate) resources: Vec<T>,
}

/// A new session.
#[derive(Deserialize)]
pub(crate) struct Login {
    pub(crate) auth_token: String,
}

/// One VM or instance.
#[derive(Debug, Deserialize)]
pub(crate) struct Vm {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) guid: Option<String>,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) vendor: Option<String>,
    #[serde(default)]
    pub(crate) template: Option<bool>,
    #[serde(default)]
    pub(crate) retired: Option<bool>,
    #[serde(default)]
    pub(crate) active: Option<bool>,
    #[serde(default)]
    pub(crate) archived: Option<bool>,
    #[serde(default)]
    pub(crate) orphaned: Option<bool>,
    #[serde(default)]
    pub(crate) power_state: Option<String>,
    #[serde(default)]
    pub(crate) connection_state: Option<String>,
    #[serde(default)]
    pub(crate) hostnames: Option<Vec<Option<String>>>,
    #[serde(default)]
    pub(crate) ipaddresses: Option<Vec<Option<String>>>,
    #[serde(default)]
    pub(crate) mac_addresses: Option<Vec<Option<String>>>,
    #[serde(default)]
    pub(crate) cpu_total_cores: Option<u32>,
    #[serde(default)]
    pub(crate) num_cpu: Option<u32>,
    #[serde(default)]
    pub(crate) ram_size: Option<u64>,
    #[serde(default)]
    pub(crate) ems_id: Option<String>,
    #[serde(default)]
    pub(crate) uid_ems: Option<String>,
    #[serde(default)]
    pub(crate) ems_ref: Option<String>,
    #[serde(default)]
    pub(crate) ems_cluster_name: Option<String>,
    #[serde(default)]
    pub(crate) host_name: Option<String>,
    #[serde(default)]
    pub(crate) v_owning_datacenter: Option<String>,
    #[serde(default)]
    pub(crate) created_on: Option<String>,
    #[serde(default)]
    pub(crate) ems_created_on: Option<String>,
    #[serde(default)]
    pub(crate) boot_time: Option<String>,
    #[serde(default)]
    pub(crate) ext_management_system: Option<Named>,
    #[serde(default)]
    pub(crate) availability_zone: Option<Named>,
    #[serde(default)]
    pub(crate) flavor: Option<Named>,
    #[serde(default)]
    pub(crate) tenant: Option<Named>,
    #[serde(default)]
    pub(crate) operating_system: Option<Product>,
    #[serde(default)]
    pub(crate) tags: Option<Vec<Named>>,
}

/// One hypervisor.
#[derive(Debug, Deserialize)]
pub(crate) struct Hypervisor {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) guid: Option<String>,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) hostname: Option<String>,
    #[serde(default)]
    pub(crate) ipaddress: Option<String>,
    #[serde(default)]
    pub(crate) ipmi_address: Option<String>,
    #[serde(default)]
    pub(crate) mac_address: Option<String>,
    #[serde(default)]
    pub(crate) vmm_vendor: Option<String>,
    #[serde(default)]
    pub(crate) vmm_product: Option<String>,
    #[serde(default)]
    pub(crate) vmm_version: Option<String>,
    #[serde(default)]
    pub(crate) power_state: Option<String>,
    #[serde(default)]
    pub(crate) connection_state: Option<String>,
    #[serde(default)]
    pub(crate) maintenance: Option<bool>,
    #[serde(default)]
    pub(crate) service_tag: Option<String>,
    #[serde(default)]
    pub(crate) uid_ems: Option<String>,
    #[serde(default)]
    pub(crate) ems_id: Option<String>,
    #[serde(default)]
    pub(crate) ems_ref: Option<String>,
    #[serde(default)]
    pub(crate) ems_cluster_name: Option<String>,
    #[serde(default)]
    pub(crate) created_on: Option<String>,
    #[serde(default)]
    pub(crate) ext_management_system: Option<Named>,
    #[serde(default)]
    pub(crate) tags: Option<Vec<Named>>,
}

/// A manager ("provider" in ManageIQ): a vCenter, a cloud account.
#[derive(Debug, Deserialize)]
pub(crate) struct Manager {
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Its class: `ManageIQ::Providers::Vmware::InfraManager`.
    #[serde(default, rename = "type")]
    pub(crate) class: Option<String>,
    #[serde(default)]
    pub(crate) last_refresh_date: Option<String>,
    #[serde(default)]
    pub(crate) last_refresh_status: Option<String>,
    #[serde(default)]
    pub(crate) last_refresh_error: Option<String>,
}

/// Something of which only the name matters; a tag's is its path.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    #[serde(default)]
    pub(crate) name: Option<String>,
}

/// A guess at an operating system.
#[derive(Debug, Deserialize)]
pub(crate) struct Product {
    #[serde(default)]
    pub(crate) product_name: Option<String>,
}
