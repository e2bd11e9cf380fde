//! What the features `serde` and `arbitrary` add.

#![allow(clippy::unwrap_used)]
#![cfg(all(feature = "serde", feature = "arbitrary"))]

use std::fmt::Debug;

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use smtp_proto::{
    Command, ContentFacts, Envelope, Extensions, Mail, Mailbox, Priority, Rcpt, RemoteReply, Reply, ReplyCode,
    Timestamp,
};

fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

#[track_caller]
fn reads_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    assert_eq!(&serde_json::from_str::<T>(&written(value)).unwrap(), value);
}

fn refused<T: DeserializeOwned + Debug>(text: &str) -> String {
    serde_json::from_str::<T>(text).unwrap_err().to_string()
}

#[test]
fn values_are_the_text_of_the_protocol() {
    let mail =
        Mail::parse(b"MAIL FROM:<\"a b\"@c> SIZE=5 BODY=8BITMIME ENVID=x+20y AUTH=e+3D@d HOLDFOR=60 BY=9;RT").unwrap();
    assert_eq!(
        written(&mail),
        "{\"reverse_path\":\"<\\\"a b\\\"@c>\",\"parameters\":{\"size\":5,\"body\":\"8BITMIME\",\"smtputf8\":false,\
         \"require_tls\":false,\"ret\":null,\"envelope_id\":\"x+20y\",\"auth\":\"e+3D@d\",\"hold\":{\"for\":60},\
         \"deliver_by\":\"9;RT\",\"priority\":null}}"
    );
    let rcpt = Rcpt::parse(b"RCPT TO:<Postmaster> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;a@b").unwrap();
    assert_eq!(
        written(&rcpt),
        "{\"forward_path\":\"<postmaster>\",\"parameters\":{\"notify\":\"SUCCESS,DELAY\",\"original_recipient\":\"rfc822;a@b\"}}"
    );
    let reply = Reply::new(ReplyCode::OK, "2.1.0".parse().unwrap(), "OK");
    assert_eq!(written(&reply), "{\"code\":250,\"status\":\"2.1.0\",\"text\":\"OK\"}");
}

#[test]
fn what_is_left_out_has_its_default() {
    let offered: Extensions = serde_json::from_str("{\"pipelining\":true,\"auth\":[\"plain\"]}").unwrap();
    assert_eq!(written(&offered.auth), "[\"PLAIN\"]");
    assert_eq!(offered, Extensions { pipelining: true, auth: offered.auth.clone(), ..Extensions::default() });
}

#[test]
fn a_malformed_value_is_not_read() {
    assert_eq!(refused::<Mailbox>("\"a\""), "'@' expected (at octet 1) at line 1 column 3");
    assert!(refused::<Priority>("10").starts_with("number out of range"));
    assert!(refused::<ReplyCode>("600").starts_with("number out of range"));
    assert!(refused::<Timestamp>("\"2026-02-30T00:00:00Z\"").starts_with("malformed parameter value"));
    assert!(refused::<Reply>("{\"code\":250,\"status\":\"5.1.1\",\"text\":\"\"}").starts_with("the status is not of"));
    assert!(refused::<Reply>("{\"code\":250,\"text\":\"a\\r\\n\"}").starts_with("the text of a reply"));
    assert!(refused::<Extensions>("{\"pipeline\":true}").starts_with("unknown field"));
    assert!(serde_json::from_str::<RemoteReply>("[50,53]").is_err());
}

#[test]
fn a_remote_reply_keeps_its_octets() {
    reads_back(&RemoteReply::parse(b"550-5.1.1 caf\xe9\r\n550 5.1.1 no\r\n").unwrap());
}

fn drawn<T: for<'a> Arbitrary<'a>>(octets: &[u8]) -> Option<T> {
    T::arbitrary(&mut Unstructured::new(octets)).ok()
}

proptest! {
    #[test]
    fn what_is_drawn_is_well_formed(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Some(command) = drawn::<Command>(&octets) {
            let mut line = BytesMut::new();
            command.encode(&mut line);
            prop_assert_eq!(Command::parse(&line), Ok(command));
        }
        if let Some(offered) = drawn::<Extensions>(&octets) {
            let mut output = BytesMut::new();
            offered.reply("mx.example.com").unwrap().encode(&mut output);
            prop_assert_eq!(&Extensions::from_reply(&RemoteReply::parse(&output).unwrap()), &offered);
            reads_back(&offered);
        }
        drawn::<Envelope>(&octets).iter().for_each(reads_back);
        drawn::<Reply>(&octets).iter().for_each(reads_back);
        drawn::<ContentFacts>(&octets).iter().for_each(reads_back);
    }
}
