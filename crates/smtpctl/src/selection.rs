//! From the selectors as written to those that are sent.

use std::io::Read;

use smtp_admin::Selector;

use crate::args::Selectors;
use crate::failure::Failure;

/// The word for the whole queue, which an act must name.
const ALL: &str = "all";

/// What the words of a command line select.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) selector: Selector,
    /// `all` was written.
    pub(crate) all: bool,
}

impl Selection {
    /// Reads the ids from `input` where the selectors say so.
    pub(crate) fn read(which: &Selectors, input: &mut dyn Read) -> Result<Self, Failure> {
        let (words, mut ids): (Vec<_>, Vec<_>) = which.targets.iter().cloned().partition(|word| word == ALL);
        ids.extend(which.id.iter().cloned());
        let from_input = ids.iter().any(|id| id == "-");
        if from_input {
            ids.retain(|id| id != "-");
            let mut text = String::new();
            input.read_to_string(&mut text).map_err(|error| {
                Failure::Failed(anyhow::Error::new(error).context("the ids could not be read from standard input"))
            })?;
            ids.extend(text.split_whitespace().map(str::to_owned));
        }
        let all = !words.is_empty();
        if all && (from_input || !ids.is_empty()) {
            return Err(Failure::Usage("write either `all` or ids, not both".to_owned()));
        }
        // Ids that were asked for and are none select nothing, not everything.
        let ids = (from_input || !ids.is_empty()).then_some(ids);
        Ok(Self { selector: Selector { ids, ..conditions(which) }, all })
    }

    /// For an act: it must be said what is meant.
    pub(crate) fn for_act(which: &Selectors, input: &mut dyn Read) -> Result<Self, Failure> {
        let selection = Self::read(which, input)?;
        if !selection.all && selection.selector == Selector::default() {
            let text = "say what is meant: ids, `all`, or a selector such as --domain example.net";
            return Err(Failure::Usage(text.to_owned()));
        }
        Ok(selection)
    }

    /// Whether everything is selected.
    pub(crate) fn is_everything(&self) -> bool {
        self.selector == Selector::default()
    }
}

fn conditions(which: &Selectors) -> Selector {
    Selector {
        ids: None,
        sender: which.sender.clone(),
        rcpt: which.rcpt.clone(),
        domain: which.domain.clone(),
        relay: which.relay.clone(),
        older_seconds: which.older.map(|time| time.as_secs()),
        younger_seconds: which.younger.map(|time| time.as_secs()),
        size: which.size,
        error: which.error.clone(),
        held: which.held,
        limit: which.limit,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn which(targets: &[&str]) -> Selectors {
        Selectors { targets: targets.iter().map(|&word| word.to_owned()).collect(), ..Selectors::default() }
    }

    fn read(which: &Selectors, input: &str) -> Result<Selection, Failure> {
        Selection::for_act(which, &mut input.as_bytes())
    }

    #[test]
    fn an_act_must_say_what_it_means() {
        assert!(matches!(read(&which(&[]), ""), Err(Failure::Usage(_))));
        assert!(matches!(read(&which(&["all", "0A"]), ""), Err(Failure::Usage(_))));
        assert!(read(&which(&["all"]), "").unwrap().is_everything());
        let by_domain = Selectors { domain: Some("example.net".to_owned()), ..Selectors::default() };
        assert!(!read(&by_domain, "").unwrap().is_everything());
    }

    #[test]
    fn ids_come_from_the_line_and_from_standard_input() {
        let selection = read(&which(&["0A", "-"]), "0B.1\n 0C\n").unwrap();
        assert_eq!(selection.selector.ids.unwrap(), ["0A", "0B.1", "0C"]);
    }

    /// `comm ... | smtpctl remove -` with nothing to remove must not remove everything.
    #[test]
    fn no_ids_on_standard_input_select_nothing() {
        let selection = read(&which(&["-"]), "").unwrap();
        assert_eq!(selection.selector.ids, Some(Vec::new()));
        assert!(!selection.is_everything());
    }
}
