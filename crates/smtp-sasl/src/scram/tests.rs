use super::client::ClientBinding;
use super::*;
use crate::Login;
use crate::client::ClientError;
use crate::server::Failure;

fn login(name: &str) -> Login {
    Login::prepare(name.as_bytes()).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

/// The exchange of RFC 7677 §3.
const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn rfc_keys() -> ScramKeys {
    let salt = Secret::from_base64(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    ScramKeys::derive(&secret("pencil"), salt.as_bytes(), 4096)
}

fn rfc_server() -> ServerExchange {
    let first = ServerFirst::take_with_nonce(CLIENT_FIRST.as_bytes(), &ChannelBindings::default(), false, SERVER_NONCE)
        .unwrap();
    let (exchange, challenge) = first.challenge(rfc_keys());
    assert_eq!(challenge.as_bytes(), SERVER_FIRST.as_bytes());
    exchange
}

fn rfc_client(password: &str) -> ClientExchange {
    let (login, password) = (login("user"), secret(password));
    let (client, first) =
        ClientExchange::start_with_nonce(&login, &password, ClientBinding::None, CLIENT_NONCE.to_owned());
    assert_eq!(first.as_bytes(), CLIENT_FIRST.as_bytes());
    client
}

#[test]
fn the_server_of_rfc_7677() {
    let proof = rfc_server().finish(CLIENT_FINAL.as_bytes()).unwrap();
    assert_eq!(proof.as_bytes(), SERVER_FINAL.as_bytes());
}

#[test]
fn the_client_of_rfc_7677() {
    let mut client = rfc_client("pencil");
    assert_eq!(client.respond(SERVER_FIRST.as_bytes()).unwrap().as_bytes(), CLIENT_FINAL.as_bytes());
    assert!(!client.is_verified());
    assert!(client.respond(SERVER_FINAL.as_bytes()).unwrap().is_empty());
    assert!(client.is_verified());
}

#[test]
fn a_wrong_password_is_found_on_both_sides() {
    let mut client = rfc_client("pencils");
    let last = client.respond(SERVER_FIRST.as_bytes()).unwrap();
    assert_eq!(rfc_server().finish(last.as_bytes()), Err(Failure::Credentials));
    assert_eq!(client.respond(SERVER_FINAL.as_bytes()), Err(ClientError::Impostor));
    assert!(!client.is_verified());
}

#[test]
fn a_final_message_that_was_tampered_with_fails() {
    let server = rfc_server();
    let cases = [
        (CLIENT_FINAL.replace("k0,", "k1,"), Failure::Malformed),
        (CLIENT_FINAL.replace("c=biws", "c=eSws"), Failure::ChannelBinding),
        (CLIENT_FINAL.replace("p=dH", "p=eH"), Failure::Credentials),
        (CLIENT_FINAL.replace("VQ=", "VR="), Failure::Malformed),
        (CLIENT_FINAL.replace(",p=", ",x="), Failure::Malformed),
        (CLIENT_FINAL.replace(",p=", ",p=AAAA"), Failure::Malformed),
        (String::new(), Failure::Malformed),
    ];
    for (message, failure) in cases {
        assert_eq!(server.finish(message.as_bytes()), Err(failure), "{message}");
    }
}

#[test]
fn first_messages_of_the_client() {
    let take = |message: &str| ServerFirst::take(message.as_bytes(), &ChannelBindings::default(), false);
    assert_eq!(take("n,,n=a=2Cb=3Dc,r=x").unwrap().login.as_str(), "a,b=c");
    assert_eq!(take("n,a=alice,n=alice,r=x").unwrap().login.as_str(), "alice");
    assert!(take("n,,n=alice,r=x,ext=y").is_ok(), "extensions that are not known are passed over (RFC 5802 §5.1)");
    let cases = [
        ("n,a=bob,n=alice,r=x", Failure::Identity),
        ("n,,m=x,n=alice,r=x", Failure::Malformed),
        ("n,,n=alice", Failure::Malformed),
        ("n,,n=alice,r=", Failure::Malformed),
        ("n,,n=alice,r=a b", Failure::Malformed),
        ("n,,n=al=ice,r=x", Failure::Malformed),
        ("n,,n=,r=x", Failure::Credentials),
        ("q,,n=alice,r=x", Failure::Malformed),
        ("p=,,n=alice,r=x", Failure::Malformed),
        ("p=tls-unique,,n=alice,r=x", Failure::ChannelBinding),
        ("n=alice,r=x", Failure::Malformed),
        ("", Failure::Malformed),
    ];
    for (message, failure) in cases {
        assert_eq!(take(message).unwrap_err(), failure, "{message}");
    }
    assert_eq!(take(&format!("n,,n=alice,r={}", "x".repeat(5000))).unwrap_err(), Failure::Malformed);
}

fn bindings() -> ChannelBindings {
    ChannelBindings { exporter: Some(Box::new([7; 32])), server_end_point: Some(Box::new([9; 32])) }
}

/// Runs both sides against each other.
fn run(client: ClientBinding, server: &ChannelBindings, plus: bool) -> Result<(), Failure> {
    let (login, password) = (login("alice"), secret("wonderland"));
    let (mut client, first) = ClientExchange::start(&login, &password, client);
    let (server, challenge) =
        ServerFirst::take(first.as_bytes(), server, plus)?.challenge(ScramKeys::derive(&password, b"salt", 4096));
    let last = client.respond(challenge.as_bytes()).unwrap();
    let proof = server.finish(last.as_bytes())?;
    client.respond(proof.as_bytes()).unwrap();
    assert!(client.is_verified());
    Ok(())
}

#[test]
fn the_exchange_is_bound_to_the_channel() {
    let used = |bindings: &ChannelBindings| ClientBinding::Used(best_binding(bindings).unwrap());
    assert_eq!(run(used(&bindings()), &bindings(), true), Ok(()));
    let end_point = ChannelBindings { exporter: None, ..bindings() };
    assert_eq!(run(used(&end_point), &bindings(), true), Ok(()));
    // Another channel: somebody stands between.
    let other = ChannelBindings { exporter: Some(Box::new([8; 32])), ..bindings() };
    assert_eq!(run(used(&other), &bindings(), true), Err(Failure::ChannelBinding));
    assert_eq!(run(used(&bindings()), &end_point, true), Err(Failure::ChannelBinding));
}

#[test]
fn nobody_can_hide_that_binding_is_offered() {
    let none = ChannelBindings::default();
    assert_eq!(run(ClientBinding::NotOffered, &bindings(), false), Err(Failure::ChannelBinding));
    assert_eq!(run(ClientBinding::NotOffered, &none, false), Ok(()));
    assert_eq!(run(ClientBinding::None, &bindings(), false), Ok(()));
    assert_eq!(run(ClientBinding::None, &bindings(), true), Err(Failure::ChannelBinding));
}

#[test]
fn the_client_refuses_what_a_server_must_not_say() {
    let cases = [
        SERVER_FIRST.replace("r=rO", "r=xO"),
        SERVER_FIRST.replace(SERVER_NONCE, ""),
        SERVER_FIRST.replace("i=4096", "i=1"),
        SERVER_FIRST.replace("i=4096", "i=4000000000"),
        SERVER_FIRST.replace("s=W22ZaJ0SNY7soEsUEjb6gQ==", "s="),
        "e=other-error".to_owned(),
        String::new(),
    ];
    for challenge in cases {
        assert_eq!(rfc_client("pencil").respond(challenge.as_bytes()), Err(ClientError::Challenge), "{challenge}");
    }
}

#[test]
fn keys_are_read_as_they_are_written() {
    let text = rfc_keys().expose();
    assert_eq!(
        text,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
         wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    );
    assert_eq!(ScramKeys::parse(&text).unwrap().expose(), text);
    for wrong in ["", "SCRAM-SHA-256$", &text[1..], &text.replace(':', ";"), &text.replace("4096", "x"), &text[..90]] {
        assert_eq!(ScramKeys::parse(wrong).unwrap_err(), ScramKeysError::Syntax, "{wrong}");
    }
    for wrong in [text.replace("4096", "1"), text.replace("4096", "4000000000")] {
        assert_eq!(ScramKeys::parse(&wrong).unwrap_err(), ScramKeysError::Iterations, "{wrong}");
    }
}

#[test]
fn nobody_has_the_same_keys_each_time_and_no_password_fits() {
    let seed = [3; 32];
    let decoy = |name: &str| ScramKeys::decoy(&seed, name, None);
    assert_eq!(decoy("nobody").expose(), decoy("nobody").expose());
    assert_ne!(decoy("nobody").salt, decoy("nobody2").salt);
    assert_ne!(decoy("nobody").salt, ScramKeys::decoy(&[4; 32], "nobody", None).salt);
    assert_eq!(decoy("nobody").salt.len(), ScramKeys::make(&secret("x")).salt.len());
}

#[test]
fn keys_of_nobody_look_like_those_of_somebody() {
    for octets in [1, 12, 16, 32, 33, 64] {
        let somebody = ScramKeys::derive(&secret("x"), &vec![7; octets], 10_000);
        let decoy = ScramKeys::decoy(&[3; 32], "nobody", Some(&somebody));
        assert_eq!((decoy.iterations, decoy.salt.len()), (10_000, octets));
        assert!(ScramKeys::parse(&decoy.expose()).is_ok());
        assert!(octets < 12 || decoy.salt != somebody.salt);
    }
}

#[test]
fn nothing_of_the_keys_is_shown() {
    assert_eq!(format!("{:?}", rfc_keys()), "ScramKeys(…)");
    let text = rfc_keys().expose();
    let shown = format!("{:?}", rfc_server());
    for key in text.rsplit(['$', ':']).take(2) {
        assert!(!shown.contains(key), "{shown}");
        assert!(!shown.contains(&numbers(Secret::from_base64(key.as_bytes()).unwrap().as_bytes())), "{shown}");
    }
}

#[test]
fn nothing_of_the_channel_is_shown() {
    let binding = best_binding(&bindings()).unwrap();
    let first = ServerFirst::take(b"p=tls-exporter,,n=user,r=x", &bindings(), true).unwrap();
    for shown in [format!("{binding:?}"), format!("{first:?}"), format!("{:?}", first.challenge(rfc_keys()).0)] {
        assert!(!shown.contains(&numbers(&[7; 4])), "{shown}");
    }
}

/// Octets as `Debug` shows them, without the brackets.
fn numbers(octets: &[u8]) -> String {
    let shown = format!("{octets:?}");
    shown[1..shown.len() - 1].to_owned()
}
