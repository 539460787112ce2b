//! Asking the ledger whether it is there and takes writes: whoever would lead needs it, and whoever leads without it keeps others from leading.

use std::time::Duration;

use crate::{
    domain::reach::{PAUSE, Reach},
    service::edge::Edge,
};

/// How long until a ledger that was not there is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Returns once the ledger has answered.
pub(in crate::cluster) async fn answers<F: Future<Output = bool>>(edge: &dyn Edge, ask: impl Fn() -> F) {
    while !ask().await {
        edge.wait(AGAIN).await;
    }
}

/// Returns when the ledger has not answered for too long.
pub(in crate::cluster) async fn cut_off<F: Future<Output = bool>>(edge: &dyn Edge, ask: impl Fn() -> F) {
    let mut reach = Reach::begin(edge.elapsed());
    while let Some(left) = reach.left(edge.elapsed()) {
        let asked = edge.elapsed();
        let answered = tokio::select! {
            answered = ask() => answered,
            () = edge.wait(left) => false,
        };
        if answered {
            reach.answered(asked);
        }
        edge.wait(if answered { PAUSE } else { AGAIN.min(left) }).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };

    use jiff::Timestamp;

    use super::*;
    use crate::domain::reach::GIVE_UP;

    /// A clock that goes on when somebody waits, and only then.
    #[derive(Default)]
    struct Waited(AtomicU64);

    impl Edge for Waited {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
        fn wait_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
        fn elapsed(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::SeqCst))
        }
        fn wait(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(async move {
                // Whoever is raced with has its turn first.
                tokio::task::yield_now().await;
                self.0.fetch_add(u64::try_from(pause.as_millis()).unwrap(), Ordering::SeqCst);
            })
        }
        fn entropy(&self) -> [u8; 32] {
            [0; 32]
        }
    }

    #[tokio::test]
    async fn a_leader_is_cut_off_so_long_after_the_last_answer_whether_it_is_refused_or_hears_nothing() {
        for silent in [false, true] {
            let (edge, asked) = (Arc::new(Waited::default()), AtomicU64::new(0));
            let last = Duration::from_secs(60);
            let until = edge.clone();
            cut_off(&*edge, || async {
                asked.fetch_add(1, Ordering::SeqCst);
                if silent && until.elapsed() > last {
                    std::future::pending::<()>().await;
                }
                until.elapsed() <= last
            })
            .await;
            let (left, elapsed) = (last + GIVE_UP, edge.elapsed());
            assert!(elapsed >= left && elapsed <= left + PAUSE, "silent: {silent}, {elapsed:?}");
            assert!(asked.load(Ordering::SeqCst) >= 20, "it is asked again and again");
        }
    }

    #[tokio::test]
    async fn a_ledger_that_is_not_there_is_waited_for() {
        let (edge, asked) = (Waited::default(), AtomicU64::new(0));
        answers(&edge, || async { asked.fetch_add(1, Ordering::SeqCst) == 3 }).await;
        assert_eq!(edge.elapsed(), 3 * AGAIN);
    }
}
