use super::*;

const NO_SUCH_USER: Reply = Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, EnhancedStatus::new(5, 1, 1), "No such user");

fn encoded(reply: &Reply) -> String {
    let mut output = BytesMut::new();
    reply.encode(&mut output);
    String::from_utf8(output.to_vec()).unwrap()
}

#[test]
fn one_line_is_one_line() {
    assert_eq!(encoded(&NO_SUCH_USER), "550 5.1.1 No such user\r\n");
    assert_eq!(encoded(&Reply::without_status(ReplyCode::START_MAIL_INPUT, "Go on")), "354 Go on\r\n");
    assert_eq!(NO_SUCH_USER.class(), ReplyClass::Permanent);
}

#[test]
fn a_newline_starts_a_line_with_code_and_status() {
    let reply = NO_SUCH_USER.with_text("No such user\n\nAsk postmaster").unwrap();
    assert_eq!(encoded(&reply), "550-5.1.1 No such user\r\n550-5.1.1\r\n550 5.1.1 Ask postmaster\r\n");
    assert_eq!(reply.to_string(), "550 5.1.1 No such user  Ask postmaster");
}

#[test]
fn a_reply_may_be_without_text() {
    assert_eq!(encoded(&Reply::without_status(ReplyCode::OK, "")), "250\r\n");
    assert_eq!(encoded(&Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 0, 0), "")), "250 2.0.0\r\n");
}

#[test]
fn text_with_controls_or_beyond_ascii_is_refused() {
    for (text, offset) in [("a\rb", 1), ("\0", 0), ("ok\n\r\n250 x", 3), ("tab\t", 3), ("gr\u{fc}n", 2), ("\x7f", 0)] {
        assert_eq!(NO_SUCH_USER.with_text(text), Err(ReplyError { offset }), "{text:?}");
    }
}

#[test]
fn long_lines_are_continued_at_a_space() {
    let text = "word ".repeat(300);
    let reply = NO_SUCH_USER.with_text(text.trim_end()).unwrap();
    let encoded = encoded(&reply);
    let lines: Vec<&str> = encoded.split_terminator("\r\n").collect();
    assert!(lines.len() >= 3 && lines.iter().all(|line| line.len() + 2 <= 512), "{lines:?}");
    assert!(lines.iter().all(|line| line.ends_with("word")));
    let joined: Vec<&str> = lines.iter().map(|line| &line["550-5.1.1 ".len()..]).collect();
    assert_eq!(joined.join(" "), text.trim_end());
}

#[test]
fn a_long_word_is_cut() {
    let reply = NO_SUCH_USER.with_text("x".repeat(1002)).unwrap();
    let encoded = encoded(&reply);
    let lines: Vec<&str> = encoded.split_terminator("\r\n").collect();
    assert_eq!(lines.iter().map(|line| line.len() + 2).collect::<Vec<_>>(), [512, 512, 14]);
    assert!(lines[0].starts_with("550-5.1.1 x") && lines[2].starts_with("550 5.1.1 x"));
}

#[test]
#[should_panic(expected = "class")]
fn the_status_must_be_of_the_class_of_the_code() {
    let _ = Reply::new(ReplyCode::OK, EnhancedStatus::new(5, 1, 1), "");
}

#[test]
#[should_panic(expected = "printable ASCII")]
fn a_text_in_the_source_is_checked_too() {
    let _ = Reply::without_status(ReplyCode::OK, "a\r\nb");
}

#[test]
fn codes_have_classes() {
    let class = |number| ReplyCode::from_number(number).map(ReplyCode::class);
    assert_eq!(class(298), Some(ReplyClass::Completion));
    assert_eq!(class(399), Some(ReplyClass::Intermediate));
    assert_eq!(class(400), Some(ReplyClass::Transient));
    assert_eq!(class(599), Some(ReplyClass::Permanent));
    assert_eq!((class(199), class(600)), (None, None));
}
