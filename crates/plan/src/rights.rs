//! What a plan may ask of the role that runs it, and the statements that give it what it lacks.
//!
//! [`needs`] reads them off a plan, [`needs_to_undo`] off what is to be taken back, [`needs_as_written`] off files; the runner asks the server what the role holds ([`Held`]); [`missing`] compares. All of it is
//! known before anything runs, so that nobody is told of one missing right after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pg::version::Version;
use crate::sql::ident::{Ident, Name};

mod needs;

pub use needs::{needs, needs_as_written, needs_to_purge, needs_to_undo};

/// One thing that the role must be allowed to do.
/// Source: doc/src/sgml/ddl.sgml, "Privileges", and the reference pages of the commands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Keep the ledger and the archive of dropped data.
    Ledger,
    /// Create a schema.
    CreateSchema,
    /// Create this extension, which needs no right where it is there. Those that are not trusted need a superuser.
    Extension(Ident),
    /// Make a relation, or change it if it is there.
    Make(Name),
    /// Create something else in this schema: an index, a function, a type.
    CreateIn(Ident),
    /// Change or drop a table, a view or a sequence. Only its owner may, and who is a member of its owner.
    Own(Name),
    /// Drop a table, a view, a sequence or an index of this one. The owner of the schema may, too.
    Drop(Name),
    /// Change or drop a type.
    OwnType(Name),
    /// Refer to these columns by a foreign key.
    Reference(Name, Vec<Ident>),
    /// Read it, to prove a foreign key to it before it is there.
    Read(Name),
    /// Put a trigger on it.
    Trigger(Name),
    /// See how far standbys are behind, for a backfill that waits for them.
    SeeStandbys,
}

/// Who owns something, and what that means to the role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// Owner.
    pub owner: Ident,
    /// The role is the owner, or has its rights as a member.
    pub owns: bool,
    /// The role is a member of the owner, with its rights or without.
    pub member: bool,
    /// The owner is a superuser: membership would give away everything.
    pub superuser: bool,
}

/// What the role holds on a table, a view or a sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationRights {
    /// Whose it is.
    pub ownership: Ownership,
    /// As `ALTER` names it: `TABLE`, `VIEW`, `MATERIALIZED VIEW`, `SEQUENCE`, `FOREIGN TABLE`.
    pub sort: String,
    /// SELECT.
    pub select: bool,
    /// TRIGGER.
    pub trigger: bool,
    /// Columns that a foreign key of the role may refer to.
    pub references: BTreeSet<Ident>,
    /// Partitions at every depth, which are changed with it.
    pub partitions: Vec<Name>,
}

/// What the role holds on a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaRights {
    /// USAGE.
    pub usage: bool,
    /// CREATE.
    pub create: bool,
    /// The schema is the role's own.
    pub owns: bool,
}

/// What the role holds on the objects of some needs. What is not in here does not exist yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The role that migrations run as.
    pub role: Ident,
    /// The role that logged in, which watches other sessions.
    pub login: Ident,
    /// Database.
    pub database: Ident,
    /// Version of the server.
    pub version: Version,
    /// CREATE on the database.
    pub create_in_database: bool,
    /// The schemas of ledger and archive are there. Who may write there is the ledger's own check.
    pub ledger: bool,
    /// There are standbys, and the login does not see how far they are behind.
    pub blind_to_standbys: bool,
    /// Those that are installed.
    pub extensions: BTreeSet<Ident>,
    /// By name.
    pub schemas: BTreeMap<Ident, SchemaRights>,
    /// By name.
    pub relations: BTreeMap<Name, RelationRights>,
    /// By name.
    pub types: BTreeMap<Name, Ownership>,
}

/// A missing right, and what an administrator runs to give it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Missing {
    /// What cannot be done without it.
    pub what: String,
    /// The statement, names quoted.
    pub grant: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    {};", self.what, self.grant)
    }
}

/// What the role lacks, each statement once, in the order in which they are best run.
pub fn missing(needs: &BTreeSet<Right>, held: &Held) -> Vec<Missing> {
    let mut lacks = Lacks { held, database: Vec::new(), schemas: BTreeMap::new(), grants: Vec::new() };
    for need in needs {
        lacks.check(need);
    }
    lacks.all()
}

struct Lacks<'h> {
    held: &'h Held,
    /// What CREATE on the database is for.
    database: Vec<&'static str>,
    /// Privileges by schema, so that each schema gets one GRANT.
    schemas: BTreeMap<Ident, BTreeSet<&'static str>>,
    /// `(statement, what for)`
    grants: Vec<(String, Vec<String>)>,
}

