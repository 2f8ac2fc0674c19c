//! SQL in, changes out.

mod every_statement;
mod slices;

use crate::catalog::{Catalog, Relation};
use crate::change::{Change, Statement};
use crate::diagnostic::{Code, Diagnostic};
use crate::effect::fold;
use crate::kind::Ctx;
use crate::policy::Policy;
use crate::sql::directive::Directives;
use crate::sql::ident::{Ident, Name};
use crate::sql::read;

/// A catalog made by plain SQL, as if it had been there for years.
pub(crate) fn catalog(ddl: &str) -> Catalog {
    let mut catalog = Catalog::default();
    catalog.server.version = crate::pg::version::Version(15_00_18);
    catalog.server.search_path = vec![Ident::new("public")];
    catalog.server.role = Ident::new("owner");
    catalog.schemas = ["public", "app"].map(Ident::new).into();
    catalog = folded(ddl, &catalog);
    for relation in catalog.relations.values_mut() {
        relation.new_here = false;
        relation.columns.iter_mut().for_each(|column| column.new_here = false);
    }
    catalog
}

/// The catalog after these statements, none of which may be refused.
pub(crate) fn folded(sql: &str, catalog: &Catalog) -> Catalog {
    let mut catalog = catalog.clone();
    let (policy, directives) = (Policy::default(), Directives::default());
    for statement in read(sql, &catalog.clone(), &policy).expect("is SQL") {
        for change in statement.changes.expect("is lowered") {
            let ctx = Ctx {
                logical: &catalog,
                physical: &catalog,
                policy: &policy,
                directives: &directives,
                migration: "",
            };
            let effects = change.kind().effects(&ctx);
            catalog = fold(&catalog, &effects);
        }
    }
    catalog
}

/// Lowers in this catalog.
pub(crate) fn read_with(sql: &str, catalog: &Catalog) -> Vec<Statement> {
    read(sql, catalog, &Policy::default()).expect("is SQL")
}

/// Lowers, with everything folded in between.
pub(crate) fn statements(ddl: &str, sql: &str) -> Vec<Statement> {
    read(sql, &catalog(ddl), &Policy::default()).expect("is SQL")
}

/// The changes of all statements, none of which may be refused.
pub(crate) fn changes(ddl: &str, sql: &str) -> Vec<Change> {
    statements(ddl, sql).into_iter().flat_map(|s| s.changes.expect("is lowered")).collect()
}

/// The only change.
pub(crate) fn change(ddl: &str, sql: &str) -> Change {
    let [change] = <[Change; 1]>::try_from(changes(ddl, sql)).expect("is one change");
    change
}

/// The refusal of the last statement.
pub(crate) fn refusal(ddl: &str, sql: &str) -> Diagnostic {
    let last = statements(ddl, sql).pop().expect("has a statement");
    last.changes.expect_err("is refused")
}

/// The relation after these statements.
pub(crate) fn relation(ddl: &str, sql: &str, name: &str) -> Relation {
    let name = Name::parse(name).expect("is a name");
    folded(sql, &catalog(ddl)).relation(&name).expect("exists").clone()
}

#[test]
fn several_subcommands_are_several_changes_in_order() {
    let ddl = "CREATE TABLE t (id bigint PRIMARY KEY, a int)";
    let names: Vec<&str> = changes(
        ddl,
        "ALTER TABLE t ADD CHECK (b > 0), ADD COLUMN b int NOT NULL DEFAULT 1 UNIQUE REFERENCES t, ALTER id SET NOT NULL, DROP COLUMN a",
    )
    .iter()
    .map(|change| change.kind().name())
    .collect();
    assert_eq!(
        names,
        ["drop_column", "add_column", "add_unique", "add_foreign_key", "add_check", "set_not_null"]
    );
}

