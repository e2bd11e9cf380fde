use std::time::Duration;

use smtp_proto::ChannelBindings;

use super::*;

const LIMITS: GuardLimits = GuardLimits {
    failures_per_client: 3,
    failures_per_login: 5,
    lockout: Duration::from_mins(15),
    failure_delay: Duration::ZERO,
};

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn login(name: &str) -> Login {
    Login::prepare(name.as_bytes()).unwrap()
}

fn user(name: &str, keys: bool) -> UserCredentials {
    UserCredentials {
        user: LocalUser::new(name),
        password: Some(PasswordHash::make(&secret(name))),
        keys: keys.then(|| ScramKeys::make(&secret(name))),
        certificates: Vec::new(),
    }
}

fn credentials(users: &[(&str, bool)]) -> Credentials {
    let mut credentials = Credentials::new(LIMITS, 1, false);
    credentials.set_domains(&["Example.org".parse().unwrap()]);
    for (name, keys) in users {
        credentials.add(user(name, *keys), &[login(name), login(&format!("{name}@example.org"))]).unwrap();
    }
    credentials
}

#[tokio::test]
async fn a_login_is_a_name_or_an_address_in_any_case() {
    let credentials = credentials(&[("alice", true), ("bob", true)]);
    for name in ["alice", "Alice", "alice@example.org", "ALICE@Example.Org"] {
        assert!(credentials.verify(&login(name), secret("alice")).await, "{name}");
        assert_eq!(credentials.user(&login(name)).unwrap().as_str(), "alice");
    }
    for (name, password) in [("alice", "bob"), ("alice", "Alice"), ("carol", "alice"), ("alice@example.com", "alice")] {
        assert!(!credentials.verify(&login(name), secret(password)).await, "{name}");
    }
}

#[test]
fn failures_are_counted_for_the_user_however_the_login_is_written() {
    let credentials = credentials(&[("alice", false)]);
    for written in ["alice", "ALICE", "Alice@example.org"] {
        assert_eq!(&*credentials.guarded_name(&login(written)), "alice");
    }
    assert_eq!(credentials.guarded_name(&login("Nobody")), credentials.guarded_name(&login("nobody")));
}

#[test]
fn a_login_belongs_to_one_user() {
    let mut credentials = credentials(&[("alice", true)]);
    let error = credentials.add(user("bob", true), &[login("Alice@example.org")]).unwrap_err();
    assert_eq!(error, "another user logs in as \"Alice@example.org\" already");
}

#[test]
fn c07_only_mechanisms_that_can_succeed_are_offered() {
    let names = |users: &[(&str, bool)], tls: Option<&TlsFacts>| -> Vec<String> {
        credentials(users).mechanisms(tls).iter().map(ToString::to_string).collect()
    };
    let bindings = ChannelBindings { exporter: Some(Box::new([0; 32])), server_end_point: None };
    let bound = TlsFacts { channel_bindings: bindings, ..TlsFacts::default() };
    assert_eq!(names(&[], Some(&bound)), [""; 0]);
    assert_eq!(names(&[("alice", true), ("bob", false)], Some(&bound)), ["PLAIN", "LOGIN"]);
    assert_eq!(names(&[("alice", true)], Some(&TlsFacts::default())), ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
    assert_eq!(names(&[("alice", true)], Some(&bound))[0], "SCRAM-SHA-256-PLUS");
}

#[test]
fn nobody_is_asked_for_the_password_as_somebody_is() {
    let mut credentials = credentials(&[]);
    let keys = ScramKeys::make(&secret("alice")).expose().replace("$4096:", "$10000:");
    let keys = ScramKeys::parse(&keys).unwrap();
    let logins = ["alice", "alice@example.org"].map(login);
    credentials.add(UserCredentials { keys: Some(keys.clone()), ..user("alice", false) }, &logins).unwrap();
    let exposed = |name: &str| credentials.keys(&login(name)).expose();
    for name in ["alice", "nobody"] {
        let first = exposed(name);
        for same in [name.to_uppercase(), format!("{name}@example.org"), format!("{name}@EXAMPLE.org")] {
            assert_eq!(exposed(&same), first, "{same}");
        }
        assert!(first.starts_with("SCRAM-SHA-256$10000:") && first.len() == keys.expose().len(), "{first}");
        assert_ne!(exposed(&format!("{name}@example.net")), first, "of another domain");
    }
    assert_ne!(exposed("nobody"), exposed("alice"));
}

#[test]
fn nothing_secret_is_shown() {
    assert!(!format!("{:?}", credentials(&[("alice", true)])).contains('$'));
}
