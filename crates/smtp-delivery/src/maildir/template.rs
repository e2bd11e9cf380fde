//! Where the Maildir of a user is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use smtp_mail::LocalUser;
use smtp_proto::Domain;

const USER: &str = "{user}";
const DOMAIN: &str = "{domain}";

/// The longest name of a file that file systems in use take, in octets.
const NAME_OCTETS_MAX: usize = 255;

/// A path with `{user}` and, if wanted, `{domain}`: `/var/mail/{domain}/{user}`.
///
/// What stands before the first component with a placeholder is the base: it must exist, and may be reached by
/// symbolic links. From there on components are made where they are missing, and no link is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaildirTemplate {
    base: PathBuf,
    components: Vec<String>,
}

/// The text is no template, or a name cannot be put into it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The path is relative.
    #[error("{path} is no absolute path")]
    Relative {
        /// The path.
        path: String,
    },
    /// All mail would go into one Maildir.
    #[error("all users would share the Maildir {path}; put {USER} into the path")]
    WithoutUser {
        /// The path.
        path: String,
    },
    /// A brace that belongs to no placeholder.
    #[error("{component:?} has a placeholder other than {USER} and {DOMAIN}")]
    Placeholder {
        /// The part of the path in which it is.
        component: String,
    },
    /// `.` or `..` behind a placeholder.
    #[error("{component:?} must not follow a placeholder")]
    Dots {
        /// The part of the path.
        component: String,
    },
    /// A user or domain whose name would lead elsewhere, or be hidden.
    #[error(
        "{name:?} cannot be part of a path: it is empty, too long, begins with a point, or has a slash or a control character"
    )]
    UnsafeName {
        /// The name.
        name: String,
    },
}

impl MaildirTemplate {
    /// The directory that must exist.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The Maildir of that user.
    pub(super) fn expand(&self, user: &LocalUser, domain: &Domain) -> Result<Place<'_>, TemplateError> {
        let domain = domain.to_string().to_lowercase();
        let components = self.components.iter().map(|component| expand(component, user.as_str(), &domain));
        Ok(Place { base: &self.base, components: components.collect::<Result<_, _>>()? })
    }
}

fn expand(component: &str, user: &str, domain: &str) -> Result<String, TemplateError> {
    let mut expanded = String::new();
    let mut rest = component;
    while let Some(brace) = rest.find('{') {
        expanded += &rest[..brace];
        rest = &rest[brace..];
        let (name, placeholder) = if rest.starts_with(USER) { (user, USER) } else { (domain, DOMAIN) };
        expanded += check(name)?;
        rest = &rest[placeholder.len()..];
    }
    expanded += rest;
    check(&expanded)?;
    Ok(expanded)
}

fn check(name: &str) -> Result<&str, TemplateError> {
    let safe = !name.is_empty()
        && name.len() <= NAME_OCTETS_MAX
        && !name.starts_with('.')
        && !name.contains(|character: char| character == '/' || character.is_control());
    if safe { Ok(name) } else { Err(TemplateError::UnsafeName { name: name.to_owned() }) }
}

impl FromStr for MaildirTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let path = || text.to_owned();
        if !text.starts_with('/') {
            return Err(TemplateError::Relative { path: path() });
        }
        if !text.contains(USER) {
            return Err(TemplateError::WithoutUser { path: path() });
        }
        let mut base = PathBuf::from("/");
        let mut components = Vec::new();
        for component in text.split('/').filter(|component| !component.is_empty()) {
            if components.is_empty() && !component.contains(['{', '}']) {
                base.push(component);
                continue;
            }
            if component.replace(USER, "").replace(DOMAIN, "").contains(['{', '}']) {
                return Err(TemplateError::Placeholder { component: component.to_owned() });
            }
            if matches!(component, "." | "..") {
                return Err(TemplateError::Dots { component: component.to_owned() });
            }
            components.push(component.to_owned());
        }
        Ok(Self { base, components })
    }
}

impl fmt::Display for MaildirTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.base.join(self.components.join("/")).display())
    }
}

/// The path of one Maildir: each component behind the base is one safe name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) base: &'a Path,
    pub(super) components: Vec<String>,
}

impl Place<'_> {
    pub(super) fn path(&self) -> PathBuf {
        self.base.join(self.components.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(template: &str, user: &str, domain: &str) -> Result<String, TemplateError> {
        let template: MaildirTemplate = template.parse()?;
        let place = template.expand(&LocalUser::new(user), &domain.parse().unwrap());
        place.map(|place| place.path().display().to_string())
    }

    #[test]
    fn templates_and_the_paths_they_give() {
        for (template, base, expanded) in [
            ("/var/mail/{domain}/{user}", "/var/mail", "/var/mail/example.org/alice"),
            ("/home/{user}/Maildir", "/home", "/home/alice/Maildir"),
            ("//srv/../x/{user}@{domain}/", "/srv/../x", "/srv/../x/alice@example.org"),
            ("/{user}", "/", "/alice"),
            ("/m/box-{user}.{user}/.Maildir-no", "/m", ""),
        ] {
            let parsed: MaildirTemplate = template.parse().unwrap();
            assert_eq!(parsed.base(), Path::new(base));
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
            if !expanded.is_empty() {
                assert_eq!(path(template, "alice", "Example.ORG").unwrap(), expanded);
            }
        }
    }

    #[test]
    fn templates_that_would_not_do() {
        let error = |template: &str| template.parse::<MaildirTemplate>().unwrap_err();
        assert!(matches!(error("mail/{user}"), TemplateError::Relative { .. }));
        assert!(matches!(error("/mail/{domain}"), TemplateError::WithoutUser { .. }));
        assert!(matches!(error("/mail/{user}/{local}"), TemplateError::Placeholder { .. }));
        assert!(matches!(error("/mail/}{user}"), TemplateError::Placeholder { .. }));
        assert!(matches!(error("/mail/{user}/../x"), TemplateError::Dots { .. }));
    }

    #[test]
    fn no_user_leads_out_of_the_base() {
        for user in ["", ".", "..", "../bob", "a/b", "/etc", ".hidden", "a\0b", "a\nb", &"x".repeat(256)] {
            let error = path("/var/mail/{user}", user, "example.org").unwrap_err();
            assert_eq!(error, TemplateError::UnsafeName { name: user.to_owned() });
        }
        assert!(path("/var/mail/x{user}", "..", "example.org").is_err());
        assert!(path("/var/mail/{user}{user}", &"x".repeat(200), "example.org").is_err());
        assert_eq!(path("/m/{user}", "{domain}", "example.org").unwrap(), "/m/{domain}");
        assert_eq!(path("/m/{user}", "jürgen w", "example.org").unwrap(), "/m/jürgen w");
    }
}
