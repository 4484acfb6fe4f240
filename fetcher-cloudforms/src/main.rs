//! fetcher-cloudforms: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    fetcher_core::daemon::main::<fetcher_cloudforms::Cloudforms>()
}
