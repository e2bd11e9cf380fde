use proptest::prelude::*;

use super::*;

const USERS: [&str; 3] = ["alice", "bob", "Carol"];

fn rules(aliases: &str) -> LocalRules {
    LocalRules { aliases: Aliases::parse(aliases).unwrap(), ..LocalRules::default() }
}

/// alice, bob and Carol at example.com and example.org, with these rules.
fn table(rules: LocalRules) -> LocalRecipients {
    let domains = ["example.com", "Example.ORG"].map(|domain| domain.parse().unwrap());
    let mut table = LocalRecipients::new(domains, rules);
    for user in USERS.map(LocalUser::new) {
        table.add_user(&user).unwrap();
        table.add_everywhere(&user);
    }
    table
}

fn resolve(table: &LocalRecipients, path: &str) -> Resolution {
    table.resolve(&path.parse().unwrap())
}

fn user(name: &str) -> Target {
    Target::User(LocalUser::new(name))
}

fn mailbox(address: &str) -> Target {
    Target::Mailbox(address.parse().unwrap())
}

fn targets(targets: &[Target]) -> Resolution {
    Resolution::Targets(Expansion { targets: targets.to_vec(), dropped: Vec::new() })
}

#[test]
fn a_user_is_found_without_regard_to_case_and_quoting() {
    let table = table(LocalRules::default());
    for path in ["<alice@example.com>", "<ALICE@EXAMPLE.COM>", "<\"alice\"@example.org>", "<\"a\\lice\"@example.com>"] {
        assert_eq!(resolve(&table, path), targets(&[user("alice")]), "{path}");
    }
    assert_eq!(resolve(&table, "<carol@example.com>"), targets(&[user("Carol")]));
}

#[test]
fn what_nobody_has_is_unknown_and_what_is_elsewhere_is_not_local() {
    let table = table(LocalRules::default());
    for path in ["<nobody@example.com>", "<alice%example.net@example.com>", "<\"alice@example.net\"@example.com>"] {
        assert_eq!(resolve(&table, path), Resolution::Unknown, "{path}");
    }
    for path in ["<alice@example.net>", "<alice@sub.example.com>", "<alice@[192.0.2.1]>"] {
        assert_eq!(resolve(&table, path), Resolution::NotLocal, "{path}");
    }
}

#[test]
fn an_address_of_one_domain_is_none_of_another() {
    let mut table =
        LocalRecipients::new(["a.example", "b.example"].map(|domain| domain.parse().unwrap()), rules("root: dora"));
    let dora = LocalUser::new("dora");
    table.add_user(&dora).unwrap();
    table.add_address(&dora, &"d@a.example".parse().unwrap()).unwrap();
    table.add_address(&dora, &"D@A.example".parse().unwrap()).unwrap();
    assert_eq!(resolve(&table, "<d@a.example>"), targets(&[user("dora")]));
    assert_eq!(resolve(&table, "<d@b.example>"), Resolution::Unknown);
    assert_eq!(resolve(&table, "<dora@a.example>"), Resolution::Unknown);
    assert_eq!(resolve(&table, "<root@b.example>"), targets(&[user("dora")]));
}

#[test]
fn two_users_cannot_have_one_address() {
    let mut table = table(LocalRules::default());
    let (alice, bob) = (LocalUser::new("alice"), LocalUser::new("bob"));
    let address = "info@example.com".parse().unwrap();
    table.add_address(&alice, &address).unwrap();
    assert_eq!(table.add_address(&bob, &address).unwrap_err().to_string(), "info@example.com belongs to alice already");
    assert_eq!(
        table.add_address(&bob, &"bob@example.net".parse().unwrap()).unwrap_err().to_string(),
        "example.net is not one of the local domains"
    );
    assert_eq!(
        table.add_user(&LocalUser::new("ALICE")).unwrap_err().to_string(),
        "ALICE and alice are the same name: names match without regard to case"
    );
}

#[test]
fn a_tag_is_taken_off() {
    let table = table(rules("list: bob\nteam+urgent: Carol\nteam: bob\n"));
    for (path, target) in [
        ("<alice+shop@example.com>", "alice"),
        ("<alice+a+b@example.com>", "alice"),
        ("<alice+@example.com>", "alice"),
        ("<list+x@example.org>", "bob"),
        ("<team+urgent@example.org>", "Carol"),
        ("<TEAM+Urgent+now@example.org>", "Carol"),
        ("<team+other@example.org>", "bob"),
    ] {
        assert_eq!(resolve(&table, path), targets(&[user(target)]), "{path}");
    }
    assert_eq!(resolve(&table, "<+alice@example.com>"), Resolution::Unknown);
    assert_eq!(resolve(&table, "<nobody+alice@example.com>"), Resolution::Unknown);
}

