use super::*;

struct Sample {
    reverse_path: ReversePath,
    forward_path: ForwardPath,
    original: ForwardPath,
    lane: Lane,
}

const ID: &str = "0123456789ABC";

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(10)
}

impl Sample {
    fn new() -> Self {
        Self {
            reverse_path: "<News@shop.example>".parse().unwrap(),
            forward_path: "<\"bob\"@a.example.net>".parse().unwrap(),
            original: "<team@example.org>".parse().unwrap(),
            lane: Lane::new("smtp://10.0.0.5:25"),
        }
    }

    fn candidate(&self) -> Candidate<'_> {
        Candidate {
            id: RecipientId { message: ID.parse().unwrap(), number: 2 },
            reverse_path: &self.reverse_path,
            forward_path: &self.forward_path,
            original: Some(&self.original),
            lane: &self.lane,
            received_at: SystemTime::UNIX_EPOCH + Duration::from_hours(8),
            octets: 1_000,
            error: Some("450 4.7.1 Greylisted, try later"),
            held: false,
            released: true,
        }
    }
}

fn matches(selector: &Selector) -> bool {
    selector.matches(&Sample::new().candidate(), now())
}

fn selector(change: impl FnOnce(&mut Selector)) -> Selector {
    let mut selector = Selector::default();
    change(&mut selector);
    selector
}

#[test]
fn nothing_given_means_all() {
    assert!(matches(&Selector::default()));
    assert!(Selector::default().is_all());
    assert!(!selector(|s| s.held = Some(false)).is_all());
    assert!(!selector(|s| s.released = Some(true)).is_all());
    assert!(!selector(|s| s.limit = Some(1)).is_all());
}

#[test]
fn ids_mean_a_message_or_a_recipient() {
    for (ids, expected) in [
        (vec![ID], true),
        (vec!["0123456789abc.2"], true),
        (vec!["0123456789ABC.1"], false),
        (vec!["0123456789ABD", "0123456789ABC.2"], true),
        (vec!["0123456789ABD"], false),
        (vec![], false),
    ] {
        let selector = selector(|s| s.ids = Some(ids.iter().map(|id| id.parse().unwrap()).collect()));
        assert_eq!(matches(&selector), expected, "{ids:?}");
        let messages = selector.messages().unwrap();
        assert!(ids.iter().all(|id| messages.contains(&id[..13].parse().unwrap())));
    }
    assert!(Selector::default().messages().is_none());
    assert!("0123456789ABC.0".parse::<IdSelector>().is_err());
    assert!("".parse::<IdSelector>().is_err());
    let id: IdSelector = "0123456789ABC.7".parse().unwrap();
    assert_eq!(id.to_string(), "0123456789ABC.7");
}

#[test]
fn senders_and_recipients() {
    for (pattern, sender, rcpt) in [
        ("news@SHOP.example", true, false),
        ("<news@shop.example>", true, false),
        ("@shop.example", true, false),
        ("@example", false, false),
        ("@*.example", true, false),
        ("bob@a.example.net", false, true),
        ("team@example.org", false, true),
        ("@example.org", false, true),
        ("<>", false, false),
        ("postmaster", false, false),
    ] {
        let pattern: AddressPattern = pattern.parse().unwrap();
        assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()));
        assert_eq!(matches(&selector(|s| s.sender = Some(pattern.clone()))), sender, "sender {pattern}");
        assert_eq!(matches(&selector(|s| s.rcpt = Some(pattern.clone()))), rcpt, "rcpt {pattern}");
    }
    for text in ["a", "a@", "@", "a b@example.org", "a@b@example.org"] {
        assert!(text.parse::<AddressPattern>().is_err(), "{text}");
    }
}

#[test]
fn null_reverse_paths_and_postmaster() {
    let null: AddressPattern = "".parse().unwrap();
    assert!(null.matches(None) && !null.matches_path(&ForwardPath::Postmaster));
    let postmaster: AddressPattern = "<Postmaster>".parse().unwrap();
    assert!(postmaster.matches_path(&ForwardPath::Postmaster) && !postmaster.matches(None));
    let sample = Sample { forward_path: ForwardPath::Postmaster, ..Sample::new() };
    let any = selector(|s| s.domain = Some(DomainPattern::ANY));
    assert!(!any.matches(&sample.candidate(), now()));
}

#[test]
fn everything_else_that_can_be_asked_for() {
    let hours = |hours| Some(Duration::from_hours(hours));
    for (expected, selector) in [
        (true, selector(|s| s.domain = Some("*.example.net".parse().unwrap()))),
        (false, selector(|s| s.domain = Some("example.org".parse().unwrap()))),
        (true, selector(|s| s.relay = Some(Lane::new("smtp://10.0.0.5:25")))),
        (false, selector(|s| s.relay = Some(Lane::local()))),
        (true, selector(|s| s.older = hours(2))),
        (false, selector(|s| s.older = hours(3))),
        (true, selector(|s| s.younger = hours(2))),
        (false, selector(|s| s.younger = hours(1))),
        (true, selector(|s| s.size = Some(SizeBound::AtLeast(1_000)))),
        (false, selector(|s| s.size = Some(SizeBound::AtLeast(1_001)))),
        (true, selector(|s| s.size = Some(SizeBound::AtMost(1_000)))),
        (false, selector(|s| s.size = Some(SizeBound::AtMost(999)))),
        (true, selector(|s| s.error = Some("grey.*later$".parse().unwrap()))),
        (false, selector(|s| s.error = Some("^greylisted".parse().unwrap()))),
        (true, selector(|s| s.held = Some(false))),
        (false, selector(|s| s.held = Some(true))),
    ] {
        assert_eq!(matches(&selector), expected, "{selector:?}");
    }
}

#[test]
fn what_its_sender_holds_is_told_from_what_may_leave() {
    let sample = Sample::new();
    for released in [true, false] {
        let candidate = Candidate { released, ..sample.candidate() };
        for wanted in [true, false] {
            let selector = selector(|s| s.released = Some(wanted));
            assert_eq!(selector.matches(&candidate, now()), wanted == released, "{wanted} {released}");
        }
    }
}

#[test]
fn all_that_is_given_must_apply() {
    let both = selector(|s| {
        s.held = Some(false);
        s.older = Some(Duration::from_hours(9));
    });
    assert!(!matches(&both));
}

#[test]
fn no_report_is_no_match_and_a_clock_set_back_makes_all_young() {
    let sample = Sample::new();
    let silent = Candidate { error: None, ..sample.candidate() };
    assert!(!selector(|s| s.error = Some("".parse().unwrap())).matches(&silent, now()));
    let young = selector(|s| s.younger = Some(Duration::ZERO));
    assert!(young.matches(&silent, SystemTime::UNIX_EPOCH));
}

#[test]
fn expressions_are_bounded() {
    assert!("(".parse::<ErrorPattern>().is_err());
    assert!("(a{1000}){1000}".parse::<ErrorPattern>().is_err());
}

#[test]
fn pages_follow_one_another() {
    let id = |number| DeliveryId { message: ID.parse().unwrap(), number };
    let page = Page::first(10);
    assert!(page.reaches(id(0)) && Page::ALL.reaches(id(0)));
    let next = page.after(id(3));
    assert_eq!((next.reaches(id(3)), next.reaches(id(4)), next.at_most), (false, true, 10));
}
