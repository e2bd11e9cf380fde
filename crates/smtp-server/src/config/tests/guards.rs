//! Who is watched, what is done with whom, and who may ask what.

use smtp_config::file::GuardAction;

use super::*;

#[test]
fn guards_refuse_and_nobody_waits_by_default() {
    let folder = Folder::new();
    let config = folder.good(GOOD);
    let guards = config.guards;
    assert_eq!((guards.early_talkers, guards.pipelining), (GuardAction::Refuse, GuardAction::Refuse));
    assert_eq!((guards.greeting_delay, guards.client_networks), (Duration::ZERO, false));
    assert_eq!(config.limits.commands_per_session, 100_000);
    let written = "[guards]\nearly_talkers = \"count\"\npipelining = \"count\"\ngreeting_delay = \"30s\"\nclient_networks = true\n\
                   [limits]\ncommands_per_session = 7";
    let config = folder.good(&good_and(written));
    let guards = config.guards;
    assert_eq!((guards.early_talkers, guards.pipelining), (GuardAction::Count, GuardAction::Count));
    assert_eq!((guards.greeting_delay, guards.client_networks), (Duration::from_secs(30), true));
    assert_eq!(config.limits.commands_per_session, 7);
}

#[test]
fn guards_that_shut_everybody_out_are_refused() {
    let folder = Folder::new();
    for (written, problem) in [
        ("[guards]\ngreeting_delay = \"31s\"", "`greeting_delay` must be at most 30 seconds"),
        ("[guards]\nearly_talkers = \"ban\"", "\"ban\" is none of \"refuse\", \"count\""),
        ("[limits]\ncommands_per_session = 0", "`commands_per_session` must be at least 1"),
    ] {
        let found = folder.problem(&good_and(written));
        assert!(found.contains(problem), "{written}: {found}");
    }
}

#[test]
fn questions_are_answered_as_the_configuration_says() {
    let folder = Folder::new();
    let config = folder.good(GOOD);
    assert!(config.help.is_none());
    assert!(!config.extensions.vrfy && !config.extensions.expn && !config.extensions.etrn);
    let written = "[extensions]\nvrfy = true\nexpn = true\netrn = true\nhelp = \"Ask\\nus\"";
    let config = folder.good(&good_and(written));
    assert_eq!(config.help.unwrap().text(), "Ask\nus");
    assert!(config.extensions.vrfy && config.extensions.expn && config.extensions.etrn);
    for text in ["grüß", "tab\\t", "\\r"] {
        let found = folder.problem(&good_and(&format!("[extensions]\nhelp = \"{text}\"")));
        assert!(found.contains("write it in printable ASCII"), "{found}");
    }
}
