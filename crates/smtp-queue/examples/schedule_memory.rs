//! Measures what a delivery costs in the schedule: `schedule_memory [deliveries] [domains]`.
//!
//! Prints the growth of the resident set while so many deliveries come in, as they do at a start: sorted by id, to so
//! many domains in turn, each in a lane of its own.

#![allow(clippy::print_stdout)]

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use smtp_mail::{Destination, MessageId};
use smtp_proto::Priority;
use smtp_queue::lane::LaneTable;
use smtp_queue::schedule::{DeliveryId, NewEntry, Schedule};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let deliveries: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let domains: u64 = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let now = SystemTime::now();
    let before = resident_octets()?;
    let begun = Instant::now();
    let mut schedule = Schedule::new(LaneTable::default(), now);
    for number in 0..deliveries {
        let destination = Destination::Domain(format!("domain{}.example.com", number % domains.max(1)).parse()?);
        let message = MessageId::from_raw((1 << 60) + number * 7_919);
        // Spread as retries are.
        let due = now + Duration::from_secs(number * 7 % 14_400);
        schedule.insert(&NewEntry {
            id: DeliveryId { message, number: 0 },
            destination: &destination,
            due,
            expires_at: now + Duration::from_hours(5 * 24),
            notice_at: Some(now + Duration::from_hours(4)),
            priority: Priority::default(),
        });
    }
    let took = begun.elapsed();
    let grown = resident_octets()?.saturating_sub(before);
    println!("{deliveries} deliveries to {domains} domains");
    println!("{grown} octets, {} each, in {took:?}", grown / deliveries.max(1));
    println!("{:?}", schedule.counts());
    Ok(())
}

/// The resident set of this process, from `/proc/self/status`, in octets.
fn resident_octets() -> Result<u64, Box<dyn std::error::Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}
