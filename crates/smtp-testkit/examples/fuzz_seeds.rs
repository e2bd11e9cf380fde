//! Writes what the peers of the transcripts say into folders where the fuzz targets begin.
//!
//! `cargo run -p smtp-testkit --example fuzz_seeds -- fuzz/corpus`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use smtp_testkit::transcript::{ClientRole, QueriesServerRole, Role, ServerRole, TrustingServerRole, all};

/// Before the octets, in the input of the target `server_session`: how they are cut, and that all is answered well.
const SERVER: &[u8] = &[6, 0, 0, 0, 0];
/// Of `client_session`: how they are cut; three transactions, TLS and AUTH where they are offered.
const CLIENT: &[u8] = &[6, 15];
/// Of `reply` and `mail_data`: how they are cut.
const CUT: &[u8] = &[6];

fn main() -> io::Result<()> {
    let corpus = std::env::args_os().nth(1).ok_or_else(|| io::Error::other("usage: fuzz_seeds FOLDER"))?;
    let corpus = Path::new(&corpus);
    let mut lines = BTreeSet::new();
    let said = said_to::<ServerRole>().chain(said_to::<QueriesServerRole>()).chain(said_to::<TrustingServerRole>());
    for (name, said) in said {
        write(corpus, "server_session", &name, &[SERVER, &said])?;
        if let Some(content) = behind_data(&said) {
            write(corpus, "mail_data", &name, &[CUT, content])?;
        }
        lines.extend(said.split(|octet| *octet == b'\n').map(|line| line.trim_ascii_end().to_vec()));
    }
    for (number, line) in lines.iter().enumerate() {
        write(corpus, "command", &number.to_string(), &[line])?;
    }
    for (name, said) in said_to::<ClientRole>() {
        write(corpus, "client_session", &name, &[CLIENT, &said])?;
        write(corpus, "reply", &name, &[CUT, &said])?;
    }
    Ok(())
}

/// What the peers of the sessions of `R` say, by the names of the transcripts.
fn said_to<R: Role>() -> impl Iterator<Item = (String, Vec<u8>)> {
    let name = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    all::<R>()
        .into_iter()
        .map(move |(path, transcript)| (format!("{}-{}", R::DIRECTORY, name(path)), transcript.said()))
}

fn behind_data(said: &[u8]) -> Option<&[u8]> {
    const DATA: &[u8] = b"\r\nDATA\r\n";
    let at = said.windows(DATA.len()).position(|window| window == DATA)?;
    Some(&said[at + DATA.len()..])
}

fn write(corpus: &Path, target: &str, name: &str, parts: &[&[u8]]) -> io::Result<()> {
    let folder = corpus.join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("transcript-{name}")), parts.concat())
}