impl Lacks<'_> {
    fn check(&mut self, need: &Right) {
        match need {
            Right::Ledger if !self.held.ledger => {
                self.in_database("the schemas concertina (ledger) and concertina_archive (dropped data)");
            }
            Right::Ledger => {}
            Right::CreateSchema => self.in_database("those of this migration"),
            Right::Extension(name) if self.held.extensions.contains(name) => {}
            Right::Extension(_) => self.in_database("extensions need the same"),
            Right::Make(name) if self.held.relations.contains_key(name) => self.own(name),
            Right::Make(name) => self.create_in(&name.schema),
            Right::CreateIn(schema) => self.create_in(schema),
            Right::Own(name) => self.own(name),
            Right::Drop(name) if self.held.schemas.get(&name.schema).is_some_and(|schema| schema.owns) => {}
            Right::Drop(name) => self.own(name),
            Right::OwnType(name) => match self.held.types.get(name) {
                Some(ownership) => {
                    self.in_schema(&name.schema, "USAGE");
                    self.owned(&format!("type {name}"), &format!("TYPE {name}"), ownership);
                }
                None => self.create_in(&name.schema),
            },
            Right::Reference(name, columns) => {
                let lacks =
                    |held: &RelationRights| columns.iter().any(|column| !held.references.contains(column));
                self.on(name, lacks, "REFERENCES", "may not refer to");
            }
            Right::Read(name) => {
                self.on(name, |held| !held.select, "SELECT", "may not read, to prove the foreign key to it,");
            }
            Right::Trigger(name) => {
                self.on(name, |held| !held.trigger, "TRIGGER", "may not put a trigger on")
            }
            Right::SeeStandbys => {
                if self.held.blind_to_standbys {
                    let what = "cannot see how far standbys are behind, and a backfill does not run blind";
                    let login = &self.held.login;
                    self.add(format!("GRANT pg_monitor TO {login}"), format!("{login} {what}"));
                }
            }
        }
        if let Right::Own(name)
        | Right::Drop(name)
        | Right::Make(name)
        | Right::Reference(name, _)
        | Right::Read(name)
        | Right::Trigger(name) = need
        {
            self.in_schema(&name.schema, "USAGE");
        }
    }

    fn in_database(&mut self, what: &'static str) {
        if !self.held.create_in_database && !self.database.contains(&what) {
            self.database.push(what);
        }
    }

    fn create_in(&mut self, schema: &Ident) {
        self.in_schema(schema, "USAGE");
        self.in_schema(schema, "CREATE");
    }

    fn in_schema(&mut self, schema: &Ident, privilege: &'static str) {
        // One that is not there is made by this migration, or by one before it.
        let Some(rights) = self.held.schemas.get(schema) else { return };
        let has = if privilege == "CREATE" { rights.create } else { rights.usage };
        if !has {
            self.schemas.entry(schema.clone()).or_default().insert(privilege);
        }
    }

    fn own(&mut self, name: &Name) {
        let held = self.held;
        let Some(relation) = held.relations.get(name) else { return };
        let tree = std::iter::once(name).chain(&relation.partitions);
        for (name, relation) in tree.filter_map(|name| held.relations.get_key_value(name)) {
            self.owned(&name.to_string(), &format!("{} {name}", relation.sort), &relation.ownership);
        }
    }

    fn owned(&mut self, name: &str, altered: &str, ownership: &Ownership) {
        if !ownership.owns {
            let (role, owner) = (&self.held.role, &ownership.owner);
            let what = format!("{role} does not own {name}, which belongs to {owner}");
            self.add(self.to_own(altered, ownership), what);
        }
    }

    fn to_own(&self, altered: &str, ownership: &Ownership) -> String {
        let (role, owner) = (&self.held.role, &ownership.owner);
        match (ownership.superuser, ownership.member) {
            // Membership in a superuser would be more than what is asked for.
            (true, _) => format!("ALTER {altered} OWNER TO {role}"),
            // A member without the rights: NOINHERIT. Since 16 that is a property of the membership.
            // Source: doc/src/sgml/ref/grant.sgml, "GRANT on Roles".
            (false, true) if self.held.version.major() >= 16 => {
                format!("GRANT {owner} TO {role} WITH INHERIT TRUE")
            }
            (false, true) => format!("ALTER ROLE {role} INHERIT"),
            (false, false) => format!("GRANT {owner} TO {role}"),
        }
    }

    /// A privilege on a table that is there, unless the owner's rights come anyway.
    fn on(&mut self, name: &Name, lacks: impl Fn(&RelationRights) -> bool, privilege: &str, what: &str) {
        let Some(relation) = self.held.relations.get(name).filter(|relation| lacks(relation)) else { return };
        let owning = self.to_own(&format!("{} {name}", relation.sort), &relation.ownership);
        if self.grants.iter().any(|(grant, _)| *grant == owning) {
            return;
        }
        let role = &self.held.role;
        self.add(format!("GRANT {privilege} ON TABLE {name} TO {role}"), format!("{role} {what} {name}"));
    }

    fn add(&mut self, grant: String, what: String) {
        match self.grants.iter_mut().find(|(known, _)| *known == grant) {
            Some((_, whats)) if whats.contains(&what) => {}
            Some((_, whats)) => whats.push(what),
            None => self.grants.push((grant, vec![what])),
        }
    }

    fn all(self) -> Vec<Missing> {
        let (role, database) = (&self.held.role, &self.held.database);
        let mut all = Vec::new();
        if !self.database.is_empty() {
            all.push(Missing {
                what: format!(
                    "{role} may not create schemas in database {database}: {}",
                    self.database.join("; ")
                ),
                grant: format!("GRANT CREATE ON DATABASE {database} TO {role}"),
            });
        }
        for (schema, privileges) in &self.schemas {
            let what = match privileges.contains("CREATE") {
                true => format!("{role} may not create anything in schema {schema}"),
                false => format!("{role} may not look into schema {schema}"),
            };
            // USAGE before CREATE, as people write it.
            let privileges: Vec<&str> = privileges.iter().rev().copied().collect();
            let grant = format!("GRANT {} ON SCHEMA {schema} TO {role}", privileges.join(", "));
            all.push(Missing { what, grant });
        }
        all.extend(self.grants.into_iter().map(|(grant, whats)| Missing { what: whats.join("; "), grant }));
        all
    }
}

#[cfg(test)]
mod tests;
