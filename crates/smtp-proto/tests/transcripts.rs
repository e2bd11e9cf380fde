//! The dialogues of smtp-testkit, run on both engines: by line, whole, octet by octet, and in random cuts.

use std::path::{Path, PathBuf};

use smtp_testkit::transcript::{ClientRole, ServerRole, check_directory};

const RANDOM_RUNS: u64 = 30;

fn directory(side: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../smtp-testkit/transcripts").join(side)
}

#[test]
fn server_dialogues_hold_in_every_cut() {
    assert!(check_directory::<ServerRole>(&directory("server"), RANDOM_RUNS) > 0);
}

#[test]
fn client_dialogues_hold_in_every_cut() {
    assert!(check_directory::<ClientRole>(&directory("client"), RANDOM_RUNS) > 0);
}
