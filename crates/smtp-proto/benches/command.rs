//! What parsing costs: commands as they come in every transaction, and replies.
//!
//! The aim is 300 ns for a typical command, allocations of the owned value included.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, criterion_group, criterion_main};
use smtp_proto::{Command, Limits, ReplyReader};

const LINES: [(&str, &[u8]); 7] = [
    ("EHLO", b"EHLO mail.sender.example.com"),
    ("MAIL", b"MAIL FROM:<newsletter-2025@lists.example.com> SIZE=48213 BODY=8BITMIME"),
    ("MAIL SRS", b"MAIL FROM:<SRS0=aB1c=xy=shop.example=news@fwd.example.net>"),
    ("RCPT", b"RCPT TO:<alice.example@mx.example.org>"),
    ("RCPT quoted", b"RCPT TO:<\"odd user\"@example.net>"),
    ("DATA", b"DATA"),
    ("unknown", b"XFORWARD ADDR=192.0.2.1"),
];

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, line) in LINES {
        group.bench_function(name, |bencher| bencher.iter(|| Command::parse(black_box(line))));
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let commands = LINES.into_iter().filter_map(|(name, line)| Some((name, Command::parse(line).ok()?)));
    for (name, command) in commands {
        let mut output = BytesMut::with_capacity(1024);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                output.clear();
                black_box(&command).encode(&mut output);
            });
        });
    }
    group.finish();
}

fn read_reply(criterion: &mut Criterion) {
    let mut reader = ReplyReader::new(&Limits::default());
    criterion.bench_function("read reply", |bencher| {
        bencher.iter_batched(
            || BytesMut::from(&b"250 2.1.5 Recipient OK\r\n"[..]),
            |mut input| reader.read(&mut input),
            criterion::BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, parse, encode, read_reply);
criterion_main!(benches);
