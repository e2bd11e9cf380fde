//! The mail object beyond SMTP: ids, content, header fields, trace fields, outcomes, delivery reports.