#[test]
fn refusals_name_their_kind() {
    let refused = refusal("CREATE TABLE t (a int)", "INSERT INTO t SELECT * FROM t");
    assert_eq!((refused.code, refused.kind.as_deref()), (Code::NotYet, Some("insert_select")));
    assert_eq!(relation("CREATE TABLE t (a int)", "", "public.t").columns.len(), 1);
    assert!(matches!(
        change("CREATE TABLE t (a int)", "ALTER TABLE t ALTER a SET DEFAULT 1"),
        Change::SetDefault(_)
    ));
}

const USERS: &str = r#"
    CREATE TYPE app.mood AS ENUM ('sad');
    CREATE TABLE app.teams (id int PRIMARY KEY, code text UNIQUE);
    CREATE TABLE "Users" (id bigint PRIMARY KEY, "full name" text, mail text, team int);
"#;

#[test]
fn a_column_is_sliced_by_its_clauses() {
    let sql = r#"ALTER TABLE "Users"
        ADD "Ä, b" varchar ( 20 ) /* a type, */ STORAGE external COMPRESSION pglz
            COLLATE "C" DEFAULT E'it\'s, (' || $q$ $ ,; $q$ -- not the end, yet
            || 'x' COLLATE "C" NOT NULL
            CONSTRAINT "len, ok" CHECK ("Ä, b" <> ',' AND length("Ä, b") > (1 + 2)) NO INHERIT
            UNIQUE NULLS NOT DISTINCT WITH (fillfactor = 50) DEFERRABLE INITIALLY DEFERRED
            REFERENCES app.teams (code) MATCH FULL ON DELETE SET NULL NOT DEFERRABLE,
        ADD COLUMN IF NOT EXISTS n app.mood[]"#;
    // A second COLLATE is an error, as in PostgreSQL, so the one inside the default goes.
    let sql = sql.replacen("|| 'x' COLLATE \"C\"", "|| 'x'", 1);
    let changes = changes(USERS, &sql);
    let names: Vec<&str> = changes.iter().map(|change| change.kind().name()).collect();
    assert_eq!(names, ["add_column", "add_check", "add_unique", "add_foreign_key", "add_column"]);
    let Change::AddColumn(column) = &changes[0] else { panic!("not a column") };
    assert_eq!(column.column.as_str(), "Ä, b");
    assert_eq!(column.data_type, "character varying(20)");
    assert_eq!(column.options, "STORAGE external COMPRESSION pglz COLLATE \"C\"");
    let default = column.default.as_ref().expect("has a default");
    assert_eq!(default.text, "E'it\\'s, (' || $q$ $ ,; $q$ -- not the end, yet\n            || 'x'");
    assert_eq!(default.null_when, crate::sql::expr::NullWhen::Never);
    assert!(column.not_null && !column.serial && column.identity.is_none());
    let Change::AddCheck(check) = &changes[1] else { panic!("not a check") };
    assert_eq!(check.name.as_str(), "len, ok");
    assert_eq!(check.expr.text, "\"Ä, b\" <> ',' AND length(\"Ä, b\") > (1 + 2)");
    assert_eq!(check.expr.rewrite(|_| "x".to_owned()), "x <> ',' AND length(x) > (1 + 2)");
    assert!(check.no_inherit && !check.not_valid);
    let Change::AddUnique(unique) = &changes[2] else { panic!("not a key") };
    assert_eq!(unique.key.name.as_str(), "Users_Ä, b_key");
    assert_eq!(
        (unique.key.storage.as_str(), unique.key.nulls_not_distinct),
        ("WITH (fillfactor = 50)", true)
    );
    assert_eq!(unique.key.deferrable, "DEFERRABLE INITIALLY DEFERRED");
    let Change::AddForeignKey(key) = &changes[3] else { panic!("not a foreign key") };
    assert_eq!(key.name.as_str(), "Users_Ä, b_fkey");
    assert_eq!(key.references.to_string(), "app.teams");
    assert_eq!(key.options, "MATCH FULL ON DELETE SET NULL NOT DEFERRABLE");
    assert!(!key.deferrable);
    let Change::AddColumn(second) = &changes[4] else { panic!("not a column") };
    assert_eq!((second.data_type.as_str(), second.if_not_exists), ("app.mood[]", true));
    assert_eq!(second.user_type.as_ref().map(ToString::to_string).as_deref(), Some("app.mood"));
}

