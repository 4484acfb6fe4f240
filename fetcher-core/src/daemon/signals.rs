//! The signals that end a daemon, or a run: the first lets rounds finish, the second does not.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::app::InvalidConfig;

/// How many of SIGTERM and SIGINT have come.
#[derive(Debug)]
pub(super) struct Signals(watch::Receiver<usize>);

impl Signals {
    /// Takes the two signals over from now on.
    ///
    /// # Errors
    /// A system that does not let us.
    pub(super) fn listen() -> Result<Self, InvalidConfig> {
        let wrong = |error| InvalidConfig(format!("signals cannot be listened for: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(wrong)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(wrong)?;
        let (count, counted) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = terminate.recv() => {}
                    Some(()) = interrupt.recv() => {}
                    else => return,
                }
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(counted))
    }

    /// Waits for the first.
    pub(super) fn first(&self) -> impl Future<Output = ()> + Send + 'static {
        come(self.0.clone(), 1)
    }

    /// Waits for the second.
    pub(super) fn second(&self) -> impl Future<Output = ()> + Send + 'static {
        come(self.0.clone(), 2)
    }
}

/// Says what the second one does.
pub(super) fn abandoned() {
    tracing::warn!(
        "Second signal: rounds are abandoned, the next ones will repair what is half done"
    );
}

async fn come(mut counted: watch::Receiver<usize>, times: usize) {
    if counted.wait_for(|count| *count >= times).await.is_err() {
        std::future::pending::<()>().await;
    }
}
