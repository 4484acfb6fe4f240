//! Progress for a person who waits at a terminal: one line that is written anew, and gone when all is done.

use std::future::Future;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::apply::Outcome;
use crate::provider::Progress;
use crate::round::Watcher;

/// How often the line is written.
const FRAME: Duration = Duration::from_millis(200);

/// Counts of the whole run.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    sources: Mutex<Vec<Arc<Progress>>>,
    written: AtomicUsize,
}

impl Terminal {
    /// Shows progress until `work` is done.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut frames = tokio::time::interval(FRAME);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    show("");
                    return done;
                }
                _ = frames.tick() => show(&self.line()),
            }
        }
    }

    fn line(&self) -> String {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let (pages, machines) = sources
            .iter()
            .map(|progress| progress.read())
            .fold((0, 0), |(pages, machines), (more_pages, more)| {
                (pages + more_pages, machines + more)
            });
        let written = self.written.load(Ordering::Relaxed);
        format!(
            "{} sources: {pages} pages with {machines} machines read, {written} Hosts written",
            sources.len()
        )
    }
}

/// Back to the beginning of the line, the text, and the rest of the line cleared.
fn show(line: &str) {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "\r{line}\u{1b}[K");
    let _ = out.flush();
}

impl Watcher for Terminal {
    fn progress(&self, _: &str) -> Arc<Progress> {
        let progress = Arc::<Progress>::default();
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.push(Arc::clone(&progress));
        progress
    }

    fn wrote(&self, _: &str, _: &Outcome) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }
}