#[test]
fn serial_identity_and_generated_columns() {
    let added = |definition: &str| match change(USERS, &format!("ALTER TABLE \"Users\" ADD n {definition}")) {
        Change::AddColumn(column) => column,
        other => panic!("not a column: {other:?}"),
    };
    let serial = added("bigserial");
    assert_eq!((serial.data_type.as_str(), serial.serial), ("bigint", true));
    let identity = added("int GENERATED BY DEFAULT AS IDENTITY (START 5 CACHE 2)");
    assert_eq!(identity.identity, Some((crate::catalog::Identity::ByDefault, "START 5 CACHE 2".to_owned())));
    let generated = added("int NULL GENERATED ALWAYS AS (length(mail) + 1) STORED");
    let (kind, expr) = generated.generated.expect("is generated");
    assert_eq!((kind, expr.text.as_str()), (crate::catalog::Generated::Stored, "length(mail) + 1"));
    assert!(!generated.not_null);
}

#[test]
fn constraints_as_table_elements() {
    let Change::AddForeignKey(key) = change(
        USERS,
        "ALTER TABLE \"Users\" ADD FOREIGN KEY (team) REFERENCES app.teams ON DELETE CASCADE DEFERRABLE NOT VALID",
    ) else {
        panic!("not a foreign key")
    };
    assert_eq!(key.name.as_str(), "Users_team_fkey");
    assert_eq!(key.referenced_columns, [Ident::new("id")]);
    assert_eq!(
        (key.options.as_str(), key.deferrable, key.not_valid),
        ("ON DELETE CASCADE DEFERRABLE", true, true)
    );
    let Change::AddUnique(unique) = change(
        USERS,
        "ALTER TABLE \"Users\" ADD CONSTRAINT u UNIQUE (mail, team) INCLUDE (id) WITH (fillfactor=70) USING INDEX TABLESPACE fast",
    ) else {
        panic!("not a key")
    };
    assert_eq!(unique.key.storage, "WITH (fillfactor=70) USING INDEX TABLESPACE fast");
    assert_eq!(
        (unique.key.columns.len(), unique.key.include.len(), unique.key.deferrable.as_str()),
        (2, 1, "")
    );
    let ddl = format!("{USERS}; CREATE UNIQUE INDEX mails ON \"Users\" (mail)");
    let Change::AddUnique(unique) = change(&ddl, "ALTER TABLE \"Users\" ADD UNIQUE USING INDEX mails") else {
        panic!("not a key")
    };
    assert_eq!((unique.key.name.as_str(), unique.key.using_index), ("mails", Some(Ident::new("mails"))));
    assert!(unique.key.columns.is_empty());
    let Change::AddCheck(check) = change(USERS, "ALTER TABLE \"Users\" ADD CHECK (id > team) NOT VALID")
    else {
        panic!("not a check")
    };
    assert_eq!((check.name.as_str(), check.not_valid), ("Users_check", true));
    let Change::AddCheck(check) =
        change(USERS, "ALTER TABLE \"Users\" ADD CHECK (id > 0 AND \"Users\".id < 9)")
    else {
        panic!("not a check")
    };
    assert_eq!(check.name.as_str(), "Users_id_check");
}

#[test]
fn indexes_by_their_text() {
    let Change::CreateIndex(index) = change(
        USERS,
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY public . \"Users\" /* here */ USING btree (lower(mail), \"full name\" DESC) INCLUDE (id) WHERE team IS NOT NULL -- end",
    ) else {
        panic!("not an index")
    };
    assert_eq!(
        index.body,
        "USING btree (lower(mail), \"full name\" DESC) INCLUDE (id) WHERE team IS NOT NULL"
    );
    assert_eq!(index.index.columns, [None, Some(Ident::new("full name"))]);
    let uses: Vec<&str> = index.index.uses.iter().map(Ident::as_str).collect();
    assert_eq!(uses, ["full name", "id", "mail", "team"]);
    assert!(index.only && index.concurrently && index.if_not_exists);
    assert!(index.index.unique && index.index.partial);
}

