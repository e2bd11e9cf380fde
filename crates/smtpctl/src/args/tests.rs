#![allow(clippy::unwrap_used)]

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(std::iter::once("smtpctl").chain(line.split_whitespace()))
}

#[test]
fn the_definition_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn commands_may_be_cut_to_an_unambiguous_beginning() {
    assert!(matches!(parse("sh q").unwrap().command, Command::Show(Show::Queue(_))));
    assert!(matches!(parse("show e 0A.1").unwrap().command, Command::Show(Show::Envelope { .. })));
    assert!(matches!(parse("sc all").unwrap().command, Command::Schedule(_)));
    assert!(matches!(parse("p mda").unwrap().command, Command::Pause(Pause::Mda { .. })));
    assert!(matches!(parse("res e all").unwrap().command, Command::Resume(Resume::Envelope(_))));
    assert!(matches!(parse("rem all").unwrap().command, Command::Remove(_)));
    assert!(matches!(parse("c").unwrap().command, Command::Check(_)));
    for ambiguous in ["s", "re all", "r all", "show st", "pause m"] {
        assert_eq!(parse(ambiguous).unwrap_err().kind(), ErrorKind::InvalidSubcommand, "{ambiguous}");
    }
}

#[test]
fn selectors_are_read() {
    let Command::Show(Show::Queue(which)) =
        parse("show queue 0A --sender <> --domain example.net --older 5m --size -10K --held --limit 3 --id 0B")
            .unwrap()
            .command
    else {
        panic!("show queue");
    };
    assert_eq!((which.targets, which.id), (vec!["0A".to_owned()], vec!["0B".to_owned()]));
    assert_eq!(which.sender.as_deref(), Some("<>"));
    assert_eq!(which.older, Some(Duration::from_mins(5)));
    assert_eq!(which.size, Some(Size::AtMost(10 << 10)));
    assert_eq!((which.held, which.limit), (Some(true), Some(3)));
    let Command::Remove(remove) = parse("remove --held=no all --yes").unwrap().command else { panic!("remove") };
    assert_eq!((remove.on.which.held, remove.yes), (Some(false), true));
}

#[test]
fn a_pause_has_a_time_and_a_reason() {
    let line = "pause mta domain example.net --for 60s --reason maintenance --json";
    let arguments = parse(line).unwrap();
    assert!(arguments.global.json);
    let Command::Pause(Pause::Mta { domain: Some(OneDomain::Domain { domain }), pause }) = arguments.command else {
        panic!("pause mta domain");
    };
    assert_eq!(domain, "example.net");
    assert_eq!((pause.period, pause.why.reason.as_deref()), (Some(Duration::from_mins(1)), Some("maintenance")));
}
