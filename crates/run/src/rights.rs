//! Asks the server what our role holds of what a plan needs. What follows from it is decided in [`concertina_plan::rights`].

use std::collections::BTreeSet;

use concertina_plan::pg::version::Version;
use concertina_plan::plan::{Phase, Plan};
use concertina_plan::rights::{self, Held, Missing, Ownership, RelationRights, Right, SchemaRights};
use concertina_plan::sql::ident::{Ident, Name};
use serde::Deserialize;
use tokio_postgres::types::{Json, Type};

use crate::connect::Session;
use crate::error::{Doing, Error};
use crate::settings::Settings;

/// What the session's role lacks for the plan from this phase on, all of it. Reads only catalogs that every role may read.
///
/// # Errors
/// [`Error::Connection`], [`Error::Sql`].
pub async fn missing(
    session: &Session,
    settings: &Settings,
    plan: &Plan,
    from: Phase,
) -> Result<Vec<Missing>, Error> {
    lacking(session, settings, rights::needs(plan, from)).await
}

async fn lacking(
    session: &Session,
    settings: &Settings,
    mut needs: BTreeSet<Right>,
) -> Result<Vec<Missing>, Error> {
    if settings.throttle.max_lag_bytes.is_none() {
        needs.remove(&Right::SeeStandbys);
    }
    let held = held(session, &needs).await?;
    Ok(rights::missing(&needs, &held))
}

/// Stops before anything of the migration runs, if a right is missing for it.
pub(crate) async fn require(
    session: &Session,
    settings: &Settings,
    plan: &Plan,
    from: Phase,
) -> Result<(), Error> {
    require_all(session, settings, &plan.migration, rights::needs(plan, from)).await
}

/// Stops before anything runs, if one of these is missing; `what` needs them.
pub(crate) async fn require_all(
    session: &Session,
    settings: &Settings,
    what: &str,
    needs: BTreeSet<Right>,
) -> Result<(), Error> {
    match lacking(session, settings, needs).await? {
        missing if missing.is_empty() => Ok(()),
        missing => Err(Error::Rights { migration: what.to_owned(), missing }),
    }
}

/// Nothing is ever missing.
pub(crate) async fn is_superuser(session: &Session) -> Result<bool, Error> {
    let sql = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let row = session.client.query_typed_one(sql, &[]).await.doing("look up the rights of the role")?;
    Ok(row.get(0))
}

async fn held(session: &Session, needs: &BTreeSet<Right>) -> Result<Held, Error> {
    let (mut relations, mut types, mut schemas) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for need in needs {
        match need {
            Right::Make(name)
            | Right::Own(name)
            | Right::Drop(name)
            | Right::Reference(name, _)
            | Right::Read(name)
            | Right::Trigger(name) => {
                relations.insert(name);
                schemas.insert(name.schema.as_str());
            }
            Right::OwnType(name) => {
                types.insert(name);
                schemas.insert(name.schema.as_str());
            }
            Right::CreateIn(schema) => {
                schemas.insert(schema.as_str());
            }
            Right::Ledger | Right::CreateSchema | Right::Extension(_) | Right::SeeStandbys => {}
        }
    }
    let split = |names: &BTreeSet<&Name>| -> (Vec<String>, Vec<String>) {
        names.iter().map(|name| (name.schema.as_str().to_owned(), name.name.as_str().to_owned())).unzip()
    };
    let (relations, types) = (split(&relations), split(&types));
    let schemas: Vec<&str> = schemas.into_iter().collect();
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 5] = [
        (&relations.0, Type::TEXT_ARRAY),
        (&relations.1, Type::TEXT_ARRAY),
        (&types.0, Type::TEXT_ARRAY),
        (&types.1, Type::TEXT_ARRAY),
        (&schemas, Type::TEXT_ARRAY),
    ];
    let doing = "look up the rights of the role";
    let row =
        session.client.query_typed_one(include_str!("sql/rights.sql"), &parameters).await.doing(doing)?;
    let Json(row): Json<Row> = row.try_get(0).doing(doing)?;
    Ok(row.held())
}

#[derive(Deserialize)]
struct Row {
    role: Ident,
    login: Ident,
    database: Ident,
    version: Version,
    create_in_database: bool,
    ledger: bool,
    blind_to_standbys: bool,
    extensions: BTreeSet<Ident>,
    schemas: Vec<SchemaRow>,
    relations: Vec<RelationRow>,
    types: Vec<TypeRow>,
}

#[derive(Deserialize)]
struct SchemaRow {
    name: Ident,
    rights: SchemaRights,
}

#[derive(Deserialize)]
struct RelationRow {
    schema: Ident,
    name: Ident,
    #[serde(flatten)]
    ownership: Ownership,
    sort: String,
    select: bool,
    trigger: bool,
    references: BTreeSet<Ident>,
    partitions: Vec<(Ident, Ident)>,
}

#[derive(Deserialize)]
struct TypeRow {
    schema: Ident,
    name: Ident,
    #[serde(flatten)]
    ownership: Ownership,
}

impl Row {
    fn held(self) -> Held {
        let relation = |row: RelationRow| {
            let rights = RelationRights {
                ownership: row.ownership,
                sort: row.sort,
                select: row.select,
                trigger: row.trigger,
                references: row.references,
                partitions: row.partitions.into_iter().map(|(schema, name)| Name { schema, name }).collect(),
            };
            (Name { schema: row.schema, name: row.name }, rights)
        };
        Held {
            role: self.role,
            login: self.login,
            database: self.database,
            version: self.version,
            create_in_database: self.create_in_database,
            ledger: self.ledger,
            blind_to_standbys: self.blind_to_standbys,
            extensions: self.extensions,
            schemas: self.schemas.into_iter().map(|row| (row.name, row.rights)).collect(),
            relations: self.relations.into_iter().map(relation).collect(),
            types: self
                .types
                .into_iter()
                .map(|row| (Name { schema: row.schema, name: row.name }, row.ownership))
                .collect(),
        }
    }
}
