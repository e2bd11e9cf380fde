//! Limits on sizes and numbers (RFC 5321 §4.5.3.1).

/// Octets of a local part at most (RFC 5321 §4.5.3.1.1).
pub const LOCAL_PART_OCTETS: usize = 64;
/// Octets of a domain at most (RFC 5321 §4.5.3.1.2).
pub const DOMAIN_OCTETS: usize = 255;
/// Characters of a label of a domain at most (RFC 1035 §2.3.4).
pub const LABEL_OCTETS: usize = 63;
/// Octets of a path at most, with its brackets (RFC 5321 §4.5.3.1.3).
pub const PATH_OCTETS: usize = 256;
/// Octets of a mailbox at most: what fits into a path.
pub const MAILBOX_OCTETS: usize = PATH_OCTETS - 2;
/// Octets of a reply line that we send at most, with its CRLF (RFC 5321 §4.5.3.1.5).
pub const REPLY_LINE_OCTETS: usize = 512;

/// Octets of the name of a SASL mechanism at most (RFC 4422 §3.1).
pub const MECHANISM_OCTETS: usize = 20;
/// SASL mechanisms of one server that are taken note of; the others that it offers are passed over.
pub const MECHANISMS: usize = 32;
/// Octets of an envelope identifier, encoded, at most (RFC 3461 §4.4).
pub const ENVELOPE_ID_OCTETS: usize = 100;
/// Octets of an original recipient address, encoded and with its type, at most (RFC 3461 §4.2).
pub const ORIGINAL_RECIPIENT_OCTETS: usize = 500;

/// How much a session takes from its peer. The defaults are above what RFC 5321 §4.5.3.1 asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a command line, with its CRLF. At least 512, and more for the parameters of extensions (RFC 5321 §4.5.3.1.4).
    pub command_line_octets: usize,
    /// Octets of a line that answers a challenge of AUTH, with its CRLF. 12,288 do for the mechanisms in use (RFC 4954 §4).
    pub auth_line_octets: usize,
    /// Octets of a message's content. At least 64 KiB (RFC 5321 §4.5.3.1.7).
    pub message_octets: u64,
    /// Recipients of one message. At least 100 (RFC 5321 §4.5.3.1.8).
    pub recipients_per_message: usize,
    /// Syntax, sequence and unknown-command errors, and log-ins that have failed, after which the server closes the session.
    pub errors_per_session: u32,
    /// Commands that bring no message nearer (EHLO, NOOP, RSET, VRFY and the like) between one message and the next; at
    /// the one behind it the server closes the session.
    pub idle_commands_per_message: u32,
    /// MAIL commands of a session, whatever becomes of them: what MAILMAX tells (RFC 9422 §4.1). At the one behind it
    /// the server closes the session.
    pub transactions_per_session: u32,
    /// Take `MAIL FROM: <…>` and `RCPT TO: <…>`, with one space, for what they are meant to be. RFC 5321 §3.3 permits no space
    /// there; Outlook writes it when it submits. The default is `false`.
    pub space_before_path: bool,
    /// Command lines of a session, whatever becomes of them. At the one behind it the server closes the session.
    pub commands_per_session: u32,
    /// Octets of output that may wait before no more input is taken.
    pub output_octets: usize,
    /// Octets of one reply of a server, all its lines together.
    pub reply_octets: usize,
    /// Lines of one reply of a server.
    pub reply_lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line_octets: 2048,
            auth_line_octets: 12_288,
            message_octets: 50 * 1024 * 1024,
            recipients_per_message: 1000,
            errors_per_session: 20,
            idle_commands_per_message: 100,
            transactions_per_session: 10_000,
            space_before_path: false,
            commands_per_session: 100_000,
            output_octets: 64 * 1024,
            reply_octets: 16 * 1024,
            reply_lines: 128,
        }
    }
}
