use super::*;

#[test]
fn xtext_has_no_plus_but_before_two_capital_hexadecimal_digits() {
    for text in ["", "abc", "a+2Bb", "+00", "e+3Dmc2@example.com", "<>", "\\x{FC}"] {
        assert!(is_xtext(text.as_bytes()), "{text}");
    }
    for text in ["+", "a+", "a+2", "a+2b", "a+GG", "a=b", "a b", "a\tb", "\u{e9}", "\x7f"] {
        assert!(!is_xtext(text.as_bytes()), "{text}");
    }
    assert!(is_xtext_or_utf8("caf\u{e9}+2B".as_bytes()));
    assert!(!is_xtext_or_utf8("caf\u{e9}+".as_bytes()));
}

#[test]
fn what_is_encoded_is_decoded() {
    let all: Vec<u8> = (0..=255).collect();
    let mut text = String::new();
    encode(&all, &mut text).unwrap();
    assert!(is_xtext(text.as_bytes()));
    assert_eq!(decode(text.as_bytes()), all);
    assert_eq!(decode(b"a+2b+"), b"a+2b+");
}

#[test]
fn unicode_is_embedded_and_taken_out_again() {
    assert_eq!(embed_unicode("m\u{fc}ller@\u{4f8b}.example"), "m\\x{FC}ller@\\x{4F8B}.example");
    for text in ["m\u{fc}ller@\u{4f8b}.example", "\u{1f4e7}", "plain@example.org"] {
        assert_eq!(unembed_unicode(&embed_unicode(text)), text);
    }
    assert_eq!(unembed_unicode("a\\x{2B}b\\x{5C}"), "a+b\\");
    for text in ["\\x{}", "\\x{D800}", "\\x{fc}", "\\x{1234567}", "\\x{41", "\\y{41}"] {
        assert_eq!(unembed_unicode(text), text);
    }
}
