//! Any text as a configuration, and as a file of users: no panic, and every problem has a place within the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smtp_config::Source;

fuzz_target!(|text: &str| {
    let source = Source::new("smtp-server.toml", text);
    let lines = text.lines().count().max(1);
    for problems in [source.file().err(), source.users().err()].into_iter().flatten() {
        assert!(problems.iter().count() > 0);
        for problem in problems.iter() {
            // A file that ends too early is wrong on the line behind its last.
            assert!(problem.line().is_none_or(|line| (1..=lines + 1).contains(&line)), "{problem}");
            assert!(!problem.message().is_empty());
        }
    }
});
