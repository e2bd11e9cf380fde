#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use super::*;

fn render(metrics: &Metrics) -> String {
    metrics.render(&QueueReading { free_octets: Some(7), ..QueueReading::default() }, UNIX_EPOCH)
}

/// The series of an exposition: each line without its value.
fn series(text: &str) -> BTreeSet<String> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// Checks the grammar of `OpenMetrics` 1.0 as far as we use it: metadata before samples, families not interleaved, the
/// suffix that each type asks for, units in names, one `# EOF` at the end, no series twice.
fn lint(text: &str) -> Result<(), String> {
    let body = text.strip_suffix("# EOF\n").ok_or("no EOF at the end")?;
    let (mut types, mut done, mut seen) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut family = String::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (keyword, rest) = rest.split_once(' ').ok_or(format!("bad metadata: {line}"))?;
            let (name, value) = rest.split_once(' ').ok_or(format!("bad metadata: {line}"))?;
            if name != family {
                if !done.insert(name.to_owned()) {
                    return Err(format!("family {name} in two places"));
                }
                name.clone_into(&mut family);
            }
            match keyword {
                "TYPE" => drop(types.insert(name.to_owned(), value.to_owned())),
                "UNIT" if !name.ends_with(&format!("_{value}")) => return Err(format!("{name} lacks its unit")),
                "UNIT" | "HELP" => {}
                other => return Err(format!("unknown keyword {other}")),
            }
            continue;
        }
        sample(line, &family, types.get(&family).ok_or(format!("no TYPE before {line}"))?)?;
        if !seen.insert(line.rsplit_once(' ').unwrap().0) {
            return Err(format!("twice: {line}"));
        }
    }
    Ok(())
}

fn sample(line: &str, family: &str, kind: &str) -> Result<(), String> {
    let (key, value) = line.rsplit_once(' ').ok_or(format!("no value: {line}"))?;
    let name = key.split('{').next().unwrap();
    let suffix = name.strip_prefix(family).ok_or(format!("{name} is not of {family}"))?;
    let allowed: &[&str] = match kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "info" => &["_info"],
        "histogram" => &["_bucket", "_sum", "_count"],
        other => return Err(format!("type {other}")),
    };
    let good_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    if !allowed.contains(&suffix) || !good_name(name) || value.parse::<f64>().is_err() {
        return Err(format!("bad sample: {line}"));
    }
    let Some(labels) = key.strip_prefix(name).unwrap().strip_prefix('{') else { return Ok(()) };
    let labels = labels.strip_suffix('}').ok_or(format!("open braces: {line}"))?;
    let good_label = |label: &str| {
        label.split_once('=').is_some_and(|(name, value)| {
            good_name(name) && value.len() > 2 && value.starts_with('"') && value.ends_with('"')
        })
    };
    if labels.split(',').all(good_label) { Ok(()) } else { Err(format!("bad labels: {line}")) }
}

fn facts(version: &str) -> TlsFacts {
    TlsFacts {
        version: version.to_owned(),
        cipher_suite: "TLS_AES_256_GCM_SHA384".to_owned(),
        key_exchange: Some("X25519MLKEM768".to_owned()),
        verified: true,
        ..TlsFacts::default()
    }
}

fn everything(metrics: &Metrics) {
    for &service in Service::ALL {
        drop(metrics.session_opened(service));
        metrics.message_received(service, 1234);
    }
    for &verb in Verb::ALL {
        for number in [250, 354, 451, 550] {
            metrics.command(verb, ReplyCode::from_number(number).unwrap());
        }
    }
    for &stage in Stage::ALL {
        metrics.reject(stage, ReplyCode::MAILBOX_UNAVAILABLE);
    }
    for &reason in ProxyRefusal::ALL {
        metrics.proxy_refused(reason);
    }
    for &limit in ExcessLimit::ALL {
        metrics.excess(limit, true);
    }
    for &class in DeliveryClass::ALL {
        drop(metrics.attempt_begun(class));
        for &result in AttemptResult::ALL {
            metrics.delivery(result, class, Duration::from_millis(20));
        }
    }
    for &reason in TlsFailure::ALL {
        metrics.tls_failed(reason);
    }
    metrics.tls(&facts("TLSv1.3"));
    metrics.client_connected(Some(&TlsFacts {
        version: "TLSv1.2".to_owned(),
        cipher_suite: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned(),
        key_exchange: Some("X25519".to_owned()),
        ..TlsFacts::default()
    }));
    metrics.dsn(DsnKind::Delayed);
    metrics.config_reload(ReloadResult::Failed);
    metrics.panicked();
    metrics.certificates([("mx.pem".to_owned(), UNIX_EPOCH + Duration::from_mins(1))]);
}

