use super::*;
use crate::{Client, Credentials};

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn start(mechanism: Mechanism, initial: Option<&str>) -> (Server, Step) {
    Server::start(mechanism, ChannelBindings::default(), initial.map(secret)).unwrap()
}

#[track_caller]
fn challenge(step: Step) -> String {
    let Step::Challenge(challenge) = step else { panic!("{step:?}") };
    String::from_utf8(challenge.as_bytes().to_vec()).unwrap()
}

#[track_caller]
fn password(step: Step) -> (String, String) {
    let Step::Ask(Question::Password { login, password }) = step else { panic!("{step:?}") };
    (login.to_string(), String::from_utf8(password.as_bytes().to_vec()).unwrap())
}

#[track_caller]
#[allow(clippy::needless_pass_by_value)]
fn failure(step: Step) -> Failure {
    let Step::Failed(failure) = step else { panic!("{step:?}") };
    failure
}

#[test]
fn plain_with_and_without_an_initial_response() {
    let (mut server, step) = start(Mechanism::PLAIN, None);
    assert_eq!(challenge(step), "");
    assert_eq!(password(server.respond(&secret("\0alice\0secret"))), ("alice".into(), "secret".into()));
    assert!(matches!(server.verified(true), Step::Authenticated(login) if login.as_str() == "alice"));
    let (mut server, step) = start(Mechanism::PLAIN, Some("\0alice\0wrong"));
    password(step);
    assert_eq!(failure(server.verified(false)), Failure::Credentials);
    assert_eq!(failure(server.verified(true)), Failure::Credentials, "the exchange is over");
}

#[test]
fn c06_plain_with_an_authorization_identity() {
    let own = start(Mechanism::PLAIN, Some("alice@example.org\0alice@example.org\0pw")).1;
    assert_eq!(password(own), ("alice@example.org".into(), "pw".into()));
    let (mut server, step) = start(Mechanism::PLAIN, Some("bob@example.org\0alice@example.org\0pw"));
    assert_eq!(failure(step), Failure::Identity);
    assert_eq!(server.login().unwrap().as_str(), "alice@example.org", "for the log");
    assert_eq!(failure(server.verified(true)), Failure::Credentials);
    let (server, step) = start(Mechanism::PLAIN, Some("alice@example.org\0\0pw"));
    assert_eq!(failure(step), Failure::Credentials);
    assert_eq!(server.login(), None);
}

#[test]
fn plain_that_is_none() {
    for message in ["", "alice", "\0alice", "\0alice\0pw\0", "a\0b\0c\0d"] {
        assert_eq!(failure(start(Mechanism::PLAIN, Some(message)).1), Failure::Malformed, "{message:?}");
    }
    assert_eq!(failure(start(Mechanism::PLAIN, Some("\0alice\0")).1), Failure::Credentials);
}

#[test]
fn c05_login_prompts_octet_by_octet() {
    let (mut server, step) = start(Mechanism::LOGIN, None);
    assert_eq!(challenge(step), "Username:");
    assert_eq!(challenge(server.respond(&secret("alice"))), "Password:");
    assert_eq!(password(server.respond(&secret("pw"))), ("alice".into(), "pw".into()));
    let (mut server, step) = start(Mechanism::LOGIN, Some("alice@example.com"));
    assert_eq!(challenge(step), "Password:", "an inline name skips the first prompt");
    assert_eq!(password(server.respond(&secret("pw"))), ("alice@example.com".into(), "pw".into()));
    let (mut server, step) = start(Mechanism::LOGIN, Some(""));
    assert_eq!(challenge(step), "Password:", "`=` is an empty name");
    assert_eq!(failure(server.respond(&secret("pw"))), Failure::Credentials);
}

