use proptest::prelude::*;

use super::*;

/// Each alias with its targets, by name.
fn parse(text: &str) -> Vec<(String, Vec<String>)> {
    let aliases = Aliases::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let shown = |alias: &Alias| {
        let targets = alias.targets().map(|(target, _)| target.to_string()).collect();
        (alias.name().to_owned(), targets)
    };
    let mut all: Vec<_> = aliases.iter().map(shown).collect();
    all.sort();
    all
}

/// What is wrong: the text that is marked, and the message.
fn problems(text: &str) -> Vec<(&str, String)> {
    let problems = Aliases::parse(text).expect_err("the file is wrong");
    problems.into_iter().map(|problem| (&text[problem.place], problem.error.to_string())).collect()
}

fn problem(text: &str) -> (&str, String) {
    let mut all = problems(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn alias(name: &str, targets: &[&str]) -> (String, Vec<String>) {
    (name.to_owned(), targets.iter().map(|&target| target.to_owned()).collect())
}

#[test]
fn the_file_of_a_debian_machine_is_read() {
    let text = "# /etc/aliases\nmailer-daemon: postmaster\npostmaster: root\nnobody: root\nroot: alice\n";
    assert_eq!(
        parse(text),
        [
            alias("mailer-daemon", &["postmaster"]),
            alias("nobody", &["root"]),
            alias("postmaster", &["root"]),
            alias("root", &["alice"]),
        ]
    );
}

#[test]
fn lines_go_on_where_they_begin_with_white_space() {
    let text = "team: alice,\n  bob,\n\n# not here\n   # nor here\n\tcarol@example.net\nx:y\r\n";
    assert_eq!(parse(text), [alias("team", &["alice", "bob", "carol@example.net"]), alias("x", &["y"])]);
}

#[test]
fn a_comma_at_the_end_is_forgiven() {
    assert_eq!(parse("team: alice, bob,\n"), [alias("team", &["alice", "bob"])]);
}

#[test]
fn names_and_targets_may_be_quoted() {
    let text = "\"the team\": \"odd, name\", \"a\\\"b\", \"odd user\"@example.net, \"a@b\"\n\"x:y\" : z\n";
    assert_eq!(
        parse(text),
        [alias("the team", &["odd, name", "a\"b", "\"odd user\"@example.net", "a@b"]), alias("x:y", &["z"])]
    );
}

#[test]
fn a_backslash_means_the_user() {
    let aliases = Aliases::parse("alice: \\alice, bob@example.net").unwrap();
    let alice = aliases.iter().next().unwrap();
    let targets: Vec<_> = alice.targets().map(|(target, _)| target.clone()).collect();
    assert_eq!(targets, [AliasTarget::User("alice".into()), AliasTarget::Mailbox("bob@example.net".parse().unwrap())]);
}

#[test]
fn places_are_those_of_the_text() {
    let text = "# x\n alice : bob ,\n  carol\n";
    // A first line that begins with white space begins an alias all the same.
    let aliases = Aliases::parse(text).unwrap();
    let alice = aliases.iter().next().unwrap();
    assert_eq!(&text[alice.place()], "alice");
    let places: Vec<_> = alice.targets().map(|(_, place)| &text[place]).collect();
    assert_eq!(places, ["bob", "carol"]);
}

#[test]
fn an_empty_file_has_no_aliases() {
    assert_eq!(parse(""), []);
    assert_eq!(parse("\n# nothing\n   \n"), []);
}

#[test]
fn programs_files_and_lists_are_refused_with_the_way_to_go() {
    let way = "would run a program, which local delivery never does; let the program take its mail over SMTP or LMTP, and name \
               an address here whose domain has a [[route]] to it";
    for target in ["|/usr/bin/vacation alice", "\"|/usr/bin/vacation alice, bob\"", "|x@y"] {
        assert_eq!(problem(&format!("a: {target}")).1, format!("{target:?} {way}"));
    }
    assert_eq!(
        problem("a: /var/mail/archive, bob"),
        (
            "/var/mail/archive",
            "\"/var/mail/archive\" would write to a file, which local delivery never does; name a user here, whose Maildir \
             takes the mail"
                .to_owned()
        )
    );
    for target in [":include:/etc/list", ":INCLUDE:/etc/list", "\":include:/etc/list\""] {
        assert_eq!(
            problem(&format!("a: {target}")).1,
            format!(
                "{target:?} would read targets from another file; write them here, or let a list manager take the mail over SMTP or \
                 LMTP by an address whose domain has a [[route]] to it"
            )
        );
    }
}

#[test]
fn what_is_no_alias_is_shown_at_its_place() {
    let message = |text: &'static str| problem(text);
    assert_eq!(
        message("alice bob\n"),
        ("alice bob", "an alias is written `name: target, target`; there is no colon behind a name here".to_owned())
    );
    assert_eq!(message(": bob"), ("", "there is no name before the colon".to_owned()));
    assert_eq!(message("\"\": bob"), ("\"\"", "there is no name before the colon".to_owned()));
    let no_name = "is no name: it holds at each local domain, and is written without domain and without spaces";
    assert_eq!(message("a@example.com: bob").1, format!("\"a@example.com\" {no_name}"));
    assert_eq!(message("a b: bob").1, format!("\"a b\" {no_name}"));
    assert_eq!(message("\"a\"b: bob").1, format!("\"\\\"a\\\"b\" {no_name}"));
    assert_eq!(message("a:"), (":", "a target is missing here".to_owned()));
    assert_eq!(message("a: , b"), ("", "a target is missing here".to_owned()));
    assert_eq!(message("a: b,,c"), ("", "a target is missing here".to_owned()));
    assert_eq!(message("a: \"b, c"), ("\"b, c", "the quote that is opened here is not closed".to_owned()));
    assert_eq!(message("\"a: b").1, "an alias is written `name: target, target`; there is no colon behind a name here");
    assert_eq!(
        message("a: bob carol"),
        ("bob carol", "\"bob carol\" has a space in it; targets are divided by commas".to_owned())
    );
    assert_eq!(
        message("a: \"b\" c"),
        ("\"b\" c", "\"\\\"b\\\" c\" has a space in it; targets are divided by commas".to_owned())
    );
    let (place, text) = message("a: Bob <bob@example.net>");
    assert_eq!(place, "Bob <bob@example.net>");
    assert!(text.starts_with("\"Bob <bob@example.net>\" is no address: "), "{text}");
}

#[test]
fn a_name_is_said_once() {
    assert_eq!(
        problem("a: b\n\nc: d\nA: e\n"),
        ("A", "\"A\" is an alias already, in line 1; name all targets in one place".to_owned())
    );
}

#[test]
fn all_problems_are_told() {
    let places: Vec<&str> =
        problems("a: |x, /y, b\nno colon\nc: d\n:e\n").into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, ["|x", "/y", "no colon", ""]);
}

#[test]
fn a_target_of_the_configuration_is_one_of_the_aliases_file() {
    assert_eq!(" alice ".parse(), Ok(AliasTarget::Name("alice".into())));
    assert_eq!("alice@example.net".parse(), Ok(AliasTarget::Mailbox("alice@example.net".parse().unwrap())));
    assert_eq!("".parse::<AliasTarget>(), Err(AliasError::NoTarget));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,80}|([a-c@:,\"\\\\|/# \t\r\n<>é]{1,6}){0,20}") {
        match Aliases::parse(&text) {
            Ok(aliases) => for alias in aliases.iter() {
                prop_assert!(text.get(alias.place()).is_some());
            },
            Err(problems) => for problem in problems {
                prop_assert!(text.get(problem.place.clone()).is_some(), "{:?}", problem);
                prop_assert!(!problem.error.to_string().is_empty());
            },
        }
    }
}
