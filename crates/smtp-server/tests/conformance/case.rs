//! The lines of the tables.

/// One line.
pub(crate) struct Case {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) only: Option<Only>,
    pub(crate) state: State,
    pub(crate) steps: Vec<Step>,
}

/// Where a case can be shown at all.
#[derive(Clone, Copy)]
pub(crate) enum Only {
    Clear,
    Tls,
}

/// How far the session has come.
#[derive(Clone, Copy)]
pub(crate) enum State {
    Start,
    Helo,
    Ehlo,
    Mail,
    Rcpt,
    Data,
}

/// What is said, and what is heard.
pub(crate) struct Step {
    pub(crate) octets: Vec<u8>,
    pub(crate) replies: Vec<String>,
    pub(crate) closed: bool,
}

impl State {
    fn of(word: &str) -> Self {
        match word {
            "start" => Self::Start,
            "helo" => Self::Helo,
            "ehlo" => Self::Ehlo,
            "mail" => Self::Mail,
            "rcpt" => Self::Rcpt,
            "data" => Self::Data,
            word => panic!("{word:?} is no state"),
        }
    }

    /// What leads there.
    pub(crate) fn commands(self) -> &'static [&'static str] {
        let all = &["EHLO client.example", "MAIL FROM:<sender@example.net>", "RCPT TO:<alice@example.org>", "DATA"];
        match self {
            Self::Start => &[],
            Self::Helo => &["HELO client.example"],
            Self::Ehlo => &all[..1],
            Self::Mail => &all[..2],
            Self::Rcpt => &all[..3],
            Self::Data => all,
        }
    }
}

impl Case {
    pub(crate) fn ends_in_mail_data(&self) -> bool {
        let last = self.steps.last().and_then(|step| step.replies.last());
        last.is_some_and(|code| code == "354")
    }
}

/// Reads a table.
pub(crate) fn parse(table: &str) -> Vec<Case> {
    let lines = table.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(index, line)| parse_line(index + 1, line)).collect()
}

fn parse_line(number: usize, text: &str) -> Case {
    let (state, steps) = text.split_once(": ").or_else(|| text.split_once(':')).unwrap();
    let (only, state) = match state.split_once(' ') {
        Some(("clear", state)) => (Some(Only::Clear), state),
        Some(("tls", state)) => (Some(Only::Tls), state),
        Some(_) => panic!("line {number}: {state:?}"),
        None => (None, state),
    };
    let steps = steps.split(" ;; ").map(parse_step).collect();
    Case { line: number, text: text.to_owned(), only, state: State::of(state), steps }
}

fn parse_step(text: &str) -> Step {
    let (said, heard) = text.rsplit_once("=> ").unwrap_or_else(|| panic!("no replies in {text:?}"));
    let mut octets = unescape(&repeat(said.strip_suffix(' ').unwrap_or(said)));
    octets.extend_from_slice(b"\r\n");
    let (replies, closed) = match heard.strip_suffix(" closed") {
        Some(replies) => (replies, true),
        None => (heard, false),
    };
    Step { octets, replies: replies.split(',').map(str::to_owned).collect(), closed }
}

/// `{x*9}` is nine times x.
fn repeat(text: &str) -> String {
    let Some((before, (what, times), after)) = text.split_once('{').and_then(|(before, rest)| {
        let (inside, after) = rest.split_once('}')?;
        Some((before, inside.split_once('*')?, after))
    }) else {
        return text.to_owned();
    };
    match times.parse() {
        Ok(times) => format!("{before}{}{after}", what.repeat(times)),
        Err(_) => text.to_owned(),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match characters.next().unwrap() {
            'r' => octets.push(b'\r'),
            'n' => octets.push(b'\n'),
            's' => octets.push(b' '),
            '\\' => octets.push(b'\\'),
            'x' => {
                let digits: String = characters.by_ref().take(2).collect();
                octets.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            other => panic!("\\{other} means nothing"),
        }
    }
    octets
}
