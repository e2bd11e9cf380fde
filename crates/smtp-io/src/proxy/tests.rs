use std::net::SocketAddr;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const WITHIN: Duration = Duration::from_secs(30);
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn proxied(source: &str, destination: &str) -> ProxyHeader {
    ProxyHeader::Proxied { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

/// The header of version 2 with this command, family and block.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let octets = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &octets, block].concat()
}

fn block(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let octets = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => v4.ip().octets().to_vec(),
        SocketAddr::V6(v6) => v6.ip().octets().to_vec(),
    };
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    [octets(source), octets(destination), ports].concat()
}

#[track_caller]
fn whole(input: &[u8], expected: ProxyHeader) {
    let parsed = Parsed::Complete { header: expected, octets: input.len() };
    assert_eq!(ProxyHeader::parse(input), Ok(parsed));
    assert_eq!(ProxyHeader::parse(&[input, b"EHLO x\r\n"].concat()), Ok(parsed));
    for cut in 0..input.len() {
        assert_eq!(ProxyHeader::parse(&input[..cut]), Ok(Parsed::Incomplete), "cut at {cut}");
    }
}

#[test]
fn version_1_is_read() {
    let expected = proxied("192.0.2.1:56324", "198.51.100.7:25");
    whole(b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n", expected);
    let expected = proxied("[2001:db8::1]:0", "[::1]:65535");
    whole(b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", expected);
    whole(b"PROXY UNKNOWN\r\n", ProxyHeader::Local);
    let longest = format!("PROXY UNKNOWN {0} {0} 65535 65535\r\n", ["ffff"; 8].join(":"));
    assert_eq!(longest.len(), V1_OCTETS_MAX);
    whole(longest.as_bytes(), ProxyHeader::Local);
}

#[test]
fn what_version_1_does_not_allow_is_refused() {
    for line in [
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\n",
        "PROXY TCP4  192.0.2.1 198.51.100.7 56324 25\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 25 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 056324 25\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 +5 25\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 65536 25\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.7 5 25\r\n",
        "PROXY TCP4 192.0.2 198.51.100.7 5 25\r\n",
        "PROXY TCP4 ::1 ::1 5 25\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.7 5 25\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 5 25\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.7 5 25\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.7 5 25\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
    ] {
        assert!(matches!(ProxyHeader::parse(line.as_bytes()), Err(ProxyError::Line(_))), "{line:?}");
    }
    for line in ["proxy TCP4", "EHLO x\r\n", "P ", "\r\n\r\n\r", "\x16\x03\x01", "GET / HTTP/1.1\r\n"] {
        assert_eq!(ProxyHeader::parse(line.as_bytes()), Err(ProxyError::Absent), "{line:?}");
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    assert_eq!(long.len(), V1_OCTETS_MAX + 1);
    assert_eq!(ProxyHeader::parse(long.as_bytes()), Err(ProxyError::TooLong { max: V1_OCTETS_MAX }));
}

#[test]
fn version_2_is_read_and_its_extensions_are_skipped() {
    let (a, b) = ("192.0.2.1:56324".parse().unwrap(), "198.51.100.7:25".parse().unwrap());
    let (c, d) = ("[2001:db8::1]:1".parse().unwrap(), "[2001:db8::2]:465".parse().unwrap());
    let extension = [0x04, 0, 3, 1, 2, 3];
    for extensions in [&[][..], &extension, &[0xee; 3]] {
        whole(&v2(0x21, 0x11, &[&block(a, b), extensions].concat()), proxied("192.0.2.1:56324", "198.51.100.7:25"));
        whole(&v2(0x21, 0x21, &[&block(c, d), extensions].concat()), proxied("[2001:db8::1]:1", "[2001:db8::2]:465"));
        whole(&v2(0x21, 0x31, &[&[0; 216], extensions].concat()), ProxyHeader::Local);
        whole(&v2(0x21, 0x00, extensions), ProxyHeader::Local);
        // LOCAL: the family and what follows it mean nothing.
        whole(&v2(0x20, 0x11, extensions), ProxyHeader::Local);
        whole(&v2(0x20, 0xff, extensions), ProxyHeader::Local);
    }
    whole(&v2(0x21, 0x00, &[0; V2_OCTETS_MAX - 16]), ProxyHeader::Local);
}

#[test]
fn what_version_2_does_not_allow_is_refused() {
    for (command, family, octets, error) in [
        (0x11, 0x11, 12, ProxyError::Command(0x11)),
        (0x22, 0x11, 12, ProxyError::Command(0x22)),
        (0x21, 0x12, 12, ProxyError::Family(0x12)),
        (0x21, 0x01, 12, ProxyError::Family(0x01)),
        (0x21, 0x41, 12, ProxyError::Family(0x41)),
        (0x21, 0x11, 11, ProxyError::Addresses),
        (0x21, 0x21, 35, ProxyError::Addresses),
        (0x21, 0x31, 215, ProxyError::Addresses),
        (0x21, 0x11, V2_OCTETS_MAX - 15, ProxyError::TooLong { max: V2_OCTETS_MAX }),
        (0x20, 0x00, 0xffff, ProxyError::TooLong { max: V2_OCTETS_MAX }),
    ] {
        assert_eq!(ProxyHeader::parse(&v2(command, family, &vec![0; octets])), Err(error));
    }
}

/// Something like a header, so that more than its first octets is tried.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let line = "PROXY (TCP4|TCP6|UNKNOWN)( [0-9a-f.:]{1,39}){0,2}( [0-9]{1,6}){0,3} ?\r?\n";
    let block = prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        line.prop_map(String::into_bytes),
        (0x20..=0x21u8, prop::sample::select(vec![0x00, 0x11, 0x21, 0x31, 0x12]), block)
            .prop_map(|(command, family, block)| v2(command, family, &block)),
        prop::collection::vec(any::<u8>(), 0..300),
    ]
}

proptest! {
    /// No octets make it panic; a result, once there, is not changed by what comes behind; a shorter front waits for more, or
    /// is refused for good.
    #[test]
    fn cuts_change_nothing(front in nearly(), behind in prop::collection::vec(any::<u8>(), 0..8)) {
        let input = [front, behind].concat();
        let result = ProxyHeader::parse(&input);
        for cut in 0..input.len() {
            match ProxyHeader::parse(&input[..cut]) {
                Ok(Parsed::Incomplete) => {}
                Ok(complete) => prop_assert_eq!(Ok(complete), result),
                Err(error) => prop_assert_eq!(Err(error), result),
            }
        }
        if let Ok(Parsed::Complete { octets, .. }) = result {
            prop_assert_eq!(ProxyHeader::parse(&input[..octets - 1]), Ok(Parsed::Incomplete));
            prop_assert!(octets <= V2_OCTETS_MAX);
        }
    }

    #[test]
    fn what_is_written_is_read(source: std::net::Ipv6Addr, destination: std::net::Ipv6Addr, ports: (u16, u16)) {
        let (source, destination) = (SocketAddr::from((source, ports.0)), SocketAddr::from((destination, ports.1)));
        let line = format!("PROXY TCP6 {} {} {} {}\r\n", source.ip(), destination.ip(), ports.0, ports.1);
        let header = ProxyHeader::Proxied { source, destination };
        let octets = line.len();
        prop_assert_eq!(ProxyHeader::parse(line.as_bytes()), Ok(Parsed::Complete { header, octets }));
        let binary = v2(0x21, 0x21, &block(source, destination));
        let octets = binary.len();
        prop_assert_eq!(ProxyHeader::parse(&binary), Ok(Parsed::Complete { header, octets }));
    }
}

/// Both ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    near.set_nodelay(true).unwrap();
    (near, listener.accept().await.unwrap().0)
}

