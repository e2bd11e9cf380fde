#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn a_selector_without_anything_is_the_empty_object() {
    assert_eq!(serde_json::to_string(&Selector::default()).unwrap(), "{}");
    assert_eq!(serde_json::from_str::<Selector>("{}").unwrap(), Selector::default());
}

/// A condition that the daemon does not know must not be passed over: it would select more than was meant.
#[test]
fn a_condition_that_is_not_known_is_refused() {
    assert!(serde_json::from_str::<Selector>(r#"{"sendr":"a@example.org"}"#).is_err());
}

/// The schema is documented and stable: names change only with a new path.
#[test]
fn the_names_in_json_are_stable() {
    let control = Control {
        act: Act::Hold,
        selector: Selector { size: Some(Size::AtLeast(10)), held: Some(false), ..Selector::default() },
        reason: Some("maintenance".to_owned()),
        for_seconds: Some(60),
        dry_run: false,
    };
    assert_eq!(
        serde_json::to_string(&control).unwrap(),
        r#"{"act":"hold","selector":{"size":{"at_least":10},"held":false},"reason":"maintenance","for_seconds":60}"#
    );
    let pause = PauseRequest { scope: Scope::Domain("example.net".to_owned()), for_seconds: None, reason: None };
    assert_eq!(serde_json::to_string(&pause).unwrap(), r#"{"scope":{"domain":"example.net"}}"#);
    for (scope, json) in [(Scope::Mta, "\"mta\""), (Scope::Mda, "\"mda\""), (Scope::Smtp, "\"smtp\"")] {
        assert_eq!(serde_json::to_string(&scope).unwrap(), json);
    }
    for act in [Act::Hold, Act::Release, Act::Schedule, Act::Remove] {
        assert_eq!(serde_json::to_string(&act).unwrap(), format!("\"{}\"", act.as_str()));
    }
}
