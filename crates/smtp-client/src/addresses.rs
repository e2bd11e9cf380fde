//! The order in which the addresses of a host are tried.

use std::net::SocketAddr;

/// At most `at_most` addresses, the families in turn, beginning with the family of the first: where one family leads
/// nowhere, the other is tried next (RFC 5321 §5.1). Within a family the order stays.
pub(crate) fn in_turn(addresses: &[SocketAddr], at_most: usize) -> Vec<SocketAddr> {
    let first_is_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (same, other): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv4() == first_is_ipv4);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut ordered = Vec::with_capacity(addresses.len().min(at_most));
    loop {
        let pair = [same.next(), other.next()];
        if pair == [None, None] {
            ordered.truncate(at_most);
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(addresses: &[&str], at_most: usize) -> Vec<String> {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        in_turn(&addresses, at_most).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn families_take_turns() {
        let (a6, b6, c6) = ("[2001:db8::1]:25", "[2001:db8::2]:25", "[2001:db8::3]:25");
        let (a4, b4) = ("192.0.2.1:25", "192.0.2.2:25");
        assert_eq!(order(&[a6, b6, c6, a4, b4], 9), [a6, a4, b6, b4, c6]);
        assert_eq!(order(&[a4, a6, b4], 9), [a4, a6, b4]);
        assert_eq!(order(&[a6, b6, a4], 2), [a6, a4]);
        assert_eq!(order(&[a6, b6], 9), [a6, b6]);
        assert!(order(&[], 9).is_empty());
    }
}
