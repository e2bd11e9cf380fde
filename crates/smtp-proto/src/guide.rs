//! How a session is driven, and the states that it goes through. Nothing but text stands here.
//!
//! # The loop
//!
//! A session does nothing by itself. Whoever holds the connection goes round this loop, for either side:
//!
//! ```text
//!            ┌────────────────────────────────────────────────────────────────────┐
//!            ▼                                                                    │
//!   handle_input(now, &mut input) ── Some(event) ──▶ deal with it, answer it ─────┤
//!            │ None                                                               │
//!            ▼                                                                    │
//!   poll_transmit(now) ── Some(octets) ──▶ write them, ask again; then ───────────┤
//!            │ None                                                               │
//!            ▼                                                                    │
//!   wait for the first of ── octets ──▶ put them behind `input` ──────────────────┤
//!                         ├─ end of stream ──▶ handle_eof() ── event, or none ────┤
//!                         └─ poll_timeout().at ──▶ handle_timeout(now) ── event ──┘
//! ```
//!
//! Three things follow from it, and all of them are tests of this crate:
//!
//! - How the network has cut the octets changes nothing. What `handle_input` leaves in the buffer is an incomplete line, or waits for
//!   an answer.
//! - What is not read is back-pressure: an event that waits for its answer, or output over the limit, takes no input. A driver that
//!   reads while it writes cannot be locked up by a peer that does the same.
//! - Time is an argument. A deadline carries its reason, so that a log can say which it was; in a test an hour takes no time.
//!
//! STARTTLS is the one place where the loop stops: after [`Event::StartTls`](crate::server::Event::StartTls) write what waits, read
//! nothing into the input buffer, make the handshake, call `tls_established`, and go on. What was read in the clear before is never
//! run: the session closes where there is anything behind the command.
//!
//! # The server's states
//!
//! In capitals what comes from the client, in brackets what the caller answers. QUIT, 421 and the end of the stream lead to the end
//! from everywhere.
//!
//! ```text
//!   start ── Connected [220] ──▶ before EHLO ── EHLO, HELO, LHLO [hello(extensions)] ──▶ ready
//!                 └─ [554] ──▶ only QUIT                                                 │ ▲
//!                                                                                       │ │
//!   ready ── STARTTLS ──▶ handshake ── tls_established ──▶ before EHLO                  │ │
//!   ready ── XCLIENT [220] ──▶ before EHLO                                              │ │
//!   ready ── AUTH ──▶ Auth [challenge] ──▶ response ──▶ Auth … [235, 535] ──▶ ready     │ │
//!                                                                                       │ │
//!   ready ── MAIL [250] ──▶ transaction ◀── RCPT [any] ──┐                              │ │
//!                               │   └────────────────────┘                              │ │
//!                               ├─ RSET, EHLO ── Reset ─────────────────────────────────┼─┤
//!                               ├─ DATA [begin_mail_data] ──▶ mail data ── CRLF.CRLF ──┐│ │
//!                               └─ BDAT [begin_mail_data] ──▶ chunk ◀─ BDAT ─┐         ││ │
//!                                                               └─ 250 ──────┘         ││ │
//!                                                               └─ BDAT LAST ─────────▶││ │
//!                                                        MailDataEnd [a reply; in LMTP  ▼ │
//!                                                        one for each recipient] ─────────┘
//! ```
//!
//! Mail data that is refused on the way, by the caller or for a fault, is read to its true end all the same, and the refusal stands
//! there: nothing of it is taken for a command.
//!
//! # The client's states
//!
//! In capitals what goes to the server, by the caller's method in brackets.
//!
//! ```text
//!   start ── 220 ──▶ EHLO, else HELO ── 250 ──▶ Ready
//!   Ready [start_tls] ── STARTTLS, 220 ──▶ handshake [tls_established] ──▶ EHLO …
//!   Ready [authenticate] ── AUTH ──▶ Challenge [respond] … ──▶ Authenticated, or Refused
//!   Ready [begin] ── MAIL, RCPT… ──▶ Recipient, for each ── DATA, or BDAT ──▶ MailDataWanted [send_mail_data] …
//!                                                     [finish_mail_data] ──▶ Delivered, for each ──▶ Finished ──▶ Ready
//!   Ready [quit] ── QUIT ──▶ Closed
//! ```
//!
//! Where PIPELINING is offered MAIL, each RCPT and DATA leave as one group; the events come in the same order. What may be sent to
//! the server, and with which parameters, [`Extensions::fit`](crate::Extensions::fit) says before anything leaves.