#[test]
fn the_separator_can_be_another_or_none() {
    let dash = LocalRules { subaddress_separator: Some('-'), ..rules("a-b: bob") };
    let dash = table(dash);
    assert_eq!(resolve(&dash, "<alice-x@example.com>"), targets(&[user("alice")]));
    assert_eq!(resolve(&dash, "<a-b-c@example.com>"), targets(&[user("bob")]));
    assert_eq!(resolve(&dash, "<alice+x@example.com>"), Resolution::Unknown);
    let none = table(LocalRules { subaddress_separator: None, ..LocalRules::default() });
    assert_eq!(resolve(&none, "<alice+x@example.com>"), Resolution::Unknown);
}

#[test]
fn catch_all_takes_what_nobody_has() {
    let catch_all = Some("bob".parse().unwrap());
    let table = table(LocalRules { catch_all, ..rules("dead: nosuch\nfar: nosuch@example.com") });
    assert_eq!(resolve(&table, "<alice@example.com>"), targets(&[user("alice")]));
    assert_eq!(resolve(&table, "<what.ever@example.org>"), targets(&[user("bob")]));
    assert_eq!(resolve(&table, "<far@example.org>"), targets(&[user("bob")]));
    // A name in the aliases file is not an address: what is dead there is told, and not caught.
    assert_eq!(resolve(&table, "<dead@example.org>"), Resolution::Unknown);
    assert_eq!(resolve(&table, "<what.ever@example.net>"), Resolution::NotLocal);
}

#[test]
fn a_catch_all_that_leads_back_to_itself_ends() {
    let catch_all = Some("nosuch@example.com".parse().unwrap());
    let table = table(LocalRules { catch_all, ..LocalRules::default() });
    assert_eq!(resolve(&table, "<x@example.com>"), Resolution::Unknown);
}

#[test]
fn postmaster_is_the_one_of_the_configuration_else_an_alias_else_a_user() {
    let paths = [
        "<postmaster>",
        "<Postmaster>",
        "<POSTMASTER@example.com>",
        "<\"postmaster\"@example.org>",
        "<postmaster+x@example.org>",
    ];
    let configured = LocalRules { postmaster: Some("alice".parse().unwrap()), ..rules("postmaster: bob") };
    let mut with_user = table(LocalRules::default());
    let postmaster = LocalUser::new("postmaster");
    with_user.add_user(&postmaster).unwrap();
    with_user.add_everywhere(&postmaster);
    for path in paths {
        assert_eq!(resolve(&table(configured.clone()), path), targets(&[user("alice")]), "{path}");
        assert_eq!(resolve(&table(rules("postmaster: bob")), path), targets(&[user("bob")]), "{path}");
        assert_eq!(resolve(&with_user, path), targets(&[user("postmaster")]), "{path}");
        assert_eq!(resolve(&table(LocalRules::default()), path), Resolution::Unknown, "{path}");
    }
    assert_eq!(resolve(&table(configured.clone()), "<postmaster@example.net>"), Resolution::NotLocal);
}

#[test]
fn postmaster_may_be_named_by_itself_and_by_aliases() {
    let itself =
        LocalRules { postmaster: Some("postmaster".parse().unwrap()), ..rules("postmaster: bob\nabuse: postmaster") };
    let table = table(itself);
    assert_eq!(resolve(&table, "<postmaster>"), targets(&[user("bob")]));
    assert_eq!(resolve(&table, "<abuse@example.com>"), targets(&[user("bob")]));
}

#[test]
fn an_alias_to_elsewhere_forwards() {
    let table = table(rules("fwd: x@example.net\nboth: alice, y@Example.net, \"y\"@example.net, y@example.NET"));
    assert_eq!(resolve(&table, "<fwd@example.com>"), targets(&[mailbox("x@example.net")]));
    // Only the host of a mailbox may say that its quoting means nothing.
    assert_eq!(
        resolve(&table, "<both@example.com>"),
        targets(&[user("alice"), mailbox("y@example.net"), mailbox("\"y\"@example.net")])
    );
}

#[test]
fn two_aliases_that_point_at_each_other_give_one_copy() {
    let table = table(rules("root: admins\nadmins: alice, root\n"));
    let dropped = vec![Dropped::Loop { alias: "admins".to_owned(), target: "root".to_owned() }];
    let once = Expansion { targets: vec![user("alice")], dropped };
    assert_eq!(resolve(&table, "<root@example.com>"), Resolution::Targets(once));
}

#[test]
fn two_branches_may_meet_at_one_person() {
    let table = table(rules("all: b, c\nb: alice\nc: alice\n"));
    assert_eq!(resolve(&table, "<all@example.com>"), targets(&[user("alice")]));
}

#[test]
fn a_name_that_leads_to_itself_is_the_mailbox_of_that_user() {
    let table =
        table(rules("self: self\nalice: alice, x@example.net\nbob: \\bob, y@example.net\ncarol: carol@example.com"));
    assert_eq!(resolve(&table, "<self@example.com>"), Resolution::Loop);
    assert_eq!(resolve(&table, "<alice@example.com>"), targets(&[user("alice"), mailbox("x@example.net")]));
    assert_eq!(resolve(&table, "<bob@example.com>"), targets(&[user("bob"), mailbox("y@example.net")]));
    assert_eq!(resolve(&table, "<carol+tag@example.com>"), targets(&[user("Carol")]));
}

