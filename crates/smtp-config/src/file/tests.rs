use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::Source;
use crate::reference::{MAIL_EXCHANGER, NULL_CLIENT};

fn load(text: &str) -> Result<File, String> {
    Source::new("x.toml", text).file().map_err(|problems| problems.to_string())
}

fn message(text: &str) -> String {
    load(text).expect_err("the file is wrong")
}

#[test]
fn a_null_client_needs_two_keys() {
    let file = load(NULL_CLIENT).unwrap();
    assert_eq!(file.hostname.as_deref().map(String::as_str), Some("app1.example.com"));
    assert_eq!(file.smart_host.unwrap().to.to_string(), "submissions://smtp.example.net:465");
    assert_eq!((file.local, file.queue), (None, Queue::default()));
}

#[test]
fn a_mail_exchanger_says_the_rest() {
    let file = load(MAIL_EXCHANGER).unwrap();
    let local = file.local.unwrap();
    assert_eq!(local.domains[0].as_str(), "example.com");
    assert_eq!(local.deliver.maildir.as_ref().unwrap().as_str(), "/var/mail/{domain}/{user}");
    assert_eq!(local.subaddress_separator.as_str(), "+");
    assert_eq!(file.listener[0].service, Service::Mx);
    assert_eq!(file.listener[0].addresses[1].0, "[::]:25".parse::<SocketAddr>().unwrap());
    assert_eq!(file.listener[1].tls.as_deref(), Some(&ListenerTls::Implicit));
    assert_eq!(file.route[0].tls.as_deref(), Some(&NextHopTls::Require));
    assert_eq!(file.queue, Queue::default());
    assert_eq!(file.limits, Limits::default());
}

#[test]
fn an_empty_file_is_all_defaults() {
    assert_eq!(load("").unwrap(), File::default());
}

#[test]
fn an_unknown_key_is_shown_with_what_was_meant() {
    assert_eq!(
        message("[queue]\ndirectry = \"/q\"\nretrys = []\n[que]\n"),
        "x.toml:2:1: unknown key `directry` in [queue]; did you mean `directory`?\n  \
           |\n\
         2 | directry = \"/q\"\n  \
           | ^^^^^^^^\n\
         x.toml:3:1: unknown key `retrys` in [queue]; did you mean `retry`?\n  \
           |\n\
         3 | retrys = []\n  \
           | ^^^^^^\n\
         x.toml:4:2: unknown key `que` at the top of the file; did you mean `queue`?\n  \
           |\n\
         4 | [que]\n  \
           |  ^^^"
    );
}

#[test]
fn a_key_in_the_wrong_section_is_shown_the_right_one() {
    assert_eq!(
        message("[tls]\nhostname = \"a.example\""),
        "x.toml:2:1: unknown key `hostname` in [tls]; it belongs at the top of the file, before the first [section]\n  \
           |\n\
         2 | hostname = \"a.example\"\n  \
           | ^^^^^^^^"
    );
    assert_eq!(
        message("catch_all = \"a\""),
        "x.toml:1:1: unknown key `catch_all` at the top of the file; it belongs in [local]\n  \
           |\n\
         1 | catch_all = \"a\"\n  \
           | ^^^^^^^^^"
    );
}

#[test]
fn keys_are_checked_in_inline_tables_and_in_each_of_many() {
    assert_eq!(
        message("[local]\ndomains = []\ndeliver = { mbox = \"unix:/x\" }"),
        "x.toml:3:13: unknown key `mbox` in deliver = { … }\n  \
           |\n\
         3 | deliver = { mbox = \"unix:/x\" }\n  \
           |             ^^^^"
    );
    assert_eq!(
        message("[[route]]\nrecipients = []\nto = \"smtp://a\"\n[[route]]\nusername = 1"),
        "x.toml:5:1: unknown key `username` in [[route]]\n  \
           |\n\
         5 | username = …\n  \
           | ^^^^^^^^"
    );
}

#[test]
fn brackets_are_counted() {
    assert_eq!(
        message("[listener]\nservice = \"mx\""),
        "x.toml:1:2: write [[listener]], with two brackets: there may be several\n  \
           |\n\
         1 | [listener]\n  \
           |  ^^^^^^^^"
    );
    assert_eq!(
        message("[[queue]]"),
        "x.toml:1:3: write [queue], with one bracket: there is only one\n  \
           |\n\
         1 | [[queue]]\n  \
           |   ^^^^^"
    );
}

