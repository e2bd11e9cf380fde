use std::collections::BTreeSet;

use serde::de::value::Error as FieldsError;
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::*;
use crate::file::{
    Admin, Auth, Certificate, Deliver, Delivery, Extensions, File, Guards, Limits, Listener, Local, Log, Queue, Relay,
    Route, SecretSource, SmartHost, Submit, Timeouts, Tls,
};
use crate::{Source, reference};

/// Takes the names of the fields that a struct asks for, and gives it nothing.
struct Fields<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = FieldsError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, FieldsError> {
        panic!("a section is a struct")
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, FieldsError> {
        self.0.extend(fields);
        Err(serde::de::Error::custom("only the fields were wanted"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields<'de, T: serde::Deserialize<'de>>() -> BTreeSet<&'static str> {
    let mut fields = Vec::new();
    assert!(T::deserialize(Fields(&mut fields)).is_err());
    fields.into_iter().collect()
}

#[test]
fn every_key_of_the_structs_has_its_text_and_no_other_has() {
    let structs = [
        ("", fields::<File>()),
        ("tls", fields::<Tls>()),
        ("tls.certificates", fields::<Certificate>()),
        ("local", fields::<Local>()),
        ("local.deliver", fields::<Deliver>()),
        ("listener", fields::<Listener>()),
        ("relay", fields::<Relay>()),
        ("route", fields::<Route>()),
        ("route.password", fields::<SecretSource>()),
        ("route.token", fields::<SecretSource>()),
        ("smart_host", fields::<SmartHost>()),
        ("smart_host.password", fields::<SecretSource>()),
        ("smart_host.token", fields::<SecretSource>()),
        ("queue", fields::<Queue>()),
        ("limits", fields::<Limits>()),
        ("guards", fields::<Guards>()),
        ("extensions", fields::<Extensions>()),
        ("delivery", fields::<Delivery>()),
        ("timeouts", fields::<Timeouts>()),
        ("admin", fields::<Admin>()),
        ("submit", fields::<Submit>()),
        ("auth", fields::<Auth>()),
        ("log", fields::<Log>()),
    ];
    for (section, fields) in &structs {
        assert_eq!(&names_in(section).collect::<BTreeSet<_>>(), fields, "keys of [{section}]");
    }
    let known: Vec<&str> = structs.iter().map(|(section, _)| *section).collect();
    assert_eq!(SECTIONS.iter().map(|section| section.path).collect::<Vec<_>>(), known);
}

#[test]
fn no_key_and_no_section_stands_twice_or_is_without_words() {
    let paths: BTreeSet<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(paths.len(), KEYS.len());
    for key in KEYS {
        assert!(key.text.ends_with('.') && !key.value.is_empty() && !key.example.is_empty(), "{}", key.path);
    }
    for section in SECTIONS {
        assert!(section.text.ends_with('.'), "{}", section.path);
    }
}

/// The keys as a file, each with what `value` gives it.
fn as_toml(value: impl Fn(&Key) -> Option<&'static str>) -> String {
    let mut text = String::new();
    let lines = |section: &str, separator: &str| -> String {
        let keys = KEYS.iter().filter(|key| key.section() == section);
        keys.filter_map(|key| value(key).map(|value| format!("{} = {value}", key.name())))
            .collect::<Vec<_>>()
            .join(separator)
    };
    for section in SECTIONS.iter().filter(|section| !section.path.contains('.')) {
        let mut body = lines(section.path, "\n");
        for inner in SECTIONS.iter().filter(|inner| inner.in_parent().0 == section.path && !section.path.is_empty()) {
            let pairs = lines(inner.path, ", ");
            if !pairs.is_empty() {
                let opened = inner.written.split_once('…').expect("an inline section is written with dots");
                body = format!("{body}\n{}{pairs}{}", opened.0, opened.1);
            }
        }
        if !body.is_empty() {
            let header = if section.path.is_empty() { "" } else { section.written };
            text = format!("{text}{header}\n{body}\n");
        }
    }
    text
}

#[test]
fn the_defaults_of_the_reference_are_those_of_the_code() {
    let text = as_toml(|key| match key.fallback {
        Fallback::Value(value)
            if !["local", "route", "smart_host"].contains(&key.path.split('.').next().unwrap_or_default()) =>
        {
            Some(value)
        }
        _ => None,
    });
    assert_eq!(Source::new("defaults.toml", text).file().unwrap(), File::default());

    for (section, required) in [
        ("route", "[[route]]\nrecipients = []\nto = \"smtp://a\"\n"),
        ("smart_host", "[smart_host]\nto = \"smtp://a\"\n"),
    ] {
        let defaults = KEYS.iter().filter(|key| key.section() == section).filter_map(|key| match key.fallback {
            Fallback::Value(value) => Some(format!("{} = {value}\n", key.name())),
            _ => None,
        });
        let written = Source::new("a.toml", required.to_owned() + &defaults.collect::<String>()).file().unwrap();
        assert_eq!(Source::new("b.toml", required).file().unwrap(), written);
    }

    let local = "[local]\ndomains = []\ndeliver = { maildir = \"m\" }\n";
    let separator = KEYS.iter().find(|key| key.path == "local.subaddress_separator").unwrap();
    let Fallback::Value(separator) = separator.fallback else { panic!("the separator has a default") };
    let written = Source::new("a.toml", format!("{local}subaddress_separator = {separator}")).file().unwrap();
    assert_eq!(Source::new("b.toml", local).file().unwrap(), written);
}

#[test]
fn the_examples_of_the_reference_are_a_file() {
    let text = as_toml(|key| Some(key.example));
    let file = Source::new("examples.toml", text).file().unwrap();
    assert_eq!(file.listener.len(), 1);
    assert_eq!(file.tls.certificates.len(), 1);
    assert!(file.local.is_some());
}

#[test]
fn the_reference_names_every_key_and_section() {
    let page = reference();
    for key in KEYS {
        assert!(page.contains(&format!("- **`{}`**: {}", key.name(), key.text)), "{}", key.path);
    }
    for section in SECTIONS.iter().filter(|section| !section.path.is_empty()) {
        assert!(page.contains(&format!("# `{}`\n", section.written)), "{}", section.path);
    }
    assert!(
        page.contains("| `retry` | list of durations, then `\"…\"` | `[\"1m\", \"5m\", \"15m\", \"1h\", \"…\"]` |")
    );
}
