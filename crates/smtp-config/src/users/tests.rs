use crate::Source;

#[test]
fn what_logs_in_is_read_and_not_shown() {
    let source =
        Source::new("users.toml", "[alice]\npassword = \"$argon2id$x\"\nscram_sha_256 = \"SCRAM-SHA-256$y\"\n[bob]\n");
    let users = source.users().unwrap();
    let alice = users.0.values().next().unwrap();
    assert_eq!(alice.password.as_ref().unwrap().expose(), "$argon2id$x");
    assert_eq!(alice.scram_sha_256.as_ref().unwrap().expose(), "SCRAM-SHA-256$y");
    assert!(!format!("{users:?}").contains("argon2id"));
    assert_eq!(users.0.values().nth(1).unwrap().password, None);
}

#[test]
fn a_password_is_in_no_problem_however_it_is_written() {
    let cases = [
        "[alice]\npassword = s3cret\n",
        "[alice]\npassword = \"s3cret\n",
        "[alice]\npasword = \"s3cret\"\n",
        "[alice]\npassword = [\"s3cret\"]\n",
        "[alice]\npassword = { plain = \"s3cret\" }\n",
        "[alice]\npassword = \"\"\"\ns3cret\n\" \"\"\" x\n",
        "[alice]\npassword = \"x\"\npassword = \"s3cret\"\n",
        "alice = \"s3cret\"\n",
    ];
    for text in cases {
        let problems = Source::new("users.toml", text).users().unwrap_err().to_string();
        assert!(!problems.contains("s3cret"), "{text}: {problems}");
        assert!(problems.starts_with("users.toml:"), "{problems}");
    }
    for text in [
        "[alice] password: \"s3cret\"\n",
        "[alice] password: s3cret\n",
        "[alice]\naddresses \"a@example.org\" password = \"s3cret\"\n",
        "[alice]\naddresses = [\"a@example.org\"] password \"s3cret\"\n",
        "[alice]\naddresses = [\"a@example.org\"] # s3cret ]\npasword = \"x\"\naddresses = 1\n",
        "[alice]\npassword \"s3cret = \"\n",
        "[alice]\nscram_sha_256 = \"\"\"SCRAM-SHA-256$4096:\ns3cret=:\"\n\"\"\" x\ns3cret=:\"\n",
    ] {
        let problems = Source::new("users.toml", text).users().unwrap_err().to_string();
        assert!(!problems.contains("s3cret"), "{text}: {problems}");
    }
    let number = Source::new("users.toml", "[alice]\npassword = 424242\n").users().unwrap_err().to_string();
    assert!(!number.contains("424242") && number.contains("expected"), "{number}");
}

/// The parser finds the fault at the end of the line, and only what is around it is shown.
#[test]
fn of_a_long_line_no_key_is_read_out_of_the_middle() {
    let keys = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    for line in [
        format!("scram_sha_256 = \"{keys}"),
        format!("scram_sha_256 = {keys} = \"x"),
        format!("scram_sha_256 = \"{keys}\" x"),
        format!("scram_sha_256 {keys}"),
        keys.to_owned(),
    ] {
        let problems = Source::new("users.toml", format!("[alice]\n{line}\n")).users().unwrap_err().to_string();
        let shown = |start: usize| keys.get(start..start + 6).is_some_and(|part| problems.contains(part));
        // What all keys begin with may stand in a message.
        assert!(!(14..keys.len()).any(shown), "{problems}");
    }
}

#[test]
fn what_is_no_secret_is_shown_with_its_place() {
    let shown = |text: &str| {
        let problems = Source::new("users.toml", text).users().unwrap_err().to_string();
        problems.lines().nth(2).unwrap().to_owned()
    };
    assert_eq!(shown("[alice]\n[alice]\n"), "2 | [alice]");
    assert_eq!(shown("[alice]\naddresses = [\"a@example.org\", 1]\n"), "2 | addresses = [\"a@example.org\", 1]");
    assert_eq!(shown("[alice]\n  password = [\"x\"]\n"), "2 | password = …");
}

#[test]
fn the_text_of_the_file_is_not_in_its_debug() {
    let source = Source::new("users.toml", "[alice]\npassword = \"wonderland\"\n");
    let shown = format!("{source:?}");
    assert!(shown.contains("users.toml") && !shown.contains("wonderland"), "{shown}");
}
