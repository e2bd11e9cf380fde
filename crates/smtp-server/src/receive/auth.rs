//! AUTH (RFC 4954): the exchange of smtp-sasl, with the users file and the guard behind it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use smtp_mail::LocalUser;
use smtp_policy::LoginState;
use smtp_policy::guard::{LockedOut, LoginGuard};
use smtp_proto::server::AuthStep;
use smtp_proto::{Mechanism, NotAwaited, PeerCertificate, Reply, ReversePath};
use smtp_sasl::{Failure, Login, Question, Server, Step};

use super::connection::Receiver;
use super::{Endpoint, replies};
use crate::config::Config;
use crate::credentials::verified_certificate;
use crate::listener::Peer;
use crate::log;
use crate::metrics::{AuthMechanism, AuthResult, Service, Stage, Verb};

/// Who has logged in.
#[derive(Debug, Clone)]
pub(super) struct LoggedIn {
    user: LocalUser,
    login: Login,
    /// By what, where it was a certificate, which must go on naming the user.
    certificate: Option<Box<PeerCertificate>>,
}

impl LoggedIn {
    /// Whether this would still be so: a reload may have taken the login away, or given it to another user.
    fn holds(&self, config: &Config) -> bool {
        let credentials = &config.credentials;
        let is_named = |certificate| credentials.named_by(certificate).map(|(user, _)| user) == Some(&self.user);
        credentials.user(&self.login) == Some(&self.user) && self.certificate.as_deref().is_none_or(is_named)
    }

    /// Whether the user may send under that path. The null path claims to be nobody, so it is everybody's.
    pub(super) fn permits(&self, config: &Config, path: &ReversePath) -> bool {
        path.mailbox()
            .is_none_or(|mailbox| config.policy.local().is_some_and(|local| local.reaches(mailbox, &self.user)))
    }

    /// The user.
    pub(super) fn user(&self) -> &LocalUser {
        &self.user
    }
}

/// An exchange under way.
pub(super) struct Exchange {
    server: Server,
    mechanism: AuthMechanism,
    /// The configuration with which it began.
    config: Arc<Config>,
}

/// Why an exchange ends without a log-in.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error(transparent)]
    LockedOut(#[from] LockedOut),
}

impl Receiver {
    /// The mechanisms that are offered to this client now: on submission, under TLS or where the configuration permits it without.
    pub(super) fn mechanisms(&mut self) -> Vec<Mechanism> {
        let config = self.shared.config();
        let is_local = self.session.peer.address().is_some_and(|address| address.to_canonical().is_loopback());
        let tls = self.connection.session().tls();
        let is_safe = tls.is_some() || config.credentials.clear_on_loopback && is_local;
        if !is_safe || !offers_login(&self.endpoint, self.session.peer) || self.login.is_some() {
            return Vec::new();
        }
        config.credentials.mechanisms(tls)
    }

    /// Who has logged in, where the configuration still has that login.
    pub(super) fn login(&self, config: &Config) -> Option<&LoggedIn> {
        self.login.as_deref().filter(|login| login.holds(config))
    }

    /// How far logging in has come, for the policy.
    pub(super) fn login_state(&self, config: &Config) -> LoginState {
        if self.login(config).is_some() {
            LoginState::Done
        } else if config.credentials.is_for_people() && offers_login(&self.endpoint, self.session.peer) {
            LoginState::Missing
        } else {
            LoginState::Impossible
        }
    }

    /// Answers a step of AUTH.
    pub(super) async fn auth(&mut self, step: AuthStep) -> Result<(), NotAwaited> {
        let (mut exchange, step) = match step {
            AuthStep::Begin { mechanism, initial } => {
                let bindings = self.connection.session().tls().map(|tls| tls.channel_bindings.clone());
                let started = Server::start(mechanism, bindings.unwrap_or_default(), initial);
                let (Ok((server, step)), Some(mechanism)) = (started, AuthMechanism::of(mechanism)) else {
                    return self.reply_auth(replies::NOT_AUTHENTICATED);
                };
                (Exchange { server, mechanism, config: self.shared.config() }, step)
            }
            AuthStep::Response(response) => {
                let Some(mut exchange) = self.exchange.take() else {
                    return self.reply_auth(replies::NOT_AUTHENTICATED);
                };
                let step = exchange.server.respond(&response);
                (*exchange, step)
            }
        };
        match self.go_on(&mut exchange, step).await {
            Ok(Step::Challenge(challenge)) => {
                self.exchange = Some(Box::new(exchange));
                self.connection.session().challenge(challenge.as_bytes(), smtp_io::now())
            }
            Ok(Step::Authenticated(login)) => self.authenticated(&exchange, login).await,
            Ok(Step::Failed(failure)) => self.not_authenticated(&exchange, &failure.into()).await,
            Ok(Step::Ask(_)) => self.not_authenticated(&exchange, &Failure::Malformed.into()).await,
            Err(ended) => self.not_authenticated(&exchange, &ended).await,
        }
    }

