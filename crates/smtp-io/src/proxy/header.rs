//! The header itself: octets in, and out comes the header, the wish for more, or why it is none. Nothing else is needed here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1 with its CRLF (section 2.1), in octets.
pub const V1_OCTETS_MAX: usize = 107;
/// The longest header of version 2 that is read, in octets: its first 16, and 4 KiB of addresses and extensions. The
/// protocol has room for 64 KiB, of which no proxy makes use.
pub const V2_OCTETS_MAX: usize = V2_FIXED_OCTETS + 4096;

const V1_PREFIX: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED_OCTETS: usize = 16;

/// What a proxy says of the connection that it has taken for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The connection of a client.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// What the client has connected to.
        destination: SocketAddr,
    },
    /// The proxy speaks for itself, as when it looks whether the server is well (LOCAL), or for a client whose address is
    /// none of the Internet's (UNKNOWN, UNSPEC, UNIX). The addresses of the connection itself hold.
    Local,
}

/// How far a header was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// It is whole.
    Complete {
        /// What it says.
        header: ProxyHeader,
        /// How many of the octets it has.
        octets: usize,
    },
    /// All of the octets are the header's, and it goes on.
    Incomplete,
}

/// Why octets are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// No header begins so.
    #[error("neither version of the header begins so")]
    Absent,
    /// It has more octets than are read.
    #[error("the header has more than {max} octets")]
    TooLong {
        /// How many are read.
        max: usize,
    },
    /// Version 1 has an address, a port or a space that is wrong.
    #[error("the line of version 1 is malformed: {0}")]
    Line(&'static str),
    /// Version 2 has a version or a command that is not known.
    #[error("the version and command {0:#04x} are unknown")]
    Command(u8),
    /// Version 2 is about something else than TCP.
    #[error("the address family and protocol {0:#04x} are no TCP")]
    Family(u8),
    /// Version 2 has no room for the addresses that it announces.
    #[error("the addresses are cut off")]
    Addresses,
}

impl ProxyHeader {
    /// Reads the header at the front of `input`, whatever stands behind it.
    ///
    /// What more octets cannot mend is an error at once, so a peer that sends something else is found out by its first
    /// octet. Extensions of version 2 (TLVs, section 2.2) are skipped.
    pub fn parse(input: &[u8]) -> Result<Parsed, ProxyError> {
        if begins(input, V1_PREFIX) {
            parse_v1(input)
        } else if begins(input, V2_SIGNATURE) {
            parse_v2(input)
        } else {
            Err(ProxyError::Absent)
        }
    }
}

/// Whether `input` begins with `prefix`, as far as it goes.
fn begins(input: &[u8], prefix: &[u8]) -> bool {
    let octets = input.len().min(prefix.len());
    input[..octets] == prefix[..octets]
}

/// Section 2.1.
fn parse_v1(input: &[u8]) -> Result<Parsed, ProxyError> {
    let within = &input[..input.len().min(V1_OCTETS_MAX)];
    let Some(end) = within.iter().position(|&octet| octet == b'\n') else {
        let max = V1_OCTETS_MAX;
        return if input.len() < max { Ok(Parsed::Incomplete) } else { Err(ProxyError::TooLong { max }) };
    };
    let line = within[..end].strip_suffix(b"\r").ok_or(ProxyError::Line("LF without CR"))?;
    let line = line.strip_prefix(V1_PREFIX).ok_or(ProxyError::Line("no protocol"))?;
    Ok(Parsed::Complete { header: v1_line(line)?, octets: end + 1 })
}

fn v1_line(line: &[u8]) -> Result<ProxyHeader, ProxyError> {
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        // What follows is not to be looked at.
        return Ok(ProxyHeader::Local);
    }
    let line = std::str::from_utf8(line).map_err(|_| ProxyError::Line("not ASCII"))?;
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or(ProxyError::Line("a part is missing"));
    let address: fn(&str) -> Option<IpAddr> = match word()? {
        "TCP4" => |word| word.parse().map(IpAddr::V4).ok(),
        "TCP6" => |word| word.parse().map(IpAddr::V6).ok(),
        _ => return Err(ProxyError::Line("the protocol is not TCP4, TCP6 or UNKNOWN")),
    };
    let address = |word| address(word).ok_or(ProxyError::Line("an address is none of its family"));
    let (source, destination) = (address(word()?)?, address(word()?)?);
    let (source_port, destination_port) = (port(word()?)?, port(word()?)?);
    if words.next().is_some() {
        return Err(ProxyError::Line("something stands behind the ports"));
    }
    Ok(ProxyHeader::Proxied {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

/// Decimal, without leading zeros and without a sign.
fn port(word: &str) -> Result<u16, ProxyError> {
    let number: u16 = word.parse().map_err(|_| ProxyError::Line("a port is no number up to 65535"))?;
    if word.starts_with(['+', '0']) && word != "0" {
        return Err(ProxyError::Line("a port has a sign or a leading zero"));
    }
    Ok(number)
}

/// Section 2.2.
fn parse_v2(input: &[u8]) -> Result<Parsed, ProxyError> {
    let is_local = match input.get(V2_SIGNATURE.len()) {
        None => return Ok(Parsed::Incomplete),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(&other) => return Err(ProxyError::Command(other)),
    };
    let Some((fixed, rest)) = input.split_first_chunk::<V2_FIXED_OCTETS>() else { return Ok(Parsed::Incomplete) };
    let [.., family, high, low] = *fixed;
    let octets = usize::from(u16::from_be_bytes([high, low]));
    let max = V2_OCTETS_MAX;
    if V2_FIXED_OCTETS + octets > max {
        return Err(ProxyError::TooLong { max });
    }
    let addresses = Addresses::of_family(family).filter(|_| !is_local);
    if !is_local && addresses.is_none() && family != 0x00 {
        return Err(ProxyError::Family(family));
    }
    if addresses.is_some_and(|addresses| octets < addresses.octets()) {
        return Err(ProxyError::Addresses);
    }
    let Some(rest) = rest.get(..octets) else { return Ok(Parsed::Incomplete) };
    let header = addresses.and_then(|addresses| addresses.read(rest)).unwrap_or(ProxyHeader::Local);
    Ok(Parsed::Complete { header, octets: V2_FIXED_OCTETS + octets })
}

/// The address block of version 2, over a stream.
#[derive(Clone, Copy)]
enum Addresses {
    V4,
    V6,
    Unix,
}

impl Addresses {
    fn of_family(family: u8) -> Option<Self> {
        match family {
            0x11 => Some(Self::V4),
            0x21 => Some(Self::V6),
            0x31 => Some(Self::Unix),
            _ => None,
        }
    }

    /// Two addresses, and two ports but for UNIX.
    fn octets(self) -> usize {
        match self {
            Self::V4 => 12,
            Self::V6 => 36,
            Self::Unix => 216,
        }
    }

    fn read(self, block: &[u8]) -> Option<ProxyHeader> {
        let (source, destination, ports) = match self {
            Self::V4 => {
                let (source, rest) = block.split_first_chunk::<4>()?;
                let (destination, ports) = rest.split_first_chunk::<4>()?;
                (Ipv4Addr::from(*source).into(), Ipv4Addr::from(*destination).into(), ports)
            }
            Self::V6 => {
                let (source, rest) = block.split_first_chunk::<16>()?;
                let (destination, ports) = rest.split_first_chunk::<16>()?;
                (Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), ports)
            }
            Self::Unix => return None,
        };
        let &[a, b, c, d] = ports.first_chunk::<4>()?;
        Some(ProxyHeader::Proxied {
            source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
            destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
        })
    }
}
