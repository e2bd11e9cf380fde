use std::fs;

use super::*;
use smtp_mail::LocalUser;

mod auth;
mod guards;
mod hop_login;

/// A folder with a good configuration, for tests to spoil.
struct Folder(tempfile::TempDir);

const GOOD: &str = r#"hostname = "mx.example.org"
[local]
domains = ["example.org"]
users = "users.toml"
aliases = "aliases"
deliver = { maildir = "mail/{domain}/{user}" }
postmaster = "alice"
"#;

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("users.toml", "[alice]\n[bob]\naddresses = [\"b.b@example.org\"]\n");
        folder.write("aliases", "root: alice\n");
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn certificate(&self, name: &str) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        self.write(&format!("{name}.pem"), &made.cert.pem());
        self.write(&format!("{name}.key"), &made.signing_key.serialize_pem());
    }

    fn load(&self, text: &str) -> Result<Loaded, LoadError> {
        self.write("c.toml", text);
        Config::load(&self.0.path().join("c.toml"))
    }

    /// Without the path of the folder, and without the lines of the file.
    fn short(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }

    fn good(&self, text: &str) -> Config {
        let loaded = self.load(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(loaded.warnings, []);
        loaded.config
    }

    fn problems(&self, text: &str) -> Vec<String> {
        match self.load(text) {
            Err(LoadError::Problems(problems)) => {
                problems.iter().map(|problem| self.short(&problem.summary())).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn problem(&self, text: &str) -> String {
        let mut problems = self.problems(text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }

    fn warnings(&self, text: &str) -> Vec<String> {
        let loaded = self.load(text).unwrap_or_else(|error| panic!("{error}"));
        loaded.warnings.iter().map(|warning| self.short(&warning.summary())).collect()
    }

    fn warning(&self, text: &str) -> String {
        let mut warnings = self.warnings(text);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        warnings.remove(0)
    }
}

/// The good configuration with more at its end.
fn good_and(more: &str) -> String {
    format!("{GOOD}{more}\n")
}

const NULL_CLIENT: &str = "hostname = \"app1.example.com\"\n[smart_host]\nto = \"smtp://relay.example.net\"\n";

#[test]
fn a_file_named_by_a_relative_path_means_the_same() {
    let folder = Folder::new();
    folder.write("c.toml", GOOD);
    let here = std::env::current_dir().unwrap();
    let to_the_root: std::path::PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = to_the_root.join(folder.0.path().strip_prefix("/").unwrap()).join("c.toml");
    let loaded = Config::load(&relative).unwrap_or_else(|error| panic!("{error}"));
    let maildir = maildirs(&loaded.config).unwrap().path_of(&LocalUser::new("alice")).unwrap().unwrap();
    assert!(maildir.is_absolute(), "{}", maildir.display());
}

#[test]
fn a_mail_exchanger_listens_to_all_and_trusts_nobody() {
    let folder = Folder::new();
    let config = folder.good(GOOD);
    let listeners: Vec<_> =
        config.listeners.iter().map(|listener| (listener.service, listener.address.to_string())).collect();
    assert_eq!(listeners, [(Service::Mx, "0.0.0.0:25".to_owned()), (Service::Mx, "[::]:25".to_owned())]);
    assert!(config.listeners.iter().all(|listener| listener.by_default && listener.tls == ListenerTls::None));
    for client in ["127.0.0.1", "::1", "10.0.0.1"] {
        assert!(!config.policy.relay().trusts(client.parse().unwrap()), "{client}");
    }
    assert_eq!(config.queue.delay_notice_after, Some(Duration::from_hours(4)));
    assert_eq!(config.limits.expanded_recipients(), 2000);
    assert_eq!(config.queue.directory, Path::new("/var/spool/smtp-server"));
}

fn maildir_of(config: &Config, user: &str) -> Option<PathBuf> {
    maildirs(config)?.path_of(&LocalUser::new(user)).unwrap()
}

#[test]
fn the_samples_of_the_reference_can_be_used() {
    let folder = Folder::new();
    folder.certificate("mx.example.com");
    folder.write("aliases", "postmaster: alice\n");
    folder.write("users.toml", "[alice]\naddresses = [\"alice@example.com\"]\n");
    folder.good(include_str!("../../../smtp-config/samples/null-client.toml"));
    let sample = include_str!("../../../smtp-config/samples/mail-exchanger.toml");
    let here = sample.replace("/etc/aliases", "aliases").replace("\"mx.", "\"mx.example.com.");
    let config = folder.good(&here.replace("\"mx.example.com.example.com\"", "\"mx.example.com\""));
    assert_eq!(maildir_of(&config, "alice").unwrap(), Path::new("/var/mail/example.com/alice"));
}

#[test]
fn without_local_only_loopback_is_listened_on_and_trusted() {
    let folder = Folder::new();
    let config = folder.good(NULL_CLIENT);
    let listeners: Vec<_> =
        config.listeners.iter().map(|listener| (listener.service, listener.address.to_string())).collect();
    assert_eq!(
        listeners,
        [(Service::Submission, "127.0.0.1:25".to_owned()), (Service::Submission, "[::1]:25".to_owned())]
    );
    let relay = config.policy.relay();
    assert!(relay.trusts("127.0.0.1".parse().unwrap()) && relay.trusts("::1".parse().unwrap()));
    assert!(!relay.trusts("10.0.0.1".parse().unwrap()));
    assert_eq!(config.routes.smart_host.unwrap().to_string(), "smtp://relay.example.net:25?tls=verify");
}

#[test]
fn loopback_is_trusted_only_while_nobody_else_can_come_in() {
    let folder = Folder::new();
    let listener = "[[listener]]\nservice = \"submission\"\naddresses = ";
    let trusts = |more: &str| {
        let config = folder.load(&format!("{NULL_CLIENT}{more}")).unwrap().config;
        config.policy.relay().trusts("127.0.0.1".parse().unwrap())
    };
    assert!(trusts(&format!("{listener}[\"127.0.0.1:2525\"]")));
    assert!(!trusts(&format!("{listener}[\"127.0.0.1:25\", \"0.0.0.0:2525\"]")));
    assert!(!trusts(&format!("{listener}[\"192.0.2.1:25\"]")));
    assert!(!trusts("[relay]\nnetworks = []"));
    assert!(!trusts("[relay]\nnetworks = [\"10.0.0.0/8\"]"));
}

#[test]
fn a_maildir_is_named_after_the_user_and_the_first_domain() {
    let folder = Folder::new();
    folder.write("users.toml", "[alice]\n[Bob]\naddresses = [\"b@Example.NET\", \"b@example.org\"]\n");
    let text = GOOD.replace("[\"example.org\"]", "[\"example.org\", \"example.net\"]");
    let config = folder.good(&text);
    let maildir = |user| maildir_of(&config, user).map(|path| folder.short(&path.display().to_string()));
    assert_eq!(maildir("alice").as_deref(), Some("mail/example.org/alice"));
    assert_eq!(maildir("Bob").as_deref(), Some("mail/example.net/Bob"));
    assert_eq!(maildir("gone"), None);
    assert_eq!(maildirs(&config).map(Maildirs::users), Some(2));
}

#[test]
fn the_hostname_is_a_domain_name_in_ascii() {
    let folder = Folder::new();
    let named = |name: &str| folder.problem(&NULL_CLIENT.replace("app1.example.com", name));
    assert_eq!(
        folder.problem(&NULL_CLIENT.replace("hostname = \"app1.example.com\"", "")),
        "c.toml: `hostname` is missing: begin the file with the name of this server, like hostname = \"mx.example.com\""
    );
    assert!(named("a b").starts_with("c.toml:1:12: \"a b\" is no domain name: "));
    assert!(named("[192.0.2.1]").starts_with("c.toml:1:12: \"[192.0.2.1]\" is no domain name: "));
    assert_eq!(
        named("b\u{fc}cher.example"),
        "c.toml:1:12: the name of this server is sent to everybody: write it in ASCII (xn--…)"
    );
}

#[test]
fn certificates_are_loaded_and_belong_to_their_keys() {
    let folder = Folder::new();
    folder.certificate("mx.example.org");
    folder.certificate("other.example");
    folder.write("empty.pem", "nothing\n");
    let certificates = |list: &str| good_and(&format!("[tls]\ncertificates = {list}"));
    let with = |chain: &str, key: &str| certificates(&format!("[{{ chain = \"{chain}\", key = \"{key}\" }}]"));
    let config = folder.good(&with("mx.example.org.pem", "mx.example.org.key"));
    assert!(config.certificates.is_some());
    assert!(config.listeners.iter().all(|listener| listener.tls == ListenerTls::Starttls));

    assert_eq!(
        folder.problem(&with("none.pem", "mx.example.org.key")),
        "c.toml:9:27: none.pem cannot be read: check that it exists and that the server's user may read it: No such file or \
         directory (os error 2)"
    );
    assert_eq!(folder.problem(&with("empty.pem", "mx.example.org.key")), "c.toml:9:27: empty.pem holds no certificate");
    assert!(
        folder
            .problem(&with("mx.example.org.pem", "empty.pem"))
            .starts_with("c.toml:9:55: empty.pem holds no usable private key in PEM form")
    );
    assert!(
        folder
            .problem(&with("mx.example.org.pem", "other.example.key"))
            .starts_with("c.toml:9:55: the key other.example.key does not fit the certificate mx.example.org.pem: ")
    );
    assert_eq!(
        folder.warning(&with("other.example.pem", "other.example.key")),
        "c.toml:9:17: no certificate is for mx.example.org: clients that verify the name of this server turn away"
    );
}

/// RFC 2033 §5.
#[test]
fn lmtp_is_not_listened_for_on_port_25() {
    let folder = Folder::new();
    let listener = |port| good_and(&format!("[[listener]]\nservice = \"lmtp\"\naddresses = [\"[::1]:{port}\"]\n"));
    assert_eq!(
        folder.problem(&listener(25)),
        "c.toml:10:14: port 25 is SMTP's: LMTP must have another port (RFC 2033 §5)"
    );
    assert_eq!(folder.good(&listener(24)).listeners[0].service, Service::Lmtp);
}

#[test]
fn a_listener_needs_addresses_and_what_its_tls_needs() {
    let folder = Folder::new();
    let listener = |rest: &str| good_and(&format!("[[listener]]\nservice = \"mx\"\n{rest}"));
    assert_eq!(
        folder.problem(&listener("addresses = []")),
        "c.toml:8:1: `addresses` of this listener is empty; leave the listener out, or name an address"
    );
    assert_eq!(
        folder.problem(&listener("addresses = [\"[::]:25\", \"[::]:25\"]")),
        "c.toml:10:25: [::]:25 is named twice"
    );
    assert_eq!(folder.good(&listener("addresses = [\"[::]:0\", \"[::]:0\"]")).listeners.len(), 2);
    for tls in ["implicit", "starttls"] {
        assert_eq!(
            folder.problem(&listener(&format!("addresses = [\"[::]:25\"]\ntls = \"{tls}\""))),
            format!("c.toml:11:7: `tls = \"{tls}\"` needs a certificate: name one in [tls] certificates")
        );
    }
    assert_eq!(
        folder.problem(&listener("addresses = [\"[::]:465\"]")),
        "c.toml:10:14: on port 465 TLS begins with the first octet: name a certificate in [tls] certificates"
    );
    assert_eq!(
        folder.good(&listener("addresses = [\"[::]:465\"]\ntls = \"none\"")).listeners[0].tls,
        ListenerTls::None
    );

    folder.certificate("mx.example.org");
    let tls = "[tls]\ncertificates = [{ chain = \"mx.example.org.pem\", key = \"mx.example.org.key\" }]\n";
    let config = folder.good(&format!("{}{tls}", listener("addresses = [\"[::]:465\", \"[::]:587\"]")));
    let tls: Vec<ListenerTls> = config.listeners.iter().map(|listener| listener.tls).collect();
    assert_eq!(tls, [ListenerTls::Implicit, ListenerTls::Starttls]);
}

#[test]
fn the_proxies_of_a_listener_are_named_and_are_not_everybody() {
    let folder = Folder::new();
    let listener = |proxies: &str| {
        let rest = format!("addresses = [\"[::]:0\", \"127.0.0.1:0\"]\nproxy_from = {proxies}");
        good_and(&format!("[[listener]]\nservice = \"mx\"\n{rest}"))
    };
    let config = folder.good(&listener("[\"10.0.0.10\", \"2001:db8::/64\"]"));
    for listener in &config.listeners {
        assert!(listener.proxy_from[0].contains("10.0.0.10".parse().unwrap()));
        assert_eq!(listener.proxy_from.len(), 2);
    }
    assert_eq!(
        folder.problem(&listener("[\"0.0.0.0/0\"]")),
        "c.toml:11:15: 0.0.0.0/0 is everybody, who could then name any address as his own; name your proxies"
    );
    assert!(folder.problem(&listener("[\"proxy\"]")).contains("is no network"));
}

#[test]
fn those_who_may_name_clients_are_named_and_are_not_everybody() {
    let folder = Folder::new();
    let listener = |keys: &str| {
        let rest = format!("addresses = [\"[::]:0\", \"127.0.0.1:0\"]\n{keys}");
        good_and(&format!("[[listener]]\nservice = \"mx\"\n{rest}"))
    };
    let config = folder.good(&listener("xclient_from = [\"10.0.0.20\", \"2001:db8::/64\"]"));
    for listener in &config.listeners {
        assert!(listener.xclient_from[0].contains("10.0.0.20".parse().unwrap()));
        assert_eq!((listener.xclient_from.len(), listener.proxy_from.len()), (2, 0));
    }
    assert!(folder.good(&listener("")).listeners.iter().all(|listener| listener.xclient_from.is_empty()));
    assert_eq!(
        folder.problem(&listener("xclient_from = [\"::/0\"]")),
        "c.toml:11:17: ::/0 is everybody, who could then name any address as his own; name the peers that you trust"
    );
    assert!(folder.problem(&listener("xclient_from = [\"filter\"]")).contains("is no network"));
    assert_eq!(
        folder.problem(&listener("proxy_from = [\"10.0.0.10\"]\nxclient_from = [\"10.0.0.20\"]")),
        "c.toml:12:17: a listener has `xclient_from` or `proxy_from`, not both: give each a listener of its own"
    );
}

#[test]
fn an_open_relay_is_refused() {
    let folder = Folder::new();
    for network in ["0.0.0.0/0", "::/0"] {
        assert_eq!(
            folder.problem(&good_and(&format!("[relay]\nnetworks = [\"{network}\"]"))),
            format!("c.toml:9:13: {network} is everybody: this server would be an open relay; name your own networks")
        );
    }
    assert_eq!(
        folder.problem(&good_and("[relay]\nnetworks = [\"10.0.0.1/8\"]")),
        "c.toml:9:13: \"10.0.0.1/8\" is an address inside of a network; write \"10.0.0.0/8\" for the network, or the address alone"
    );
    assert_eq!(
        folder.problem(&format!("{NULL_CLIENT}[relay]\ndomains = [\"*\"]")),
        "c.toml:5:12: * is every domain: this server would be an open relay; name the domains that it relays for"
    );
    assert_eq!(
        folder.problem(&format!("{NULL_CLIENT}[relay]\ndomains = [\"a b\"]")),
        "c.toml:5:12: \"a b\" is no domain, nor a pattern such as *.example.com or *"
    );
}

#[test]
fn local_domains_are_named_once() {
    let folder = Folder::new();
    let domains = |list: &str| GOOD.replace("[\"example.org\"]", list);
    assert!(
        folder.problems(&domains("[]"))[0]
            .starts_with("c.toml:2:1: `domains` is empty: name the domains whose mail ends here")
    );
    assert_eq!(
        folder.problem(&domains("[\"example.org\", \"EXAMPLE.org\"]")),
        "c.toml:3:27: EXAMPLE.org is named twice"
    );
    assert!(
        folder
            .problem(&domains("[\"example.org\", \"*.example.org\"]"))
            .starts_with("c.toml:3:27: \"*.example.org\" is no domain: ")
    );
}

#[test]
fn the_files_that_are_named_must_be_there() {
    let folder = Folder::new();
    assert_eq!(folder.problem(&GOOD.replace("users.toml", "u.toml")), "c.toml:4:9: u.toml does not exist");
    assert_eq!(folder.problem(&GOOD.replace("\"aliases\"", "\"a\"")), "c.toml:5:11: a does not exist");
}

#[test]
fn users_are_checked_at_their_place() {
    let folder = Folder::new();
    let users = |text: &str| {
        folder.write("users.toml", text);
        folder.problem(GOOD)
    };
    assert_eq!(
        users("[alice]\n[ALICE]\n"),
        "users.toml:1:2: alice and ALICE are the same name: names match without regard to case"
    );
    let no_name =
        "cannot be the name of a user; take letters, digits and the characters . - _ + = ' ~, without a dot in front";
    for name in ["", ".", "..", ".hidden", "a/b", "a b", "a@b", "{domain}", "a\\u0000"] {
        let shown = name.replace("\\u0000", "\0");
        assert_eq!(users(&format!("[alice]\n[\"{name}\"]\n")), format!("users.toml:2:2: {shown:?} {no_name}"));
    }
    let long = "a".repeat(65);
    assert_eq!(users(&format!("[alice]\n[{long}]\n")), "users.toml:2:2: the name of a user has at most 64 octets");
    assert_eq!(
        users("[alice]\naddresses = [\"info@example.org\"]\n[bob]\naddresses = [\"Info@example.org\"]\n"),
        "users.toml:4:14: Info@example.org belongs to alice already"
    );
    assert_eq!(
        users("[alice]\n[bob]\naddresses = [\"bob@example.net\"]\n"),
        "users.toml:3:14: example.net is not one of the local domains"
    );
    assert!(users("[alice]\naddresses = [\"alice\"]\n").starts_with("users.toml:2:14: \"alice\" is no address: "));
    assert_eq!(
        users("[alice]\nadresses = []\n"),
        "users.toml:2:1: unknown key `adresses` in [alice]; did you mean `addresses`?"
    );
}

#[test]
fn aliases_are_checked_at_their_place() {
    let folder = Folder::new();
    folder.write("aliases", "root: alice\nlist: :include:/etc/list\nprogram: \"|/usr/bin/x\"\n");
    let problems = folder.problems(GOOD);
    assert_eq!(problems.len(), 2);
    assert!(problems[0].starts_with("aliases:2:7: \":include:/etc/list\" would read targets from another file; "));
    assert!(
        problems[1].starts_with(
            "aliases:3:10: \"\\\"|/usr/bin/x\\\"\" would run a program, which local delivery never does; "
        )
    );
}

#[test]
fn aliases_that_lead_nowhere_are_warned_of() {
    let folder = Folder::new();
    folder.write("aliases", "root: admins\nadmins: alice, ROOT, nosuch\nself: self\ndead: nosuch\nlong: dead, alice\n");
    assert_eq!(
        folder.warnings(GOOD),
        [
            "aliases:1:7: alias \"root\" leads back to \"admins\"; it is left out",
            "aliases:2:16: alias \"admins\" leads back to \"root\"; it is left out",
            "aliases:2:22: alias \"admins\" names \"nosuch\", which is no user and no alias; it is left out",
            "aliases:3:1: alias \"self\" leads in a circle, or too far: mail for it is refused",
            "aliases:4:1: alias \"dead\" leads to nobody: mail for it is refused",
            "aliases:4:7: alias \"dead\" names \"nosuch\", which is no user and no alias; it is left out",
        ]
    );
    folder.write("aliases", "many: alice, a@example.net\n");
    assert_eq!(
        folder.warning(&good_and("[limits]\nalias_recipients = 1")),
        "aliases:1:1: alias \"many\" stands for too many recipients: mail for it is refused"
    );
}

#[test]
fn there_is_always_a_postmaster() {
    let folder = Folder::new();
    let without = GOOD.replace("postmaster = \"alice\"\n", "");
    assert_eq!(
        folder.problem(&without),
        "c.toml:2:1: mail for <postmaster> goes to nobody: add `postmaster` with the name of a user to [local], or an alias or a \
         user of that name (RFC 5321 §4.5.1)"
    );
    folder.write("aliases", "postmaster: bob\n");
    folder.good(&without);
    folder.write("aliases", "");
    folder.write("users.toml", "[postmaster]\n");
    folder.good(&without);
    folder.good(&GOOD.replace("\"alice\"", "\"ops@example.net\""));
    assert_eq!(
        folder.problem(GOOD),
        "c.toml:7:14: `postmaster` is \"alice\", which is no user, no alias and no address that mail can go to"
    );
    folder.write("users.toml", "[postmaster]\naddresses = [\"postmaster@example.org\"]\n[alice]\n");
    assert_eq!(
        folder.problem(&without.replace("[\"example.org\"]", "[\"example.org\", \"example.net\"]")),
        "c.toml:2:1: mail for <postmaster@example.net> goes to nobody: add `postmaster` with the name of a user to [local], or an \
         alias or a user of that name (RFC 5321 §4.5.1)"
    );
}

#[test]
fn the_rules_of_local_are_checked() {
    let folder = Folder::new();
    assert_eq!(
        folder.problem(&good_and("catch_all = \"nosuch\"")),
        "c.toml:8:13: `catch_all` is \"nosuch\", which is no user, no alias and no address that mail can go to"
    );
    folder.good(&good_and("catch_all = \"b.b@example.org\"\nsubaddress_separator = \"\""));
    assert_eq!(
        folder.problem(&good_and("catch_all = \"|x\"")).split(';').next(),
        Some("c.toml:8:13: \"|x\" would run a program, which local delivery never does")
    );
    for separator in ["++", "a", "@", " "] {
        assert_eq!(
            folder.problem(&good_and(&format!("subaddress_separator = \"{separator}\""))),
            format!(
                "c.toml:8:24: {separator:?} cannot divide a user from a tag; take one character such as \"+\" or \"-\", or \"\""
            )
        );
    }
    let maildir = |path: &str| GOOD.replace("mail/{domain}/{user}", path);
    assert_eq!(
        folder.short(&folder.problem(&maildir("mail/{domain}"))),
        "c.toml:6:23: all users would share the Maildir mail/{domain}; put {user} into the path"
    );
    assert_eq!(
        folder.problem(&maildir("mail/{name}/{user}")),
        "c.toml:6:23: \"{name}\" has a placeholder other than {user} and {domain}"
    );
}

#[test]
fn next_hops_say_what_tls_must_give() {
    let folder = Folder::new();
    let routes = folder.good(&good_and(
        "[[route]]\nrecipients = [\"a.example\"]\nto = \"smtp://a\"\n\
         [[route]]\nrecipients = [\"b.example\"]\nto = \"submissions://b\"\n\
         [[route]]\nrecipients = [\"c.example\"]\nto = \"submission://[2001:db8::1]\"\ntls = \"require\"\n\
         [[route]]\nrecipients = [\"d.example\", \"*.d.example\"]\nto = \"smtp://10.0.0.1:26\"\ntls = \"none\"\n",
    ));
    let hops: Vec<String> = routes.routes.lanes().map(|(pattern, hop)| format!("{pattern} {hop}")).collect();
    assert_eq!(
        hops,
        [
            "a.example smtp://a:25",
            "b.example submissions://b:465",
            "c.example smtp://[2001:db8::1]:587?tls=require",
            "d.example smtp://10.0.0.1:26?tls=none",
            "*.d.example smtp://10.0.0.1:26?tls=none",
        ]
    );
    for tls in ["opportunistic", "none"] {
        assert_eq!(
            folder.problem(&good_and(&format!("[smart_host]\nto = \"smtps://a\"\ntls = \"{tls}\""))),
            "c.toml:10:7: smtps:// is TLS from the first octet; take \"verify\" or \"require\", or smtp://"
        );
    }
    assert_eq!(
        folder.problem(&good_and("[[route]]\nrecipients = []\nto = \"smtp://a\"")),
        "c.toml:8:1: `recipients` of this route is empty: it would never be taken"
    );
}

#[test]
fn mail_that_is_taken_has_somewhere_to_go() {
    let folder = Folder::new();
    assert_eq!(
        folder.problem("hostname = \"a.example\""),
        "c.toml: there is nowhere for mail to go: add [smart_host] with `to`, or [local] with the domains whose mail ends here"
    );
    assert_eq!(
        folder.warning(&good_and("[relay]\nnetworks = [\"10.0.0.0/8\"]")),
        "c.toml:9:13: these clients may send to anywhere, but mail that no [[route]] is for has no next hop: add [smart_host]"
    );
    let route = "[[route]]\nrecipients = [\"a.example\", \"*.a.example\"]\nto = \"smtp://a\"\n";
    assert_eq!(
        folder.warning(&good_and(&format!(
            "[relay]\ndomains = [\"a.example\", \"*.a.example\", \"x.a.example\", \"b.example\"]\n{route}"
        ))),
        "c.toml:9:55: mail for this domain is taken and has no next hop: add a [[route]] for it, or [smart_host]"
    );
    folder.good(&good_and("[relay]\nnetworks = [\"10.0.0.0/8\"]\n[[route]]\nrecipients = [\"*\"]\nto = \"smtp://a\""));
}

#[test]
fn numbers_have_their_bounds() {
    let folder = Folder::new();
    let zero = |section: &str, key: &str| folder.problem(&good_and(&format!("[{section}]\n{key} = 0")));
    for (section, key) in [
        ("limits", "recipients_per_message"),
        ("limits", "sessions"),
        ("limits", "sessions_per_client"),
        ("limits", "errors_per_session"),
        ("limits", "received_hops"),
        ("limits", "alias_recipients"),
        ("delivery", "sessions"),
        ("delivery", "sessions_per_next_hop"),
        ("delivery", "messages_per_session"),
        ("delivery", "local_deliveries"),
    ] {
        let column = key.len() + 4;
        assert_eq!(zero(section, key), format!("c.toml:9:{column}: `{key}` must be at least 1"));
    }
    for (section, key) in [
        ("queue", "expire_after"),
        ("timeouts", "command"),
        ("timeouts", "data_block"),
        ("timeouts", "tls_handshake"),
        ("timeouts", "connect"),
    ] {
        let column = key.len() + 4;
        let message = folder.problem(&good_and(&format!("[{section}]\n{key} = \"0s\"")));
        assert_eq!(message, format!("c.toml:9:{column}: `{key}` must be longer than nothing"));
    }
    let limit = |line: &str| folder.problem(&good_and(&format!("[limits]\n{line}")));
    assert_eq!(limit("message_octets = 1023"), "c.toml:9:18: `message_octets` must be at least 1 KiB");
    assert_eq!(limit("header_octets = \"1 KiB\""), "c.toml:9:17: `header_octets` must be from 16 KiB to 256 KiB");
    assert_eq!(limit("header_octets = \"1 MiB\""), "c.toml:9:17: `header_octets` must be from 16 KiB to 256 KiB");
    assert_eq!(limit("alias_depth = 101"), "c.toml:9:15: `alias_depth` must be at most 100");
}

#[test]
fn the_highest_priority_is_one_that_there_is() {
    let folder = Folder::new();
    let message = folder.problem(&good_and("[limits]\nmt_priority = 10"));
    assert_eq!(message, "c.toml:9:15: `mt_priority` must be at most 9");
    assert_eq!(folder.good(&good_and("[limits]\nmt_priority = 0")).limits.priority.value(), 0);
}

/// RFC 4865 §3: whole seconds, and not beyond what the schedule reaches.
#[test]
fn mail_is_held_for_a_second_to_a_year() {
    let folder = Folder::new();
    for wrong in ["0s", "10ms", "400d"] {
        let message = folder.problem(&good_and(&format!("[limits]\nfuture_release = \"{wrong}\"")));
        assert_eq!(message, "c.toml:9:18: `future_release` must be from a second to a year");
    }
    folder.good(&good_and("[limits]\nfuture_release = \"365d\"\ndeliver_by = \"0s\""));
}

/// RFC 3030 §3.
#[test]
fn binary_content_needs_chunks() {
    let folder = Folder::new();
    assert_eq!(
        folder.problem(&good_and("[extensions]\nchunking = false\nbinarymime = true")),
        "c.toml: `binarymime` needs `chunking`: binary content comes by BDAT only (RFC 3030 §3)"
    );
    assert!(!folder.good(GOOD).extensions.binarymime);
    assert!(folder.good(&good_and("[extensions]\nbinarymime = true")).extensions.binarymime);
}

#[test]
fn limits_below_those_of_the_rfc_are_warned_of() {
    let folder = Folder::new();
    assert_eq!(
        folder.warnings(&good_and("[limits]\nmessage_octets = \"50 KB\"\nrecipients_per_message = 2")),
        [
            "c.toml:9:18: `message_octets` is below 64 KiB, which every server should take (RFC 5321 §4.5.3.1.7)",
            "c.toml:10:26: `recipients_per_message` is below 100, which every server should take (RFC 5321 §4.5.3.1.8)",
        ]
    );
}

#[test]
fn the_queue_is_a_directory_with_a_schedule() {
    let folder = Folder::new();
    let queue = |rest: &str| good_and(&format!("[queue]\n{rest}"));
    assert_eq!(folder.problem(&queue("directory = \"aliases\"")), "c.toml:9:13: aliases is not a directory");
    assert_eq!(
        folder.problem(&queue("retry = [\"1m\", \"50ms\", \"…\"]")),
        "c.toml:9:9: the delay before retry 2 is shorter than 100ms"
    );
    assert_eq!(folder.good(&queue("delay_notice_after = \"0s\"")).queue.delay_notice_after, None);
}

#[test]
fn the_group_of_the_socket_must_be_there() {
    let folder = Folder::new();
    let group = |name: &str| good_and(&format!("[admin]\ngroup = \"{name}\""));
    assert_eq!(folder.good(&group("root")).admin.group.map(|group| group.gid), Some(0));
    assert_eq!(
        folder.problem(&group("no-such-group")),
        "c.toml:9:9: there is no group \"no-such-group\" on this machine; make it with `groupadd --system no-such-group`"
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let folder = Folder::new();
    folder.write("users.toml", "[\"a b\"]\n[alice]\n");
    let text = good_and("[relay]\nnetworks = [\"x\"]\n[limits]\nsessions = 0").replace("mx.example.org", "no name");
    let places: Vec<String> =
        folder.problems(&text).iter().map(|line| line.split(": ").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(places, ["c.toml:1:12", "c.toml:11:12", "users.toml:1:2", "c.toml:9:13"]);
}

#[test]
fn the_authorities_of_next_hops_are_those_of_a_file() {
    let folder = Folder::new();
    assert!(folder.good(GOOD).authorities.is_none());
    folder.certificate("ca");
    let with = format!("{GOOD}[tls]\nauthorities = \"ca.pem\"\n");
    assert_eq!(folder.good(&with).authorities.map(|roots| roots.len()), Some(1));
    folder.write("ca.pem", "nothing\n");
    assert_eq!(folder.problem(&with), "c.toml:9:15: ca.pem holds no certificate in PEM form");
    folder.write("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(folder.problem(&with).starts_with("c.toml:9:15: certificate 1 of ca.pem cannot be used: "));
    std::fs::remove_file(folder.0.path().join("ca.pem")).unwrap();
    assert!(folder.problem(&with).contains("ca.pem"));
}

fn maildirs(config: &Config) -> Option<&Maildirs> {
    match config.mailboxes.as_ref()? {
        Mailboxes::Maildirs(maildirs) => Some(maildirs),
        Mailboxes::Server(_) => None,
    }
}

#[test]
fn mail_goes_into_maildirs_or_to_a_mailbox_server_and_never_to_both() {
    let folder = Folder::new();
    let deliver = |table: &str| GOOD.replace("{ maildir = \"mail/{domain}/{user}\" }", table);
    for (table, shown) in [
        ("{ lmtp = \"unix:/run/dovecot/lmtp\" }", "lmtp://unix:/run/dovecot/lmtp?tls=none"),
        ("{ lmtp = \"127.0.0.1:24\" }", "lmtp://127.0.0.1:24"),
    ] {
        let config = folder.load(&deliver(table)).unwrap().config;
        let Some(Mailboxes::Server(server)) = config.mailboxes else { panic!("{:?}", config.mailboxes) };
        assert_eq!(server.to_string(), shown);
    }
    assert!(folder.problem(&deliver("{ maildir = \"m/{user}\", lmtp = \"unix:/x\" }")).contains("leave one out"));
    assert!(folder.problem(&deliver("{}")).contains("`deliver` is empty"));
}
