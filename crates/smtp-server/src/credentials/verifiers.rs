//! The threads that verify passwords.
//!
//! They are few and their own, so that guesses cost a known amount of memory and no thread of others; and they yield to everything else,
//! so that mail does not wait while somebody guesses.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use rustix::process::setpriority_process;
use smtp_proto::Secret;
use smtp_sasl::{PasswordHash, Workspace};
use tokio::sync::oneshot;

/// The nice value of the threads: about a tenth of the processor where others want it.
const NICE: i32 = 10;

struct Job {
    hash: PasswordHash,
    password: Secret,
    answer: oneshot::Sender<bool>,
}

/// So many threads, started when there is first a password. They end with this.
pub(super) struct Verifiers {
    threads: usize,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
}

impl Verifiers {
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, jobs: Mutex::new(None) }
    }

    /// Whether it is the hash of this password. Waits for its turn; who does not wait any more costs nothing.
    pub(super) async fn verify(&self, hash: PasswordHash, password: Secret) -> bool {
        let (answer, answered) = oneshot::channel();
        self.send(Job { hash, password, answer });
        // Without an answer no thread could be started, or one has panicked by a fault of ours: then nobody is let in.
        answered.await.unwrap_or(false)
    }

    fn send(&self, job: Job) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = jobs.get_or_insert_with(|| start(self.threads));
        if sender.send(job).is_err() {
            // The next password may find threads again.
            *jobs = None;
        }
    }
}

fn start(threads: usize) -> mpsc::Sender<Job> {
    let (sender, receiver) = mpsc::channel();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..threads {
        let receiver = Arc::clone(&receiver);
        // Fewer do the same, later.
        let _ = thread::Builder::new().name("password".to_owned()).spawn(move || work(&receiver));
    }
    sender
}

fn work(receiver: &Mutex<mpsc::Receiver<Job>>) {
    // On Linux this is of the calling thread alone. Without it passwords are verified all the same.
    let _ = setpriority_process(None, NICE);
    let mut workspace = Workspace::default();
    let next = || receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Job { hash, password, answer }) = next() {
        if !answer.is_closed() {
            let verified = catch_unwind(AssertUnwindSafe(|| hash.verify_in(&password, &mut workspace)));
            // Nobody may wait any more.
            let _ = answer.send(verified.unwrap_or(false));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(password: &str) -> Secret {
        Secret::new(password.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn more_passwords_than_threads_are_all_answered() {
        let hash = PasswordHash::make(&secret("right"));
        let verifiers = Verifiers::new(2);
        let guesses = (0..10).map(|number| if number % 2 == 0 { "right" } else { "wrong" });
        let answers = guesses.map(|guess| verifiers.verify(hash.clone(), secret(guess)));
        let expected: Vec<_> = (0..10).map(|number| number % 2 == 0).collect();
        assert_eq!(futures_util::future::join_all(answers).await, expected);
    }

    #[tokio::test]
    async fn without_a_thread_nobody_is_let_in() {
        let hash = PasswordHash::make(&secret("right"));
        assert!(!Verifiers::new(0).verify(hash, secret("right")).await);
    }

    #[test]
    fn who_does_not_wait_costs_nothing() {
        let hash = PasswordHash::make(&secret("right"));
        let (sender, receiver) = mpsc::channel();
        let (answer, answered) = oneshot::channel();
        drop(answered);
        sender.send(Job { hash: hash.clone(), password: secret("right"), answer }).unwrap();
        let (answer, answered) = oneshot::channel();
        sender.send(Job { hash, password: secret("right"), answer }).unwrap();
        drop(sender);
        // It ends with the jobs, so the second was come to.
        thread::spawn(move || work(&Mutex::new(receiver))).join().unwrap();
        assert!(answered.blocking_recv().unwrap());
    }
}
