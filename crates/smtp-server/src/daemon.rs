//! The daemon: starts the parts, reloads, drains, stops.

mod accept;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use smtp_queue::{FatalError, OpenError, Queue, QueueConfig};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::accept::Listeners;
use crate::admin::{self, AdminSocket};
use crate::config::Config;
use crate::control::{Control, Topic};
use crate::listener::BindError;
use crate::local_socket::{self, LocalSocket};
use crate::log;
use crate::maildrop::Maildrop;
use crate::metrics::{Metrics, ReloadResult, Service};
use crate::receive::Phase;
use crate::runner::{self, Runner};
use crate::shared::Shared;
use crate::submit::Submission;

pub use crate::shared::Attempted;

/// How often it is looked whether the files of the certificates have changed.
const CERTIFICATES_CHECK_EVERY: Duration = Duration::from_secs(10);

/// How long the last sessions have to say their 421, when the drain time is up.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The queue cannot be opened.
    #[error("the queue in {directory} cannot be opened")]
    Queue {
        /// The queue's directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The admin socket or the submit socket cannot be made.
    #[error(transparent)]
    Socket(#[from] local_socket::BindError),
}

/// Why a new configuration was not taken. The old one stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// A new address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] BindError),
}

/// Where a service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// What for.
    pub service: Service,
    /// TLS comes first.
    pub implicit_tls: bool,
    /// The address, with the port that the system chose where the configuration says 0.
    pub address: SocketAddr,
}

/// A running server. Dropped without [`stop`](Self::stop) its tasks end with the runtime, and whatever was accepted is
/// in the queue.
#[derive(Debug)]
pub struct Daemon {
    shared: Arc<Shared>,
    listeners: Listeners,
    phase: watch::Sender<Phase>,
    stop: watch::Sender<bool>,
    sessions: mpsc::Receiver<()>,
    submit: JoinHandle<()>,
    maildrop: JoinHandle<()>,
    runner: JoinHandle<()>,
    settler: JoinHandle<()>,
    admin: JoinHandle<io::Result<()>>,
    admin_stop: oneshot::Sender<()>,
    certificates: JoinHandle<()>,
}

