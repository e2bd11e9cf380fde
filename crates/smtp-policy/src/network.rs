//! Networks of clients (RFC 4632).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no network. It says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// There is no address.
    #[error("{text:?} is no network; write it like \"10.0.0.0/8\" or \"2001:db8::/32\"")]
    Address {
        /// What was written.
        text: String,
    },
    /// There is no length behind the slash, or one that the address cannot have.
    #[error("{text:?} has no prefix length from 0 to {bits_max} behind its slash")]
    Prefix {
        /// What was written.
        text: String,
        /// How many bits the address has.
        bits_max: u8,
    },
    /// The address is inside of the network, not its first.
    #[error("{text:?} is an address inside of a network; write \"{meant}\" for the network, or the address alone")]
    HostBits {
        /// What was written.
        text: String,
        /// The network that it is in.
        meant: Network,
    },
}

impl Network {
    /// The addresses by which a machine speaks to itself.
    pub const LOOPBACK: [Self; 2] = [
        Self { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix_bits: 8 },
        Self { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix_bits: 128 },
    ];

    /// Whether `address` is in the network. An IPv4 address that is mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        first_address(address.to_canonical(), self.prefix_bits) == self.address
    }

    /// Whether every address is in it, of the one family or the other.
    pub fn is_everything(&self) -> bool {
        self.prefix_bits == 0
    }
}

/// What counts as one client: an IPv4 address, also one that is mapped into IPv6; of an IPv6 address the /64, which one customer has at the
/// least. This machine's own `::1` is by itself.
pub fn client_network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => first_address(address.into(), 64),
        address => address,
    }
}

/// The first address of the network of `address` whose prefix has `prefix_bits`, at most as many as the address has.
fn first_address(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix_bits.into())).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix_bits.into())).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address { text: text.to_owned() })?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => bits_max,
            Some(prefix) => match prefix.parse::<u8>() {
                Ok(bits) if bits <= bits_max && prefix.bytes().all(|octet| octet.is_ascii_digit()) => bits,
                _ => return Err(NetworkError::Prefix { text: text.to_owned(), bits_max }),
            },
        };
        let network = Self { address: first_address(address, prefix_bits), prefix_bits };
        if network.address == address {
            Ok(network)
        } else {
            Err(NetworkError::HostBits { text: text.to_owned(), meant: network })
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_contains_what_has_its_prefix() {
        for (network_text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("0.0.0.0/0", "203.0.113.1", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
        ] {
            assert!(network(network_text).contains(inside.parse().unwrap()), "{inside} in {network_text}");
            assert!(!network(network_text).contains(outside.parse().unwrap()), "{outside} in {network_text}");
        }
    }

    #[test]
    fn loopback_is_loopback() {
        assert_eq!(Network::LOOPBACK, [network("127.0.0.0/8"), network("::1/128")]);
    }

    #[test]
    fn c30_a_client_is_an_ipv4_address_or_a_64() {
        for (client, network) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::1"),
            ("::2", "::"),
        ] {
            assert_eq!(client_network(client.parse().unwrap()).to_string(), network, "{client}");
        }
    }

    #[test]
    fn a_wrong_network_says_what_to_write() {
        let message = |text: &str| text.parse::<Network>().unwrap_err().to_string();
        let no_network = "is no network; write it like \"10.0.0.0/8\" or \"2001:db8::/32\"";
        for text in ["", "localhost", "10.0.0/8", "10.0.0.256", "/8"] {
            assert_eq!(message(text), format!("{text:?} {no_network}"));
        }
        assert_eq!(message("10.0.0.0/33"), "\"10.0.0.0/33\" has no prefix length from 0 to 32 behind its slash");
        assert_eq!(message("10.0.0.0/"), "\"10.0.0.0/\" has no prefix length from 0 to 32 behind its slash");
        assert_eq!(message("10.0.0.0/+8"), "\"10.0.0.0/+8\" has no prefix length from 0 to 32 behind its slash");
        assert_eq!(message("2001:db8::/129"), "\"2001:db8::/129\" has no prefix length from 0 to 128 behind its slash");
        assert_eq!(
            message("10.1.2.3/8"),
            "\"10.1.2.3/8\" is an address inside of a network; write \"10.0.0.0/8\" for the network, or the address alone"
        );
    }

    proptest! {
        #[test]
        fn a_network_reads_back_as_shown(bits: u128, prefix_bits in 0_u8..=128) {
            let address = first_address(Ipv6Addr::from_bits(bits).into(), prefix_bits);
            let network = Network { address, prefix_bits };
            prop_assert_eq!(network.to_string().parse(), Ok(network));
        }

        #[test]
        fn no_text_makes_a_network_panic(text in "\\PC{0,20}|[0-9a-f:./]{0,24}") {
            let _ = text.parse::<Network>();
        }
    }
}
