//! fetcher-aws.
