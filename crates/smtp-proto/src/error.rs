//! What is wrong with a command line, where, and which reply says so.

use crate::reply::{Reply, ReplyCode};
use crate::status::EnhancedStatus;

/// A command line, or a part of one, that does not follow the grammar.
///
/// It is a peer's mistake, not a failure of ours: [`SyntaxError::reply`] is the answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (at octet {offset})")]
#[non_exhaustive]
pub struct SyntaxError {
    /// Where: octets from the start of what was parsed.
    pub offset: usize,
    /// What.
    pub reason: SyntaxReason,
    /// Whether it is in a reverse-path: the enhanced status code tells sender and recipient apart.
    in_reverse_path: bool,
}

/// The kinds of mistakes in a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SyntaxReason {
    /// The command is none that this crate knows.
    #[error("unknown command")]
    UnknownCommand,
    /// The command is one of SMTP, but not one that this crate implements.
    #[error("command not implemented")]
    CommandNotImplemented,
    /// The line is an HTTP request: a browser that was made to talk to us. The session must end.
    #[error("HTTP request")]
    HttpRequest,
    /// The command needs an argument.
    #[error("argument missing")]
    ArgumentMissing,
    /// The command takes no argument, or no more of them.
    #[error("unexpected argument")]
    ArgumentUnexpected,
    /// The argument holds a control character, or is not UTF-8.
    #[error("character not permitted in an argument")]
    Argument,
    /// The name behind EHLO, HELO or LHLO is no printable ASCII without space, or over 255 octets.
    #[error("malformed host name")]
    HelloName,
    /// MAIL without `FROM:`, directly behind one space.
    #[error("\"FROM:\" expected")]
    FromExpected,
    /// RCPT without `TO:`, directly behind one space.
    #[error("\"TO:\" expected")]
    ToExpected,
    /// A path without its `<`.
    #[error("'<' expected")]
    PathStart,
    /// A path without its `>`, or with something before it that does not belong there.
    #[error("'>' expected")]
    PathEnd,
    /// A malformed source route (RFC 5321 appendix C).
    #[error("malformed source route")]
    SourceRoute,
    /// A mailbox without `@`, or with something before it that does not belong there.
    #[error("'@' expected")]
    AtExpected,
    /// A malformed local part.
    #[error("malformed local part")]
    LocalPart,
    /// A local part over 64 octets.
    #[error("local part too long")]
    LocalPartTooLong,
    /// A malformed domain name.
    #[error("malformed domain")]
    Domain,
    /// A domain over 255 octets, or a label of it over 63 characters.
    #[error("domain too long")]
    DomainTooLong,
    /// A malformed address literal.
    #[error("malformed address literal")]
    AddressLiteral,
    /// A path over 256 octets.
    #[error("path too long")]
    PathTooLong,
    /// Something directly behind the end of a path or value that should be followed by a space or the end.
    #[error("space or end of line expected")]
    EndExpected,
    /// A malformed parameter.
    #[error("malformed parameter")]
    Parameter,
    /// A parameter that stands there twice.
    #[error("repeated parameter")]
    ParameterRepeated,
    /// An attribute of XCLIENT that there is not.
    #[error("unknown attribute")]
    Attribute,
    /// A parameter that this crate does not know.
    #[error("unknown parameter")]
    ParameterUnknown,
    /// A value that the parameter's own grammar does not permit, or none where one is needed, or one where none may be.
    #[error("malformed parameter value")]
    ParameterValue,
    /// A value that is well-formed, but not one that is implemented.
    #[error("parameter value not implemented")]
    ParameterValueNotImplemented,
    /// BDAT without a size of its chunk that can be read exactly. Where the octets behind it end cannot be known: they must not be taken
    /// for commands.
    #[error("malformed chunk size")]
    ChunkSize,
    /// BDAT with something else than `LAST` behind the size. Its chunk follows all the same, but whether it is the last one is not known.
    #[error("\"LAST\" or end of line expected")]
    EndMarker,
    /// The name of a SASL mechanism that is none (RFC 4422 §3.1).
    #[error("malformed mechanism name")]
    Mechanism,
    /// Octets that are no base64, or not in the one way that RFC 4954 §4 permits.
    #[error("malformed base64")]
    Base64,
}

