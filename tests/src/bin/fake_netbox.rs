//! A NetBox for the scripts in tests/deploy, which are no Rust: prints its URL, then obeys lines on standard input, and
//! ends when that ends. `token TOKEN`: the only valid one from then on. `devices N`: devices 1 to N are what there is.

use std::io::{BufRead, Write, stdin, stdout};

use anyhow::{Context, Result, bail};
use fetcher_tests::fake_netbox::{FakeNetBox, device};

/// Devices a page.
const PAGE: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let netbox = FakeNetBox::start((1..=3).map(device).collect(), PAGE).await?;
    say(&netbox.url)?;
    for line in stdin().lock().lines() {
        match line?.split_once(' ') {
            Some(("token", token)) => token.clone_into(&mut netbox.world().token),
            Some(("devices", count)) => {
                let count = count.parse::<u64>().context("devices wants a number")?;
                netbox.world().devices = (1..=count).map(device).collect();
            }
            _ => bail!("not a command: give `token TOKEN` or `devices N`"),
        }
        say("done")?;
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
