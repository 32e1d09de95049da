//! `loader.grant_to`: who may read what is loaded, as GRANT names them (database developer guide, `r_GRANT`).

use super::reader::Section;

/// Somebody who may read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    /// `role NAME`.
    Role(String),
    /// `group NAME`.
    Group(String),
    /// `user NAME`.
    User(String),
    /// `public`: everybody.
    Public,
}

impl Grantee {
    fn parse(text: &str) -> Option<Self> {
        if text == "public" {
            return Some(Self::Public);
        }
        let (kind, name) = text.split_once(' ')?;
        let name = name.trim();
        if name.is_empty() || name.len() > 127 || name.contains('\0') {
            return None;
        }
        match kind {
            "role" => Some(Self::Role(name.to_owned())),
            "group" => Some(Self::Group(name.to_owned())),
            "user" => Some(Self::User(name.to_owned())),
            _ => None,
        }
    }
}

/// Reads the setting.
pub(super) fn read(section: &mut Section<'_>) -> Vec<Grantee> {
    let texts = section.or("grant_to", Vec::<String>::new());
    let mut grantees = Vec::with_capacity(texts.len());
    for text in texts {
        match Grantee::parse(&text) {
            Some(grantee) => grantees.push(grantee),
            None => section.problem(
                "grant_to",
                format!("{text:?} is nobody: write \"role analysts\", \"group bi\", \"user jane\" or \"public\""),
            ),
        }
    }
    grantees
}

#[cfg(test)]
mod tests {
    use super::super::tests::{MINIMAL, parse, problems};
    use super::Grantee::{Group, Public, Role, User};

    #[test]
    fn roles_groups_users_and_everybody_may_be_named() {
        let env = [("LOG_ROUTER_LOADER_GRANT_TO", r#"["role analysts", "group bi", "user jane", "public"]"#)];
        let settings = parse(MINIMAL, &env).expect("valid");
        let expected = [Role("analysts".into()), Group("bi".into()), User("jane".into()), Public];
        assert_eq!(settings.loader.grant_to, expected);
    }

    #[test]
    fn a_bare_name_is_refused_because_it_could_be_either() {
        for text in ["analysts", "role ", "team bi", ""] {
            let found = problems(MINIMAL, &[("LOG_ROUTER_LOADER_GRANT_TO", &format!("[{text:?}]"))]);
            assert!(found[0].starts_with(&format!("loader.grant_to: {text:?} is nobody")), "{found:?}");
        }
    }
}
