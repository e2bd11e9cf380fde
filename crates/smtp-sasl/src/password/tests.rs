use super::*;

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

#[track_caller]
fn assert_is_of(text: &str, password: &str) {
    let hash = PasswordHash::parse(text).unwrap();
    assert!(hash.verify(&secret(password)));
    assert!(!hash.verify(&secret("Another")));
    assert!(!hash.verify(&secret("")));
    assert_eq!(hash.expose(), text);
}

#[test]
fn argon2id_of_the_reference_program_is_verified() {
    // echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1, version 1.3
    let text = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    assert_is_of(text, "password");
}

/// What one password has left in the memory is nothing to the next, whatever its parameters.
#[test]
fn one_memory_does_for_many_passwords() {
    let small = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    let (small, large) = (PasswordHash::parse(small).unwrap(), PasswordHash::make(&secret("wonderland")));
    let mut workspace = Workspace::default();
    for _ in 0..2 {
        assert!(small.verify_in(&secret("password"), &mut workspace));
        assert!(!small.verify_in(&secret("wonderland"), &mut workspace));
        assert!(large.verify_in(&secret("wonderland"), &mut workspace));
        assert!(!large.verify_in(&secret("password"), &mut workspace));
    }
    assert_eq!(format!("{workspace:?}"), "Workspace(19456 KiB)");
}

#[test]
fn memory_beyond_the_usual_is_given_back() {
    let mut workspace = Workspace::default();
    assert_eq!(workspace.blocks(2 * WORKSPACE_KEPT_KIB).len(), 2 * WORKSPACE_KEPT_KIB);
    workspace.shrink();
    assert_eq!(workspace.0.capacity(), WORKSPACE_KEPT_KIB);
}

#[test]
fn what_is_made_is_read() {
    let (first, second) = (PasswordHash::make(&secret("wonderland")), PasswordHash::make(&secret("wonderland")));
    assert_ne!(first.expose(), second.expose(), "each has a salt of its own");
    assert!(first.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "the kind is to be seen");
    assert_is_of(first.expose(), "wonderland");
}

#[test]
fn bcrypt_of_other_programs_is_verified() {
    // The vectors of the implementation by Openwall, crypt_blowfish.
    assert_is_of("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U");
    assert_is_of("$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U");
    assert_is_of("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U");
}

#[test]
fn sha_crypt_of_its_specification_is_verified() {
    assert_is_of("$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!");
    assert_is_of(
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        "Hello world!",
    );
    assert_is_of(
        "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
        "Hello world!",
    );
}

#[test]
fn what_is_no_hash_is_refused_without_being_shown() {
    let cases = [
        ("", HashError::Unknown),
        ("wonderland", HashError::Unknown),
        ("{PLAIN}wonderland", HashError::Unknown),
        ("x$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", HashError::Unknown),
        ("$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", HashError::Unknown),
        ("$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", HashError::Unknown),
        ("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ", HashError::Damaged("argon2id")),
        ("$argon2id$", HashError::Damaged("argon2id")),
        ("$2b$05$CCCC", HashError::Damaged("bcrypt")),
        ("$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc", HashError::Damaged("sha-crypt")),
        ("$6$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8", HashError::Damaged("sha-crypt")),
        ("$5$rounds=x$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8", HashError::Damaged("sha-crypt")),
    ];
    for (text, error) in cases {
        assert_eq!(PasswordHash::parse(text), Err(error), "{text}");
        assert!(text.is_empty() || !error.to_string().contains(text));
    }
}

#[test]
fn what_costs_too_much_is_refused() {
    let argon2 = "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    let bcrypt = "$2b$20$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    let sha_crypt = "$5$rounds=999999999$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8";
    for text in [argon2, bcrypt, sha_crypt] {
        assert!(matches!(PasswordHash::parse(text), Err(HashError::TooCostly(_))), "{text}");
    }
}

#[test]
fn nothing_of_a_hash_is_shown() {
    let hash = PasswordHash::make(&secret("wonderland"));
    assert_eq!(format!("{hash:?}"), "PasswordHash(Argon2id, …)");
}
