use super::*;

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn login(name: &str) -> Login {
    Login::prepare(name.as_bytes()).unwrap()
}

fn password() -> Credentials {
    Credentials::Password { login: login("tim"), password: secret("tanstaaftanstaaf") }
}

fn token(name: &str) -> Credentials {
    Credentials::Token { login: login(name), token: secret("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==") }
}

fn start(mechanism: Mechanism, credentials: &Credentials) -> (Client, Option<Secret>) {
    Client::start(mechanism, &[mechanism], credentials, &ChannelBindings::default()).unwrap()
}

#[test]
fn plain_of_rfc_4616_section_4() {
    let (mut client, initial) = start(Mechanism::PLAIN, &password());
    assert_eq!(initial.unwrap().as_bytes(), b"\0tim\0tanstaaftanstaaf");
    assert_eq!(client.respond(b"").unwrap_err(), ClientError::Challenge);
    assert_eq!(client.authenticated(), Ok(()));
}

#[test]
fn login_answers_whatever_it_is_asked() {
    let (mut client, initial) = start(Mechanism::LOGIN, &password());
    assert!(initial.is_none());
    assert_eq!(client.respond(b"User Name\0").unwrap().as_bytes(), b"tim");
    assert_eq!(client.respond(b"Password\0").unwrap().as_bytes(), b"tanstaaftanstaaf");
    assert_eq!(client.respond(b"Again:").unwrap_err(), ClientError::Challenge);
}

#[test]
fn oauthbearer_of_rfc_7628_section_4() {
    let (mut client, initial) = start(Mechanism::OAUTHBEARER, &token("user@example.com"));
    assert_eq!(
        initial.unwrap().as_bytes(),
        b"n,a=user@example.com,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
    );
    assert_eq!(client.respond(b"{\"status\":\"invalid_token\"}").unwrap().as_bytes(), b"\x01");
    assert_eq!(client.respond(b"").unwrap_err(), ClientError::Challenge);
}

#[test]
fn xoauth2_answers_the_failure_with_nothing() {
    let (mut client, initial) = start(Mechanism::XOAUTH2, &token("a=b,c@example.com"));
    assert_eq!(
        initial.unwrap().as_bytes(),
        b"user=a=b,c@example.com\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
    );
    assert!(client.respond(b"{\"status\":\"401\"}").unwrap().is_empty());
}

#[test]
fn the_best_mechanism_is_chosen() {
    let all = [
        Mechanism::LOGIN,
        Mechanism::PLAIN,
        Mechanism::SCRAM_SHA_256,
        Mechanism::SCRAM_SHA_256_PLUS,
        Mechanism::XOAUTH2,
        Mechanism::OAUTHBEARER,
        Mechanism::EXTERNAL,
    ];
    let (none, bound) =
        (ChannelBindings::default(), ChannelBindings { exporter: Some(Box::new([0; 32])), ..Default::default() });
    assert_eq!(Client::choose(&all, &password(), &bound), Some(Mechanism::SCRAM_SHA_256_PLUS));
    assert_eq!(Client::choose(&all, &password(), &none), Some(Mechanism::SCRAM_SHA_256));
    assert_eq!(Client::choose(&all[..2], &password(), &bound), Some(Mechanism::PLAIN));
    assert_eq!(Client::choose(&all, &token("a"), &bound), Some(Mechanism::OAUTHBEARER));
    assert_eq!(Client::choose(&all, &Credentials::Certificate, &bound), Some(Mechanism::EXTERNAL));
    assert_eq!(Client::choose(&all[4..], &password(), &bound), None);
}

#[test]
fn scram_says_what_it_sees_of_channel_binding() {
    let bound = ChannelBindings { exporter: Some(Box::new([0; 32])), ..Default::default() };
    let first = |mechanism: Mechanism, offered: &[Mechanism], bindings: &ChannelBindings| {
        let (_, initial) = Client::start(mechanism, offered, &password(), bindings).unwrap();
        String::from_utf8(initial.unwrap().as_bytes()[..3].to_vec()).unwrap()
    };
    let (plain, plus) = (Mechanism::SCRAM_SHA_256, Mechanism::SCRAM_SHA_256_PLUS);
    assert_eq!(first(plain, &[plain], &ChannelBindings::default()), "n,,");
    assert_eq!(first(plain, &[plain], &bound), "y,,");
    assert_eq!(first(plain, &[plain, plus], &bound), "n,,");
    assert_eq!(first(plus, &[plain, plus], &bound), "p=t");
    let unbound = Client::start(plus, &[plus], &password(), &ChannelBindings::default());
    assert_eq!(unbound.unwrap_err(), ClientError::Unusable);
}

#[test]
fn a_server_that_skips_its_proof_is_not_believed() {
    let (client, _) = start(Mechanism::SCRAM_SHA_256, &password());
    assert_eq!(client.authenticated(), Err(ClientError::Impostor));
}

#[test]
fn nothing_secret_is_shown() {
    let shown = format!("{:?} {:?}", password(), token("a"));
    for secret in ["tanstaaf", "vF9dft4q"] {
        let octets = format!("{:?}", secret.as_bytes());
        assert!(!shown.contains(secret) && !shown.contains(&octets[1..octets.len() - 1]), "{shown}");
    }
    assert_eq!(format!("{:?}", start(Mechanism::PLAIN, &password()).0), "Client(…)");
}
