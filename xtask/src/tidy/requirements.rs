//! The tables that hold the RFCs against the code: `docs/rfc.md`, and a file for each RFC below `docs/rfc/`.
//!
//! A row tells a requirement, where it lives, and in its last cell the tests that show it, or the reason why there is none.
//! In code marks stand paths below `crates/`; a test is its file, `::` and the name of the function, or a file of text that
//! is run, with `::` and words of it where one line of it is meant.

use std::path::Path;

use super::{Finding, Repository, TextFile};

const INDEX: &str = "docs/rfc.md";
const FOLDER: &str = "docs/rfc/";

/// What a table calls the column with the word of RFC 2119, where it has one.
const LEVEL: &str = "level";
/// The words of RFC 2119, those of the texts that are older than it, and `-` where the text has none of them.
const LEVELS: [&str; 13] = [
    "MUST",
    "MUST NOT",
    "SHOULD",
    "SHOULD NOT",
    "REQUIRED",
    "SHALL",
    "RECOMMENDED",
    "recommended",
    "must",
    "must not",
    "should",
    "should not",
    "-",
];

/// What stands in front of the reason why no test shows a requirement, or shows something else.
const REASONS: [&str; 6] = ["other party:", "operator:", "not built:", "departure:", "no test:", "not met:"];

/// Folders of texts that tests run, by the short names that rows have for them.
const SHORT: [(&str, &str); 8] = [
    ("server/", "smtp-testkit/transcripts/server/"),
    ("queries-server/", "smtp-testkit/transcripts/queries-server/"),
    ("watchful-server/", "smtp-testkit/transcripts/watchful-server/"),
    ("trusting-server/", "smtp-testkit/transcripts/trusting-server/"),
    ("client/", "smtp-testkit/transcripts/client/"),
    ("lmtp-server/", "smtp-testkit/transcripts/lmtp-server/"),
    ("lmtp-client/", "smtp-testkit/transcripts/lmtp-client/"),
    ("cases/", "smtp-server/tests/conformance/cases/"),
];

/// A row of a table, without its head.
struct Row<'a> {
    line: usize,
    cells: Vec<&'a str>,
    head: Vec<&'a str>,
}

/// How the requirements of one document are met.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) rows: usize,
    /// Those that name a test.
    pub(crate) tested: usize,
    /// Those that give this reason, in the order of [`Count::reasons`].
    pub(crate) reasons: [usize; REASONS.len()],
}

impl Count {
    /// The names of the reasons.
    pub(crate) fn reasons() -> impl Iterator<Item = &'static str> {
        REASONS.into_iter().map(|reason| reason.trim_end_matches(':'))
    }
}

/// Rows that show nothing, or name what is not there.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in documents(repository) {
        for row in rows(&document.text) {
            let faults = row.faults(repository);
            findings.extend(faults.into_iter().map(|fault| Finding::at(&document.path, row.line, fault)));
        }
    }
    findings
}

/// What each document counts, by its path.
pub(crate) fn count(repository: &Repository) -> Vec<(&str, Count)> {
    documents(repository).map(|document| (document.path.as_str(), count_rows(&document.text))).collect()
}

fn documents(repository: &Repository) -> impl Iterator<Item = &TextFile> {
    repository.texts.iter().filter(|file| file.path == INDEX || file.path.starts_with(FOLDER))
}

fn count_rows(text: &str) -> Count {
    let mut count = Count::default();
    for row in rows(text) {
        count.rows += 1;
        count.tested += usize::from(claims(row.last()).any(is_test));
        if let Some(reason) = reason(row.last()) {
            count.reasons[reason] += 1;
        }
    }
    count
}

/// The rows of all tables of a document.
fn rows(text: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut head = None;
    for (index, line) in text.lines().enumerate() {
        let Some(inside) = line.strip_prefix('|') else {
            head = None;
            continue;
        };
        let cells: Vec<&str> = inside.strip_suffix('|').unwrap_or(inside).split('|').map(str::trim).collect();
        match &head {
            None => head = Some(cells),
            Some(_) if line.starts_with("|-") => {}
            Some(head) => rows.push(Row { line: index + 1, cells, head: head.clone() }),
        }
    }
    rows
}

