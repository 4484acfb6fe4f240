//! `fake_ec2 PORT INSTANCES [DELAY_MS]`: an EC2 endpoint for load, until it is ended.

#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::time::Duration;

use anyhow::{Context, Result};
use fetcher_tests::fake_ec2::{FakeEc2, World};

#[tokio::main]
async fn main() -> Result<()> {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .map(|number| number.parse().context("usage: fake_ec2 PORT INSTANCES [DELAY_MS]"))
        .collect::<Result<_>>()?;
    let [port, instances, delay @ ..] = numbers.as_slice() else {
        anyhow::bail!("usage: fake_ec2 PORT INSTANCES [DELAY_MS]");
    };
    let world = World {
        instances: usize::try_from(*instances)?,
        delay: Duration::from_millis(delay.first().copied().unwrap_or(0)),
    };
    let server = FakeEc2::start(world, u16::try_from(*port)?).await?;
    println!("{}", server.url());
    tokio::signal::ctrl_c().await?;
    Ok(())
}
