//! The dialogues of smtp-testkit, run on both engines: by line, whole, octet by octet, and in random cuts.

use smtp_testkit::transcript::{
    ClientRole, LmtpClientRole, LmtpServerRole, QueriesServerRole, ServerRole, TrustingServerRole, WatchfulServerRole,
    check_all,
};

const RANDOM_RUNS: u64 = 30;

#[test]
fn server_dialogues_hold_in_every_cut() {
    assert!(check_all::<ServerRole>(RANDOM_RUNS) > 0);
}

#[test]
fn lmtp_server_dialogues_hold_in_every_cut() {
    assert!(check_all::<LmtpServerRole>(RANDOM_RUNS) > 0);
}

#[test]
fn dialogues_of_a_server_that_hands_on_questions_hold_in_every_cut() {
    assert!(check_all::<QueriesServerRole>(RANDOM_RUNS) > 0);
}

#[test]
fn watchful_server_dialogues_hold_in_every_cut() {
    assert!(check_all::<WatchfulServerRole>(RANDOM_RUNS) > 0);
}

#[test]
fn dialogues_of_a_server_that_trusts_its_peer_hold_in_every_cut() {
    assert!(check_all::<TrustingServerRole>(RANDOM_RUNS) > 0);
}

#[test]
fn client_dialogues_hold_in_every_cut() {
    assert!(check_all::<ClientRole>(RANDOM_RUNS) > 0);
}

#[test]
fn lmtp_client_dialogues_hold_in_every_cut() {
    assert!(check_all::<LmtpClientRole>(RANDOM_RUNS) > 0);
}
