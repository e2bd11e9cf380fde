//! The reference of the file, as Markdown: docs/configuration.md.

use std::fmt::Write as _;

use crate::find::{DEFAULT_PATH, ENVIRONMENT_VARIABLE};
use crate::keys::{Fallback, KEYS, Key, SECTIONS, Section};

/// What a host of applications needs.
pub(crate) const NULL_CLIENT: &str = include_str!("../samples/null-client.toml");
/// What a mail exchanger needs.
pub(crate) const MAIL_EXCHANGER: &str = include_str!("../samples/mail-exchanger.toml");

/// The whole reference, made from [`KEYS`] and [`SECTIONS`].
pub fn reference() -> String {
    let mut page = introduction();
    for section in SECTIONS {
        write_section(&mut page, section);
    }
    page
}

fn introduction() -> String {
    format!(
        "# The configuration file\n\n\
         <!-- Made by `cargo xtask docs` from crates/smtp-config/src/keys: edit there. -->\n\n\
         One TOML file: the one that `--config` names, else the one that `${ENVIRONMENT_VARIABLE}` names, else `{DEFAULT_PATH}`. \
         `smtp-server check` says whether it can be used, and where it is wrong. An unknown key is an error. What is left out has the \
         default given here.\n\n\
         - A duration is a text of numbers with units (`ms`, `s`, `m`, `h`, `d`, `w`): `\"5m\"`, `\"1h 30m\"`.\n\
         - A size is a number of octets with a unit (`B`, `KiB`, `MiB`, `GiB`, `TiB`; `KB`, `MB`, `GB`, `TB` by thousands): `\"25 MiB\"`.\n\
         - A path is relative to the folder of the file that it stands in.\n\
         - A network is an address and the length of its prefix, `10.0.0.0/8` or `2001:db8::/32`, or one address.\n\n\
         ## Two whole files\n\n```toml\n{NULL_CLIENT}```\n\n```toml\n{MAIL_EXCHANGER}```\n"
    )
}

fn write_section(page: &mut String, section: &Section) {
    let heading = if section.path.contains('.') { "###" } else { "##" };
    let name =
        if section.path.is_empty() { "The top of the file".to_owned() } else { format!("`{}`", section.written) };
    let _ = write!(page, "\n{heading} {name}\n\n{}\n", section.text);
    let keys: Vec<&Key> = KEYS.iter().filter(|key| key.section() == section.path).collect();
    if keys.is_empty() {
        return;
    }
    let _ = write!(page, "\n| key | value | default | example |\n|---|---|---|---|\n");
    for key in &keys {
        let fallback = fallback(key.fallback);
        let _ = writeln!(page, "| `{}` | {} | {fallback} | `{}` |", key.name(), key.value, key.example);
    }
    page.push('\n');
    for key in &keys {
        let _ = writeln!(page, "- **`{}`**: {}", key.name(), key.text);
    }
}

fn fallback(fallback: Fallback) -> String {
    match fallback {
        Fallback::Required => "required".to_owned(),
        Fallback::Value(value) => format!("`{value}`"),
        Fallback::Otherwise(words) => words.to_owned(),
    }
}