impl<'a> Row<'a> {
    fn last(&self) -> &'a str {
        self.cells.last().copied().unwrap_or_default()
    }

    fn faults(&self, repository: &Repository) -> Vec<String> {
        if self.cells.len() != self.head.len() {
            return vec![format!("{} cells in a table of {} columns", self.cells.len(), self.head.len())];
        }
        let mut faults = Vec::new();
        let level = self.head.iter().position(|name| *name == LEVEL).map(|column| self.cells[column]);
        if let Some(level) = level.filter(|level| !LEVELS.contains(level)) {
            faults.push(format!("{level:?} is no level of requirement"));
        }
        for claim in self.cells.iter().flat_map(|cell| claims(cell)) {
            if let Err(fault) = prove(claim, repository) {
                faults.push(format!("`{claim}`: {fault}"));
            }
        }
        let last = self.last();
        for claim in claims(last).filter(|claim| !is_test(claim)) {
            faults.push(format!("`{claim}` stands where a test belongs"));
        }
        if reason(last).is_none() && !claims(last).any(is_test) {
            faults.push(format!("neither a test nor a reason: one of {}", REASONS.join(" ")));
        }
        faults
    }
}

/// What a cell names in code marks that is a path.
fn claims(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2).filter(|claim| claim.split("::").next().is_some_and(|file| file.contains('/')))
}

/// A function, or a text that a test runs.
fn is_test(claim: &str) -> bool {
    match claim.split_once("::") {
        Some((file, _)) => has_extension(file, "rs") || has_extension(file, "txt"),
        None => has_extension(claim, "txt"),
    }
}

fn has_extension(file: &str, extension: &str) -> bool {
    Path::new(file).extension().is_some_and(|found| found == extension)
}

/// Which reason a cell gives, wherever in it.
fn reason(cell: &str) -> Option<usize> {
    REASONS.iter().position(|reason| cell.split_once(reason).is_some_and(|(_, text)| !text.trim().is_empty()))
}

fn prove(claim: &str, repository: &Repository) -> Result<(), &'static str> {
    let (file, part) = match claim.split_once("::") {
        Some((file, part)) => (file, Some(part)),
        None => (claim, None),
    };
    let long = SHORT.iter().find_map(|(short, long)| Some(format!("crates/{long}{}", file.strip_prefix(short)?)));
    let path = long.unwrap_or_else(|| format!("crates/{file}"));
    let text = repository.find(&path).ok_or("there is no such file")?;
    let Some(part) = part else { return Ok(()) };
    if !has_extension(file, "rs") {
        return if text.contains(part) { Ok(()) } else { Err("there is no such line in it") };
    }
    match text.split_once(&format!("fn {part}(")) {
        None => Err("there is no such function in it"),
        Some((before, _)) if !is_marked_as_test(before) => Err("that function is no test"),
        Some(_) => Ok(()),
    }
}

/// Whether a text ends with the attributes of a test, or with such comments and attributes behind them.
fn is_marked_as_test(before: &str) -> bool {
    let above = before.split('\n').rev().skip(1).map(str::trim);
    let mut attributes =
        above.take_while(|line| line.starts_with("#[") || line.starts_with("//")).filter(|line| line.starts_with("#["));
    attributes.any(|line| !line.starts_with("#[cfg") && line.contains("test"))
}

#[cfg(test)]
mod tests {
    use super::super::rust_file::tests::texts;
    use super::*;

