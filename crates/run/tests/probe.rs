//! Every probe against a real server, before and after.

use concertina_lab::{Installation, Options, Server};
use concertina_plan::plan::Probe;
use concertina_plan::sql::ident::{Ident, Name};
use concertina_run::probe::holds;

#[tokio::test]
async fn every_probe() {
    let server = Server::start_default().await.unwrap();
    let sql = r#"CREATE SCHEMA "My"; CREATE SCHEMA other;
        CREATE TABLE "My"."T" (id int PRIMARY KEY, "C" int DEFAULT 1, g int GENERATED ALWAYS AS (1) STORED,
            gone int, i int GENERATED ALWAYS AS IDENTITY, CONSTRAINT valid CHECK ("C" > 0));
        ALTER TABLE "My"."T" DROP COLUMN gone;
        ALTER TABLE "My"."T" ADD CONSTRAINT late CHECK ("C" < 9) NOT VALID;
        CREATE INDEX "Ix" ON "My"."T" ("C");
        CREATE TABLE other."T" (id int, elsewhere int);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER "~tr" BEFORE INSERT ON "My"."T" FOR EACH ROW EXECUTE FUNCTION f();
        INSERT INTO other."T" VALUES (1, 1), (1, 1);"#;
    server.psql("postgres", sql).await.unwrap();
    // Leaves an INVALID index behind.
    server.psql("postgres", "CREATE UNIQUE INDEX CONCURRENTLY broken ON other.\"T\" (id)").await.unwrap_err();
    let client = server.connect("postgres").await.unwrap();

    let table = || Name::new("My", "T");
    let id = |name: &str| Ident::new(name);
    let relation =
        |schema: &str, name: &str, exists| Probe::Relation { name: Name::new(schema, name), exists };
    let column = |name: &str, exists| Probe::Column { table: table(), column: id(name), exists };
    let default = |name: &str, exists| Probe::Default { table: table(), column: id(name), exists };
    let not_null = |name: &str, not_null| Probe::NotNull { table: table(), column: id(name), not_null };
    let constraint = |name: &str, validated| Probe::Constraint { table: table(), name: id(name), validated };
    let index = |schema: &str, name: &str, valid| Probe::Index { name: Name::new(schema, name), valid };
    let trigger = |name: &str, exists| Probe::Trigger { table: table(), name: id(name), exists };
    let all = |of| Probe::All { of };
    let cases = [
        (Probe::Ledger, false),
        (relation("My", "T", true), true),
        (relation("My", "T", false), false),
        (relation("My", "t", true), false),
        (relation("my", "T", false), true),
        (column("C", true), true),
        (column("c", true), false),
        (column("gone", true), false),
        (column("gone", false), true),
        (column("elsewhere", false), true),
        (default("C", true), true),
        (default("C", false), false),
        (default("g", true), false),
        (default("i", true), false),
        (default("id", false), true),
        (not_null("id", true), true),
        (not_null("C", true), false),
        (not_null("C", false), true),
        (not_null("id", false), false),
        (constraint("valid", Some(true)), true),
        (constraint("valid", Some(false)), false),
        (constraint("late", Some(false)), true),
        (constraint("late", Some(true)), false),
        (constraint("late", None), false),
        (constraint("none", None), true),
        (constraint("none", Some(true)), false),
        (index("My", "Ix", true), true),
        (index("My", "Ix", false), false),
        (index("other", "Ix", false), true),
        (index("other", "broken", true), false),
        (index("other", "broken", false), false),
        (trigger("~tr", true), true),
        (trigger("~tr", false), false),
        (trigger("~tr2", false), true),
        (all(vec![]), true),
        (all(vec![column("C", true), all(vec![trigger("~tr", true)])]), true),
        (all(vec![column("C", true), all(vec![trigger("~tr", false)])]), false),
    ];
    for (probe, expected) in cases {
        assert_eq!(holds(&client, &probe).await.unwrap(), expected, "{probe:?}");
    }
}

#[tokio::test]
async fn not_null_not_valid_of_18_counts_once_it_is_validated() {
    let Ok(installation) = Installation::major(18) else {
        return eprintln!("PostgreSQL 18 is not installed");
    };
    let server = Server::start(&installation, Options::new()).await.unwrap();
    server
        .psql("postgres", "CREATE TABLE t (a int); ALTER TABLE t ADD CONSTRAINT nn NOT NULL a NOT VALID")
        .await
        .unwrap();
    let client = server.connect("postgres").await.unwrap();
    let table = Name::new("public", "t");
    let not_null = |not_null| Probe::NotNull { table: table.clone(), column: Ident::new("a"), not_null };
    let constraint =
        |validated| Probe::Constraint { table: table.clone(), name: Ident::new("nn"), validated };
    for (probe, expected) in [
        (not_null(true), false),
        (not_null(false), false),
        (constraint(Some(false)), true),
        (constraint(Some(true)), false),
    ] {
        assert_eq!(holds(&client, &probe).await.unwrap(), expected, "{probe:?}");
    }
    client.batch_execute("ALTER TABLE t VALIDATE CONSTRAINT nn").await.unwrap();
    assert!(holds(&client, &not_null(true)).await.unwrap());
    assert!(holds(&client, &constraint(Some(true))).await.unwrap());
}
