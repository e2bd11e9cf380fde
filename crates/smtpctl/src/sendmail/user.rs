//! The user that runs the program.

use nix::unistd::{Uid, User};
use smtp_mail::address_list::Address;
use smtp_proto::LocalPart;

use super::exit::{Exit, code};

/// Who sends where the caller does not say it.
pub(super) struct CurrentUser {
    pub(super) name: String,
    pub(super) full_name: Option<String>,
}

impl CurrentUser {
    /// Asks the system; a user without a name goes by the number, as for the server.
    pub(super) fn find() -> Self {
        let uid = Uid::effective();
        match User::from_uid(uid) {
            Ok(Some(user)) => {
                let full_name = full_name(&user.gecos.to_string_lossy(), &user.name);
                Self { name: user.name, full_name }
            }
            _ => Self { name: uid.to_string(), full_name: None },
        }
    }

    /// The user at this machine.
    ///
    /// # Errors
    /// The name can stand in no address.
    pub(super) fn address(&self) -> Result<Address, Exit> {
        let local_part = LocalPart::from_unquoted(&self.name).map_err(|error| {
            Exit::new(code::USAGE, format!("say with -f who sends: {} is no address ({error})", self.name))
        })?;
        Ok(Address { local_part, domain: None })
    }
}

/// The name in the field of passwd(5) that has it: what stands before the first comma; `&` is the name of the user.
fn full_name(gecos: &str, name: &str) -> Option<String> {
    let written = gecos.split(',').next().unwrap_or_default().trim();
    let mut characters = name.chars();
    let capitalised: String = characters.next().into_iter().flat_map(char::to_uppercase).chain(characters).collect();
    (!written.is_empty()).then(|| written.replace('&', &capitalised))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_name_stands_before_the_first_comma() {
        assert_eq!(full_name("Alice Smith,Room 1,,", "alice").as_deref(), Some("Alice Smith"));
        assert_eq!(full_name("& Smith", "alice").as_deref(), Some("Alice Smith"));
        assert_eq!(full_name("", "alice"), None);
        assert_eq!(full_name(",,", "alice"), None);
    }
}
