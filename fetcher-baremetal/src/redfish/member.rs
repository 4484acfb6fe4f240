//! One member of a collection of systems: read whole, or left as it was with a note.
//!
//! A part is read with its system or the system is not: without its interfaces for one round, a Host would be
//! written anew, and once more in the next.

use fetcher_core::provider::{FetchError, Note};

use super::api::Api;
use super::map::{Read, Rules};
use super::wire::{Link, System};

/// A member that is listed and was not read.
pub(super) struct Unread {
    pub(super) note: Note,
    /// None if it is not there.
    pub(super) error: Option<FetchError>,
}

/// The member at `link`; what is wrong with it alone does not hinder the others.
///
/// # Errors
/// What concerns the login and the whole endpoint: to go on would lock the account, or be one call too many.
pub(super) async fn read(
    api: &Api<'_>,
    link: &Link,
    rules: &Rules,
) -> Result<Result<Read, Unread>, FetchError> {
    match whole(api, link, rules).await {
        Ok(Some(read)) => Ok(Ok(read)),
        Ok(None) => Ok(Err(Unread { note: lost(link), error: None })),
        Err(error @ (FetchError::Denied { .. } | FetchError::Throttled { .. })) => Err(error),
        Err(error) => Ok(Err(Unread { note: broken(link, &error), error: Some(error) })),
    }
}

/// A system with what was asked for of it; none if it is not there.
async fn whole(api: &Api<'_>, link: &Link, rules: &Rules) -> Result<Option<Read>, FetchError> {
    let Some(system) = api.resource::<System>(link).await? else { return Ok(None) };
    let mut read = Read { uri: path(&link.id), system, ..Read::default() };
    if rules.hide(&read) {
        return Ok(Some(read));
    }
    if rules.interfaces
        && let Some(collection) = read.system.ethernet_interfaces.clone()
    {
        match api.members(&collection).await? {
            None => read.absent.push(collection),
            Some(nics) => {
                for nic in nics {
                    read.nics.extend(api.resource(&nic).await?);
                }
            }
        }
    }
    let chassis = read.system.links.as_ref().and_then(|links| links.chassis.first());
    if rules.chassis
        && let Some(chassis) = chassis
    {
        read.chassis = api.resource(chassis).await?;
        if read.chassis.is_none() {
            read.absent.push(chassis.clone());
        }
    }
    Ok(Some(read))
}

/// The address of a system without what differs between firmwares: a slash at its end.
pub(super) fn path(id: &str) -> String {
    id.trim_end_matches('/').to_owned()
}

fn lost(link: &Link) -> Note {
    Note {
        reason: "MemberNotFound",
        message: format!("{} is listed and answers 404: left as it was", link.id),
    }
}

fn broken(link: &Link, error: &FetchError) -> Note {
    Note {
        reason: "MemberNotRead",
        message: format!(
            "{} is listed and was not read: left as it was, and no machine of this endpoint is taken for gone \
             meanwhile: {error}",
            link.id
        ),
    }
}

/// What a system names and has not: everything but the system itself may be absent.
pub(super) fn absent(read: &Read) -> impl Iterator<Item = Note> {
    read.absent.iter().map(|part| Note {
        reason: "PartNotFound",
        message: format!("{} names {}, which answers 404: read as none", read.uri, part.id),
    })
}
