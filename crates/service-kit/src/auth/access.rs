//! Who may call which method: the rules that stand in the contract, as `ticketing.auth.v1.access`.

use std::collections::HashMap;
use std::fmt;

use prost::Message;
use proto::auth::v1::{Access, CallClass, Role};

/// A set of roles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);

    /// Every role, in the order of the contract.
    pub const ALL: [Role; 5] = [
        Role::Customer,
        Role::Staff,
        Role::Door,
        Role::Admin,
        Role::Service,
    ];

    /// The set of one role.
    #[must_use]
    pub fn of(role: Role) -> Self {
        // Roles are numbered from 1, and there are fewer than 8.
        Self(1 << (role as u8))
    }

    /// The set with another role.
    #[must_use]
    pub fn with(self, role: Role) -> Self {
        Self(self.0 | Self::of(role).0)
    }

    /// The roles that are in both sets.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the role is in the set.
    #[must_use]
    pub fn has(self, role: Role) -> bool {
        self.common(Self::of(role)) != Self::NONE
    }
}

/// The names of the roles, as tokens have them, with commas between them.
impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Self::ALL.into_iter().filter(|role| self.has(*role));
        for (place, role) in held.enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}", role_name(role))?;
        }
        Ok(())
    }
}

/// The name of a role as tokens have it: "customer".
#[must_use]
pub fn role_name(role: Role) -> String {
    let name = role.as_str_name();
    name.strip_prefix("ROLE_")
        .unwrap_or(name)
        .to_ascii_lowercase()
}

/// The role of that name.
#[must_use]
pub fn role_named(name: &str) -> Option<Role> {
    Roles::ALL.into_iter().find(|role| role_name(*role) == name)
}

/// Whom a method is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Anybody, without a token.
    Anyone,
    /// Those who have one of these roles.
    OneOf(Roles),
}

/// What the contract says of a method.
#[derive(Debug, Clone, Copy)]
struct Stated {
    rule: Rule,
    class: CallClass,
}

/// The rule of each method of the contract, by its path.
#[derive(Debug, Clone)]
pub struct Rules(HashMap<Box<str>, Stated>);

impl Rules {
    /// The rules of the whole contract.
    ///
    /// # Errors
    ///
    /// The method that has no rule, or none that can be followed.
    pub fn of_contract() -> Result<Self, String> {
        Self::read(proto::DESCRIPTOR_SET)
    }

    /// The rules of our packages in an encoded `FileDescriptorSet`.
    fn read(descriptors: &[u8]) -> Result<Self, String> {
        let set = FileSet::decode(descriptors)
            .map_err(|error| format!("the descriptor set cannot be read: {error}"))?;
        let ours = set.file.iter();
        let ours = ours.filter(|file| file.package.starts_with("ticketing."));
        let mut rules = HashMap::new();
        for file in ours {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package, service.name, method.name);
                    let access = method.options.as_ref().and_then(|it| it.access.as_ref());
                    let stated = stated(access).map_err(|why| {
                        format!("{path}: {why}; state option (ticketing.auth.v1.access)")
                    })?;
                    rules.insert(path.into(), stated);
                }
            }
        }
        Ok(Self(rules))
    }

    /// The rule of a method, by its path; none if the contract has no such method.
    #[must_use]
    pub fn of(&self, path: &str) -> Option<Rule> {
        self.0.get(path).map(|stated| stated.rule)
    }

    /// What the calls of a method count as, by its path; none if the contract has no such method.
    #[must_use]
    pub fn class_of(&self, path: &str) -> Option<CallClass> {
        self.0.get(path).map(|stated| stated.class)
    }

    /// Every method with its rule, by path, in the order of the paths.
    #[must_use]
    pub fn all(&self) -> Vec<(&str, Rule)> {
        let mut all: Vec<_> = self
            .0
            .iter()
            .map(|(path, stated)| (&**path, stated.rule))
            .collect();
        all.sort_unstable_by_key(|(path, _)| *path);
        all
    }
}

