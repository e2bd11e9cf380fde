//! Files as they are found on a disk.
#![allow(clippy::unwrap_used)]

use std::fs;

use smtp_config::{Problem, SOURCE_OCTETS_MAX, Source};

#[test]
fn a_file_that_cannot_be_read_says_so_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("smtp-server.toml");
    let shown = path.display().to_string();
    assert_eq!(Source::read(&path).unwrap_err().to_string(), format!("{shown} does not exist"));

    fs::write(&path, b"a = 1\nb = \"\xff\"\n").unwrap();
    assert_eq!(
        Source::read(&path).unwrap_err().to_string(),
        format!("{shown}:2: the line is not UTF-8; save the file in that encoding")
    );

    let folder_path = folder.path().display().to_string();
    assert_eq!(
        Source::read(folder.path()).unwrap_err().to_string(),
        format!("{folder_path} cannot be read: Is a directory (os error 21)")
    );

    fs::File::create(&path).unwrap().set_len(SOURCE_OCTETS_MAX + 1).unwrap();
    assert_eq!(
        Source::read(&path).unwrap_err().to_string(),
        format!("{shown} is longer than 16777216 octets, which no such file should be")
    );
}

#[test]
fn paths_are_relative_to_the_file() {
    let source = Source::new("/etc/smtp-server/smtp-server.toml", "");
    assert_eq!(source.resolve("users.toml"), std::path::Path::new("/etc/smtp-server/users.toml"));
    assert_eq!(source.resolve("/etc/aliases"), std::path::Path::new("/etc/aliases"));
    assert_eq!(Source::new("a.toml", "").resolve("users.toml"), std::path::Path::new("users.toml"));
}

#[test]
fn the_users_file_has_a_table_for_each_user() {
    let text = "[alice]\naddresses = [\"alice@example.com\"]\n[bob]\n";
    let users = Source::new("users.toml", text).users().unwrap();
    let names: Vec<(&str, usize)> =
        users.0.iter().map(|(name, user)| (name.as_str(), user.addresses.as_ref().map_or(0, Vec::len))).collect();
    assert_eq!(names, [("alice", 1), ("bob", 0)]);
    let places: Vec<_> = users.0.keys().map(|name| name.place().map(|place| &text[place])).collect();
    assert_eq!(places, [Some("alice"), Some("bob")]);
}

#[test]
fn an_unknown_key_of_a_user_is_shown_with_what_was_meant() {
    let problems = Source::new("users.toml", "[alice]\nadresses = [\"a@b\"]\npassword = \"x\"\npasword = \"s3cret\"\n")
        .users()
        .unwrap_err();
    assert_eq!(
        problems.to_string(),
        "users.toml:2:1: unknown key `adresses` in [alice]; did you mean `addresses`?\n  \
           |\n\
         2 | adresses = …\n  \
           | ^^^^^^^^\n\
         users.toml:4:1: unknown key `pasword` in [alice]; did you mean `password`?\n  \
           |\n\
         4 | pasword = …\n  \
           | ^^^^^^^"
    );
    let problems = Source::new("users.toml", "alice = 1").users().unwrap_err();
    assert_eq!(
        problems.to_string(),
        "users.toml:1:9: expected a table\n  \
           |\n\
         1 | alice = …\n  \
           | ^^^^^"
    );
}

#[test]
fn the_caret_stands_under_what_is_meant() {
    let source = Source::new("a", "key = 1\n\tnäme\t= \u{1b}[31m\r\nlast");
    let at = |text: &str| {
        let start = source.text().find(text).unwrap();
        source.problem(Some(start..start + text.len()), "here").to_string()
    };
    assert_eq!(at("näme"), "a:2:2: here\n  |\n2 |  näme = \u{fffd}[31m\n  |  ^^^^");
    assert_eq!(at("last"), "a:3:1: here\n  |\n3 | last\n  | ^^^^");
    assert_eq!(source.problem(Some(999..1000), "end").to_string(), "a:3:5: end\n  |\n3 | last\n  |     ^");
    assert_eq!(source.problem(None, "whole").to_string(), "a: whole");
    assert_eq!(Problem::of_file("b", "gone").summary(), "b: gone");
}

#[test]
fn a_long_line_is_shown_around_the_place() {
    let line = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
    let problem = Source::new("x", line).problem(Some(500..504), "m").to_string();
    let shown = format!("{}HERE{}", "a".repeat(60), "b".repeat(56));
    assert_eq!(problem, format!("x:1:501: m\n  |\n1 | {shown}\n  | {:60}^^^^", ""));
}
