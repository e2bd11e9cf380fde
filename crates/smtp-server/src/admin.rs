//! The admin API, served over a Unix socket: see [`smtp_admin`] for its requests.
//!
//! Who may ask is decided by [`Admission`]; what was done, by whom and why goes to the log.

mod answer;
mod peer;
mod queue;
mod route;
mod state;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{DefaultBodyLimit, FromRef, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use smtp_admin::REQUEST_OCTETS_MAX;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

pub use self::peer::{Admission, Group, Peer};

use self::answer::Refusal;
use crate::config::InForce;
use crate::control::Control;
use crate::local_socket::{BindError, LocalSocket, SocketConfig};

/// How long requests under way may take when the daemon stops.
const GRACE: Duration = Duration::from_secs(3);

/// The admin socket, and the rule of who is admitted: root, the user of the daemon, and the members of the socket's group.
#[derive(Debug)]
pub struct AdminSocket {
    admission: Admission,
    socket: LocalSocket,
}

impl AdminSocket {
    /// Makes the socket. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Those of [`LocalSocket::bind`].
    pub fn bind(config: SocketConfig) -> Result<Self, BindError> {
        let socket = LocalSocket::bind(&config)?;
        Ok(Self { admission: Admission::new(config.group), socket })
    }
}

/// What the requests are about.
#[derive(Debug, Clone)]
struct Api {
    control: Control,
    configuration: InForce,
}

impl FromRef<Api> for Control {
    fn from_ref(api: &Api) -> Self {
        api.control.clone()
    }
}

impl FromRef<Api> for InForce {
    fn from_ref(api: &Api) -> Self {
        api.configuration.clone()
    }
}

/// Serves the API until `shutdown` is done; requests under way may take a moment longer.
///
/// # Errors
/// The socket fails.
pub async fn serve(
    socket: AdminSocket,
    control: Control,
    configuration: InForce,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let AdminSocket { admission, socket } = socket;
    let (listener, file) = socket.into_parts();
    let router =
        router(Api { control, configuration }, Arc::new(admission)).into_make_service_with_connect_info::<Caller>();
    let (stop, stopped) = oneshot::channel();
    let stopping = async {
        shutdown.await;
        let _ = stop.send(());
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(stopping);
    // Somebody who reads a long list slowly does not hold up the end of the daemon.
    let out_of_time = async {
        let _ = stopped.await;
        tokio::time::sleep(GRACE).await;
    };
    let served = tokio::select! {
        served = serving => served,
        () = out_of_time => Ok(()),
    };
    drop(file);
    served
}

fn router(api: Api, admission: Arc<Admission>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(state::readyz))
        .route("/metrics", get(state::metrics))
        .route("/v1/status", get(state::status))
        .route("/v1/stats", get(state::stats))
        .route("/v1/route", post(route::route))
        .route("/v1/pause", post(state::pause))
        .route("/v1/resume", post(state::resume))
        .route("/v1/queue/find", post(queue::find))
        .route("/v1/queue/control", post(queue::control))
        .route("/v1/queue/check", post(queue::check))
        .route("/v1/queue/messages/{id}", get(queue::message))
        .route("/v1/queue/messages/{id}/content", get(queue::content))
        .fallback(async |request: Request| Refusal::unknown(&request))
        .method_not_allowed_fallback(async |request: Request| Refusal::unknown(&request))
        .layer(DefaultBodyLimit::max(REQUEST_OCTETS_MAX))
        .layer(middleware::from_fn_with_state(admission, admit))
        .with_state(api)
}

/// The process that asks; `None` where the kernel does not say, which admits nobody.
#[derive(Debug, Clone, Copy)]
struct Caller(Option<Peer>);

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred().ok();
        Self(credentials.map(|credentials| Peer {
            uid: credentials.uid(),
            gid: credentials.gid(),
            pid: credentials.pid().and_then(|pid| u32::try_from(pid).ok()),
        }))
    }
}

async fn admit(
    State(admission): State<Arc<Admission>>,
    ConnectInfo(Caller(peer)): ConnectInfo<Caller>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let Some(peer) = peer.filter(|&peer| admission.admits(peer)) else {
        tracing::warn!(uid = peer.map(|peer| u64::from(peer.uid)), "a user was turned away from the admin socket");
        return Err(Refusal::forbidden());
    };
    request.extensions_mut().insert(peer);
    Ok(next.run(request).await)
}

/// The time of a request.
fn now() -> SystemTime {
    SystemTime::now()
}