#[test]
fn an_update_by_its_clauses() {
    let Change::UpdateTable(update) = change(
        USERS,
        r#"UPDATE "Users" AS u SET "full name" = u.mail || ', where' /* FROM */, team = CASE WHEN u.id IS DISTINCT FROM 1 THEN 2 ELSE (SELECT max(id) FROM app.teams WHERE true) END
           WHERE u.team IS NOT DISTINCT FROM NULL AND mail ~ 'returning'"#,
    ) else {
        panic!("not an update")
    };
    assert_eq!(update.beyond, None);
    assert_eq!(update.alias.as_str(), "u");
    assert_eq!(update.set[0].1.text, "u.mail || ', where'");
    assert_eq!(update.set[0].1.rewrite(|column| format!("new.{column}")), "new.mail || ', where'");
    assert!(update.set[1].1.text.ends_with("WHERE true) END"));
    assert_eq!(update.set[1].1.reads, [Name::new("app", "teams")]);
    assert!(update.set[1].1.subquery);
    assert_eq!(
        update.filter.expect("has a filter").text,
        "u.team IS NOT DISTINCT FROM NULL AND mail ~ 'returning'"
    );
    let joined = "UPDATE \"Users\" u SET mail = code FROM app.teams WHERE u.team = teams.id AND team > 0";
    let Change::UpdateTable(update) = change(USERS, joined) else { panic!("not an update") };
    assert!(update.set[0].1.columns.is_empty());
    let read: Vec<&str> =
        update.filter.iter().flat_map(|filter| &filter.columns).map(|c| c.column.as_str()).collect();
    assert_eq!(read, ["team", "team"]);
    for (sql, beyond) in [
        (
            "UPDATE \"Users\" SET mail = t.code FROM app.teams t WHERE t.id = team RETURNING 1",
            "a FROM clause",
        ),
        ("WITH x AS (SELECT 1) UPDATE \"Users\" SET team = 1", "a WITH clause"),
        ("UPDATE \"Users\" SET team = 1 RETURNING id", "RETURNING"),
        ("UPDATE \"Users\" SET (team, mail) = (1, 'x') WHERE id = 1", "a multi-column assignment"),
    ] {
        let Change::UpdateTable(update) = change(USERS, sql) else { panic!("not an update") };
        assert_eq!(update.beyond.as_deref(), Some(beyond));
    }
}

#[test]
fn a_table_as_the_catalog_will_show_it() {
    let table = relation(
        USERS,
        r#"CREATE TABLE app."Orders, all" (
            id serial PRIMARY KEY,
            "user" bigint NOT NULL REFERENCES "Users" ON DELETE CASCADE,
            total numeric(10, 2) DEFAULT 0 CHECK (total >= 0),
            mood app.mood,
            parent int REFERENCES app."Orders, all",
            UNIQUE ("user", mood),
            CONSTRAINT twice CHECK (total > 0 OR parent IS NULL),
            CHECK (parent <> id),
            EXCLUDE USING gist ("user" WITH =) WHERE (total > 0)
        ) PARTITION BY RANGE (lower(mood::text), "user")"#,
        "app.\"Orders, all\"",
    );
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|c| format!("{} {}{}", c.name, c.data_type, if c.not_null.is_some() { "!" } else { "" }))
        .collect();
    assert_eq!(
        columns,
        ["id integer!", "\"user\" bigint!", "total numeric(10,2)", "mood app.mood", "parent integer"]
    );
    assert_eq!(table.columns[0].default.as_deref(), Some("nextval('app.\"Orders, all_id_seq\"'::regclass)"));
    let constraints: Vec<&str> = table.constraints.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        constraints,
        [
            "Orders, all_total_check",
            "twice",
            "Orders, all_check",
            "Orders, all_pkey",
            "Orders, all_user_mood_key",
            "Orders, all_user_excl",
            "Orders, all_user_fkey",
            "Orders, all_parent_fkey"
        ]
    );
    assert_eq!(table.partition_key, ["mood", "user"].map(Ident::new));
    assert_eq!(
        table.constraint(&Ident::new("Orders, all_parent_fkey")).expect("exists").columns,
        [Ident::new("parent")]
    );
}

