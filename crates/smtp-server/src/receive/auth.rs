//! AUTH (RFC 4954): the exchange of smtp-sasl, with the users file, Dovecot and the guard behind it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use smtp_mail::LocalUser;
use smtp_policy::LoginState;
use smtp_policy::guard::{LockedOut, LoginGuard};
use smtp_policy::recipients::LocalRecipients;
use smtp_proto::server::AuthStep;
use smtp_proto::{Mailbox, Mechanism, NotAwaited, PeerCertificate, Reply, ReversePath, Secret};
use smtp_sasl::{Failure, Login, PasswordHash, Question, Server, Step};

use super::connection::Receiver;
use super::{Endpoint, replies};
use crate::config::Config;
use crate::credentials::verified_certificate;
use crate::dovecot::{self, About, Answer, Unavailable};
use crate::listener::Peer;
use crate::log;
use crate::metrics::{AuthMechanism, AuthResult, Service, Stage, Verb};

/// Who has logged in.
#[derive(Debug, Clone)]
pub(super) struct LoggedIn {
    user: LocalUser,
    login: Login,
    proof: Proof,
}

/// By what somebody has logged in.
#[derive(Debug, Clone)]
enum Proof {
    /// The password of which the users file had this, by whichever mechanism.
    Password(PasswordHash),
    /// This certificate, which must go on naming the user.
    Certificate(Box<PeerCertificate>),
    /// What Dovecot has said.
    Dovecot,
}

impl LoggedIn {
    /// Whether this would still be so: a reload may have taken the login away, given it to another user, or changed the password.
    fn holds(&self, config: &Config) -> bool {
        let credentials = &config.credentials;
        let is_user = || credentials.user(&self.login) == Some(&self.user);
        match &self.proof {
            Proof::Password(hash) => is_user() && credentials.password(&self.login) == Some(hash),
            Proof::Certificate(shown) => {
                is_user() && credentials.named_by(shown).is_some_and(|(user, _)| *user == self.user)
            }
            Proof::Dovecot => credentials.user_by_dovecot(&self.login).as_ref() == Some(&self.user),
        }
    }

    /// Whether the user may send under that path. The null path claims to be nobody, so it is everybody's.
    pub(super) fn permits(&self, config: &Config, path: &ReversePath) -> bool {
        path.mailbox().is_none_or(|mailbox| {
            let is_reached = |local: &LocalRecipients| local.reaches(mailbox, &self.user);
            config.policy.local().is_some_and(is_reached) || self.is_own(mailbox)
        })
    }

    /// Whether that is the address by which Dovecot knows the user.
    fn is_own(&self, mailbox: &Mailbox) -> bool {
        matches!(self.proof, Proof::Dovecot) && mailbox.to_string().to_lowercase() == self.login.as_str().to_lowercase()
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
    /// The same exchange with Dovecot, to which it is handed on.
    handed_on: Option<dovecot::Exchange>,
    /// It was Dovecot that has said who it is.
    by_dovecot: bool,
    /// Whom Dovecot has taken the client for, whether it lets it in or not.
    answered: Option<Login>,
}

impl Exchange {
    /// What Dovecot's answer means for the client.
    fn step(&mut self, answer: Answer) -> Step {
        match answer {
            Answer::Challenge(challenge) => Step::Challenge(challenge),
            Answer::Authenticated(login) => {
                self.by_dovecot = true;
                self.answered = Some(login.clone());
                Step::Authenticated(login)
            }
            Answer::Refused(login) => {
                self.answered = login;
                Step::Failed(Failure::Credentials)
            }
        }
    }

