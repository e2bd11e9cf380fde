//! Real messages, and broken ones: the test data of `CPython`'s email package.

use std::fs;
use std::path::Path;

use super::house::{House, Security};
use super::wire::{assert_content_kept, send, with_crlf};

const DATA: &str = "/usr/lib/python3.11/test/test_email/data";

#[tokio::test]
#[ignore = "needs Debian's libpython3.11-testsuite"]
async fn every_message_of_cpython_arrives_octet_for_octet() {
    let house = House::open();
    let mut messages = 0;
    for entry in fs::read_dir(DATA).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            arrives(&house, &path).await;
            messages += 1;
        }
    }
    assert!(messages >= 40, "only {messages} messages in {DATA}");
}

async fn arrives(house: &House, path: &Path) {
    let content = with_crlf(&fs::read(path).unwrap());
    send(house.address(Security::Plain), "alice@example.test", &content);
    let stored = house.take_message().await;
    assert_content_kept(&stored, &content, &path.display().to_string());
}