#[tokio::test]
async fn not_one_octet_more_is_read() {
    let (a, b) = ("192.0.2.1:56324".parse().unwrap(), "198.51.100.7:25".parse().unwrap());
    let long = [block(a, b), vec![0; 1000]].concat();
    for header in [b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n".to_vec(), v2(0x21, 0x11, &long)] {
        for cut in [1, 5, 11, 12, 16, 17, header.len() - 1, header.len()] {
            let (mut near, mut far) = pair().await;
            let octets = [&header[..], b"EHLO x\r\n"].concat();
            let write = async {
                for piece in [&octets[..cut], &octets[cut..]] {
                    near.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let (read, ()) = tokio::join!(read_header(&mut far, WITHIN), write);
            assert_eq!(read.unwrap(), proxied("192.0.2.1:56324", "198.51.100.7:25"));
            drop(near);
            let mut rest = Vec::new();
            far.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"EHLO x\r\n", "cut at {cut}");
        }
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_says_why() {
    let (near, mut far) = pair().await;
    drop(near);
    assert!(matches!(read_header(&mut far, WITHIN).await, Err(ReadHeaderError::Silent)));

    let (mut near, mut far) = pair().await;
    near.write_all(b"PROXY TCP4 ").await.unwrap();
    near.shutdown().await.unwrap();
    assert!(matches!(read_header(&mut far, WITHIN).await, Err(ReadHeaderError::Cut)));

    let (mut near, mut far) = pair().await;
    near.write_all(b"EHLO x\r\n").await.unwrap();
    let error = read_header(&mut far, WITHIN).await.unwrap_err();
    assert!(matches!(error, ReadHeaderError::Header(ProxyError::Absent)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_header_has_its_time() {
    let (mut near, mut far) = pair().await;
    near.write_all(b"PROXY ").await.unwrap();
    let error = read_header(&mut far, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.to_string(), "no PROXY header came within 5 s");
}
