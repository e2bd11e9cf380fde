use super::*;

fn encoded(octets: &[u8]) -> String {
    let mut output = BytesMut::new();
    encode(octets, &mut output);
    String::from_utf8(output.to_vec()).unwrap()
}

/// RFC 4648 §10.
#[test]
fn the_vectors_of_the_rfc() {
    for (octets, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(encoded(octets.as_bytes()), text);
        assert_eq!(decode(text.as_bytes()).as_deref(), Ok(octets.as_bytes()));
    }
}

#[test]
fn every_octet_goes_through() {
    let all: Vec<u8> = (0..=255).collect();
    for length in 0..all.len() {
        let octets = &all[all.len() - length..];
        assert_eq!(decode(encoded(octets).as_bytes()).as_deref(), Ok(octets));
    }
}

/// RFC 4954 §4: nothing outside of the alphabet is skipped, and padding stands at the end only.
#[test]
fn nothing_is_skipped_or_guessed() {
    for (text, at) in [
        ("=AAA", 0),
        ("AAA=BBB", 7),
        ("AAA=BBBB", 3),
        ("A", 1),
        ("AA", 2),
        ("AAA", 3),
        ("A===", 1),
        ("====", 0),
        ("==", 2),
        ("=", 1),
        ("Zg==Zg==", 2),
        ("Zm9v Zm9", 4),
        ("Zm9v\r\nZm", 4),
        ("Zm-_", 2),
        ("\u{e9}\u{e9}", 0),
        ("Zm9\0", 3),
    ] {
        assert_eq!(decode(text.as_bytes()), Err(at), "{text:?}");
    }
}

/// RFC 4648 §3.5: else one value would have sixteen texts.
#[test]
fn bits_that_belong_to_no_octet_are_zero() {
    assert_eq!(decode(b"Zh=="), Err(1));
    assert_eq!(decode(b"Zm9="), Err(2));
}