#[test]
fn a_missing_key_is_shown_at_its_section() {
    assert_eq!(
        message("[[listener]]\nservice = \"mx\"\n"),
        "x.toml:1:1: `addresses` is missing here\n  \
           |\n\
         1 | [[listener]]\n  \
           | ^^^^^^^^^^^^"
    );
}

#[test]
fn a_wrong_word_is_shown_with_the_right_ones() {
    assert_eq!(
        message("[[listener]]\nservice = \"mx\"\naddresses = []\ntls = \"implict\"\n"),
        "x.toml:4:7: \"implict\" is none of \"implicit\", \"starttls\", \"none\"; did you mean \"implicit\"?\n  \
           |\n\
         4 | tls = \"implict\"\n  \
           |       ^^^^^^^^^"
    );
}

#[test]
fn a_wrong_value_is_shown_at_its_place() {
    assert_eq!(
        message("[queue]\nexpire_after = \"5 days\""),
        "x.toml:2:16: \"days\" is no unit of time; take one of ms, s, m, h, d, w\n  \
           |\n\
         2 | expire_after = \"5 days\"\n  \
           |                ^^^^^^^^"
    );
    assert_eq!(
        message("[[listener]]\nservice = \"mx\"\naddresses = [\"0.0.0.0:25\",\n  \"::25\"]"),
        "x.toml:4:3: \"::25\" is no address and port; write it like \"192.0.2.1:25\" or \"[2001:db8::1]:25\" (no names here)\n  \
           |\n\
         4 |   \"::25\"]\n  \
           |   ^^^^^^"
    );
    assert_eq!(
        message("[limits]\nmessage_octets = -1"),
        "x.toml:2:18: -1 is negative; a size is not\n  \
           |\n\
         2 | message_octets = -1\n  \
           |                  ^^"
    );
}

#[test]
fn a_value_of_another_type_is_shown_with_what_is_expected() {
    assert_eq!(
        message("[queue]\nexpire_after = 5"),
        "x.toml:2:16: invalid type: integer `5`, expected a duration such as \"5m\"\n  \
           |\n\
         2 | expire_after = 5\n  \
           |                ^"
    );
    assert_eq!(
        message("limits = 5"),
        "x.toml:1:10: invalid type: integer `5`, expected a table\n  \
           |\n\
         1 | limits = 5\n  \
           |          ^"
    );
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    assert_eq!(
        message("hostname = mx.example.com\n"),
        "x.toml:1:12: string values must be quoted, expected literal string\n  \
           |\n\
         1 | hostname = mx.example.com\n  \
           |            ^^^^^^^^^^^^^^"
    );
    assert_eq!(
        message("hostname = \"a\"\nhostname = \"b\"\n"),
        "x.toml:2:1: duplicate key\n  \
           |\n\
         2 | hostname = \"b\"\n  \
           | ^^^^^^^^"
    );
}

#[test]
fn a_retry_list_ends_with_dots() {
    let retry = |list: &str| load(&format!("[queue]\nretry = {list}")).map(|file| file.queue.retry.delays().to_vec());
    let minutes = |minutes: u64| Period::seconds(minutes * 60);
    assert_eq!(retry("[\"5m\", \"…\"]"), Ok(vec![minutes(5)]));
    assert_eq!(retry("[\"5m\", \"1h\", \"...\"]"), Ok(vec![minutes(5), minutes(60)]));
    let first_line = |list: &str| retry(list).unwrap_err().lines().next().unwrap().to_owned();
    for list in ["[]", "[\"…\"]", "[\"5m\"]"] {
        assert_eq!(
            first_line(list),
            "x.toml:2:9: at least one delay and then \"…\" must stand here, like [\"5m\", \"1h\", \"…\"]"
        );
    }
    assert_eq!(
        first_line("[\"5m\", \"1h\"]"),
        "x.toml:2:9: the list must end with \"…\": the delay before it repeats until the message expires"
    );
    assert_eq!(first_line("[\"…\", \"1h\", \"…\"]"), "x.toml:2:9: \"…\" may stand only at the end of the list");
    assert_eq!(
        first_line("[\"0s\", \"…\"]"),
        "x.toml:2:9: a delay of zero would try a dead host without pause; write at least \"1ms\""
    );
    assert_eq!(
        first_line("[\"5\", \"…\"]"),
        "x.toml:2:9: \"5\" lacks a unit; write \"5s\" or \"5m\" (ms, s, m, h, d, w)"
    );
    let many = format!("[{}\"…\"]", "\"1m\", ".repeat(65));
    assert_eq!(first_line(&many), "x.toml:2:9: no more than 64 delays may stand here");
}

