use bytes::BytesMut;

use crate::SyntaxReason as R;
use crate::{Command, HelloName, Told, XClient, XClientName, XClientProtocol};

fn ok(line: &str) -> XClient {
    match Command::parse(line.as_bytes()) {
        Ok(Command::XClient(xclient)) => *xclient,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: impl AsRef<[u8]>) -> R {
    let line = line.as_ref();
    let error = Command::parse(line).unwrap_err();
    let reply = error.reply();
    let status = reply.status().map(|status| status.to_string());
    assert_eq!((reply.code().number(), status.as_deref()), (501, Some("5.5.4")), "{}", line.escape_ascii());
    error.reason
}

fn name(text: &str) -> HelloName {
    text.parse().unwrap()
}

#[test]
fn each_attribute_has_its_place() {
    let line = "XCLIENT NAME=spike.example ADDR=192.0.2.1 PORT=40000 PROTO=ESMTP HELO=spike LOGIN=alice \
                DESTADDR=IPV6:2001:db8::25 DESTPORT=25";
    let whole = XClient {
        name: Some(XClientName::Known(name("spike.example"))),
        address: Some(Told::Known("192.0.2.1".parse().unwrap())),
        port: Some(Told::Known(40_000)),
        protocol: Some(XClientProtocol::Esmtp),
        hello: Some(Told::Known(name("spike"))),
        login: Some(Told::Known("alice".parse().unwrap())),
        destination_address: Some(Told::Known("2001:db8::25".parse().unwrap())),
        destination_port: Some(Told::Known(25)),
    };
    assert_eq!(ok(line), whole);
    let mut encoded = BytesMut::new();
    Command::XClient(Box::new(whole)).encode(&mut encoded);
    assert_eq!(encoded, line);
}

#[test]
fn names_of_attributes_and_words_are_read_in_any_case() {
    let lower =
        ok("xclient name=[unavailable] addr=ipv6:2001:db8::7 port=[Unavailable] proto=smtp helo=[unavailable] \
                    login=[unavailable] destaddr=[unavailable] destport=[unavailable]");
    assert_eq!(
        lower,
        XClient {
            name: Some(XClientName::Unavailable),
            address: Some(Told::Known("2001:db8::7".parse().unwrap())),
            port: Some(Told::Unavailable),
            protocol: Some(XClientProtocol::Smtp),
            hello: Some(Told::Unavailable),
            login: Some(Told::Unavailable),
            destination_address: Some(Told::Unavailable),
            destination_port: Some(Told::Unavailable),
        }
    );
    assert_eq!(ok("XCLIENT NAME=[tempUNAVAIL]").name, Some(XClientName::TemporarilyUnavailable));
    assert_eq!(ok("XCLIENT ADDR=[UNAVAILABLE]").address, Some(Told::Unavailable));
    assert_eq!(ok("XCLIENT PROTO=LMTP").protocol, Some(XClientProtocol::Lmtp));
}

/// Values are xtext (RFC 3461 §4), and come back as such.
#[test]
fn values_are_encoded() {
    let xclient = ok("XCLIENT LOGIN=a+20b+2B+3Dc+C3+A9 HELO=a+2Bb");
    assert_eq!(xclient.login, Some(Told::Known("a b+=c\u{e9}".parse().unwrap())));
    assert_eq!(xclient.hello, Some(Told::Known(name("a+b"))));
    assert_eq!(xclient.to_string(), " HELO=a+2Bb LOGIN=a+20b+2B+3Dc+C3+A9");
    assert_eq!(ok("XCLIENT NAME=+5BUNAVAILABLE+5D").name, Some(XClientName::Unavailable));
}

#[test]
fn what_is_no_attribute_is_refused() {
    for line in ["XCLIENT", "XCLIENT "] {
        assert_eq!(refused(line), R::ArgumentMissing, "{line:?}");
    }
    for line in ["XCLIENT FOO=x", "XCLIENT NAMES=x", "XCLIENT SOURCE=LOCAL", "XCLIENT ADDR=192.0.2.1 TTL=5"] {
        assert_eq!(refused(line), R::Attribute, "{line}");
    }
    for line in ["XCLIENT  ADDR=192.0.2.1", "XCLIENT =x", "XCLIENT PORT=1  HELO=x"] {
        assert_eq!(refused(line), R::Parameter, "{line}");
    }
    for line in ["XCLIENT ADDR=192.0.2.1 ADDR=192.0.2.2", "XCLIENT name=[UNAVAILABLE] NAME=a"] {
        assert_eq!(refused(line), R::ParameterRepeated, "{line}");
    }
    assert_eq!(refused("XCLIENT HELO=a=b"), R::EndExpected);
}

#[test]
fn what_is_no_value_is_refused() {
    for attribute in [
        "NAME",
        "NAME=",
        "NAME=a+20b",
        "NAME=a+2",
        "NAME=a+5b",
        "ADDR=192.0.2",
        "ADDR=192.0.2.256",
        "ADDR=192.0.2.01",
        "ADDR=[192.0.2.1]",
        "ADDR=2001:db8::1",
        "ADDR=IPV6:192.0.2.1",
        "ADDR=IPV6:",
        "ADDR=IPV6:fe80::1%eth0",
        "ADDR=[TEMPUNAVAIL]",
        "ADDR=client.example",
        "PORT=",
        "PORT=65536",
        "PORT=-1",
        "PORT=+2B1",
        "PORT=000025",
        "PROTO=HTTP",
        "PROTO=[UNAVAILABLE]",
        "HELO=a+00b",
        "LOGIN=a+0D+0Ab",
        "LOGIN=a+FF",
        "LOGIN=a+20",
        "DESTADDR=::1",
        "DESTPORT=smtp",
    ] {
        assert_eq!(refused(format!("XCLIENT {attribute}")), R::ParameterValue, "{attribute}");
    }
    let long = format!("XCLIENT NAME={}", "a".repeat(256));
    assert_eq!(refused(&long), R::ParameterValue);
    assert!(matches!(ok(&long[..long.len() - 1]).name, Some(XClientName::Known(_))));
    assert_eq!(refused(b"XCLIENT LOGIN=\xc3\xa9"), R::ParameterValue);
}