#[test]
fn the_text_is_openmetrics_from_the_start_and_under_use() {
    let metrics = Metrics::new();
    lint(&render(&metrics)).unwrap();
    everything(&metrics);
    let text = render(&metrics);
    lint(&text).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
}

#[test]
fn the_linter_finds_faults() {
    for (fault, text) in [
        ("no end", "# TYPE a gauge\na 1\n"),
        ("suffix", "# TYPE a counter\na 1\n# EOF\n"),
        ("twice", "# TYPE a gauge\na 1\na 2\n# EOF\n"),
        ("unit", "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n"),
        ("labels", "# TYPE a gauge\na{b=c} 1\n# EOF\n"),
        ("no type", "a 1\n# EOF\n"),
        ("interleaved", "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\n# EOF\n"),
    ] {
        assert!(lint(text).is_err(), "{fault}");
    }
}

#[test]
fn names_are_the_documented_ones() {
    let metrics = Metrics::new();
    everything(&metrics);
    let text = render(&metrics);
    for line in [
        "smtp_server_build_info{version=\"0.1.0\"} 1",
        "smtp_server_sessions{service=\"mx\"} 0",
        "smtp_server_sessions_opened_total{service=\"mx\"} 1",
        "smtp_server_commands_total{verb=\"rcpt\",class=\"5\"} 1",
        "smtp_server_rejects_total{stage=\"rcpt\",code=\"550\"} 1",
        "smtp_server_tls_total{dir=\"in\",version=\"1.3\",cipher=\"aes_256_gcm\",key_exchange=\"x25519mlkem768\",verified=\"yes\"} 1",
        "smtp_server_tls_total{dir=\"out\",version=\"1.2\",cipher=\"aes_128_gcm\",key_exchange=\"x25519\",verified=\"no\"} 1",
        "smtp_server_client_sessions_total 1",
        "smtp_server_received_bytes_total 3702",
        "smtp_server_deliveries_total{result=\"deferred\",class=\"remote\"} 1",
        "smtp_server_delivery_seconds_count 6",
        "smtp_server_dsn_total{kind=\"delayed\"} 1",
        "smtp_server_queue_messages 0",
        "smtp_server_queue_deliveries{state=\"held\"} 0",
        "smtp_server_queue_oldest_age_seconds 0",
        "smtp_server_spool_free_bytes 7",
        "smtp_server_cert_expiry_seconds{certificate=\"mx.pem\"} 60",
        "smtp_server_config_reload_total{result=\"failed\"} 1",
        "smtp_server_panics_total 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

/// C31: sessions that end in any way bring the gauge back to zero, and traffic makes no new series.
#[test]
fn gauges_return_to_zero_and_series_stay_constant() {
    let metrics = Metrics::new();
    everything(&metrics);
    let before = series(&render(&metrics));
    let guards: Vec<_> = (0..500).map(|_| metrics.session_opened(Service::Mx)).collect();
    assert_eq!(metrics.sessions_open(), 500);
    drop(guards);
    let panicking = metrics.clone();
    let thread = std::thread::spawn(move || {
        let _guard = panicking.session_opened(Service::Mx);
        std::panic::resume_unwind(Box::new("a session that panics"));
    });
    assert!(thread.join().is_err());
    assert_eq!(metrics.sessions_open(), 0);
    for n in 0..20_000_u32 {
        metrics.tls(&facts(&format!("TLSv{n}.x")));
        metrics.reject(Stage::Rcpt, ReplyCode::MAILBOX_UNAVAILABLE);
        metrics.delivery(AttemptResult::Failed, DeliveryClass::Remote, Duration::from_secs(u64::from(n)));
    }
    let after = series(&render(&metrics));
    let other = "smtp_server_tls_total{dir=\"in\",version=\"other\",cipher=\"aes_256_gcm\",key_exchange=\"x25519mlkem768\",verified=\"yes\"}".to_owned();
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), [&other]);
}

#[test]
fn what_is_gone_is_not_shown() {
    let metrics = Metrics::new();
    metrics.certificates([("old.pem".to_owned(), UNIX_EPOCH)]);
    assert!(render(&metrics).contains("old.pem"));
    metrics.certificates([]);
    let text = metrics.render(&QueueReading::default(), UNIX_EPOCH);
    assert!(!text.contains("old.pem"));
    assert!(!series(&text).contains("smtp_server_spool_free_bytes"), "a queue in memory has no disk");
    lint(&text).unwrap();
}
