//! Waits for the disk that are waited for together.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// So many waits at a time, in one call. One flush of the disk's cache answers all waits that are there when it begins,
/// and takes far longer than starting a thread: on a busy ext4, 32 messages to as many users took 220 ms one after the
/// other, and 20 ms so.
const THREADS_MAX: usize = 8;

/// Does the work for each item, several at a time, and returns the results in the order of the items.
pub(super) fn together<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = items.len().min(THREADS_MAX);
    let waiting = Mutex::new(items.into_iter().enumerate());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || std::iter::from_fn(next).map(|(index, item)| (index, work(item))).collect::<Vec<_>>();
    let mut results = thread::scope(|scope| {
        // A thread that cannot be started is not needed: this one does what is left.
        let start = |_| thread::Builder::new().name("maildir".to_owned()).spawn_scoped(scope, run).ok();
        let others: Vec<_> = (1..threads).filter_map(start).collect();
        let mut results = run();
        for other in others {
            results.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        for count in [0, 1, 2, 7, 8, 9, 100] {
            let expected: Vec<_> = (0..count).map(|item| item * 2).collect();
            assert_eq!(together((0..count).collect(), |item| item * 2), expected);
        }
    }

    #[test]
    fn several_wait_at_a_time() {
        // Nobody passes a barrier alone.
        let barrier = Barrier::new(THREADS_MAX);
        let leaders = together(vec![(); THREADS_MAX], |()| barrier.wait().is_leader());
        assert_eq!(leaders.into_iter().filter(|leader| *leader).count(), 1);
    }

    #[test]
    #[should_panic(expected = "item 3")]
    fn a_panic_is_passed_on() {
        together((0..20).collect(), |item| assert!(item != 3, "item {item}"));
    }
}