proptest! {
    #[test]
    fn no_text_makes_the_file_panic(text in "\\PC{0,200}|([a-z_\\[\\]{}=\"\\n .0-9,…#]{1,8}){0,30}") {
        let source = Source::new("x.toml", text);
        for problems in source.file().err().into_iter().chain(source.users().err()) {
            prop_assert!(!problems.to_string().is_empty());
        }
    }

    /// A good file with one octet range taken out or put in twice: close to what people write.
    #[test]
    fn no_damage_to_a_good_file_makes_it_panic(start in 0_usize..1800, length in 0_usize..40, doubled: bool) {
        let mut text: Vec<char> = MAIL_EXCHANGER.chars().collect();
        let start = start.min(text.len());
        let end = (start + length).min(text.len());
        let piece: Vec<char> = text.splice(start..end, []).collect();
        if doubled {
            text.splice(start..start, piece.iter().chain(&piece).copied());
        }
        if let Err(problems) = Source::new("x.toml", text.into_iter().collect::<String>()).file() {
            prop_assert!(!problems.to_string().is_empty());
        }
    }
}

#[test]
fn a_password_in_the_file_is_refused_and_not_repeated() {
    let text = "[smart_host]\nto = \"submissions://app1:wonderland@smtp.example.net\"\n";
    let problems = Source::new("a.toml", text).file().unwrap_err().to_string();
    assert!(problems.contains("a password does not stand in this file"), "{problems}");
    assert!(!problems.contains("wonderland"), "{problems}");
}

/// Whatever else is wrong with it.
#[test]
fn what_may_be_a_secret_is_not_repeated() {
    for (line, message) in [
        ("password = \"wonderland\"", "expected a table"),
        ("password = wonderland", "string values must be quoted"),
        ("password = \"wonderland", "invalid basic string"),
        ("password = {}\npassword = \"wonderland\"", "duplicate key"),
        ("password = [\"wonderland\"]", "expected a table"),
        ("password = \"\"\"\nwonderland\"\"\"", "expected a table"),
        ("password={plain=\"wonderland\"}", "unknown key `plain`"),
        ("password = { file = \"/p\", value = \"wonderland\" }", "unknown key `value`"),
        ("password.plain = \"wonderland\"", "unknown key `plain`"),
        ("password = { file = [\"wonderland\"] }", "expected path string"),
        ("token=\"wonderland\"", "expected a table"),
        ("passwd = \"wonderland\"", "unknown key `passwd`"),
        ("login = \"wonderland\"", "unknown key `login`"),
        ("to = \"tls://app1:wonderland@smtp.example.net\"", "a password does not stand in this file"),
        ("to = \"app1:wonderland@smtp.example.net\"", "a password does not stand in this file"),
        ("to = \"app1:wonderland\\u0040smtp.example.net\"", "a password does not stand in this file"),
        ("to = smtp://app1:wonderland@smtp.example.net", "string values must be quoted"),
        ("to = \"smtp://app1:wonderland@smtp.example.net/mail\"", "a password does not stand in this file"),
    ] {
        for section in ["[smart_host]", "[[route]]"] {
            let problems = self::message(&format!("{section}\n{line}\n"));
            assert!(problems.contains(message), "{line}: {problems}");
            assert!(!problems.contains("wonderland"), "{line}: {problems}");
        }
    }
    for text in [
        "smart_host = { to = \"smtp://a.example\", password = \"wonderland\" }",
        "relay_host.password = \"wonderland\"",
        "[local]\ndomains = []\ndeliver = { lmtp = \"app1:wonderland@127.0.0.1:24\" }",
    ] {
        assert!(!message(text).contains("wonderland"), "{text}: {}", message(text));
    }
}