fn stated(access: Option<&Access>) -> Result<Stated, &'static str> {
    let access = access.ok_or("the method has no access rule")?;
    let rule = match (access.anyone, access.roles.as_slice()) {
        (true, []) => Rule::Anyone,
        (true, _) => return Err("the access rule has roles, and is for anyone"),
        (false, []) => return Err("the access rule is for nobody"),
        (false, roles) => Rule::OneOf(roles.iter().try_fold(Roles::NONE, |set, role| {
            match Role::try_from(*role) {
                Ok(Role::Unspecified) | Err(_) => Err("the access rule has an unknown role"),
                Ok(role) => Ok(set.with(role)),
            }
        })?),
    };
    match CallClass::try_from(access.class) {
        Ok(CallClass::Unspecified) | Err(_) => Err("the access rule has no class of calls"),
        Ok(class) => Ok(Stated { rule, class }),
    }
}

/// `google.protobuf.FileDescriptorSet`, with those of its parts that lead to the rules. prost's own
/// types of descriptors do not keep options that others have defined.
#[derive(Clone, PartialEq, Message)]
struct FileSet {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    service: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "4")]
    options: Option<MethodOptions>,
}

#[derive(Clone, PartialEq, Message)]
struct MethodOptions {
    /// The number of the extension in `access.proto`.
    #[prost(message, optional, tag = "50100")]
    access: Option<Access>,
}

#[cfg(test)]
mod tests {
    use prost_types::FileDescriptorSet;

    use super::*;

    fn method(access: Option<Access>) -> Vec<u8> {
        let options = access.map(|access| MethodOptions {
            access: Some(access),
        });
        let method = Method {
            name: "Do".to_owned(),
            options,
        };
        let service = Service {
            name: "DoService".to_owned(),
            method: vec![method],
        };
        let file = File {
            package: "ticketing.do.v1".to_owned(),
            service: vec![service],
        };
        FileSet { file: vec![file] }.encode_to_vec()
    }

    #[test]
    fn every_method_of_the_contract_has_a_rule() {
        let rules = Rules::of_contract().expect("rules");
        let files = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).expect("descriptors");
        let services = files.file.iter().flat_map(|file| &file.service);
        let methods: usize = services.map(|service| service.method.len()).sum();
        assert!(methods > 0);
        assert_eq!(rules.all().len(), methods);
    }

    #[test]
    fn a_method_without_a_rule_that_can_be_followed_is_an_error_that_names_it() {
        let access_of = |anyone, roles: &[i32], class| {
            let roles = roles.to_vec();
            method(Some(Access {
                anyone,
                roles,
                class,
            }))
        };
        let access = |anyone, roles| access_of(anyone, roles, 1);
        for (descriptors, why) in [
            (method(None), "no access rule"),
            (access(false, &[]), "for nobody"),
            (access(true, &[1]), "for anyone"),
            (access(false, &[1, 0]), "unknown role"),
            (access(false, &[99]), "unknown role"),
            (access_of(true, &[], 0), "no class"),
            (access_of(false, &[1], 99), "no class"),
        ] {
            let error = Rules::read(&descriptors).expect_err(why);
            assert!(
                error.starts_with("/ticketing.do.v1.DoService/Do: ") && error.contains(why),
                "{error}"
            );
        }
        let rules = Rules::read(&access(false, &[1, 5])).expect("rules");
        let roles = Roles::of(Role::Customer).with(Role::Service);
        let rule = rules.of("/ticketing.do.v1.DoService/Do");
        assert_eq!(rule, Some(Rule::OneOf(roles)));
        assert_eq!(rules.of("/ticketing.do.v1.DoService/do"), None);
        let class = rules.class_of("/ticketing.do.v1.DoService/Do");
        assert_eq!(class, Some(CallClass::Read));
    }

    #[test]
    fn roles_have_the_names_that_tokens_have() {
        for role in Roles::ALL {
            assert_eq!(role_named(&role_name(role)), Some(role));
        }
        assert_eq!(role_named("unspecified"), None);
        assert_eq!(role_named("Staff"), None);
        let roles = Roles::of(Role::Service).with(Role::Customer);
        assert_eq!(roles.to_string(), "customer,service");
    }
}
