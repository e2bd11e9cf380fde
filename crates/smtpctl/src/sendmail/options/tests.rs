use std::os::unix::ffi::OsStringExt as _;

use super::*;

fn parse(line: &[&str]) -> Result<Options, Exit> {
    Options::parse(line.iter().map(OsString::from))
}

fn list(text: &str) -> Vec<Address> {
    address_list::parse(text.as_bytes()).unwrap()
}

/// What a caller means: sender (`<>` is the null path), full name, recipients, `-t`, `-i`.
#[track_caller]
fn means(line: &[&str], sender: Option<&str>, full_name: Option<&str>, recipients: &str, t: bool, i: bool) {
    let expected = Options {
        sender: match sender {
            None => Sender::User,
            Some("<>") => Sender::Null,
            Some(sender) => Sender::Address(list(sender).remove(0)),
        },
        full_name: full_name.map(str::to_owned),
        recipients: list(recipients),
        recipients_from_header: t,
        dot_is_data: i,
        ..Options::default()
    };
    assert_eq!(parse(line), Ok(expected), "{line:?}");
}

#[test]
fn callers_are_understood() {
    // cronie, with a user and with nobody.
    means(
        &["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "alice"],
        Some("alice"),
        Some("CronDaemon"),
        "",
        true,
        true,
    );
    means(
        &["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "<>"],
        Some("<>"),
        Some("CronDaemon"),
        "",
        true,
        true,
    );
    // Debian's cron.
    means(&["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "alice"], None, Some("CronDaemon"), "alice", false, true);
    // The cron of the BSDs.
    means(&["-FCronDaemon", "-odi", "-oem", "-oi", "-t"], None, Some("CronDaemon"), "", true, true);
    // systemd-cron.
    means(&["-i", "-B", "8BITMIME", "alice"], None, None, "alice", false, true);
    // anacron.
    means(&["-FAnacron", "-odi", "root"], None, Some("Anacron"), "root", false, false);
    // atd.
    means(&["-i", "alice"], None, None, "alice", false, true);
    // mdadm.
    means(&["-t", "-froot@example.org"], Some("root@example.org"), None, "", true, false);
    // PHP, without and with the fifth argument of mail().
    means(&["-t", "-i"], None, None, "", true, true);
    means(&["-t", "-i", "-fwww@example.org"], Some("www@example.org"), None, "", true, true);
    // PHPMailer.
    means(&["-oi", "-fwww@example.org", "-t"], Some("www@example.org"), None, "", true, true);
    // git send-email, without and with an envelope sender.
    means(&["-i", "a@example.org", "b@example.org"], None, None, "a@example.org,b@example.org", false, true);
    means(
        &["-f", "dev@example.org", "-i", "a@example.org"],
        Some("dev@example.org"),
        None,
        "a@example.org",
        false,
        true,
    );
    // mutt and neomutt.
    means(
        &["-oem", "-oi", "--", "a@example.org", "-b@example.org"],
        None,
        None,
        "a@example.org,-b@example.org",
        false,
        true,
    );
    // s-nail.
    means(&["-i", "--", "a@example.org"], None, None, "a@example.org", false, true);
    // GNU mail.
    means(&["-oi", "-f", "me@example.org", "-t"], Some("me@example.org"), None, "", true, true);
    // Nodemailer.
    means(&["-i", "-f", "me@example.org", "a@example.org"], Some("me@example.org"), None, "a@example.org", false, true);
    // Rails.
    means(&["-i", "-t"], None, None, "", true, true);
    // lettre.
    means(
        &["-i", "-f", "me@example.org", "--", "a@example.org"],
        Some("me@example.org"),
        None,
        "a@example.org",
        false,
        true,
    );
    // fail2ban.
    means(&["-f", "fail2ban@example.org", "root"], Some("fail2ban@example.org"), None, "root", false, false);
}

#[test]
fn those_who_speak_smtp_are_understood() {
    // Symfony, Laravel; Alpine.
    for line in [&["-bs"][..], &["-bs", "-odb", "-oem"], &["-b", "s"]] {
        assert_eq!(parse(line), Ok(Options { mode: Mode::Smtp, ..Options::default() }), "{line:?}");
    }
}

#[test]
fn options_are_grouped_and_values_are_glued_or_not() {
    means(&["-ti"], None, None, "", true, true);
    means(&["-tifalice", "root"], Some("alice"), None, "root", true, true);
    means(&["-tif", "alice", "root"], Some("alice"), None, "root", true, true);
    means(&["-vti"], None, None, "", true, true);
    means(&["-r", "alice"], Some("alice"), None, "", false, false);
    means(&["-F", "Alice Smith", "-FBob"], None, Some("Bob"), "", false, false);
    means(&["-F", ""], None, Some(""), "", false, false);
    means(&["-o", "i"], None, None, "", false, true);
    means(&["-odi", "-odb", "-oQ/tmp", "-oMrX"], None, None, "", false, false);
}

#[test]
fn a_value_may_look_like_an_option() {
    means(&["-f", "-t"], Some("-t"), None, "", false, false);
    means(&["-f", "--", "root"], Some("--"), None, "root", false, false);
    means(&["-F", "-i", "root"], None, Some("-i"), "root", false, false);
    means(&["-X", "-t", "root"], None, None, "root", false, false);
}

#[test]
fn an_address_never_becomes_an_option() {
    // What PHP programs were broken into by: a second option behind the address.
    for line in [&["root", "-X/tmp/x"][..], &["root", "-t"], &["-i", "root", "-fx"]] {
        assert_eq!(parse(line).unwrap_err().code, code::USAGE, "{line:?}");
    }
    means(&["--", "-t", "-i"], None, None, "-t,-i", false, false);
    means(&["root", "--", "-i"], None, None, "root,-i", false, false);
}

#[test]
fn senders_lose_one_pair_of_brackets() {
    for (sender, meant) in [
        ("<alice@example.org>", "alice@example.org"),
        ("alice@example.org", "alice@example.org"),
        ("<>", "<>"),
        ("", "<>"),
        (" ", "<>"),
        ("alice", "alice"),
    ] {
        means(&["-f", sender], Some(meant), None, "", false, false);
    }
    for wrong in ["a@b@c", "a b", "a,b", "<a", "@example.org", "Alice Smith"] {
        assert_eq!(parse(&["-f", wrong]).unwrap_err().code, code::USAGE, "{wrong:?}");
    }
}

#[test]
fn one_operand_may_hold_several_addresses() {
    means(&["a@example.org,b@example.org, c", "d"], None, None, "a@example.org,b@example.org,c,d", false, false);
    means(&["Alice Smith <alice@example.org>"], None, None, "alice@example.org", false, false);
    means(&["\"a,b\"@example.org"], None, None, "\"a,b\"@example.org", false, false);
}

#[test]
fn no_line_end_gets_in() {
    for line in [&["root\nbob"][..], &["-f", "a\r\nRCPT TO:<b>"], &["-F", "x\nBcc: y"], &["-Fx\n"], &["--", "a\0"]] {
        assert_eq!(parse(line).unwrap_err().code, code::USAGE, "{line:?}");
    }
    let latin1 = OsString::from_vec(b"j\xfcrgen@example.org".to_vec());
    assert_eq!(Options::parse([latin1]).unwrap_err().code, code::USAGE);
}

#[test]
fn modes_are_those_of_old() {
    for (line, mode) in [
        (&["-bm"][..], Mode::Deliver),
        (&["-bp"], Mode::ShowQueue),
        (&["-bi"], Mode::Aliases),
        (&["-I"], Mode::Aliases),
        (&["-q"], Mode::RunQueue(None)),
        (&["-qI0123456789ABC"], Mode::RunQueue(Some("0123456789ABC".to_owned()))),
        (&["-v", "-q"], Mode::RunQueue(None)),
        (&["--help"], Mode::Help),
    ] {
        assert_eq!(parse(line), Ok(Options { mode, ..Options::default() }), "{line:?}");
    }
    assert_eq!(parse(&["-bv", "root"]).unwrap().mode, Mode::Verify);
    for wrong in [&["-bd"][..], &["-bd", "-q30m"], &["-q1h"], &["-qRexample"], &["-qI"], &["-bz"], &["-b"]] {
        assert_eq!(parse(wrong).unwrap_err().code, code::USAGE, "{wrong:?}");
    }
}

#[test]
fn habits_are_taken_and_change_nothing() {
    means(&["-G", "-U", "-n", "-m", "-v", "-x", "-E", "-c", "root"], None, None, "root", false, false);
    means(
        &["-Am", "-L", "tag", "-h", "3", "-O", "DeliveryMode=i", "-p", "ESMTP:host", "-em", "root"],
        None,
        None,
        "root",
        false,
        false,
    );
    assert_eq!(parse(&["-C", "/tmp/x"]).unwrap().configuration, Some("/tmp/x".into()));
    for wrong in [
        &["-k"][..],
        &["-f"],
        &["-N", "soon"],
        &["-N", "never,delay"],
        &["-R", "half"],
        &["-V", ""],
        &["-B", "X"],
        &["--version"],
    ] {
        assert_eq!(parse(wrong).unwrap_err().code, code::USAGE, "{wrong:?}");
    }
}

#[test]
fn which_reports_are_wanted_is_kept() {
    // mutt, where it is told to ask for some.
    let line = ["-oem", "-oi", "-f", "me@example.org", "-N", "failure,delay", "-R", "hdrs", "--", "a@example.org"];
    let reports = parse(&line).unwrap().reports;
    assert_eq!(reports.notify, Some(Notify { success: false, failure: true, delay: true }));
    assert_eq!((reports.ret, reports.envelope_id), (Some(Ret::Headers), None));
    let reports = parse(&["-Nnever", "-RFull", "-VQQ314159", "root"]).unwrap().reports;
    assert_eq!((reports.notify, reports.ret), (Some(Notify::NEVER), Some(Ret::Full)));
    assert_eq!(reports.envelope_id.unwrap().encoded(), "QQ314159");
}
