#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;

use super::*;

fn look_at(folder: &Path, stuck: &[&str]) -> Listed {
    list(folder, &stuck.iter().map(OsString::from).collect()).unwrap()
}

fn names(listed: &Listed) -> Vec<&OsStr> {
    listed.files.iter().map(|(_, name)| &**name).collect()
}

fn refusal(path: &Path, octets_max: u64) -> String {
    read(path, octets_max).unwrap_err().to_string()
}

#[test]
fn only_plain_files_with_one_name_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("plain"), "octets").unwrap();
    let (uid, octets) = read(&path("plain"), 6).unwrap();
    assert_eq!((uid, &octets[..]), (rustix::process::geteuid().as_raw(), &b"octets"[..]));
    assert_eq!(refusal(&path("plain"), 5), "it has more than 5 octets");

    symlink(path("plain"), path("link")).unwrap();
    assert_eq!(read(&path("link"), 6).unwrap_err().raw_os_error(), Some(rustix::io::Errno::LOOP.raw_os_error()));
    fs::hard_link(path("plain"), path("second")).unwrap();
    assert_eq!(refusal(&path("plain"), 6), "it has more than one name");
    fs::create_dir(path("folder")).unwrap();
    assert_eq!(refusal(&path("folder"), 6), "it is no plain file");
    // A pipe that nobody writes to is not waited for.
    rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(refusal(&path("pipe"), 6), "it is no plain file");
}

#[test]
fn a_shortage_of_the_machine_is_no_fault_of_the_file() {
    let of = |errno: Errno| is_about_file(&io::Error::from(errno));
    for shortage in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO, Errno::NOBUFS, Errno::STALE, Errno::NOENT] {
        assert!(!of(shortage), "{shortage}");
    }
    for fault in [Errno::LOOP, Errno::NXIO, Errno::ACCESS] {
        assert!(of(fault), "{fault}");
    }
    assert!(is_about_file(&io::Error::other("it is no plain file")));
    assert!(!is_about_file(&io::ErrorKind::OutOfMemory.into()));
}

#[test]
fn the_end_of_an_envelope_is_looked_for_within_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let domain = "example.org".parse().unwrap();
    let lines = "smtp-server-maildrop 1\nfrom:\nto:alice\nname:";
    for (octets, is_fit) in [(ENVELOPE_OCTETS_MAX, true), (ENVELOPE_OCTETS_MAX + 1, false)] {
        let name = "x".repeat(octets - lines.len() - 2);
        fs::write(&path, format!("{lines}{name}\n\nFrom: a\r\n\r\n")).unwrap();
        match dropped(&path, 4 << 20, &domain) {
            Ok(dropped) => assert!(is_fit && &dropped.content[..] == b"From: a\r\n\r\n"),
            Err(Unreadable::Unfit(uid, reason)) => {
                assert!(!is_fit && uid.is_some() && reason.contains("no end"), "{octets}: {reason}");
            }
            Err(Unreadable::Shortage(error)) => panic!("{error}"),
        }
    }
}

#[test]
fn the_folder_lets_everybody_in_and_nobody_look() {
    let folder = tempfile::tempdir().unwrap();
    let maildrop = folder.path().join("maildrop");
    prepare(&maildrop).unwrap();
    assert_eq!(fs::metadata(&maildrop).unwrap().mode() & 0o7777, MODE);
    assert_eq!(fs::metadata(maildrop.join(REFUSED)).unwrap().mode() & 0o7777, 0o700);
    prepare(&maildrop).unwrap();
}

#[test]
fn a_folder_that_is_somebody_elses_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    symlink("/tmp", &link).unwrap();
    assert!(prepare(&link).unwrap_err().to_string().ends_with("is not a folder of this server's user"));
}

#[test]
fn files_are_listed_when_they_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path()).unwrap();
    for name in ["whole", "young.new", "old.new"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let old = File::open(folder.path().join("old.new")).unwrap();
    old.set_modified(SystemTime::now() - UNFINISHED_MAX - Duration::from_secs(1)).unwrap();
    assert_eq!(names(&look_at(folder.path(), &[])), ["whole"]);
    assert!(folder.path().join("young.new").exists());
    assert!(!folder.path().join("old.new").exists());
}

#[test]
fn one_look_takes_so_many_of_a_user_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..FILES_PER_USER_MAX + 5 {
        fs::write(folder.path().join(number.to_string()), "").unwrap();
    }
    let Listed { files, .. } = look_at(folder.path(), &[]);
    assert_eq!(files.len(), FILES_PER_USER_MAX);
    assert!(files.iter().all(|(uid, _)| *uid == rustix::process::geteuid().as_raw()));
}

/// However many files one user has put there first, and however many users do so.
#[test]
fn no_user_stands_in_the_way_of_another() {
    let mut turns = Turns::default();
    for number in 0..10_000 {
        turns.add(1000, number.to_string().into());
    }
    for name in ["a", "b"] {
        turns.add(1001, name.into());
    }
    let files = turns.in_order();
    assert_eq!(files.len(), FILES_PER_USER_MAX + 2);
    let first = files[..4].iter().map(|(uid, name)| (*uid, name.to_str().unwrap()));
    assert_eq!(first.collect::<Vec<_>>(), [(1000, "0"), (1001, "a"), (1000, "1"), (1001, "b")]);

    let mut turns = Turns::default();
    for uid in 0..100 {
        for number in 0..FILES_PER_USER_MAX {
            turns.add(uid, number.to_string().into());
        }
    }
    turns.add(1001, "a".into());
    let files = turns.in_order();
    assert_eq!(files.len(), FILES_PER_LOOK_MAX);
    assert!(files.contains(&(1001, "a".into())));
}

#[test]
fn what_is_stuck_takes_nobodys_place_and_is_forgotten_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let stuck: Vec<String> = (0..FILES_PER_USER_MAX).map(|number| format!("stuck{number}")).collect();
    for name in &stuck {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("whole"), "").unwrap();
    let mut known: Vec<&str> = stuck.iter().map(String::as_str).collect();
    known.push("gone");
    let listed = look_at(folder.path(), &known);
    assert_eq!(names(&listed), ["whole"]);
    assert_eq!(listed.stuck, stuck.iter().map(OsString::from).collect());
}

#[test]
fn what_is_put_aside_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path()).unwrap();
    let refused = folder.path().join(REFUSED);
    let refuse = |number: &str| {
        fs::write(folder.path().join("file"), number).unwrap();
        put_aside(folder.path(), OsStr::new("file"), number).unwrap();
    };
    refuse("1");
    refuse("2");
    fs::create_dir_all(refused.join("folder/full")).unwrap();
    fs::write(folder.path().join("folder"), "3").unwrap();
    put_aside(folder.path(), OsStr::new("folder"), "3").unwrap();
    for (name, octets) in [("file", "1"), ("2", "2"), ("3", "3")] {
        assert_eq!(fs::read_to_string(refused.join(name)).unwrap(), octets);
    }
    fs::create_dir(folder.path().join("empty")).unwrap();
    put_aside(folder.path(), OsStr::new("empty"), "4").unwrap();
    assert!(!folder.path().join("empty").exists() && !refused.join("empty").exists());
    fs::create_dir_all(folder.path().join("full/full")).unwrap();
    put_aside(folder.path(), OsStr::new("full"), "5").unwrap_err();
}