    /// The client has given the exchange up.
    pub(super) fn auth_cancelled(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            self.shared.metrics().auth(exchange.mechanism, AuthResult::Cancelled);
        }
    }

    /// Answers the question of the exchange, if it has one. Who is locked out learns nothing of passwords.
    async fn go_on(&mut self, exchange: &mut Exchange, step: Step) -> Result<Step, Ended> {
        self.permit(exchange)?;
        let credentials = &exchange.config.credentials;
        Ok(match step {
            Step::Ask(Question::Password { login, password }) => {
                let is_right = credentials.verify(&login, password).await;
                // Others that were guessed at the same time may have failed since.
                self.permit(exchange)?;
                exchange.server.verified(is_right)
            }
            Step::Ask(Question::Keys { login }) => exchange.server.keys(credentials.keys(&login)),
            Step::Ask(Question::Certificate { authorization }) => {
                let certificate = self.certificate().ok_or(Failure::Credentials);
                let login = certificate.and_then(|shown| credentials.login_by_certificate(shown, authorization));
                exchange.server.certificate(login)
            }
            step => step,
        })
    }

    /// Whether this client may try to log in now, as whom it says it is.
    fn permit(&self, exchange: &Exchange) -> Result<(), LockedOut> {
        let credentials = &exchange.config.credentials;
        let (client, at) = (self.client(), Instant::now());
        let name = exchange.server.login().map(|login| credentials.guarded_name(login));
        self.guard(|guard| {
            guard.permit_client(client, &credentials.limits, at)?;
            name.map_or(Ok(()), |name| guard.permit_login(client, &name, &credentials.limits, at))
        })
    }

    async fn authenticated(&mut self, exchange: &Exchange, login: Login) -> Result<(), NotAwaited> {
        let credentials = &exchange.config.credentials;
        let Some(user) = credentials.user(&login).cloned() else {
            return self.not_authenticated(exchange, &Failure::Credentials.into()).await;
        };
        let (client, at) = (self.client(), Instant::now());
        let name = credentials.guarded_name(&login);
        self.guard(|guard| guard.succeeded(client, &name, &credentials.limits, at));
        self.shared.metrics().auth(exchange.mechanism, AuthResult::Ok);
        log::authenticated(&self.session, exchange.mechanism, &login);
        let certificate = self.certificate().filter(|_| exchange.mechanism == AuthMechanism::External).cloned();
        self.login = Some(Box::new(LoggedIn { user, login, certificate: certificate.map(Box::new) }));
        self.reply_auth(replies::AUTHENTICATED)
    }

    async fn not_authenticated(&mut self, exchange: &Exchange, ended: &Ended) -> Result<(), NotAwaited> {
        let login = exchange.server.login();
        log::authentication_failed(&self.session, exchange.mechanism, login, ended);
        let (result, reply) = match ended {
            Ended::Failed(Failure::Malformed) => (AuthResult::Failed, replies::AUTH_MALFORMED),
            Ended::Failed(_) => (AuthResult::Failed, replies::NOT_AUTHENTICATED),
            Ended::LockedOut(_) => (AuthResult::LockedOut, replies::LOCKED_OUT),
        };
        self.shared.metrics().auth(exchange.mechanism, result);
        if result == AuthResult::Failed {
            let (client, at, limits) = (self.client(), Instant::now(), exchange.config.credentials.limits);
            let name = login.map(|login| exchange.config.credentials.guarded_name(login));
            let delay = self.guard(|guard| guard.failed(client, name.as_deref(), &limits, at));
            wait(delay).await;
        }
        self.reply_auth(reply)
    }

    /// The certificate that the client has shown, where it was verified.
    fn certificate(&mut self) -> Option<&PeerCertificate> {
        self.connection.session().tls().and_then(verified_certificate)
    }

    fn reply_auth(&mut self, reply: Reply) -> Result<(), NotAwaited> {
        self.reply(Verb::Auth, Stage::Auth, reply, super::connection::Paths::default())
    }

    fn guard<T>(&self, look: impl FnOnce(&mut LoginGuard) -> T) -> T {
        // Counting cannot panic half way, so a poisoned lock holds sound numbers.
        look(&mut self.shared.login_guard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whose failures are counted together.
    fn client(&self) -> IpAddr {
        self.session.peer.address().unwrap_or(Ipv4Addr::LOCALHOST.into())
    }
}

/// Log-in is for those who submit by network: the kernel says who a local program is.
fn offers_login(endpoint: &Endpoint, peer: Peer) -> bool {
    endpoint.service == Service::Submission && peer.address().is_some()
}

/// The answer to a failure comes late, so that guessing is slow.
async fn wait(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}