impl Daemon {
    /// Opens the queue, listens, and begins to receive and to deliver.
    ///
    /// # Errors
    /// The queue is another server's or cannot be read, an address is taken, the admin socket or the submit socket cannot be made.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let queue = open_queue(&config).await?;
        queue.set_lanes(runner::lane_table(&config));
        let control = Control::new(queue, Metrics::new(), &*config.hostname);
        let shared = Arc::new(Shared::new(control, Arc::clone(&config)));
        let (stop, stopping) = watch::channel(false);
        let (phase, phases) = watch::channel(Phase::Serving);
        let (alive, sessions) = mpsc::channel(1);
        let mut listeners = Listeners::new(Arc::clone(&shared), phases.clone(), alive.clone());
        listeners.apply(&config).await?;
        let admin = AdminSocket::bind(config.admin.clone())?;
        let submission = Submission { shared: Arc::clone(&shared), phase: phases, alive };
        let submit = LocalSocket::bind(&config.submit.socket)?;
        let (admin_stop, admin_stopped) = oneshot::channel::<()>();
        let admin = admin::serve(admin, shared.control.clone(), shared.configuration(), async {
            // It stops when told, or when the daemon is gone.
            let _ = admin_stopped.await;
        });
        let (runner, settler) = Runner::new(Arc::clone(&shared));
        let daemon = Self {
            listeners,
            phase,
            stop,
            sessions,
            maildrop: tokio::spawn(Maildrop::new(submission.clone(), stopping.clone()).run()),
            submit: tokio::spawn(submission.accept(submit)),
            runner: tokio::spawn(runner.run(stopping)),
            settler: tokio::spawn(settler),
            admin: tokio::spawn(admin),
            admin_stop,
            certificates: tokio::spawn(watch_certificates(Arc::clone(&shared))),
            shared,
        };
        log::started(&config.hostname, daemon.listening().iter().map(|listening| listening.address));
        Ok(daemon)
    }

    /// Where the services are reached.
    pub fn listening(&self) -> Vec<Listening> {
        self.listeners.addresses()
    }

    /// The handle that operators' requests go through.
    pub fn control(&self) -> &Control {
        &self.shared.control
    }

    /// Hears of every attempt from now on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Attempted>> {
        self.shared.watch()
    }

    /// Waits for an error of the disk after which the process must end, with exit code 74.
    pub async fn fatal(&self) -> FatalError {
        self.shared.queue().fatal().await
    }

    /// Takes a new configuration. Open sessions keep their TLS and their limits; rules, routes and everything else are the
    /// new ones from the next transaction and the next attempt on. The queue's directory, the maildrop,
    /// the admin socket and the submit socket stay.
    ///
    /// # Errors
    /// A new address cannot be listened on; then nothing is changed.
    pub async fn reload(&mut self, config: Config) -> Result<(), ReloadError> {
        let config = Arc::new(config);
        if let Err(error) = self.listeners.apply(&config).await {
            self.note_reload_failed(&error);
            return Err(error.into());
        }
        self.shared.queue().set_lanes(runner::lane_table(&config));
        self.shared.set_config(Arc::clone(&config));
        self.shared.metrics().config_reload(ReloadResult::Ok);
        self.shared.control.set_problem(Topic::Configuration, None);
        log::reloaded();
        Ok(())
    }

    /// Takes note of a configuration that could not be taken: the old one stays, and the status says so.
    pub fn note_reload_failed(&self, error: &dyn std::error::Error) {
        let problem = log::Chain(error).to_string();
        log::reload_failed(&problem);
        self.shared.metrics().config_reload(ReloadResult::Failed);
        self.shared
            .control
            .set_problem(Topic::Configuration, Some(format!("the configuration was not reloaded: {problem}")));
    }

    /// Stops: no new sessions; those without a transaction are told 421, the others may end theirs, and attempts under
    /// way may end, all within the drain time. Sessions that are open even then are told 421 too. What is not done by
    /// then is in the queue, or was never answered with 250.
    pub async fn stop(mut self) {
        let drain = self.shared.config().timeouts.drain;
        self.shared.control.stop();
        self.listeners.stop().await;
        self.submit.abort();
        // It ends as cancelled, its socket with it, and its own hold on the sessions' channel.
        let _ = (&mut self.submit).await;
        self.phase.send_replace(Phase::Draining);
        self.stop.send_replace(true);
        let drained = tokio::time::timeout(drain, async {
            // Every session holds a sender, so the channel closes with the last of them.
            while self.sessions.recv().await.is_some() {}
            let _ = (&mut self.runner).await;
        });
        let in_time = drained.await.is_ok();
        self.phase.send_replace(Phase::Ending);
        let _ = tokio::time::timeout(FAREWELL, async { while self.sessions.recv().await.is_some() {} }).await;
        // It has ended with the last session, unless that took too long.
        self.maildrop.abort();
        if !self.runner.is_finished() {
            self.runner.abort();
            let _ = (&mut self.runner).await;
        }
        // The runner is gone, and with it the last sender of settlements: the settler ends when all are durable.
        let _ = tokio::time::timeout(drain, &mut self.settler).await;
        self.shared.deliverer().close().await;
        let _ = self.admin_stop.send(());
        let _ = self.admin.await;
        self.certificates.abort();
        // Whatever holds the queue must be gone, so that it can be opened again at once.
        let _ = self.certificates.await;
        let queue = self.shared.queue().clone();
        let _ = tokio::task::spawn_blocking(move || queue.close()).await;
        log::stopped(in_time);
    }
}

async fn open_queue(config: &Config) -> Result<Queue, StartError> {
    let settings = QueueConfig {
        body_memory_octets: config.queue.body_memory_octets,
        free_octets_min: config.queue.free_octets_min,
        ..QueueConfig::new(&config.queue.directory)
    };
    let directory = config.queue.directory.clone();
    let opened = tokio::task::spawn_blocking(move || Queue::open(&settings)).await;
    match opened {
        Ok(Ok((queue, report))) => {
            log::queue_opened(&report);
            Ok(queue)
        }
        Ok(Err(source)) => Err(StartError::Queue { directory, source }),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Loads certificates again when their files change; after an error the old ones are served on, and the status says so.
async fn watch_certificates(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(CERTIFICATES_CHECK_EVERY);
    loop {
        ticks.tick().await;
        let Some(certificates) = shared.config().certificates.clone() else { continue };
        let watched = Arc::clone(&certificates);
        let reloaded = tokio::task::spawn_blocking(move || watched.reload_if_changed()).await;
        let ends = certificates.ends().into_iter();
        let ends = ends.filter_map(|(chain, end)| Some((chain.display().to_string(), end?)));
        shared.metrics().certificates(ends);
        match reloaded {
            Ok(Ok(true)) => {
                log::certificates_reloaded();
                shared.control.set_problem(Topic::Certificates, None);
            }
            Ok(Err(error)) => {
                let problem = log::Chain(&error).to_string();
                log::certificates_not_reloaded(&problem);
                shared.control.set_problem(Topic::Certificates, Some(problem));
            }
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}
