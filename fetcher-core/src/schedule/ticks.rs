//! The waiting for the next tick: a tokio interval, or a cron scheduler that sends into a channel of one place.
//!
//! Ticks that nobody waited for collapse into one, so slow work never piles up. Intervals are not the cron
//! scheduler's: its own interval jobs stop for good once they are late by more than a period.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use super::Schedule;

/// Ticks, the first one at once.
pub enum Ticks {
    /// Every so often.
    Every(Interval),
    /// At the times of a cron expression.
    Cron {
        /// One place: a tick that finds it taken is the tick that is waiting there.
        ticks: mpsc::Receiver<()>,
        /// Kept to be stopped.
        scheduler: Box<JobScheduler>,
    },
}

impl Ticks {
    /// Begins to tick.
    ///
    /// # Errors
    /// A cron expression that cannot be run; [`Schedule`]'s own parsing has refused those.
    pub async fn start(schedule: &Schedule) -> Result<Self, JobSchedulerError> {
        match schedule {
            Schedule::Every(period) => Ok(Self::every(*period)),
            Schedule::Cron(expression) => Self::cron(expression).await,
        }
    }

    fn every(period: Duration) -> Self {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self::Every(interval)
    }

    async fn cron(expression: &str) -> Result<Self, JobSchedulerError> {
        let (sender, ticks) = mpsc::channel(1);
        let _ = sender.try_send(());
        let job = Job::new(expression, move |_, _| {
            let _ = sender.try_send(());
        })?;
        let scheduler = Box::new(JobScheduler::new().await?);
        scheduler.add(job).await?;
        scheduler.start().await?;
        Ok(Self::Cron { ticks, scheduler })
    }

    /// Waits for the next tick; gives when it was due.
    pub async fn next(&mut self) -> Instant {
        match self {
            Self::Every(interval) => interval.tick().await,
            Self::Cron { ticks, .. } => match ticks.recv().await {
                Some(()) => Instant::now(),
                // The scheduler lives as long as this does, and it holds the sender.
                None => std::future::pending().await,
            },
        }
    }

    /// Ends the scheduler's own task.
    pub async fn stop(self) {
        if let Self::Cron { mut scheduler, .. } = self {
            let _ = scheduler.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_tick_comes_at_once_and_missed_ones_collapse() {
        let minute = Duration::from_secs(60);
        let mut ticks = Ticks::start(&Schedule::Every(minute)).await.unwrap();
        let first = ticks.next().await;
        tokio::time::advance(minute * 5 / 2).await;
        assert_eq!(ticks.next().await - first, minute, "the one that was due");
        assert_eq!(ticks.next().await - first, minute * 3, "the two others are one");
    }

    #[tokio::test]
    async fn a_cron_expression_ticks_at_once_and_again() {
        let begun = Instant::now();
        let mut ticks = Ticks::start(&"* * * * * *".parse().unwrap()).await.unwrap();
        let all = async {
            for _ in 0..3 {
                ticks.next().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(500), "only the first came at once");
        ticks.stop().await;
    }
}
