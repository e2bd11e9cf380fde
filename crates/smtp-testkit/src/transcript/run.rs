//! One run of a transcript.

use std::time::Instant;

use bytes::BytesMut;
use smtp_proto::Session;

use super::octets::write_octets;
use super::{Role, Shown, Step, Time, Transcript};

/// How the input is cut.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cuts {
    /// All that comes before the peer has to wait, the caller does something by itself, or time passes, in one piece.
    Whole,
    Octets,
    Random(u64),
}

/// A session under test, and what has been heard of it.
pub(super) struct Run<R: Role> {
    session: R::Session,
    now: Instant,
    input: BytesMut,
    /// The transcript as it is written after this run.
    lines: Vec<String>,
    events: Vec<String>,
    outputs: Vec<String>,
    /// Output that is no complete line yet.
    output: Vec<u8>,
    /// Content that is not written yet, and that is not among the events yet: output comes between on paper only.
    content: Vec<u8>,
    content_heard: Vec<u8>,
    /// The answers that were given to events that asked, in order.
    answers: Vec<String>,
    /// Which lines of the transcript they were.
    answer_lines: Vec<usize>,
}

impl<R: Role> Run<R> {
    fn new(transcript: &Transcript) -> Self {
        let now = Instant::now();
        Self {
            session: R::session(transcript.limits.clone(), now),
            now,
            input: BytesMut::new(),
            lines: Vec::new(),
            events: Vec::new(),
            outputs: Vec::new(),
            output: Vec::new(),
            content: Vec::new(),
            content_heard: Vec::new(),
            answers: Vec::new(),
            answer_lines: Vec::new(),
        }
    }

    /// Runs line by line: the order of lines is that of a patient peer.
    pub(super) fn by_line(transcript: &Transcript) -> Self {
        let mut run = Self::new(transcript);
        let steps = transcript.lines.iter().enumerate();
        let steps = steps.filter(|(_, (_, step))| !matches!(step, Step::Event | Step::Output));
        let mut steps = steps.peekable();
        let mut answer_lines = Vec::new();
        let mut started = false;
        loop {
            // The session speaks first, behind what belongs to the head of the file.
            if started || !matches!(steps.peek(), Some((_, (_, Step::Comment)))) {
                started = true;
                run.pump(|| {
                    let (number, (_, step)) = steps.peek()?;
                    let Step::Answer(words) = step else { return None };
                    answer_lines.push(*number);
                    steps.next();
                    Some(words.clone())
                });
            }
            let Some((_, (line, step))) = steps.next() else { break };
            match step {
                Step::Comment => run.line(line),
                Step::Input { octets, .. } => {
                    run.lines.push(line.clone());
                    run.input.extend_from_slice(octets);
                }
                step => {
                    run.line(line);
                    run.act(step);
                }
            }
        }
        run.finish();
        run.answer_lines = answer_lines;
        run
    }

    /// Runs with other cuts, and with the answers of an earlier run.
    pub(super) fn again(transcript: &Transcript, by_line: &Self, cuts: Cuts) -> Self {
        let mut run = Self::new(transcript);
        let mut answers = by_line.answers.iter();
        let mut next_answer = || answers.next().cloned();
        let mut random = fastrand::Rng::with_seed(if let Cuts::Random(seed) = cuts { seed } else { 0 });
        let mut pieces: Vec<(Vec<u8>, bool)> = Vec::new();
        run.pump(&mut next_answer);
        for (number, (_, step)) in transcript.lines.iter().enumerate() {
            match step {
                Step::Output if R::PEER_WAITS => {
                    run.feed(std::mem::take(&mut pieces), cuts, &mut random, &mut next_answer);
                }
                Step::Comment | Step::Event | Step::Output => {}
                Step::Input { octets, whole } => pieces.push((octets.clone(), *whole)),
                Step::Answer(_) if by_line.answer_lines.contains(&number) => {}
                step => {
                    run.feed(std::mem::take(&mut pieces), cuts, &mut random, &mut next_answer);
                    run.act(step);
                    run.pump(&mut next_answer);
                }
            }
        }
        run.feed(pieces, cuts, &mut random, &mut next_answer);
        run.finish();
        run
    }

