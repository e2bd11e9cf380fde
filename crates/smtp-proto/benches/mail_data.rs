//! How fast mail data is read and written: octets a second on one core.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use smtp_proto::mail_data::{MailDataPiece, Stuffer, Unstuffer};

/// What a connection reads at a time.
const READ_OCTETS: usize = 64 * 1024;

/// A body as base64 makes it: lines of 76 octets.
fn base64_lines(octets: usize) -> Vec<u8> {
    let line =
        [&b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NQ"[..76], b"\r\n"].concat();
    line.repeat(octets / line.len())
}

/// Text with lines of all lengths, one in fifty begins with a dot.
fn text_lines(octets: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for number in 0.. {
        if number % 50 == 0 {
            text.push(b'.');
        }
        text.extend(std::iter::repeat_n(b'a', number * 7 % 79));
        text.extend_from_slice(b"\r\n");
        if text.len() >= octets {
            return text;
        }
    }
    unreachable!("the loop returns")
}

fn unstuff(input: &mut BytesMut) -> u64 {
    let mut unstuffer = Unstuffer::new(u64::MAX);
    while let Some(MailDataPiece::Content(content)) = unstuffer.next_piece(input) {
        black_box(content);
    }
    unstuffer.facts().octets
}

fn mail_data(criterion: &mut Criterion) {
    let contents = [("base64", base64_lines(READ_OCTETS)), ("text", text_lines(READ_OCTETS))];
    let mut group = criterion.benchmark_group("mail_data");
    for (name, content) in contents {
        let content = Bytes::from(content);
        let wire = Stuffer::default().stuff(content.clone()).expect("the content has no fault");
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(format!("unstuff/{name}"), |bencher| {
            bencher.iter_batched_ref(|| BytesMut::from(&wire[..]), unstuff, BatchSize::SmallInput);
        });
        group.bench_function(format!("stuff/{name}"), |bencher| {
            bencher.iter(|| Stuffer::default().stuff(black_box(&content).clone()));
        });
    }
    group.finish();
}

criterion_group!(benches, mail_data);
criterion_main!(benches);
