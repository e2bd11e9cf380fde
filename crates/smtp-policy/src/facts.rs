//! What a rule may look at.

use std::net::IpAddr;

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Mail from other servers, and from the client networks.
    Mx,
    /// Mail from the programs of people (RFC 6409).
    Submission,
}

/// What is known about a client when a rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The service that it has connected to.
    pub service: Service,
    /// Its address; an IPv4 address that came mapped into IPv6 is taken as IPv4. `None` for a user of this machine, who has
    /// come by the submit socket and may send to anywhere.
    pub client: Option<IpAddr>,
    /// How far logging in has come.
    pub login: LoginState,
}

/// How far logging in has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginState {
    /// Nobody can log in here.
    #[default]
    Impossible,
    /// The client could, and has not.
    Missing,
    /// The client has logged in.
    Done,
}

impl Facts {
    /// The facts about a client of `service` at `client`.
    pub fn new(service: Service, client: IpAddr) -> Self {
        Self { service, client: Some(client.to_canonical()), login: LoginState::Impossible }
    }

    /// The facts about a user of this machine.
    pub fn of_local_user() -> Self {
        Self { service: Service::Submission, client: None, login: LoginState::Impossible }
    }

    /// The same about a client whose log-in has come so far.
    #[must_use]
    pub fn with_login(self, login: LoginState) -> Self {
        Self { login, ..self }
    }

    /// Whether the client has logged in.
    pub(crate) fn is_logged_in(&self) -> bool {
        self.login == LoginState::Done
    }
}
