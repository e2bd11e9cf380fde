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
    let number = Source::new("users.toml", "[alice]\npassword = 424242\n").users().unwrap_err().to_string();
    assert!(!number.contains("424242") && number.contains("expected"), "{number}");
}
