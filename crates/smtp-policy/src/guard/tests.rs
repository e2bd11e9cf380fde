#![allow(clippy::unwrap_used)]

use super::*;

const LIMITS: GuardLimits = GuardLimits {
    failures_per_client: 3,
    failures_per_login: 5,
    lockout: Duration::from_mins(15),
    failure_delay: Duration::from_secs(1),
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_client_is_locked_out_until_the_time_is_over() {
    let (mut guard, now) = (LoginGuard::default(), Instant::now());
    let client = ip("192.0.2.1");
    for _ in 0..3 {
        assert_eq!(guard.permit_client(client, &LIMITS, now), Ok(()));
        guard.failed(client, None, &LIMITS, now);
    }
    let wait = LIMITS.lockout;
    let locked_out = Err(LockedOut::Client { network: client });
    assert_eq!(guard.permit_client(client, &LIMITS, now), locked_out);
    assert_eq!(guard.permit_client(client, &LIMITS, now + wait.saturating_sub(Duration::from_nanos(1))), locked_out);
    assert!(guard.permit_client(ip("::ffff:192.0.2.1"), &LIMITS, now).is_err());
    assert_eq!(guard.permit_client(ip("192.0.2.2"), &LIMITS, now), Ok(()), "C30: another is not concerned");
    assert_eq!(guard.permit_client(client, &LIMITS, now + wait), Ok(()));
    guard.failed(client, None, &LIMITS, now + wait);
    assert_eq!(guard.permit_client(client, &LIMITS, now + wait), Ok(()), "what is long ago does not count");
}

#[test]
fn c30_a_client_that_moves_within_its_64_is_the_same() {
    let (mut guard, now) = (LoginGuard::default(), Instant::now());
    for host in 1..=3 {
        guard.failed(ip(&format!("2001:db8::{host}")), None, &LIMITS, now);
    }
    assert!(guard.permit_client(ip("2001:db8::ffff:1"), &LIMITS, now).is_err());
    assert_eq!(guard.permit_client(ip("2001:db8:0:1::1"), &LIMITS, now), Ok(()));
}

#[test]
fn a_login_that_many_try_is_locked_but_not_for_its_owner() {
    let (mut guard, now) = (LoginGuard::default(), Instant::now());
    let owner = ip("198.51.100.7");
    guard.succeeded(owner, "alice", &LIMITS, now);
    for host in 1..=5 {
        guard.failed(ip(&format!("192.0.2.{host}")), Some("alice"), &LIMITS, now);
    }
    let stranger = ip("192.0.2.99");
    assert_eq!(guard.permit_login(stranger, "alice", &LIMITS, now), Err(LockedOut::Login));
    assert_eq!(guard.permit_login(owner, "alice", &LIMITS, now), Ok(()));
    assert_eq!(guard.permit_login(stranger, "bob", &LIMITS, now), Ok(()));
    assert_eq!(guard.permit_login(stranger, "alice", &LIMITS, now + LIMITS.lockout), Ok(()));
}

#[test]
fn the_owner_is_known_for_weeks() {
    let (mut guard, now) = (LoginGuard::default(), Instant::now());
    let owner = ip("198.51.100.7");
    guard.succeeded(owner, "alice", &LIMITS, now);
    for (days, permitted) in [(1, true), (29, true), (31, false)] {
        let later = now + Duration::from_hours(days * 24);
        for host in 1..=5 {
            guard.failed(ip(&format!("192.0.2.{host}")), Some("alice"), &LIMITS, later);
        }
        assert_eq!(guard.permit_login(owner, "alice", &LIMITS, later).is_ok(), permitted, "after {days} days");
    }
}

#[test]
fn an_account_of_ones_own_gives_no_more_guesses_at_others() {
    let (mut guard, now) = (LoginGuard::default(), Instant::now());
    let client = ip("192.0.2.1");
    for login in ["alice", "bob"] {
        guard.failed(client, Some(login), &LIMITS, now);
        guard.failed(client, Some("mallory"), &LIMITS, now);
        guard.succeeded(client, "mallory", &LIMITS, now);
        assert_eq!(guard.permit_client(client, &LIMITS, now), Ok(()));
    }
    guard.failed(client, Some("carol"), &LIMITS, now);
    guard.succeeded(client, "mallory", &LIMITS, now);
    assert_eq!(guard.permit_client(client, &LIMITS, now), Err(LockedOut::Client { network: client }));
}

#[test]
fn slips_are_forgiven_once_and_while_they_count() {
    let (mut guard, now) = (LoginGuard::default(), Instant::now());
    let (client, later) = (ip("192.0.2.1"), now + LIMITS.lockout);
    guard.failed(client, Some("alice"), &LIMITS, now);
    guard.failed(client, Some("alice"), &LIMITS, now);
    for _ in 0..3 {
        guard.failed(client, Some("bob"), &LIMITS, later);
        guard.succeeded(client, "alice", &LIMITS, later);
    }
    assert_eq!(guard.permit_client(client, &LIMITS, later), Err(LockedOut::Client { network: client }));
}

#[test]
fn slips_are_forgiven_with_the_right_password() {
    let (mut guard, now) = (LoginGuard::default(), Instant::now());
    let client = ip("192.0.2.1");
    guard.failed(client, Some("alice"), &LIMITS, now);
    guard.failed(client, Some("alice"), &LIMITS, now);
    guard.succeeded(client, "alice", &LIMITS, now);
    guard.failed(client, Some("alice"), &LIMITS, now);
    assert_eq!(guard.permit_client(client, &LIMITS, now), Ok(()));
}

#[test]
fn answers_to_failures_wait_longer_each_time_up_to_a_limit() {
    let (mut guard, now) = (LoginGuard::default(), Instant::now());
    let mut delay = || guard.failed(ip("192.0.2.1"), None, &LIMITS, now).as_secs();
    assert_eq!([delay(), delay(), delay(), delay(), delay()], [1, 2, 4, 8, 8]);
}

#[test]
fn memory_is_bounded_whatever_is_tried() {
    let (mut guard, mut now) = (LoginGuard::default(), Instant::now());
    for number in 0..200_000u32 {
        guard.failed(IpAddr::from(number.to_be_bytes()), Some(&format!("user{number}")), &LIMITS, now);
        // Some come at the same instant.
        now += Duration::from_micros(u64::from(number % 2));
    }
    let kept = [guard.clients.entries.len(), guard.logins.entries.len(), guard.slips.entries.len()];
    assert!(kept.iter().all(|&kept| kept <= KEYS_MAX), "{kept:?}");
    assert!(guard.clients.entries.contains_key(&IpAddr::from(199_999u32.to_be_bytes())), "the newest are kept");
    assert!(!guard.clients.entries.contains_key(&IpAddr::from(1u32.to_be_bytes())));
    for number in 0..100_000u32 {
        guard.succeeded(IpAddr::from(number.to_be_bytes()), "alice", &LIMITS, now);
    }
    assert!(guard.known.entries.len() <= KEYS_MAX, "{}", guard.known.entries.len());
}
