//! fetcher-packet.
