//! When a round gives up what it has not begun yet: once the store is away, and not when it is bad to one Host.
//!
//! One connection that breaks, one answer that never comes, one Host that is too large say nothing of the others.
//! As many failures in a row as may be under way at once do, without one good answer between them: each of these
//! takes up to half a minute, and ten thousand of them would never end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::store::StoreError;

/// The fewest failures in a row that mean all, where fewer Hosts than that are written at once.
const LEAST: usize = 3;

/// How much of it one round of one source has left.
#[derive(Debug)]
pub(super) struct Patience {
    limit: usize,
    in_a_row: AtomicUsize,
    is_over: AtomicBool,
}

impl Patience {
    pub(super) fn new(in_flight: usize) -> Self {
        let limit = in_flight.max(LEAST);
        Self { limit, in_a_row: AtomicUsize::new(0), is_over: AtomicBool::new(false) }
    }

    /// Takes notice of how one Host ended.
    pub(super) fn heard(&self, error: Option<&StoreError>) {
        match error {
            // Credentials, rights, a missing CRD, a damaged file: as bad for the next one.
            Some(StoreError::Invalid(_)) => self.is_over.store(true, Ordering::Relaxed),
            Some(StoreError::Unavailable(_) | StoreError::Busy { .. }) => {
                if self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= self.limit {
                    self.is_over.store(true, Ordering::Relaxed);
                }
            }
            // The store has spoken of this very Host: it is there.
            None | Some(StoreError::Conflict(_) | StoreError::Refused(_)) => {
                self.in_a_row.store(0, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}
