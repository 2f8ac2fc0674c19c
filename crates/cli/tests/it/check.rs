//! `check`: what production would refuse is known on a database that nobody needs.

use concertina_lab::Server;
use serde_json::Value;

use crate::project::Project;

/// A server with a plain role that may make databases of its own, and an empty one.
async fn start() -> (Server, Project, String) {
    let server = Server::start_default().await.unwrap();
    server.psql("postgres", "CREATE ROLE \"CI Role\" LOGIN CREATEDB").await.unwrap();
    server.psql("postgres", "CREATE DATABASE \"Empty!\" OWNER \"CI Role\"").await.unwrap();
    let url = server.url_as("CI Role", "Empty!");
    (server, Project::new(), url)
}

async fn pg_dump(server: &Server, arguments: &[&str]) -> Vec<u8> {
    let mut command = server.client_program("pg_dump").unwrap();
    let output = command.args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn refused(document: &Value) -> Vec<&str> {
    let migrations = document["migrations"].as_array().unwrap().iter();
    migrations.filter(|it| !it["refused"].is_null()).map(|it| it["migration"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_file_is_planned_on_top_of_those_before_it() {
    let (server, mut project, url) = start().await;
    project.migration(
        "0001_t",
        "CREATE SCHEMA \"App\"; CREATE TABLE \"App\".\"T 1\" (id int PRIMARY KEY, \"V\" int);",
    );
    project.migration("0002_index", "CREATE INDEX CONCURRENTLY ON \"App\".\"T 1\" (\"V\");");
    project.migration("0003_add", "ALTER TABLE \"App\".\"T 1\" ADD COLUMN w int DEFAULT 3 NOT NULL;");
    // An environment may mean production: it is not taken.
    project.set("DATABASE_URL", &url);
    let said = project.expect(2, &["check"]);
    assert!(said.stderr.contains("--database"), "{said:?}");
    let document = project.json(0, &["check", "--database", &url]);
    assert_eq!((&document["ok"], document["migrations"].as_array().unwrap().len()), (&true.into(), 3));
    assert_eq!(document["migrations"][1]["plan"]["steps"][0]["action"]["type"], "alone");

    // It is full now, and one that is full is never touched.
    let said = project.expect(2, &["check", "--database", &url]);
    assert!(said.stderr.contains("\"Empty!\"") || said.stderr.contains("Empty! is not empty"), "{said:?}");
    assert!(said.stderr.contains("schema \"App\""), "{said:?}");
    server.psql("postgres", "CREATE DATABASE live OWNER \"CI Role\"").await.unwrap();
    for object in ["CREATE TABLE public.t ()", "CREATE TYPE public.e AS ENUM ()", "CREATE SEQUENCE public.s"]
    {
        server.psql("live", object).await.unwrap();
        let before = server.pg_dump_schema("live").await.unwrap();
        project.expect(2, &["check", "--database", &server.url("live")]);
        assert_eq!(server.pg_dump_schema("live").await.unwrap(), before);
        server.psql("live", "DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();
    }
    assert!(project.expect(0, &["check", "-d", &server.url("live")]).stdout.contains("0003_add: plans"));
}

#[tokio::test]
async fn all_refusals_are_found_and_a_table_counts_as_holding_rows() {
    let (server, project, url) = start().await;
    project
        .migration("0001_t", "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t ADD COLUMN a int NOT NULL;");
    project.migration("0002_must", "ALTER TABLE t ADD COLUMN b int NOT NULL;");
    project.migration("0003_note", "ALTER TABLE t ADD COLUMN note text;");
    project.migration("0004_full", "COMMENT ON TABLE t IS 'x';\nVACUUM FULL t;");
    let said = project.expect(3, &["check", "--database", &url]);
    for part in ["0001_t: plans", "0002_must: refused", "0003_note: plans", "0004_full: refused"] {
        assert!(said.stdout.contains(part), "{part}: {said:?}");
    }
    for part in ["0002_must.sql:1:1", "0004_full.sql:2:1", "2 of 4 migrations cannot be planned"] {
        assert!(said.stderr.contains(part), "{part}: {said:?}");
    }
    // The old ones may be left as they are.
    server.psql("postgres", "CREATE DATABASE again OWNER \"CI Role\"").await.unwrap();
    let url = server.url_as("CI Role", "again");
    let document = project.json(3, &["check", "--database", &url, "--baseline", "must"]);
    assert_eq!(refused(&document), ["0004_full"]);
    assert_eq!(document["taken"], serde_json::json!(["0001_t", "0002_must"]));
}

#[tokio::test]
async fn a_file_that_fails_as_written_ends_the_check_with_15() {
    let (server, project, url) = start().await;
    project.migration("0001_t", "CREATE TABLE t (id int);");
    project.migration("0002_bad", "ALTER TABLE t ADD COLUMN note text;\nSELECT 1 / 0;");
    project.migration("0003_later", "CREATE TABLE u (id int);");
    let document = project.json(15, &["check", "--database", &url]);
    assert_eq!(document["ok"], false);
    assert_eq!(
        (&document["failed"]["migration"], &document["failed"]["sqlstate"]),
        (&"0002_bad".into(), &"22012".into())
    );
    assert!(document["failed"]["message"].as_str().unwrap().contains("0002_bad.sql, line 2"), "{document}");
    assert_eq!(document["not_checked"], serde_json::json!(["0003_later"]));
    server.psql("postgres", "CREATE DATABASE again OWNER \"CI Role\"").await.unwrap();
    let said = project.expect(15, &["check", "--database", &server.url_as("CI Role", "again")]);
    assert!(said.stderr.contains("division by zero") && said.stderr.contains("0003_later"), "{said:?}");
}

/// Production runs on another server, whose roles are not on this one.
#[tokio::test]
async fn pending_files_are_planned_on_a_dump_of_production() {
    let production = Server::start_default().await.unwrap();
    let schema = r#"CREATE ROLE app; CREATE ROLE "The Owner"; CREATE DATABASE shop"#;
    for statement in schema.split(';') {
        production.psql("postgres", statement).await.unwrap();
    }
    let schema = r#"
        CREATE SCHEMA "App" AUTHORIZATION "The Owner"; SET ROLE "The Owner";
        CREATE TYPE "App".mood AS ENUM ('sad', 'ok');
        CREATE TABLE "App"."Order Items" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood "App".mood, note text DEFAULT 'a;b');
        CREATE TABLE "App".parts (id int, at date NOT NULL) PARTITION BY RANGE (at);
        CREATE TABLE "App".part_1 PARTITION OF "App".parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
        CREATE FUNCTION "App".f() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
        /* psql's, were it at the start of a file:
\restrict other
        */
        RETURN NEW; END $$;
        CREATE TRIGGER f BEFORE INSERT ON "App"."Order Items" FOR EACH ROW EXECUTE FUNCTION "App".f();
        CREATE VIEW "App".v AS SELECT id FROM "App"."Order Items";
        GRANT SELECT ON "App"."Order Items" TO app;
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app"#;
    production.psql("shop", schema).await.unwrap();
    let mut project = Project::new();
    project.set("DATABASE_URL", &production.url("shop"));
    project.migration("0001_old", "SELECT 1 / 0;");
    project.expect(0, &["baseline", "--all"]);
    let dump = pg_dump(&production, &["--schema-only", "shop"]).await;
    let dump = String::from_utf8(dump).unwrap();
    // What this test is about is in there: psql's meta-commands, and the ledger without its rows.
    assert!(dump.contains("\n\\unrestrict ") && dump.contains("CREATE TABLE concertina.meta"), "{dump}");
    std::fs::write(project.path().join("prod.sql"), &dump).unwrap();

    project.migration("0002_add", "ALTER TABLE \"App\".\"Order Items\" ADD COLUMN total int;");
    project.migration("0003_must", "ALTER TABLE \"App\".\"Order Items\" ADD COLUMN must int NOT NULL;");
    project.migration("0004_index", "CREATE INDEX ON \"App\".\"Order Items\" (total);");
    let (server, _, url) = start().await;
    let arguments = ["check", "--database", &url, "--schema", "prod.sql", "--baseline", "1"];
    let document = project.json(3, &arguments);
    assert_eq!(refused(&document), ["0003_must"]);
    assert_eq!(document["taken"], serde_json::json!(["0001_old"]));
    let skipped = document["loaded"]["skipped"].as_array().unwrap();
    assert!(
        !skipped.is_empty()
            && skipped.iter().all(|it| it["why"].as_str().unwrap().to_lowercase().contains("role")),
        "{document}"
    );
    let there = "SELECT count(*) FROM pg_trigger WHERE tgname = 'f'";
    assert_eq!(server.psql("Empty!", there).await.unwrap(), "1\n");
    // Production was not touched.
    let now = String::from_utf8(pg_dump(&production, &["--schema-only", "shop"]).await).unwrap();
    let without_key =
        |dump: &str| dump.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n");
    assert_eq!(without_key(&now), without_key(&dump));

    // A policy is part of what is planned on, so its role must be there.
    let policy = "ALTER TABLE \"App\".\"Order Items\" ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON \"App\".\"Order Items\" TO app USING (true)";
    production.psql("shop", policy).await.unwrap();
    std::fs::write(project.path().join("prod.sql"), pg_dump(&production, &["--schema-only", "shop"]).await)
        .unwrap();
    server.psql("postgres", "CREATE DATABASE again OWNER \"CI Role\"").await.unwrap();
    let url = server.url_as("CI Role", "again");
    let said = project.expect(15, &["check", "--database", &url, "--schema", "prod.sql", "--baseline", "1"]);
    assert!(said.stderr.contains("prod.sql:") && said.stderr.contains("\"app\" does not exist"), "{said:?}");
}

#[tokio::test]
async fn what_is_not_a_dump_of_a_schema_is_refused_before_anything_is_done() {
    let (server, project, url) = start().await;
    project.migration("0001_t", "CREATE TABLE t (id int);");
    server.psql("postgres", "CREATE DATABASE shop").await.unwrap();
    server
        .psql("shop", "CREATE TABLE t (id int, note text); INSERT INTO t VALUES (1, 'it''s')")
        .await
        .unwrap();
    for (options, way_out) in [
        (&["shop"][..], "--schema-only"),
        (&["--schema-only", "--create", "shop"], "without --create"),
        (&["--format=custom", "shop"], "--format=plain"),
    ] {
        std::fs::write(project.path().join("dump"), pg_dump(&server, options).await).unwrap();
        let said = project.expect(9, &["check", "--database", &url, "--schema", "dump"]);
        assert!(said.stderr.contains("dump:") && said.stderr.contains(way_out), "{options:?}: {said:?}");
    }
    project.expect(9, &["check", "--database", &url, "--schema", "nowhere.sql"]);
    project.expect(9, &["check", "--database", &url, "--baseline", "7"]);
    // Still empty.
    project.expect(0, &["check", "--database", &url]);
}
