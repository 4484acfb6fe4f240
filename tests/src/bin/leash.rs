//! Runs a program for a test, and kills it with all it has started when standard input ends: that happens also when
//! the test was killed. `leash STDOUT STDERR PROGRAM ARGUMENT…`; prints the program's id, then how it ended.

use std::fs::File;
use std::io::{Read, Write, stdin, stdout};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use fetcher_tests::leash::{Ended, Started};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = || arguments.next().context("usage: leash STDOUT STDERR PROGRAM ARGUMENT…");
    let (out, err, program) = (File::create(next()?)?, File::create(next()?)?, next()?);
    let mut child = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .process_group(0)
        .spawn()
        .with_context(|| program.display().to_string())?;
    let pid = child.id();
    say(&Started { pid })?;
    std::thread::spawn(move || {
        let _ = stdin().read_to_end(&mut Vec::new());
        if let Some(group) = Pid::from_raw(pid.cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    });
    let status = child.wait()?;
    // Nobody may be there any more to hear it.
    let _ = say(&Ended { code: status.code(), signal: status.signal() });
    Ok(())
}

fn say(value: &impl Serialize) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", serde_json::to_string(value)?)?;
    Ok(out.flush()?)
}