impl SyntaxError {
    pub(crate) const fn new(offset: usize, reason: SyntaxReason) -> Self {
        Self { offset, reason, in_reverse_path: false }
    }

    #[must_use]
    pub(crate) const fn in_reverse_path(self, in_reverse_path: bool) -> Self {
        Self { in_reverse_path, ..self }
    }

    /// The code of the fitting reply: 500, 501, 502, 504 or 555 (RFC 5321 §4.2.2, §4.1.1.11).
    pub const fn code(self) -> ReplyCode {
        self.reply_parts().0
    }

    /// The fitting reply. Its text is fixed: no input of the peer is in it.
    pub const fn reply(self) -> Reply {
        let (code, status, text) = self.reply_parts();
        Reply::new(code, status, text)
    }

    const fn reply_parts(self) -> (ReplyCode, EnhancedStatus, &'static str) {
        const BAD_COMMAND: EnhancedStatus = EnhancedStatus::new(5, 5, 1);
        const RECIPIENT: EnhancedStatus = EnhancedStatus::new(5, 1, 3);
        const SENDER: EnhancedStatus = EnhancedStatus::new(5, 1, 7);
        const ARGUMENTS: EnhancedStatus = EnhancedStatus::new(5, 5, 4);
        use SyntaxReason as R;
        let text = match self.reason {
            R::UnknownCommand => {
                return (ReplyCode::UNRECOGNIZED, BAD_COMMAND, "Command not recognized");
            }
            R::CommandNotImplemented => {
                return (ReplyCode::NOT_IMPLEMENTED, BAD_COMMAND, "Command not implemented");
            }
            R::HttpRequest => {
                return (ReplyCode::UNRECOGNIZED, BAD_COMMAND, "This is an SMTP server");
            }
            R::ParameterUnknown => {
                return (ReplyCode::PARAMETERS_NOT_RECOGNIZED, ARGUMENTS, "Parameter not recognized");
            }
            R::ParameterValueNotImplemented => {
                return (ReplyCode::PARAMETER_NOT_IMPLEMENTED, ARGUMENTS, "Parameter value not implemented");
            }
            R::Base64 => {
                return (ReplyCode::PARAMETER_SYNTAX, EnhancedStatus::new(5, 5, 2), "Malformed base64");
            }
            R::ArgumentMissing => "Argument missing",
            R::ArgumentUnexpected => "Unexpected argument",
            R::Argument => "Character not permitted in an argument",
            R::HelloName => "Malformed host name",
            R::FromExpected => "\"FROM:<\" expected behind one space",
            R::ToExpected => "\"TO:<\" expected behind one space",
            R::PathStart => "'<' expected before the address",
            R::PathEnd => "'>' expected behind the address",
            R::SourceRoute => "Malformed source route",
            R::AtExpected => "'@' and a domain expected",
            R::LocalPart => "Malformed local part",
            R::LocalPartTooLong => "Local part longer than 64 octets",
            R::Domain => "Malformed domain",
            R::DomainTooLong => "Domain longer than 255 octets, or a label of it than 63",
            R::AddressLiteral => "Malformed address literal",
            R::PathTooLong => "Address longer than 254 octets",
            R::EndExpected => "Space or end of line expected",
            R::Attribute => "Unknown attribute",
            R::Parameter => "Malformed parameter",
            R::ParameterRepeated => "Repeated parameter",
            R::ParameterValue => "Malformed parameter value",
            R::ChunkSize => "Malformed chunk size",
            R::EndMarker => "\"LAST\" or end of line expected",
            R::Mechanism => "Malformed mechanism name",
        };
        let status = match (self.is_address(), self.in_reverse_path) {
            (true, true) => SENDER,
            (true, false) => RECIPIENT,
            (false, _) => ARGUMENTS,
        };
        (ReplyCode::PARAMETER_SYNTAX, status, text)
    }

    const fn is_address(self) -> bool {
        use SyntaxReason as R;
        matches!(
            self.reason,
            R::PathStart
                | R::PathEnd
                | R::SourceRoute
                | R::AtExpected
                | R::LocalPart
                | R::LocalPartTooLong
                | R::Domain
                | R::DomainTooLong
                | R::AddressLiteral
                | R::PathTooLong
        )
    }
}