    const HEAD: &str = "| section | level | what | where | test |\n|---|---|---|---|---|\n";
    const SOURCES: [(&str, &str); 3] = [
        (
            "crates/smtp-proto/src/path.rs",
            "#[test]\n    fn a_test() {}\n#[tokio::test]\nasync fn outside() {}\nfn helper() {}\n\
             // For one test.\n#[cfg(test)]\nfn told() {}\n",
        ),
        ("crates/smtp-testkit/transcripts/server/first.txt", "C: EHLO\n"),
        ("crates/smtp-server/tests/conformance/cases/mail.txt", "ehlo: MAIL FROM:<> => 250\n"),
    ];

    fn findings(path: &str, row: &str) -> Vec<String> {
        let text = format!("`free text/`\n\n{HEAD}{row}\n");
        let files = [&SOURCES[..], &[(path, text.as_str())]].concat();
        check(&Repository { texts: texts(&files) }).iter().map(ToString::to_string).collect()
    }

    fn of_last_cell(cell: &str) -> Vec<String> {
        findings("docs/rfc/5321.md", &format!("| 4.1 | MUST | it holds | `smtp-proto/src/path.rs` | {cell} |"))
    }

    #[test]
    fn rows_with_a_test_or_a_reason_pass() {
        for cell in [
            "`smtp-proto/src/path.rs::a_test`",
            "`smtp-proto/src/path.rs::outside`",
            "`server/first.txt`, `smtp-testkit/transcripts/server/first.txt`",
            "`cases/mail.txt::MAIL FROM:<>`",
            "other party: the client",
            "departure: we are stricter, `server/first.txt`",
        ] {
            assert_eq!(of_last_cell(cell), [""; 0], "{cell}");
        }
    }

    #[test]
    fn a_row_without_test_and_reason_is_found() {
        for cell in ["", "-", "obvious", "not met:", "`a_test`"] {
            let found = of_last_cell(cell);
            assert!(
                found.len() == 1 && found[0].starts_with("docs/rfc/5321.md:5: neither a test nor a reason"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_row_that_names_what_is_not_there_is_found() {
        for (claim, fault) in [
            ("smtp-proto/src/gone.rs::a_test", "there is no such file"),
            ("smtp-proto/src/path.rs::other", "there is no such function in it"),
            ("smtp-proto/src/path.rs::helper", "that function is no test"),
            ("smtp-proto/src/path.rs::told", "that function is no test"),
            ("server/second.txt", "there is no such file"),
            ("cases/mail.txt::RCPT", "there is no such line in it"),
        ] {
            assert_eq!(of_last_cell(&format!("`{claim}`")), [format!("docs/rfc/5321.md:5: `{claim}`: {fault}")]);
        }
        let found = findings("docs/rfc.md", "| 4.1 | MUST | it holds | `smtp-proto/src/gone.rs` | operator: DNS |");
        assert_eq!(found, ["docs/rfc.md:5: `smtp-proto/src/gone.rs`: there is no such file"]);
    }

    #[test]
    fn a_file_is_no_test() {
        let found = of_last_cell("`smtp-proto/src/path.rs`, `server/first.txt`");
        assert_eq!(found, ["docs/rfc/5321.md:5: `smtp-proto/src/path.rs` stands where a test belongs"]);
    }

    #[test]
    fn levels_and_cells_are_counted() {
        let found = findings("docs/rfc/1870.md", "| 4 | OUGHT | it holds | - | operator: DNS |");
        assert_eq!(found, ["docs/rfc/1870.md:5: \"OUGHT\" is no level of requirement"]);
        let found = findings("docs/rfc/1870.md", "| 4 | MUST | this | that | - | operator: DNS |");
        assert_eq!(found, ["docs/rfc/1870.md:5: 6 cells in a table of 5 columns"]);
    }

    #[test]
    fn requirements_are_counted_by_what_shows_them() {
        let rows = ["`server/first.txt`", "not met: `server/first.txt`", "operator: DNS"];
        let rows = rows.map(|cell| format!("| 4 | MUST | it | - | {cell} |"));
        let count = count_rows(&format!("{HEAD}{}", rows.join("\n")));
        assert_eq!(count, Count { rows: 3, tested: 2, reasons: [0, 1, 0, 0, 0, 1] });
    }
}
