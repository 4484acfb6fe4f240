//! fetcher-core.
