//! Runs one control plane for a test: starts it, prints what it is as one JSON line, obeys the commands that come as
//! JSON lines on standard input (`{"command": "kill-apiserver"}`), and ends it when standard input ends.
//!
//! That is why it is a program: standard input ends also when the test was killed, and then no destructor runs.

use std::io::{BufRead, Write, stdin, stdout};

use anyhow::Result;
use fetcher_tests::control_plane::{Command, ControlPlane};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut lines = lines();
    let mut terminate = signal(SignalKind::terminate())?;
    // A terminal sends it to the test as well; the end of the test is what counts.
    let _interrupt = signal(SignalKind::interrupt())?;

    let mut plane = ControlPlane::start().await?;
    answer(&serde_json::to_value(plane.about())?)?;
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = terminate.recv() => None,
        };
        let Some(line) = line else { break };
        answer(&match obey(&mut plane, &line).await {
            Ok(()) => json!({ "about": plane.about() }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        })?;
    }
    plane.stop().await
}

async fn obey(plane: &mut ControlPlane, line: &str) -> Result<()> {
    plane.obey(serde_json::from_str::<Command>(line)?).await
}

fn answer(value: &Value) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}

/// Standard input, line by line; closed at its end. A thread, because a read of it cannot be given up.
fn lines() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receive
}