    /// Who is tried: as the client has it and then, of which there may be many for one user, as Dovecot has read it.
    fn names(&self) -> impl Iterator<Item = Box<str>> {
        let logins = self.server.login().into_iter().chain(&self.answered);
        logins.map(|login| self.config.credentials.guarded_name(login))
    }
}

/// Why an exchange ends without a log-in.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error(transparent)]
    LockedOut(#[from] LockedOut),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Receiver {
    /// The mechanisms that are offered to this client now: on submission, under TLS or where the configuration permits it without.
    pub(super) async fn mechanisms(&mut self) -> Vec<Mechanism> {
        let config = self.shared.config();
        let is_local = self.session.peer.address().is_some_and(|address| address.to_canonical().is_loopback());
        let tls = self.connection.session().tls();
        let is_safe = tls.is_some() || config.credentials.clear_on_loopback && is_local;
        if !is_safe || !offers_login(&self.endpoint, self.session.peer) || self.login.is_some() {
            return Vec::new();
        }
        let mut offered = config.credentials.offered(tls).await;
        if self.named.is_some() {
            // The certificate is that of the peer, and not of the client that it speaks for.
            offered.retain(|mechanism| *mechanism != Mechanism::EXTERNAL);
        }
        offered
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
        let (mut exchange, step, said) = match step {
            AuthStep::Begin { mechanism, initial } => {
                let config = self.shared.config();
                // With Dovecot there is no offer of SCRAM-SHA-256-PLUS, to which a client could be held.
                let tls = self.connection.session().tls().filter(|_| config.credentials.dovecot().is_none());
                let bindings = tls.map(|tls| tls.channel_bindings.clone()).unwrap_or_default();
                let (said, started) = (initial.clone(), Server::start(mechanism, bindings, initial));
                let (Ok((server, step)), Some(mechanism)) = (started, AuthMechanism::of(mechanism)) else {
                    return self.reply_auth(replies::NOT_AUTHENTICATED);
                };
                let exchange =
                    Exchange { server, mechanism, config, handed_on: None, by_dovecot: false, answered: None };
                (Box::new(exchange), Some(step), said.unwrap_or_default())
            }
            AuthStep::Response(response) => {
                let Some(mut exchange) = self.exchange.take() else {
                    return self.reply_auth(replies::NOT_AUTHENTICATED);
                };
                let step = exchange.handed_on.is_none().then(|| exchange.server.respond(&response));
                (exchange, step, response)
            }
        };
        let next = match step {
            Some(step) => self.go_on(&mut exchange, step, &said).await,
            None => self.hand_on(&mut exchange, &said).await,
        };
        match next {
            Ok(Step::Challenge(challenge)) => {
                self.exchange = Some(exchange);
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

    /// Answers the question of the exchange to what the client has said, if there is one. Who is locked out learns nothing of
    /// passwords; and others that were guessed at the same time may have failed while we asked.
    async fn go_on(&mut self, exchange: &mut Exchange, step: Step, said: &Secret) -> Result<Step, Ended> {
        self.permit(exchange)?;
        let about = self.about();
        let credentials = &exchange.config.credentials;
        Ok(match step {
            Step::Ask(Question::Password { login, password }) => {
                if let Some(dovecot) = credentials.dovecot_for(&login) {
                    let answer = dovecot.password(about, login, password).await?;
                    return self.answered(exchange, answer);
                }
                let is_right = credentials.verify(&login, password).await;
                self.permit(exchange)?;
                exchange.server.verified(is_right)
            }
            Step::Ask(Question::Keys { login }) => match credentials.dovecot_for(&login) {
                Some(dovecot) => {
                    let (handed_on, answer) = dovecot.begin(about, Mechanism::SCRAM_SHA_256, Some(said)).await?;
                    exchange.handed_on = Some(handed_on);
                    return self.answered(exchange, answer);
                }
                None => exchange.server.keys(credentials.keys(&login)),
            },
            Step::Ask(Question::Certificate { authorization }) => {
                let certificate = self.certificate().ok_or(Failure::Credentials);
                let login = certificate.and_then(|shown| credentials.login_by_certificate(shown, authorization));
                exchange.server.certificate(login)
            }
            step => step,
        })
    }

    /// Goes on with an exchange that Dovecot has.
    async fn hand_on(&mut self, exchange: &mut Exchange, response: &Secret) -> Result<Step, Ended> {
        self.permit(exchange)?;
        let Some(handed_on) = &exchange.handed_on else { return Err(Failure::Malformed.into()) };
        let answer = handed_on.respond(response).await?;
        self.answered(exchange, answer)
    }

    /// What Dovecot's answer comes to, if this client may still try to log in as whom Dovecot takes it for.
    fn answered(&self, exchange: &mut Exchange, answer: Answer) -> Result<Step, Ended> {
        let step = exchange.step(answer);
        self.permit(exchange)?;
        Ok(step)
    }

    /// What Dovecot is told about the client.
    fn about(&mut self) -> About {
        About { secured: self.connection.session().tls().is_some(), address: self.session.peer.address() }
    }

    /// Whether this client may try to log in now, as whom it says it is.
    fn permit(&self, exchange: &Exchange) -> Result<(), LockedOut> {
        let limits = &exchange.config.credentials.limits;
        let (client, at) = (self.client(), Instant::now());
        self.guard(|guard| {
            guard.permit_client(client, limits, at)?;
            exchange.names().try_for_each(|name| guard.permit_login(client, &name, limits, at))
        })
    }

    async fn authenticated(&mut self, exchange: &Exchange, login: Login) -> Result<(), NotAwaited> {
        let Some((user, proof)) = self.proven(exchange, &login) else {
            return self.not_authenticated(exchange, &Failure::Credentials.into()).await;
        };
        let credentials = &exchange.config.credentials;
        let (client, at) = (self.client(), Instant::now());
        // Failures may have been counted under either name.
        let names = exchange.names().chain([credentials.guarded_name(&login)]);
        self.guard(|guard| names.for_each(|name| guard.succeeded(client, &name, &credentials.limits, at)));
        self.shared.metrics().auth(exchange.mechanism, AuthResult::Ok);
        log::authenticated(&self.session, exchange.mechanism, &login);
        self.login = Some(Box::new(LoggedIn { user, login, proof }));
        self.reply_auth(replies::AUTHENTICATED)
    }

    /// Who has that login, and by what it is known that this client is the one.
    fn proven(&mut self, exchange: &Exchange, login: &Login) -> Option<(LocalUser, Proof)> {
        let credentials = &exchange.config.credentials;
        if exchange.by_dovecot {
            return Some((credentials.user_by_dovecot(login)?, Proof::Dovecot));
        }
        let proof = if exchange.mechanism == AuthMechanism::External {
            Proof::Certificate(Box::new(self.certificate()?.clone()))
        } else {
            Proof::Password(credentials.password(login)?.clone())
        };
        Some((credentials.user(login)?.clone(), proof))
    }

    async fn not_authenticated(&mut self, exchange: &Exchange, ended: &Ended) -> Result<(), NotAwaited> {
        let login = exchange.server.login();
        log::authentication_failed(&self.session, exchange.mechanism, login, ended);
        let (result, reply) = match ended {
            Ended::Failed(Failure::Malformed) => (AuthResult::Failed, replies::AUTH_MALFORMED),
            Ended::Failed(_) => (AuthResult::Failed, replies::NOT_AUTHENTICATED),
            Ended::LockedOut(_) => (AuthResult::LockedOut, replies::LOCKED_OUT),
            Ended::Unavailable(_) => (AuthResult::Unavailable, replies::AUTH_UNAVAILABLE),
        };
        self.shared.metrics().auth(exchange.mechanism, result);
        if result == AuthResult::Failed {
            let (client, at, limits) = (self.client(), Instant::now(), exchange.config.credentials.limits);
            let name = exchange.names().last();
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
