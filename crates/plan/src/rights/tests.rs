use super::*;
use crate::kind::shared::proving::{catalog, plan};
use crate::plan::Phase;

fn name(schema: &str, name: &str) -> Name {
    Name { schema: Ident::new(schema), name: Ident::new(name) }
}

fn owned_by(owner: &str) -> RelationRights {
    RelationRights {
        ownership: Ownership { owner: Ident::new(owner), ..Ownership::default() },
        sort: "TABLE".to_owned(),
        ..RelationRights::default()
    }
}

/// A role `app` on a database `Shop` with a ledger, which may do nothing with `public`.
fn held(relations: &[(&str, RelationRights)]) -> Held {
    Held {
        role: Ident::new("app"),
        login: Ident::new("login"),
        database: Ident::new("Shop"),
        version: Version(150_000),
        ledger: true,
        schemas: BTreeMap::from([(Ident::new("public"), SchemaRights::default())]),
        relations: relations.iter().map(|(table, rights)| (name("public", table), rights.clone())).collect(),
        ..Held::default()
    }
}

const SHOP: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text);
    CREATE TABLE \"Orders\" (id bigint PRIMARY KEY, user_id bigint);
    CREATE INDEX ON \"Orders\" (user_id)";

#[track_caller]
fn check(sql: &str, held: &Held, expected: &[&str]) {
    let needs = needs(&plan(&catalog(SHOP), sql), Phase::Expand);
    let grants: Vec<String> = missing(&needs, held).into_iter().map(|missing| missing.grant).collect();
    assert_eq!(grants, expected, "{needs:?}");
}

#[test]
fn everything_that_is_missing_is_named_at_once_and_once() {
    let mut all = held(&[("users", owned_by("The Owner")), ("Orders", owned_by("The Owner"))]);
    all.ledger = false;
    all.blind_to_standbys = true;
    check(
        "ALTER TABLE \"Orders\" ADD FOREIGN KEY (user_id) REFERENCES users (id);
         ALTER TABLE users ADD COLUMN lower_email text;
         UPDATE users SET lower_email = lower(email);
         CREATE INDEX ON users (lower_email)",
        &all,
        &[
            "GRANT CREATE ON DATABASE \"Shop\" TO app",
            "GRANT USAGE, CREATE ON SCHEMA public TO app",
            "GRANT \"The Owner\" TO app",
            "GRANT pg_monitor TO login",
        ],
    );
}

#[test]
fn the_way_to_ownership_depends_on_whose_it_is() {
    let sql = "ALTER TABLE users ALTER COLUMN email SET DEFAULT ''";
    let mut users = owned_by("postgres");
    users.ownership.superuser = true;
    let mut held = held(&[("users", users.clone())]);
    held.schemas.clear();
    check(sql, &held, &["ALTER TABLE public.users OWNER TO app"]);
    users.ownership = Ownership { owner: Ident::new("team"), member: true, ..Ownership::default() };
    held.relations.insert(name("public", "users"), users.clone());
    check(sql, &held, &["ALTER ROLE app INHERIT"]);
    held.version = Version(160_000);
    check(sql, &held, &["GRANT team TO app WITH INHERIT TRUE"]);
    users.ownership.owns = true;
    held.relations.insert(name("public", "users"), users);
    check(sql, &held, &[]);
}

#[test]
fn a_table_that_is_only_referred_to_stays_its_owner_s() {
    let sql = "ALTER TABLE \"Orders\" ADD FOREIGN KEY (user_id) REFERENCES users (id)";
    let mut orders = owned_by("app");
    orders.ownership.owns = true;
    let mut held = held(&[("users", owned_by("team")), ("Orders", orders)]);
    held.schemas.clear();
    let both = ["GRANT REFERENCES ON TABLE public.users TO app", "GRANT SELECT ON TABLE public.users TO app"];
    check(sql, &held, &both);
    held.relations.entry(name("public", "users")).and_modify(|users| {
        users.references = [Ident::new("id")].into();
        users.select = true;
    });
    check(sql, &held, &[]);
}

#[test]
fn partitions_are_changed_with_their_parent() {
    let mut parent = owned_by("app");
    parent.ownership.owns = true;
    parent.partitions = vec![name("public", "part")];
    let mut held = held(&[("users", parent), ("part", owned_by("else"))]);
    held.schemas.clear();
    check("ALTER TABLE users ALTER COLUMN email SET DEFAULT ''", &held, &["GRANT \"else\" TO app"]);
}

#[test]
fn new_objects_need_their_schema_and_nothing_of_themselves() {
    let table = "CREATE TABLE notes (id bigint PRIMARY KEY, user_id bigint REFERENCES users (id))";
    let mut users = owned_by("team");
    users.references = [Ident::new("id")].into();
    let held = held(&[("users", users)]);
    check(table, &held, &["GRANT USAGE, CREATE ON SCHEMA public TO app"]);
    check("CREATE SCHEMA s", &held, &["GRANT CREATE ON DATABASE \"Shop\" TO app"]);
    check("CREATE TYPE mood AS ENUM ('ok')", &held, &["GRANT USAGE, CREATE ON SCHEMA public TO app"]);
}

#[test]
fn who_owns_the_schema_may_drop_what_is_in_it() {
    let mut held = held(&[("users", owned_by("team")), ("Orders", owned_by("team"))]);
    let own = SchemaRights { usage: true, create: true, owns: true };
    held.schemas.insert(Ident::new("public"), own);
    check("DROP INDEX \"Orders_user_id_idx\"", &held, &[]);
    // A table moves into the archive instead, which only its owner may do.
    check("DROP TABLE users", &held, &["GRANT team TO app"]);
    check("ALTER TABLE users ALTER COLUMN email SET NOT NULL", &held, &["GRANT team TO app"]);
}

#[test]
fn an_extension_that_is_there_needs_nothing() {
    let mut held = held(&[]);
    check("CREATE EXTENSION citext", &held, &["GRANT CREATE ON DATABASE \"Shop\" TO app"]);
    held.extensions = [Ident::new("citext")].into();
    check("CREATE EXTENSION IF NOT EXISTS citext", &held, &[]);
}

#[test]
fn statements_without_an_effect_change_what_they_lock() {
    let held = held(&[("users", owned_by("team"))]);
    check(
        "COMMENT ON TABLE users IS 'people'",
        &held,
        &["GRANT USAGE ON SCHEMA public TO app", "GRANT team TO app"],
    );
}