    fn feed(
        &mut self,
        pieces: Vec<(Vec<u8>, bool)>,
        cuts: Cuts,
        random: &mut fastrand::Rng,
        answers: &mut impl FnMut() -> Option<String>,
    ) {
        if let Cuts::Whole = cuts {
            self.input.extend(pieces.into_iter().flat_map(|(octets, _)| octets));
            return self.pump(answers);
        }
        for (octets, whole) in pieces {
            let mut rest = &octets[..];
            while !rest.is_empty() {
                let length = match cuts {
                    _ if whole => rest.len(),
                    Cuts::Random(_) => random.usize(1..=rest.len().min(40)),
                    Cuts::Whole | Cuts::Octets => 1,
                };
                let (piece, behind) = rest.split_at(length);
                self.input.extend_from_slice(piece);
                // Sometimes the next piece comes before the session is asked.
                if whole || !matches!(cuts, Cuts::Random(_)) || random.bool() {
                    self.pump(&mut *answers);
                }
                rest = behind;
            }
        }
        self.pump(answers);
    }

    /// What is no input and no answer.
    fn act(&mut self, step: &Step) {
        self.hear_content();
        match step {
            Step::Answer(words) => self.say(words),
            Step::Time(Time::Tls) => R::tls_established(&mut self.session, self.now),
            Step::Time(Time::EndOfStream) => {
                let event = self.session.handle_eof();
                self.event(event.as_ref(), &mut || None);
            }
            Step::Time(Time::Passes(duration)) => {
                self.now += *duration;
                if self.session.poll_timeout().is_some_and(|deadline| deadline.at <= self.now) {
                    let event = self.session.handle_timeout(self.now);
                    self.event(event.as_ref(), &mut || None);
                }
            }
            Step::Comment | Step::Input { .. } | Step::Event | Step::Output => {}
        }
    }

    /// The caller's loop.
    fn pump(&mut self, mut answers: impl FnMut() -> Option<String>) {
        loop {
            while let Some(event) = self.session.handle_input(self.now, &mut self.input) {
                self.event(Some(&event), &mut answers);
            }
            let mut written = false;
            while let Some(octets) = self.session.poll_transmit(self.now) {
                assert!(!octets.is_empty(), "an empty piece is never sent");
                self.output.extend_from_slice(&octets);
                written = true;
            }
            self.write_output();
            if !written {
                return;
            }
        }
    }

    fn event(&mut self, event: Option<&<R::Session as Session>::Event>, answers: &mut impl FnMut() -> Option<String>) {
        match event.map(R::show) {
            None => {}
            Some(Shown::Content(octets)) => {
                self.content.extend_from_slice(&octets);
                self.content_heard.extend_from_slice(&octets);
            }
            Some(Shown::Told(text)) => {
                self.hear_content();
                self.line(&format!("E: {text}"));
                self.events.push(text);
            }
            Some(Shown::Asked(text, willing)) => {
                self.hear_content();
                let answer = answers();
                if let Some(words) = &answer {
                    self.line(&format!("E: {text}"));
                    self.line(&format!("A: {words}"));
                }
                let words = answer.unwrap_or_else(|| willing.to_owned());
                self.events.push(text);
                self.say(&words);
                self.answers.push(words);
            }
        }
    }

    fn say(&mut self, words: &str) {
        if let Err(error) = R::say(&mut self.session, words, self.now) {
            self.line(&format!("E: {error}"));
            self.events.push(error);
        }
    }

    fn write_output(&mut self) {
        while let Some(end) = self.output.iter().position(|&octet| octet == b'\n') {
            self.write_content();
            let line: Vec<u8> = self.output.drain(..=end).collect();
            let text = match line.strip_suffix(b"\r\n") {
                Some(line) => format!("{}: {}", R::OUTPUT, write_octets(line)),
                None => format!("{}: {}", R::OUTPUT.to_ascii_lowercase(), write_octets(&line)),
            };
            self.line(&text);
            self.outputs.push(text);
        }
    }

    fn write_content(&mut self) {
        if !self.content.is_empty() {
            self.lines.push(format!("E: {}", content_text(&std::mem::take(&mut self.content))));
        }
    }

    fn hear_content(&mut self) {
        self.write_content();
        if !self.content_heard.is_empty() {
            self.events.push(content_text(&std::mem::take(&mut self.content_heard)));
        }
    }

    fn line(&mut self, line: &str) {
        self.write_content();
        self.lines.push(line.trim_end().to_owned());
    }

    fn finish(&mut self) {
        self.hear_content();
        if !self.output.is_empty() {
            let text = format!("{}: {}", R::OUTPUT.to_ascii_lowercase(), write_octets(&self.output));
            self.line(&text);
            self.outputs.push(text);
        }
    }

    pub(super) fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// What the session said to either side; the order between the two depends on the cuts.
    pub(super) fn heard(&self) -> String {
        self.events.iter().chain(&self.outputs).flat_map(|line| [line, "\n"]).collect()
    }
}

fn content_text(octets: &[u8]) -> String {
    format!("MailData(\"{}\")", write_octets(octets))
}
