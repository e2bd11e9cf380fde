//! Who may use the admin socket.
//!
//! The mode of the socket lets in its owner and its group. This check holds also when somebody has loosened the mode:
//! it goes by what the kernel says of the process at the other end.

use std::fs;
use std::path::Path;

use rustix::process::geteuid;

/// The process at the other end of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user id.
    pub uid: u32,
    /// Its effective group id.
    pub gid: u32,
    /// Its process id, where the kernel says it.
    pub pid: Option<u32>,
}

/// A group of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its id.
    pub gid: u32,
}

impl Group {
    /// The group of this name in `/etc/group`.
    pub fn find(name: &str) -> Option<Self> {
        gid_of(&text("/etc/group"), name).map(|gid| Self { name: name.to_owned(), gid })
    }
}

/// The rule: root, the user of the daemon, and the members of one group.
#[derive(Debug, Clone)]
pub struct Admission {
    own_uid: u32,
    group: Option<Group>,
}

impl Admission {
    /// The rule for the user that this process runs as.
    pub fn new(group: Option<Group>) -> Self {
        Self { own_uid: geteuid().as_raw(), group }
    }

    /// If this process may use the socket. Membership is looked up anew each time, so a change of it holds at once.
    pub fn admits(&self, peer: Peer) -> bool {
        if peer.uid == 0 || peer.uid == self.own_uid {
            return true;
        }
        let Some(group) = &self.group else { return false };
        peer.gid == group.gid
            || is_member(&text("/etc/group"), &text("/etc/passwd"), peer.uid, group.gid)
            || peer.pid.is_some_and(|pid| process_has_group(&text(format!("/proc/{pid}/status")), peer.uid, group.gid))
    }
}

/// A file that may be missing.
fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// group(5): `name:password:gid:user,user`.
fn gid_of(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

fn is_member(groups: &str, users: &str, uid: u32, gid: u32) -> bool {
    let listed = |name: &str| {
        groups.lines().any(|line| {
            let mut fields = line.split(':').skip(2);
            fields.next().and_then(|field| field.parse().ok()) == Some(gid)
                && fields.next().is_some_and(|members| members.split(',').any(|member| member == name))
        })
    };
    // passwd(5): name:password:uid:gid:…
    users.lines().any(|line| {
        let mut fields = line.split(':');
        let name = fields.next().unwrap_or_default();
        let ids =
            (fields.nth(1).and_then(|field| field.parse().ok()), fields.next().and_then(|field| field.parse().ok()));
        ids.0 == Some(uid) && (ids.1 == Some(gid) || listed(name))
    })
}

/// The supplementary groups of a process, for users that come from elsewhere than `/etc`. The user id is compared too,
/// since a process id can have passed to another process meanwhile.
fn process_has_group(status: &str, uid: u32, gid: u32) -> bool {
    let ids =
        |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().split_ascii_whitespace();
    ids("Uid:").nth(1).and_then(|field| field.parse().ok()) == Some(uid)
        && ids("Groups:").any(|field| field.parse() == Ok(gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: &str = "root:x:0:\nsmtp-admin:x:995:alice,bob\nmail:x:8:smtp\n";
    const USERS: &str = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbobby:x:1001:1001::/:/bin/sh\n\
                         carol:x:1002:995::/:/bin/sh\n";

    #[test]
    fn groups_are_found_by_their_whole_name() {
        assert_eq!(gid_of(GROUPS, "smtp-admin"), Some(995));
        assert_eq!(gid_of(GROUPS, "smtp"), None);
        assert_eq!(gid_of("broken\nsmtp-admin:x\nsmtp-admin:x:y:\n", "smtp-admin"), None);
    }

    #[test]
    fn members_are_those_listed_and_those_whose_first_group_it_is() {
        for (uid, member) in [(1000, true), (1001, false), (1002, true), (0, false), (4711, false)] {
            assert_eq!(is_member(GROUPS, USERS, uid, 995), member, "{uid}");
        }
    }

    #[test]
    fn a_process_is_asked_for_its_groups() {
        let status = "Name:\tsmtpctl\nUid:\t1000\t1000\t1000\t1000\nGid:\t1\t1\t1\t1\nGroups:\t4 995 1000 \n";
        assert!(process_has_group(status, 1000, 995));
        assert!(!process_has_group(status, 1001, 995), "another process has the number now");
        assert!(!process_has_group(status, 1000, 99));
        assert!(!process_has_group("", 0, 995));
    }

    #[test]
    fn strangers_are_not_admitted() {
        let group = Group { name: "smtp-admin".to_owned(), gid: 4_000_000_001 };
        let admission = Admission { own_uid: 4_000_000_000, group: Some(group) };
        let peer = |uid, gid| Peer { uid, gid, pid: None };
        assert!(admission.admits(peer(0, 0)));
        assert!(admission.admits(peer(4_000_000_000, 5)));
        assert!(admission.admits(peer(4_000_000_002, 4_000_000_001)));
        assert!(!admission.admits(peer(4_000_000_002, 5)));
        let nobody_else = Admission { own_uid: 4_000_000_000, group: None };
        assert!(!nobody_else.admits(peer(4_000_000_002, 4_000_000_001)));
    }
}