#[test]
fn nobody_loses_mail_to_a_circle_that_a_user_is_in() {
    let table = table(rules("alice: team\nteam: alice, bob"));
    assert_eq!(resolve(&table, "<alice@example.com>"), targets(&[user("alice"), user("bob")]));
}

/// `a1: a2`, …, and the last of them alice.
fn chain(aliases: usize) -> LocalRecipients {
    let steps = (1..aliases).map(|step| format!("a{step}: a{}", step + 1));
    let lines: Vec<String> = steps.chain([format!("a{aliases}: alice")]).collect();
    table(rules(&lines.join("\n")))
}

#[test]
fn a_chain_ends_at_the_limit() {
    assert_eq!(resolve(&chain(10), "<a1@example.com>"), targets(&[user("alice")]));
    assert_eq!(resolve(&chain(11), "<a1@example.com>"), Resolution::Loop);
    assert_eq!(resolve(&chain(20), "<a1@example.com>"), Resolution::Loop);
    assert_eq!(resolve(&chain(20), "<a11@example.com>"), targets(&[user("alice")]));
}

#[test]
fn an_address_stands_for_no_more_than_the_limit() {
    let many: Vec<String> = (0..5).map(|number| format!("u{number}@example.net")).collect();
    let aliases = format!("many: {}\ntwice: many, many", many.join(", "));
    let limits = |recipients| ExpansionLimits { recipients, ..ExpansionLimits::default() };
    let expected: Vec<Target> = many.iter().map(|address| mailbox(address)).collect();
    let enough = table(LocalRules { limits: limits(5), ..rules(&aliases) });
    assert_eq!(resolve(&enough, "<twice@example.com>"), targets(&expected));
    let too_few = table(LocalRules { limits: limits(4), ..rules(&aliases) });
    assert_eq!(resolve(&too_few, "<many@example.com>"), Resolution::TooMany);
}

#[test]
fn a_dead_target_does_not_cost_the_others_their_mail() {
    let table = table(rules("team: nosuch, alice, gone@example.com"));
    let Resolution::Targets(expansion) = resolve(&table, "<team@example.com>") else { panic!("alice is there") };
    assert_eq!(expansion.targets, [user("alice")]);
    let told: Vec<String> = expansion.dropped.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "alias \"team\" names \"nosuch\", which is no user and no alias",
            "alias \"team\" names \"gone@example.com\", which is no user and no alias"
        ]
    );
}

#[test]
fn a_circle_without_anybody_says_where_it_closes() {
    let table = table(rules("x: y, alice\ny: x\n"));
    let Resolution::Targets(expansion) = resolve(&table, "<x@example.com>") else { panic!("alice is there") };
    assert_eq!(expansion.dropped[0].to_string(), "alias \"y\" leads back to \"x\"");
}

#[test]
fn targets_of_the_configuration_are_resolved_alone() {
    let table = table(rules("team: alice, bob"));
    let resolve = |text: &str| table.resolve_target(&text.parse().unwrap());
    assert_eq!(resolve("team"), targets(&[user("alice"), user("bob")]));
    assert_eq!(resolve("team@example.com"), targets(&[user("alice"), user("bob")]));
    assert_eq!(resolve("x@example.net"), targets(&[mailbox("x@example.net")]));
    assert_eq!(resolve("nosuch"), Resolution::Unknown);
}

proptest! {
    /// Aliases of a handful of names at each other: every way of making circles ends, and within the limits.
    #[test]
    fn every_expansion_ends(links in prop::collection::vec((0_usize..8, prop::collection::vec(0_usize..12, 1..6)), 1..8)) {
        let name = |number: usize| match number {
            8 => "alice".to_owned(),
            9 => "x@example.net".to_owned(),
            10 => "n3+tag@example.org".to_owned(),
            11 => "\\bob".to_owned(),
            number => format!("n{number}"),
        };
        let mut lines: HashMap<usize, String> = HashMap::new();
        for (from, to) in links {
            let to: Vec<String> = to.into_iter().map(name).collect();
            lines.insert(from, format!("n{from}: {}\n", to.join(", ")));
        }
        let limits = ExpansionLimits { depth: 4, recipients: 2 };
        let table = table(LocalRules { limits, ..rules(&lines.into_values().collect::<String>()) });
        for number in 0..8 {
            if let Resolution::Targets(expansion) = resolve(&table, &format!("<n{number}@example.com>")) {
                prop_assert!((1..=2).contains(&expansion.targets.len()));
                let distinct: std::collections::HashSet<_> = expansion.targets.iter().collect();
                prop_assert_eq!(distinct.len(), expansion.targets.len());
            }
        }
    }
}
