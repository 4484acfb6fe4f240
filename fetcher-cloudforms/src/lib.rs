//! fetcher-cloudforms.