#[test]
fn external_is_whom_the_certificate_names() {
    let alice = Login::prepare(b"alice").unwrap();
    let authorization = |step: Step| match step {
        Step::Ask(Question::Certificate { authorization }) => authorization,
        other => panic!("{other:?}"),
    };
    let (mut server, step) = start(Mechanism::EXTERNAL, Some(""));
    assert_eq!(authorization(step), None);
    assert!(matches!(server.certificate(Ok(alice.clone())), Step::Authenticated(login) if login == alice));
    assert_eq!(server.login(), Some(&alice));
    let (mut server, step) = start(Mechanism::EXTERNAL, Some("alice"));
    assert_eq!(authorization(step), Some(alice.clone()));
    assert!(matches!(server.certificate(Ok(alice.clone())), Step::Authenticated(_)));
    for refused in [Failure::Identity, Failure::Credentials] {
        let (mut server, _) = start(Mechanism::EXTERNAL, Some("bob"));
        assert_eq!(failure(server.certificate(Err(refused))), refused);
        assert_eq!(server.login().map(Login::as_str), Some("bob"), "for the log");
        assert_eq!(failure(server.certificate(Ok(alice.clone()))), Failure::Credentials, "it is over");
    }
}

/// RFC 4422 appendix A.1: no NUL in the authorization identity. Nothing is asked about it.
#[test]
fn external_takes_no_name_that_is_none() {
    for name in ["alice\0", "a\u{7}", &"x".repeat(256)] {
        let (_, step) = start(Mechanism::EXTERNAL, Some(name));
        assert_eq!(failure(step), Failure::Identity, "{name:?}");
    }
}

/// RFC 4954 §4: without an initial response the challenge is empty.
#[test]
fn external_without_an_initial_response_is_asked_for_it() {
    let (mut server, step) = start(Mechanism::EXTERNAL, None);
    assert!(matches!(step, Step::Challenge(challenge) if challenge.is_empty()));
    assert!(matches!(server.respond(&secret("")), Step::Ask(Question::Certificate { authorization: None })));
}

#[test]
fn a_client_of_each_mechanism_gets_in() {
    let bindings = ChannelBindings { exporter: Some(Box::new([1; 32])), server_end_point: None };
    let (name, right) = (Login::prepare(b"alice").unwrap(), secret("wonderland"));
    let credentials = Credentials::Password { login: name.clone(), password: right.clone() };
    let keys = ScramKeys::make(&right);
    let all = [Mechanism::PLAIN, Mechanism::LOGIN, Mechanism::SCRAM_SHA_256, Mechanism::SCRAM_SHA_256_PLUS];
    for mechanism in all {
        let (mut client, initial) = Client::start(mechanism, &all, &credentials, &bindings).unwrap();
        let (mut server, mut step) = Server::start(mechanism, bindings.clone(), initial).unwrap();
        let login = loop {
            step = match step {
                Step::Challenge(challenge) => server.respond(&client.respond(challenge.as_bytes()).unwrap()),
                Step::Ask(Question::Password { password, .. }) => server.verified(password == right),
                Step::Ask(Question::Keys { .. }) => server.keys(keys.clone()),
                Step::Ask(Question::Certificate { .. }) => panic!("{mechanism}"),
                Step::Authenticated(login) => break login,
                Step::Failed(failure) => panic!("{mechanism}: {failure}"),
            };
        };
        assert_eq!(login, name);
        assert_eq!(client.authenticated(), Ok(()));
    }
}

#[test]
fn other_mechanisms_are_not_known() {
    for mechanism in [Mechanism::OAUTHBEARER, Mechanism::XOAUTH2, "CRAM-MD5".parse().unwrap()] {
        assert_eq!(Server::start(mechanism, ChannelBindings::default(), None).unwrap_err(), UnknownMechanism);
    }
}

#[test]
fn nothing_secret_is_shown() {
    let (server, step) = start(Mechanism::PLAIN, Some("\0alice\0wonderland"));
    assert!(!format!("{server:?} {step:?}").contains("wonderland"));
    let octets = format!("{:?}", b"wonderland");
    assert!(!format!("{server:?} {step:?}").contains(&octets[1..octets.len() - 1]));
}