#[test]
fn tables_made_here_take_anything() {
    let sql = "CREATE TABLE n (a int, b int);
        ALTER TABLE n RENAME COLUMN a TO c;
        ALTER TABLE n ALTER c TYPE bigint, ADD PRIMARY KEY (c);
        ALTER TABLE n RENAME TO m;
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
        CREATE TRIGGER x BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION touch();
        ALTER TABLE m ENABLE ROW LEVEL SECURITY;
        DELETE FROM m";
    let table = relation("", sql, "public.m");
    assert_eq!(table.columns[0].name.as_str(), "c");
    assert_eq!(table.columns[0].data_type, "bigint");
    assert_eq!(table.primary_key().expect("has one").name.as_str(), "n_pkey");
    assert!(table.row_security && table.triggers.len() == 1);
}

#[test]
fn allow_lifts_a_refusal_and_is_told() {
    let statements = statements(
        USERS,
        "-- concertina:allow not-yet reason: small\nINSERT INTO \"Users\" SELECT * FROM \"Users\"",
    );
    let [statement] = statements.as_slice() else { panic!("is one") };
    assert_eq!(statement.directives.used, [Code::NotYet]);
    assert!(
        matches!(statement.changes.as_deref(), Ok([Change::AsWritten(change)]) if change.kind == "insert_select")
    );
    // Only the code that is named.
    let other = refusal(
        USERS,
        "-- concertina:allow opaque reason: small\nINSERT INTO \"Users\" SELECT * FROM \"Users\"",
    );
    assert_eq!(other.code, Code::NotYet);
}

#[test]
fn names_are_resolved_as_the_statements_before_leave_them() {
    let sql = "CREATE TABLE a (id int); ALTER TABLE a ADD b int; CREATE INDEX ON a (b); DROP INDEX a_b_idx; ALTER TABLE a DROP COLUMN b";
    assert_eq!(changes("", sql).len(), 5);
    let refused = refusal("CREATE TABLE app.orders (id int)", "ALTER TABLE orders ADD b int");
    assert_eq!((refused.code, refused.help.as_str()), (Code::WillFail, "did you mean app.orders?"));
    let refused = refusal("CREATE TABLE orders (total int)", "ALTER TABLE orders ALTER totl SET NOT NULL");
    assert_eq!(refused.help, "did you mean total?");
    assert!(
        changes("", "ALTER TABLE IF EXISTS zz ADD b int; DROP TABLE IF EXISTS zz; DROP INDEX IF EXISTS zz")
            .is_empty()
    );
    // After something unknown, what "does not exist" is a guess.
    let refused = refusal("", "-- concertina:allow opaque reason: x\nDO 'x'; ALTER TABLE zz ADD b int");
    assert_eq!(refused.code, Code::SplitFile);
}

#[test]
fn deep_expressions_are_lowered_or_refused() {
    let catalog = catalog("CREATE TABLE t (a text)");
    for operands in [41, 1_000, 4_000, 5_000, 20_000] {
        let expr = vec!["a"; operands].join(" || ");
        let nested = format!("{}a{}", "lower(".repeat(operands), ")".repeat(operands));
        for sql in [
            format!("UPDATE t SET a = {expr}"),
            format!("ALTER TABLE t ADD CHECK ({expr} <> '')"),
            format!("CREATE VIEW v AS SELECT {expr} AS x FROM t"),
            format!("UPDATE t SET a = {nested}"),
        ] {
            match read(&sql, &catalog, &Policy::default()) {
                Ok(statements) => assert!(statements[0].changes.is_ok()),
                Err(errors) => assert!(operands > 41 && errors[0].code == Code::Syntax, "{errors:?}"),
            }
        }
    }
}
