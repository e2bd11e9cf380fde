use super::*;

fn write_certificate(directory: &Path, name: &str) -> CertificateFiles {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let files =
        CertificateFiles { chain: directory.join(format!("{name}.pem")), key: directory.join(format!("{name}.key")) };
    fs::write(&files.chain, made.cert.pem()).unwrap();
    fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    files
}

fn leaf(certificates: &Certificates) -> Vec<u8> {
    certificates.loaded.load().keys[0].cert[0].to_vec()
}

#[test]
fn replaced_files_are_served_and_bad_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let files = write_certificate(directory.path(), "mx.example.org");
    let certificates = Certificates::load(vec![files.clone()], None).unwrap();
    let first = leaf(&certificates);
    assert!(!certificates.reload_if_changed().unwrap());

    let garbage = directory.path().join("garbage");
    fs::write(&garbage, "no certificate at all, and of another length").unwrap();
    fs::rename(&garbage, &files.chain).unwrap();
    let error = certificates.reload_if_changed().unwrap_err();
    assert!(error.to_string().contains("mx.example.org.pem"), "{error}");
    assert_eq!(leaf(&certificates), first);

    let other = write_certificate(directory.path(), "renewed-mx.example.org");
    fs::rename(&other.chain, &files.chain).unwrap();
    fs::rename(&other.key, &files.key).unwrap();
    assert!(certificates.reload_if_changed().unwrap());
    assert_ne!(leaf(&certificates), first);
}

#[test]
fn the_name_chooses_the_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let files = ["a.example.org", "b.example.org"].map(|name| write_certificate(directory.path(), name));
    let certificates = Certificates::load(files.to_vec(), None).unwrap();
    let loaded = certificates.loaded.load();
    let name = ServerName::try_from("b.example.org").unwrap();
    assert!(!is_valid_for(&loaded.keys[0], &name));
    assert!(is_valid_for(&loaded.keys[1], &name));
    assert!(certificates.is_for("a.example.org") && !certificates.is_for("c.example.org"));
    assert!(!certificates.is_for("no name"));
}

#[test]
fn the_end_of_each_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let files = ["a.example.org", "b.example.org"].map(|name| write_certificate(directory.path(), name));
    let certificates = Certificates::load(files.to_vec(), None).unwrap();
    let ends = certificates.ends();
    assert_eq!(ends.len(), 2);
    assert_eq!(ends[1].0, files[1].chain);
    assert!(ends.iter().all(|(_, end)| end.is_some_and(|end| end > SystemTime::now())));
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let a = write_certificate(directory.path(), "a.example.org");
    let b = write_certificate(directory.path(), "b.example.org");
    let mixed = CertificateFiles { chain: a.chain, key: b.key };
    let error = Certificates::load(vec![mixed], None).unwrap_err();
    assert!(matches!(error, CertificateError::Mismatch { .. }), "{error}");
}
