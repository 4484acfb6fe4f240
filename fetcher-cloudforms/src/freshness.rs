//! How old an appliance's data are, by what its managers say of their last refresh: the VMs of one whose refresh broke
//! or stopped look as they were then, for ever.
//!
//! Notes, and no reason to mark or to fail anything.

use fetcher_core::printable::printable;
use fetcher_core::provider::{FetchError, Note};
use jiff::{SignedDuration, Timestamp};

use crate::api::{MANAGER_ATTRIBUTES, Manager, Page};
use crate::config::PAGE_SIZE;
use crate::session::Session;

/// Classes of managers that hold no machine: what they show is refreshed with the manager of the machines, and their
/// own refresh may never have been.
const WITHOUT_MACHINES: &[&str] = &["::AutomationManager", "::NetworkManager", "::StorageManager"];

/// The managers of an appliance whose machines may be older than `max_age`.
pub(crate) async fn notes(
    session: &Session,
    name: &str,
    max_age: SignedDuration,
    now: Timestamp,
) -> Vec<Note> {
    let answer: Result<Page<Manager>, FetchError> = session
        .get("providers", |call| {
            let call = call.query("expand", "resources").query("attributes", MANAGER_ATTRIBUTES);
            call.query("offset", &0).query("limit", &PAGE_SIZE).query("sort_by", "id")
        })
        .await;
    match answer {
        Ok(page) => {
            let notes = page.resources.iter().filter_map(|it| stale(it, max_age, now));
            notes.map(|message| Note { reason: "StaleRefresh", message }).collect()
        }
        Err(error) => vec![Note {
            reason: "RefreshUnknown",
            message: format!(
                "whether the managers of {name} are refreshed could not be read: {error}; the role needs to view providers"
            ),
        }],
    }
}

/// What is wrong with the refresh of a manager: it broke, never was, or stopped without a word.
fn stale(manager: &Manager, max_age: SignedDuration, now: Timestamp) -> Option<String> {
    let class = manager.class.as_deref().unwrap_or_default();
    if WITHOUT_MACHINES.iter().any(|without| class.contains(without)) {
        return None;
    }
    let name = printable(manager.name.as_deref().unwrap_or("without a name"), 100);
    let date = manager.last_refresh_date.as_deref().filter(|date| !date.trim().is_empty());
    if manager.last_refresh_status.as_deref() == Some("error") {
        let why = manager.last_refresh_error.as_deref().unwrap_or("no reason given");
        return Some(format!(
            "the refresh of manager {name} fails (last: {}): {}; its machines are shown as they were then",
            printable(date.unwrap_or("never"), 40),
            printable(why, 200)
        ));
    }
    let Some(date) = date else {
        return Some(format!("manager {name} was never refreshed: its machines are missing"));
    };
    // A date that cannot be read proves nothing fresh.
    let is_fresh =
        date.trim().parse().is_ok_and(|date: Timestamp| now.duration_since(date) <= max_age);
    (!is_fresh).then(|| {
        format!(
            "manager {name} was last refreshed at {}, longer ago than {max_age:#}: its machines are shown as they were then",
            printable(date, 40)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn stale(manager: Value) -> Option<String> {
        let manager = serde_json::from_value(manager).unwrap();
        let now = "2026-08-21T10:00:00Z".parse().unwrap();
        super::stale(&manager, SignedDuration::from_hours(24), now)
    }

    #[test]
    fn a_refresh_within_the_age_is_fresh_and_one_before_it_is_not_whatever_its_status() {
        let at = |date: &str, status: Value| {
            stale(json!({"name": "vc", "last_refresh_date": date, "last_refresh_status": status}))
        };
        for status in [json!("success"), json!(""), Value::Null] {
            assert_eq!(at("2026-08-20T10:00:00Z", status.clone()), None);
            assert_eq!(at("2026-08-22T10:00:00Z", status.clone()), None, "its clock is ahead");
            let said = at("2026-08-20T09:59:59Z", status).unwrap();
            assert!(said.contains("vc") && said.contains("2026-08-20T09:59:59Z"), "{said}");
            assert!(said.contains("24h"), "{said}");
        }
        assert!(at("the other day", json!("success")).is_some());
    }

    #[test]
    fn no_date_is_never_whatever_the_status_and_an_error_says_why() {
        for status in [Value::Null, json!(""), json!("never"), json!("success")] {
            let said = stale(json!({"name": "vc", "last_refresh_status": status})).unwrap();
            assert!(said.contains("never refreshed"), "{said}");
        }
        let said = stale(json!({"last_refresh_date": "2026-08-21T09:59:00Z",
            "last_refresh_status": "error", "last_refresh_error": "bad username"}));
        assert!(said.unwrap().contains("bad username"));
    }

    #[test]
    fn a_manager_that_holds_no_machines_is_refreshed_with_another() {
        let of = |class: &str| stale(json!({"name": "vc", "type": class}));
        assert_eq!(of("ManageIQ::Providers::Amazon::NetworkManager"), None);
        assert_eq!(of("ManageIQ::Providers::Amazon::StorageManager::Ebs"), None);
        assert!(of("ManageIQ::Providers::Amazon::CloudManager").is_some());
    }
}
