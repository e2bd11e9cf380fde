//! Aliases, users that are gone, and mail that comes back, in the running server.

use smtp_admin::Scope;
use smtp_server::metrics::AttemptResult::{Delivered, Failed};
use smtp_testkit::peer::{Peer, Script};

use crate::house::House;
use crate::support::{SOON, accept, emptied, message, pause, resume, routed, status};

/// C24: aliases that lead in circles, and those that meet at one person.
#[tokio::test]
async fn aliases_end_at_people_once_each() {
    let mut house = House::start("").await;
    let steps = (1..20).fold(String::new(), |steps, step| format!("{steps}s{step}: s{}\n", step + 1));
    house.write(
        "aliases",
        &format!(
            "postmaster: alice\nroot: admins\nadmins: alice, root\nall: b, c\nb: alice\nc: alice\nbob: bob\nself: self\n{steps}s20: alice\n"
        ),
    );
    house.reload().await;
    for (alias, user) in [("root", "alice"), ("all", "alice"), ("bob", "bob"), ("s15", "alice")] {
        let address = format!("{alias}@example.org");
        accept(&house, "x@example.net", &[&address], &message(alias)).await;
        house.attempt(&address, Delivered).await;
        emptied(&mut house).await;
        let mail = house.maildir(user);
        let copies = mail.iter().filter(|mail| mail.contains(&format!("Subject: {alias}\r\n"))).count();
        assert_eq!(copies, 1, "{alias}: {mail:?}");
    }
    for (alias, reply) in [("self", "550 5."), ("s1", "55")] {
        let refused = house.send("x@example.net", &[&format!("{alias}@example.org")], "").await;
        assert!(refused.starts_with(reply), "{alias}: {refused}");
    }
    house.stop().await;
}

/// One who is named directly and by an alias gets one copy.
#[tokio::test]
async fn two_addresses_of_one_user_are_one_copy() {
    let mut house = House::start("").await;
    let to = ["alice@example.org", "postmaster@example.org", "ALICE+tag@Example.ORG"];
    accept(&house, "x@example.net", &to, &message("m")).await;
    emptied(&mut house).await;
    assert_eq!(house.maildir("alice").len(), 1);
    house.stop().await;
}

/// Mail that was delivered to the same address before has come back, by whatever way.
#[tokio::test]
async fn mail_that_comes_back_is_a_loop() {
    let mut house = House::start("").await;
    let content = format!("Delivered-To: alice@example.org\r\n{}", message("again"));
    accept(&house, "bob@example.org", &["alice@example.org"], &content).await;
    let failed = house.attempt("alice@example.org", Failed).await;
    assert_eq!(status(&failed), "5.4.6");
    house.attempt("bob@example.org", Delivered).await;
    assert_eq!(house.maildir("alice").len(), 0);
    assert!(house.maildir("bob")[0].contains("mail loop"));
    house.stop().await;
}

/// An alias that leads out and back to itself ends at the hop limit, with one report.
#[tokio::test]
async fn a_loop_through_another_server_ends() {
    let mut house = House::start("").await;
    let mx = house.address(smtp_server::metrics::Service::Mx, false);
    let back = crate::support::route("example.net", &format!("smtp://{mx}"), "none");
    let more = |queue: &str| routed(queue, &[]) + &back + "[limits]\nreceived_hops = 5\n";
    house.write("aliases", "postmaster: alice\nloop: x@example.net\n");
    house.configure(&more(SOON));
    house.reload().await;
    // What goes out to x@example.net comes in at this very server, which relays it once more.
    accept(&house, "bob@example.org", &["loop@example.org"], &message("round")).await;
    house.attempt("bob@example.org", Delivered).await;
    emptied(&mut house).await;
    assert_eq!(house.maildir("bob").len(), 1);
    assert!(house.maildir("bob")[0].contains("5.4.6"), "{:?}", house.maildir("bob"));
    house.stop().await;
}

/// Mail that was accepted for a user who is gone when it is delivered goes back to its sender.
#[tokio::test]
async fn mail_for_a_user_who_is_gone_bounces() {
    let mut house = House::start("").await;
    pause(&house, Scope::Mda).await;
    accept(&house, "alice@example.org", &["bob@example.org"], &message("m")).await;
    house.write("users.toml", "[alice]\n");
    house.reload().await;
    resume(&house, Scope::Mda).await;
    let failed = house.attempt("bob@example.org", Failed).await;
    assert_eq!(status(&failed), "5.1.1");
    house.attempt("alice@example.org", Delivered).await;
    assert!(house.maildir("alice")[0].contains("bob@example.org"));
    house.stop().await;
}

/// One alias leads to users here and to another server: each gets it on its own way.
#[tokio::test]
async fn an_alias_leads_here_and_elsewhere() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&routed("", &[("example.net", &peer)])).await;
    house.write("aliases", "postmaster: alice\nteam: alice, bob, x@example.net\n");
    house.reload().await;
    accept(&house, "y@example.com", &["team@example.org"], &message("m")).await;
    emptied(&mut house).await;
    assert_eq!((house.maildir("alice").len(), house.maildir("bob").len(), peer.messages().len()), (1, 1, 1));
    assert_eq!(peer.messages()[0].mail, "<y@example.com>");
    house.stop().await;
}
