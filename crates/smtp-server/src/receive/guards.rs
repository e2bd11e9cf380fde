//! Clients that do what no honest client does: who speak before they are greeted, or out of turn (`[guards]`).

use smtp_config::file::GuardAction as Wanted;
use smtp_proto::server::{CloseReason, OutOfTurn};
use smtp_proto::{NotAwaited, ReplyClass, ReplyCode};
use tokio::sync::watch;

use super::connection::{Paths, Receiver, unless_stopped};
use super::{Phase, replies};
use crate::config::Config;
use crate::log;
use crate::metrics::{Guard, GuardAction, Service, Stage};

impl Receiver {
    /// Greets the client, or turns it away: after the time that those who are watched must wait, and unless they have not waited.
    pub(super) async fn greet(&mut self, phase: &mut watch::Receiver<Phase>) -> Result<(), NotAwaited> {
        let config = self.shared.config();
        let is_early = self.is_early(&config, phase).await;
        self.watch_turns(&config);
        if self.endpoint.trusts_xclient_of(self.session.peer) {
            self.connection.session().trust_xclient();
        }
        let reply = self.greeting();
        if reply.class() != ReplyClass::Completion {
            self.note_refusal(Stage::Connect, &reply, Paths::default());
        } else if is_early {
            let action = action(config.guards.early_talkers == Wanted::Refuse);
            self.note_guard(Guard::EarlyTalker, action, Stage::Connect, replies::EARLY.code());
            log::out_of_turn(&self.session, Guard::EarlyTalker, action, "the connection");
            if action == GuardAction::Refused {
                self.connection.session().close(replies::EARLY);
                return Ok(());
            }
        }
        self.connection.session().reply(reply, smtp_io::now())
    }

    /// Whether the client, if it is watched, has spoken already.
    async fn is_early(&mut self, config: &Config, phase: &mut watch::Receiver<Phase>) -> bool {
        if self.endpoint.service != Service::Mx || !self.is_watched(config) {
            return false;
        }
        let delay = config.guards.greeting_delay;
        let heard = unless_stopped(phase, async { Ok(self.connection.hears_within(delay).await?) });
        // What breaks the session is told by its next event.
        heard.await.unwrap_or(false)
    }

    /// From now on those who are watched wait for the replies that they must wait for.
    pub(super) fn watch_turns(&mut self, config: &Config) {
        let is_watched = self.endpoint.service != Service::Lmtp && self.is_watched(config);
        let out_of_turn = match config.guards.pipelining {
            _ if !is_watched => OutOfTurn::Permit,
            Wanted::Refuse => OutOfTurn::Refuse,
            Wanted::Count => OutOfTurn::Tell,
        };
        self.connection.session().watch_turns(out_of_turn);
    }

    /// Programs of this machine are not, nor are the client networks unless the configuration says so.
    fn is_watched(&self, config: &Config) -> bool {
        let client = self.session.peer.address();
        client
            .is_some_and(|client| config.guards.client_networks || !config.policy.relay().trusts(client.to_canonical()))
    }

    /// The client has not waited for the reply to this.
    pub(super) fn spoke_out_of_turn(&mut self, behind: &'static str, refused: bool) {
        let action = action(refused);
        self.note_guard(Guard::Pipelining, action, Stage::Command, ReplyCode::BAD_SEQUENCE);
        log::out_of_turn(&self.session, Guard::Pipelining, action, behind);
    }

    /// A session that went over a limit was refused its next command; its log line is that of the end.
    pub(super) fn count_limit(&mut self, reason: CloseReason) {
        if let Some(guard) = Guard::of_end(reason) {
            self.shared.metrics().guard(guard, GuardAction::Refused);
            self.shared.metrics().reject(Stage::Command, ReplyCode::SERVICE_NOT_AVAILABLE);
        }
    }

    fn note_guard(&mut self, guard: Guard, action: GuardAction, stage: Stage, code: ReplyCode) {
        self.shared.metrics().guard(guard, action);
        if action == GuardAction::Refused {
            self.shared.metrics().reject(stage, code);
            self.refused += 1;
        }
    }
}

fn action(refused: bool) -> GuardAction {
    if refused { GuardAction::Refused } else { GuardAction::Counted }
}
