//! fetcher-baremetal.
