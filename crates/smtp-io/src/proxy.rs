//! The PROXY protocol, versions 1 and 2 (the text by `HAProxy`, "The PROXY protocol", of 2020-03-05): the address of a client
//! whose connection a proxy has taken for us.
//!
//! Whoever may send a header may be anybody. So it is read only from peers that the configuration names, and always from
//! those: that is the caller's part.

mod header;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

pub use header::{Parsed, ProxyError, ProxyHeader, V1_OCTETS_MAX, V2_OCTETS_MAX};

/// Octets that are looked at in one go: any header without many extensions.
const PEEKED_OCTETS: usize = 256;

/// Why no header was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadHeaderError {
    /// The peer closed the connection before it sent anything, as those do who look whether the port is open.
    #[error("the proxy went away before it said anything")]
    Silent,
    /// The peer closed the connection within the header.
    #[error("the proxy went away in the middle of its PROXY header")]
    Cut,
    /// The header did not come in time.
    #[error("no PROXY header came within {} s", .within.as_secs())]
    TimedOut {
        /// The time that it had.
        within: Duration,
    },
    /// What came is no header.
    #[error("no PROXY header")]
    Header(#[from] ProxyError),
    /// The connection broke.
    #[error("the connection broke before the PROXY header was there")]
    Read(#[source] io::Error),
}

/// Reads the header at the front of `stream`, and not one octet of what stands behind it: that is SMTP or TLS.
///
/// # Errors
/// Nothing that can be used came, or not `within` that time. The connection is of no more use: whose it is stays unknown.
pub async fn read_header(stream: &mut TcpStream, within: Duration) -> Result<ProxyHeader, ReadHeaderError> {
    match tokio::time::timeout(within, read(stream)).await {
        Ok(read) => read,
        Err(_) => Err(ReadHeaderError::TimedOut { within }),
    }
}

async fn read(stream: &mut TcpStream) -> Result<ProxyHeader, ReadHeaderError> {
    let mut taken = Vec::new();
    loop {
        let mut peeked = [0; PEEKED_OCTETS];
        let before = taken.len();
        match stream.peek(&mut peeked).await.map_err(ReadHeaderError::Read)? {
            0 if before == 0 => return Err(ReadHeaderError::Silent),
            0 => return Err(ReadHeaderError::Cut),
            octets => taken.extend_from_slice(&peeked[..octets]),
        }
        let parsed = ProxyHeader::parse(&taken)?;
        if let Parsed::Complete { octets, .. } = parsed {
            taken.truncate(octets);
        }
        // All of it is the header's, so it is taken off at once: octets that are only looked at would be looked at again
        // without end until more come.
        let octets = taken.len() - before;
        stream.read_exact(&mut peeked[..octets]).await.map_err(ReadHeaderError::Read)?;
        if let Parsed::Complete { header, .. } = parsed {
            return Ok(header);
        }
    }
}
