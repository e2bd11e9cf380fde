use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn period(text: &str) -> Result<Duration, String> {
    text.parse::<Period>().map(|period| period.0).map_err(|error| error.to_string())
}

fn size(text: &str) -> Result<u64, String> {
    text.parse::<Size>().map(|size| size.0).map_err(|error| error.to_string())
}

fn next_hop(text: &str) -> Result<String, String> {
    text.parse::<NextHopUrl>().map(|url| url.to_string()).map_err(|error| error.to_string())
}

fn listen(text: &str) -> Result<String, String> {
    text.parse::<ListenAddress>().map(|address| address.to_string()).map_err(|error| error.to_string())
}

#[test]
fn durations_are_numbers_with_units() {
    assert_eq!(period("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(period("5m"), Ok(Duration::from_mins(5)));
    assert_eq!(period(" 1h 30m "), Ok(Duration::from_mins(90)));
    assert_eq!(period("1h30m"), Ok(Duration::from_mins(90)));
    assert_eq!(period("1w 1d"), Ok(Duration::from_hours(192)));
    assert_eq!(period("0s"), Ok(Duration::ZERO));
}

#[test]
fn a_wrong_duration_says_what_to_write() {
    let message = |text| period(text).unwrap_err();
    assert_eq!(message(""), "an empty text is no duration; write a number and a unit, like \"5m\"");
    assert_eq!(message("5"), "\"5\" lacks a unit; write \"5s\" or \"5m\" (ms, s, m, h, d, w)");
    assert_eq!(message("soon"), "\"soon\" is no duration; write numbers and units, like \"1h 30m\"");
    assert_eq!(message("-5m"), "\"-5m\" is no duration; write numbers and units, like \"1h 30m\"");
    assert_eq!(message("5 minutes"), "\"minutes\" is no unit of time; take one of ms, s, m, h, d, w");
    assert_eq!(message("11y"), "\"y\" is no unit of time; take one of ms, s, m, h, d, w");
    assert_eq!(message("4000d"), "\"4000d\" is longer than ten years");
    assert_eq!(message("99999999999999999999w"), "\"99999999999999999999w\" is longer than ten years");
    assert_eq!(message("18446744073709551615w"), "\"18446744073709551615w\" is longer than ten years");
}

#[test]
fn sizes_are_numbers_with_units() {
    assert_eq!(size("25 MiB"), Ok(25 << 20));
    assert_eq!(size("25MiB"), Ok(25 << 20));
    assert_eq!(size("10 MB"), Ok(10_000_000));
    assert_eq!(size("512"), Ok(512));
    assert_eq!(size("512 B"), Ok(512));
}

#[test]
fn a_wrong_size_says_what_to_write() {
    let message = |text| size(text).unwrap_err();
    assert_eq!(message("big"), "\"big\" is no size; write a whole number and a unit, like \"25 MiB\"");
    assert_eq!(message("1.5 GiB"), "\".5 GiB\" is no unit of size; take one of B, KiB, MiB, GiB, TiB");
    assert_eq!(message("25M"), "\"M\" is no unit of size; did you mean \"MiB\"?");
    assert_eq!(message("25 mib"), "\"mib\" is no unit of size; did you mean \"MiB\"?");
    assert_eq!(message("99999999999 TiB"), "\"99999999999 TiB\" is larger than any file");
}

#[test]
fn a_next_hop_is_a_scheme_a_host_and_a_port() {
    assert_eq!(next_hop("smtp://Relay.Example.net."), Ok("smtp://relay.example.net:25".to_owned()));
    assert_eq!(next_hop("smtp://10.0.0.5:2525"), Ok("smtp://10.0.0.5:2525".to_owned()));
    assert_eq!(next_hop("smtp://[2001:db8::1]"), Ok("smtp://[2001:db8::1]:25".to_owned()));
    assert_eq!(next_hop("smtp://[2001:db8::1]:26"), Ok("smtp://[2001:db8::1]:26".to_owned()));
    assert_eq!(next_hop("submission://localhost"), Ok("submission://localhost:587".to_owned()));
    assert_eq!(next_hop("submissions://mail_1.internal"), Ok("submissions://mail_1.internal:465".to_owned()));
    assert_eq!(next_hop("smtps://a"), Ok("smtps://a:465".to_owned()));
}

#[test]
fn a_wrong_next_hop_says_what_to_write() {
    let message = |text| next_hop(text).unwrap_err();
    assert_eq!(message("relay:25"), "\"relay:25\" is no next hop; write it like \"smtp://relay.example.net:25\"");
    assert_eq!(
        message("smpt://relay"),
        "\"smpt\" is none of \"smtp\", \"submission\", \"submissions\", \"smtps\", \"lmtp\"; did you mean \"smtp\"?"
    );
    assert_eq!(
        message("http://relay"),
        "\"http\" is none of \"smtp\", \"submission\", \"submissions\", \"smtps\", \"lmtp\""
    );
    assert_eq!(next_hop("smtp://a%3a%25%C3%A9@b@c.example").as_deref(), Ok("smtp://a%3A%25%C3%A9@b@c.example:25"));
    for wrong in ["", "%4", "%zz", "%ff", "a b", "a/b", "\u{e9}"] {
        let text = format!("submissions://{wrong}@smtp.example.net").parse::<NextHopUrl>().unwrap_err().to_string();
        assert!(text.starts_with(&format!("{wrong:?} is no user name; ")), "{text}");
    }
    let text = message("submissions://app1:wonderland@smtp.example.net");
    assert!(text.starts_with("a password does not stand in this file: ") && !text.contains("wonderland"), "{text}");
    assert_eq!(message("lmtp://a:25"), "\"lmtp://a:25\": LMTP is never spoken on port 25 (RFC 2033 §5)");
    assert_eq!(message("smtp://relay/"), "\"smtp://relay/\" has a path; a next hop is a host and a port only");
    assert_eq!(message("smtp://relay:0"), "\"smtp://relay:0\" has no port from 1 to 65535 behind its last colon");
    assert_eq!(message("smtp://relay:smtp"), "\"smtp://relay:smtp\" has no port from 1 to 65535 behind its last colon");
    assert_eq!(
        message("smtp://2001:db8::1"),
        "\"smtp://2001:db8::1\": an IPv6 address stands in brackets, like \"smtp://[2001:db8::1]:25\""
    );
    assert_eq!(message("smtp://[10.0.0.1]"), "\"smtp://[10.0.0.1]\": \"10.0.0.1\" is no IPv6 address");
    assert_eq!(message("smtp://a b"), "\"smtp://a b\": \"a b\" is no host name and no address");
    assert_eq!(message("smtp://"), "\"smtp://\": \"\" is no host name and no address");
    assert_eq!(message("smtp://-a.example"), "\"smtp://-a.example\": \"-a.example\" is no host name and no address");
}

#[test]
fn a_listener_has_an_address_and_a_port() {
    assert_eq!(listen("0.0.0.0:25"), Ok("0.0.0.0:25".to_owned()));
    assert_eq!(listen("[::]:25"), Ok("[::]:25".to_owned()));
    let all = "names no address; write \"0.0.0.0:25\" and \"[::]:25\" for all of them";
    for text in ["25", ":25", "*:25"] {
        assert_eq!(listen(text), Err(format!("{text:?} {all}")));
    }
    assert_eq!(
        listen("localhost:25").unwrap_err(),
        "\"localhost:25\" is no address and port; write it like \"192.0.2.1:25\" or \"[2001:db8::1]:25\" (no names here)"
    );
}

#[test]
fn a_file_mode_is_octal() {
    assert_eq!("0660".parse(), Ok(FileMode(0o660)));
    assert_eq!("600".parse(), Ok(FileMode(0o600)));
    for text in ["", "660x", "0888", "1777", "+660", "07777"] {
        let error = text.parse::<FileMode>().unwrap_err();
        assert_eq!(error.to_string(), format!("{text:?} is no file mode; write it in octal, like \"0660\""));
    }
}

proptest! {
    #[test]
    fn a_duration_reads_back_as_shown(milliseconds in 0_u64..300_000_000_000) {
        let period = Period(Duration::from_millis(milliseconds));
        prop_assert_eq!(period.to_string().parse(), Ok(period));
    }

    #[test]
    fn a_size_reads_back_as_shown(octets: u64) {
        prop_assert_eq!(Size(octets).to_string().parse(), Ok(Size(octets)));
    }

    #[test]
    fn a_next_hop_reads_back_as_shown(text in "(smtp|submission|submissions|smtps)://(([a-z@.+!]|%[0-7][0-9A-F]|%C3%A9){1,10}@)?([a-z0-9.-]{1,20}|\\[[0-9a-f:]{2,20}\\])(:[0-9]{1,5})?") {
        if let Ok(url) = text.parse::<NextHopUrl>() {
            prop_assert_eq!(url.to_string().parse(), Ok(url));
        }
    }

    #[test]
    fn no_text_makes_a_value_panic(text in "[0-9a-zA-Z:/.@\\[\\] +*µ…-]{0,40}|\\PC{0,20}") {
        let _ = text.parse::<Period>();
        let _ = text.parse::<Size>();
        let _ = text.parse::<NextHopUrl>();
        let _ = text.parse::<ListenAddress>();
        let _ = text.parse::<FileMode>();
    }
}

#[test]
fn a_place_for_lmtp_is_a_socket_or_a_host_with_its_port() {
    let read =
        |text: &str| text.parse::<LmtpAddress>().map(|place| place.to_string()).map_err(|error| error.to_string());
    for (text, shown) in [
        ("unix:/run/dovecot/lmtp", "unix:/run/dovecot/lmtp"),
        ("127.0.0.1:2003", "127.0.0.1:2003"),
        ("Mail.example", "mail.example:24"),
        ("[::1]:24", "[::1]:24"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(shown));
    }
    assert_eq!(read("unix:lmtp").unwrap_err(), "\"unix:lmtp\": the path of a socket begins with a slash");
    for text in ["/run/dovecot/lmtp", "mail.example:25", "lmtp://a:24", ""] {
        assert!(read(text).unwrap_err().contains("unix:/run/dovecot/lmtp"), "{text}");
    }
}

#[test]
fn a_next_hop_may_have_a_user() {
    for (written, user, host, port) in [
        ("submissions://app1@smtp.example.net", "app1", "smtp.example.net", 465),
        ("submission://alice@example.com@smtp.example.net:2587", "alice@example.com", "smtp.example.net", 2587),
        ("smtp://a%20b%3a%C3%A9@[2001:db8::1]", "a b:\u{e9}", "[2001:db8::1]", 25),
    ] {
        let hop: NextHopUrl = written.parse().unwrap();
        assert_eq!((hop.user.as_deref(), hop.host.to_string(), hop.port), (Some(user), host.to_owned(), port));
    }
    assert!("alice@127.0.0.1:24".parse::<LmtpAddress>().is_err());
}
