#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;

use super::*;

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
    assert_eq!(list(folder.path()).unwrap(), ["whole"]);
    assert!(folder.path().join("young.new").exists());
    assert!(!folder.path().join("old.new").exists());
}

#[test]
fn one_look_takes_so_many_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..FILES_PER_LOOK_MAX + 5 {
        fs::write(folder.path().join(number.to_string()), "").unwrap();
    }
    assert_eq!(list(folder.path()).unwrap().len(), FILES_PER_LOOK_MAX);
}
