//! Waits for the disk that are waited for together.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

/// So many threads help. One flush of the disk's cache answers all waits that are there when it begins: on a busy ext4, 32
/// messages to as many users took 220 ms one after the other, and 20 ms so.
const HELPERS: usize = 7;

type Work = Box<dyn FnOnce() + Send>;

/// A few threads that help to wait. They are started when there is first something to share, and end with this: starting
/// one for each wait would cost a good part of what a small message costs.
#[derive(Debug, Default)]
pub(super) struct Together {
    helpers: OnceLock<Sender<Work>>,
}

impl Together {
    /// Does the work for each item, several at a time, and returns the results in the order of the items. The calling
    /// thread works too, so nothing waits for others to be done first.
    pub(super) fn run<T, R>(&self, items: Vec<T>, work: impl Fn(T) -> R + Send + Sync + 'static) -> Vec<R>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let helping = items.len().saturating_sub(1).min(HELPERS);
        if helping == 0 {
            return items.into_iter().map(work).collect();
        }
        let count = items.len();
        let waiting = Mutex::new(items.into_iter().enumerate());
        let next = move || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        let done = move |(index, item)| (index, catch_unwind(AssertUnwindSafe(|| work(item))));
        let one = Arc::new(move || next().map(&done));
        let (sender, results) = mpsc::channel();
        for _ in 0..helping {
            let (one, sender) = (Arc::clone(&one), sender.clone());
            // Where no helper is left, this thread does it all.
            let _ = self.helpers().send(Box::new(move || {
                while let Some(result) = one() {
                    let _ = sender.send(result);
                }
            }));
        }
        drop(sender);
        let mut all: Vec<_> = std::iter::from_fn(|| one()).collect();
        drop(one);
        // No more is awaited than is missing: helpers that are busy elsewhere find nothing left here, later.
        let missing = count - all.len();
        all.extend(results.into_iter().take(missing));
        all.sort_unstable_by_key(|(index, _)| *index);
        all.into_iter().map(|(_, result)| result.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    }

    fn helpers(&self) -> &Sender<Work> {
        self.helpers.get_or_init(|| {
            let (sender, receiver) = mpsc::channel();
            let receiver = Arc::new(Mutex::new(receiver));
            for _ in 0..HELPERS {
                let receiver = Arc::clone(&receiver);
                // One that cannot be started is not needed.
                let _ = thread::Builder::new().name("maildir".to_owned()).spawn(move || help(&receiver));
            }
            sender
        })
    }
}

fn help(receiver: &Mutex<Receiver<Work>>) {
    let next = || receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(work) = next() {
        work();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let together = Together::default();
        for count in [0, 1, 2, 7, 8, 9, 100] {
            let expected: Vec<_> = (0..count).map(|item| item * 2).collect();
            assert_eq!(together.run((0..count).collect(), |item| item * 2), expected);
        }
    }

    #[test]
    fn several_wait_at_a_time() {
        // Nobody passes a barrier alone.
        let barrier = Barrier::new(HELPERS + 1);
        let leaders = Together::default().run(vec![(); HELPERS + 1], move |()| barrier.wait().is_leader());
        assert_eq!(leaders.into_iter().filter(|leader| *leader).count(), 1);
    }

    #[test]
    fn helpers_that_are_busy_elsewhere_are_not_waited_for() {
        let together = Arc::new(Together::default());
        let (begun, busy) = mpsc::channel();
        let gate = Arc::new(Barrier::new(HELPERS + 2));
        let long = thread::spawn({
            let (together, gate) = (Arc::clone(&together), Arc::clone(&gate));
            move || {
                together.run(vec![(); HELPERS + 1], move |()| {
                    let _ = begun.send(());
                    gate.wait();
                });
            }
        });
        for _ in 0..=HELPERS {
            busy.recv().unwrap();
        }
        let (done, short) = mpsc::channel();
        thread::spawn(move || done.send(together.run(vec![1, 2, 3], |item| item * 2)));
        // The limit is only there so that the test ends where it fails.
        let results = short.recv_timeout(std::time::Duration::from_mins(1));
        gate.wait();
        long.join().unwrap();
        assert_eq!(results.unwrap(), [2, 4, 6]);
    }

    #[test]
    #[should_panic(expected = "item 3")]
    fn a_panic_is_passed_on() {
        Together::default().run((0..20).collect(), |item| assert!(item != 3, "item {item}"));
    }

    #[test]
    fn a_panic_costs_no_helper() {
        let together = Together::default();
        for _ in 0..2 * HELPERS {
            let all_panic = AssertUnwindSafe(|| together.run(vec![(); HELPERS + 1], |()| panic!("as told")));
            assert!(catch_unwind(all_panic).is_err());
        }
        let barrier = Barrier::new(HELPERS + 1);
        assert_eq!(together.run(vec![(); HELPERS + 1], move |()| barrier.wait().is_leader()).len(), HELPERS + 1);
    }
}
