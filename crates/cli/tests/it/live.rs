//! The binary on a real server: the way that users go, and the ways in which it ends.

use concertina_lab::{Options, Server};
use serde_json::Value;
use tokio_postgres::Client;

use crate::project::Project;

const USERS: &str = "
    CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email text);
    INSERT INTO users (name, email) SELECT 'User ' || i, 'user' || i || '@example.com' FROM generate_series(1, 500) AS i;
    ANALYZE users";

/// A server with a database `app`, and a project that names it.
async fn start(schema: &str) -> (Server, Client, Project) {
    let server = Server::start_default().await.unwrap();
    server.create_database("app").await.unwrap();
    let client = server.connect("app").await.unwrap();
    client.batch_execute(schema).await.unwrap();
    let mut project = Project::new();
    project.set("DATABASE_URL", &server.url("app"));
    (server, client, project)
}

async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap().get(0)
}

/// `(name, state)` of every migration.
fn states(project: &Project) -> Vec<(String, String)> {
    let document = project.json(0, &["status"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    document["migrations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (text(&it["name"]), text(&it["state"])))
        .collect()
}

fn state(project: &Project) -> String {
    states(project).pop().unwrap().1
}

#[tokio::test]
async fn from_init_to_undo() {
    let (_server, client, project) = start(USERS).await;
    let init = project.expect(0, &["init"]);
    assert!(init.stdout.contains("ledger: ready"), "{init:?}");
    project.expect(0, &["init"]);

    let path = project.expect(0, &["new", "emails"]).stdout;
    let sql = "ALTER TABLE users ADD COLUMN lower_email text;
        UPDATE users SET lower_email = lower(coalesce(email, 'unknown'));
        ALTER TABLE users ALTER COLUMN lower_email SET NOT NULL;
        CREATE INDEX users_lower_email_idx ON users (lower_email);";
    std::fs::write(project.path().join(path.trim()), sql).unwrap();
    assert_eq!(states(&project), [("0001_emails".to_owned(), "pending".to_owned())]);

    let plan = project.expect(0, &["plan"]);
    for part in ["0001_emails", "lower_email", "Backfill", "Contract"] {
        assert!(plan.stdout.contains(part), "{part} in {}", plan.stdout);
    }
    let document = project.json(0, &["plan", "emails"]);
    let steps = document["plans"][0]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["action"]["type"] == "backfill"), "{document}");
    assert!(document["refused"].is_null());

    let expand = project.expect(0, &["expand"]);
    assert!(expand.stdout.contains("0001_emails: expanded"), "{expand:?}");
    assert!(expand.stderr.contains("backfill"), "{expand:?}");
    assert_eq!(state(&project), "expanded");
    let nulls =
        "SELECT count(*) FROM users WHERE lower_email IS DISTINCT FROM lower(coalesce(email, 'unknown'))";
    assert_eq!(number(&client, nulls).await, 0);
    // Old code, which does not know the column.
    client.execute("INSERT INTO users (name, email) VALUES ('New', 'NEW@example.com')", &[]).await.unwrap();
    client.execute("UPDATE users SET email = 'CHANGED@example.com' WHERE id = 7", &[]).await.unwrap();
    assert_eq!(number(&client, nulls).await, 0);
    // A second time there is nothing left to do.
    let again = project.json(0, &["expand"]);
    assert_eq!((&again["steps"], &again["moved"]), (&0.into(), &Value::Array(Vec::new())));

    let contract = project.expect(0, &["contract"]);
    assert!(contract.stdout.contains("0001_emails: done"), "{contract:?}");
    assert_eq!(state(&project), "done");
    assert_eq!(number(&client, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal").await, 0);
    let stored = project.json(0, &["plan", "0001"]);
    assert_eq!(stored["plans"][0]["stored"], true);
    let nothing = project.expect(0, &["plan"]);
    assert!(nothing.stdout.contains("Nothing to plan"), "{nothing:?}");

    let history = project.json(0, &["history"]);
    let about = |event: &&Value| event["migration"] == "0001_emails";
    assert!(history["events"].as_array().unwrap().iter().filter(about).count() >= 4, "{history}");
    assert!(project.expect(0, &["history", "-n", "1"]).stdout.lines().count() == 2);

    let undo = project.json(0, &["undo", "emails"]);
    assert_eq!(undo["moved"][0]["state"], "undone", "{undo}");
    let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped";
    assert_eq!(number(&client, columns).await, 3);
    // Undone counts as not applied.
    project.expect(0, &["expand", "-q"]);
    assert_eq!(state(&project), "expanded");
}

#[tokio::test]
async fn a_report_holds_steps_rows_and_sql_as_text() {
    let (_server, client, project) = start(USERS).await;
    let sql = r#"ALTER TABLE users ADD COLUMN "<script>" text;
        UPDATE users SET "<script>" = lower(name);
        ALTER TABLE users ALTER COLUMN "<script>" SET NOT NULL;"#;
    project.migration("0001_odd", sql);
    let early = project.expect(9, &["report", "odd"]);
    assert!(early.stderr.contains("has not begun"), "{early:?}");
    project.expect(0, &["expand", "-q"]);
    project.expect(0, &["contract", "-q"]);

    let plan = project.json(0, &["plan", "odd"]);
    let document = project.json(0, &["report", "odd"]);
    assert_eq!((&document["migration"], &document["state"]), (&"0001_odd".into(), &"done".into()));
    let (planned, ran) = (&plan["plans"][0]["steps"], &document["steps"]);
    assert_eq!(ran.as_array().unwrap().len(), planned.as_array().unwrap().len());
    for (planned, ran) in planned.as_array().unwrap().iter().zip(ran.as_array().unwrap()) {
        assert_eq!((&ran["title"], &ran["state"]), (&planned["title"], &"done".into()));
        let (began, ended) = (ran["began_seconds"].as_f64().unwrap(), ran["ended_seconds"].as_f64().unwrap());
        let spans = ran["spans"].as_array().unwrap();
        assert!(spans.iter().any(|span| span["kind"] == "run"), "{ran:#}");
        for span in spans {
            let (from, to) = (span["from_seconds"].as_f64().unwrap(), span["to_seconds"].as_f64().unwrap());
            assert!(from <= to && began <= ended, "{ran:#}");
        }
        // Locks are held within a run of the step.
        let short = ran["action"]["type"] == "transaction" && !ran["locks"].as_array().unwrap().is_empty();
        assert!(!short || spans.iter().any(|span| span["kind"] == "locks"), "{ran:#}");
    }
    let rows: i64 = ran.as_array().unwrap().iter().filter_map(|step| step["rows"].as_i64()).sum();
    assert_eq!(rows, 500);
    assert!(document["events"].as_array().unwrap().iter().any(|event| event["event"] == "contract_done"));

    let said = project.expect(0, &["report", "0001", "--output", "report.html"]);
    assert!(said.stdout.is_empty() && said.stderr.contains("report.html"), "{said:?}");
    let page = std::fs::read_to_string(project.path().join("report.html")).unwrap();
    assert_eq!(page, project.expect(0, &["report", "odd"]).stdout);
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
    for step in ran.as_array().unwrap() {
        let title = step["title"].as_str().unwrap();
        let title =
            title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        assert!(page.contains(&title), "{title} in {page}");
    }
    // It only reads, and an undo is part of the story.
    project.expect(0, &["undo", "odd", "-q"]);
    let document = project.json(0, &["report", "odd"]);
    assert!(
        document["steps"].as_array().unwrap().iter().any(|step| step["direction"] == "undo"),
        "{document:#}"
    );
    assert_eq!(number(&client, "SELECT count(*) FROM pg_attribute WHERE attname = '<script>'").await, 0);
}

#[tokio::test]
async fn what_cannot_be_planned_ends_with_3() {
    let (_server, client, project) = start(USERS).await;
    project.migration("0001_note", "ALTER TABLE users ADD COLUMN note text;");
    project.migration("0002_full", "COMMENT ON TABLE users IS 'x';\nVACUUM FULL users;\n");
    project.migration("0003_later", "ALTER TABLE users ADD COLUMN later text;");

    let plan = project.expect(3, &["plan"]);
    assert!(plan.stdout.contains("0001_note") && !plan.stdout.contains("0003_later"), "{}", plan.stdout);
    for part in ["0002_full.sql:2:1", "VACUUM FULL users", "help", "0003_later"] {
        assert!(plan.stderr.contains(part), "{part} in {}", plan.stderr);
    }
    let document = project.json(3, &["plan"]);
    assert_eq!(document["refused"]["diagnostics"][0]["line"], 2);
    assert_eq!(document["not_planned"][0], "0003_later");

    // Expand goes as far as it can, and says why it goes no further.
    let expand = project.expect(3, &["expand"]);
    assert!(expand.stderr.contains("migrations/0002_full.sql:2:1"), "{expand:?}");
    assert_eq!(number(&client, "SELECT count(*) FROM pg_attribute WHERE attname = 'note'").await, 1);
    assert_eq!(number(&client, "SELECT count(*) FROM pg_attribute WHERE attname = 'later'").await, 0);
    let document = project.json(3, &["expand"]);
    assert_eq!((&document["kind"], &document["exit_code"]), (&"refused".into(), &3.into()));
    assert_eq!(document["refused"]["migration"], "0002_full");
}

#[tokio::test]
async fn a_file_outside_of_the_folder_is_planned_as_it_is() {
    let (_server, _client, project) = start(USERS).await;
    project.migration("0001_a", "SELECT broken(;");
    let draft = project.path().join("draft.sql");
    std::fs::write(&draft, "ALTER TABLE users ADD COLUMN draft text;").unwrap();
    assert_eq!(project.json(0, &["plan", "draft.sql"])["plans"][0]["migration"], "draft");
    std::fs::write(&draft, "ALTER TABLE nobody ADD COLUMN draft text;").unwrap();
    let said = project.expect(3, &["plan", "draft.sql"]);
    assert!(said.stderr.contains("draft.sql:1:1"), "{said:?}");
}

#[tokio::test]
async fn a_later_file_is_planned_on_top_of_the_earlier() {
    let (_server, _client, project) = start(USERS).await;
    project.migration("0001_note", "ALTER TABLE users ADD COLUMN note text;");
    project.migration("0002_index", "CREATE INDEX users_note_idx ON users (note);");
    project.migration(
        "0003_strict",
        "-- concertina:fill note = ''\nALTER TABLE users ALTER COLUMN note SET NOT NULL;",
    );
    let plans = project.json(0, &["plan"]);
    assert_eq!(plans["plans"].as_array().unwrap().len(), 3, "{plans}");
    let third = project.json(0, &["plan", "3"]);
    assert_eq!(third["plans"][0]["migration"], "0003_strict");
    assert_eq!(third["plans"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn rows_that_violate_end_with_4_and_can_be_corrected() {
    let (_server, client, project) = start(USERS).await;
    client.execute("UPDATE users SET email = NULL WHERE id IN (3, 5)", &[]).await.unwrap();
    project.migration("0001_email", "ALTER TABLE users ALTER COLUMN email SET NOT NULL;");
    let said = project.expect(4, &["expand"]);
    assert!(said.stderr.contains("users") && said.stderr.contains("email"), "{said:?}");
    let document = project.json(4, &["expand"]);
    assert!(!document["rows"].as_array().unwrap().is_empty(), "{document}");
    assert_eq!(state(&project), "expanding");
    client.execute("UPDATE users SET email = '' WHERE email IS NULL", &[]).await.unwrap();
    project.expect(0, &["expand"]);
    project.expect(0, &["contract"]);
    assert!(client.execute("INSERT INTO users (name) VALUES ('x')", &[]).await.is_err());
}

#[tokio::test]
async fn data_is_removed_only_when_somebody_said_so() {
    let (_server, client, project) = start(USERS).await;
    project.migration("0001_drop", "ALTER TABLE users DROP COLUMN email;");
    project.expect(0, &["expand"]);
    let said = project.expect(10, &["contract"]);
    assert!(said.stderr.contains("--yes") && said.stderr.contains("email"), "{said:?}");
    assert_eq!(number(&client, "SELECT count(email) FROM users").await, 500);
    project.expect(0, &["contract", "--yes"]);
    assert!(client.query("SELECT email FROM users", &[]).await.is_err());
    project.expect(0, &["undo", "1"]);
    assert_eq!(
        number(&client, "SELECT count(*) FROM users WHERE email = 'user' || id || '@example.com'").await,
        500
    );
}

#[tokio::test]
async fn apply_goes_all_the_way() {
    let (server, client, project) = start(USERS).await;
    project.migration("0001_note", "ALTER TABLE users ADD COLUMN note text;");
    project.migration(
        "0002_strict",
        "-- concertina:fill note = ''\nALTER TABLE users ALTER COLUMN note SET NOT NULL;",
    );
    project.migration("0003_drop", "ALTER TABLE users DROP COLUMN email;");
    project.expect(10, &["apply"]);
    let applied = project.json(0, &["apply", "--yes"]);
    assert_eq!(applied["command"], "apply");
    assert!(states(&project).iter().all(|(_, state)| state == "done"), "{:?}", states(&project));
    assert_eq!(number(&client, "SELECT count(*) FROM users WHERE note = ''").await, 500);

    // The same files as written, elsewhere.
    server.create_database("simple").await.unwrap();
    let simple = server.connect("simple").await.unwrap();
    simple.batch_execute(USERS).await.unwrap();
    simple.batch_execute("ALTER TABLE users ALTER COLUMN email SET DEFAULT ''").await.unwrap();
    let database = server.url("simple");
    std::fs::write(project.path().join("migrations/0002_strict.sql"), "UPDATE users SET note = '';").unwrap();
    project.expect(0, &["apply", "--simple", "-d", &database]);
    assert_eq!(number(&simple, "SELECT count(*) FROM users WHERE note = ''").await, 500);
    let status = project.json(0, &["status", "-d", &database]);
    assert_eq!(
        (&status["migrations"][2]["state"], &status["migrations"][2]["simple"]),
        (&"done".into(), &true.into())
    );
}

#[tokio::test]
async fn a_file_that_changed_after_it_ran_ends_with_9() {
    let (_server, _client, project) = start(USERS).await;
    project.migration("0001_note", "ALTER TABLE users ADD COLUMN note text;");
    project.expect(0, &["expand"]);
    // Line ends are not a change, words are.
    project.migration("0001_note", "ALTER TABLE users ADD COLUMN note text;\r\n");
    project.migration("0001_note", "ALTER TABLE users ADD COLUMN note varchar;");
    let said = project.expect(9, &["expand"]);
    assert!(said.stderr.contains("0001_note"), "{said:?}");
}

#[tokio::test]
async fn what_cannot_be_undone_ends_with_11() {
    let (_server, client, project) = start(USERS).await;
    project.migration("0001_up", "UPDATE users SET name = upper(name);");
    let plan = project.json(0, &["plan"]);
    let steps = plan["plans"][0]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["undo"]["type"] == "impossible"), "{plan}");
    project.expect(0, &["expand"]);
    project.expect(11, &["undo", "1"]);
    assert_eq!(number(&client, "SELECT count(*) FROM users WHERE name = upper(name)").await, 500);
}

#[tokio::test]
async fn names_that_need_quotes() {
    let schema = r#"CREATE SCHEMA "Ünï""Code";
        CREATE TABLE "Ünï""Code"."Order Items" ("Id" bigint PRIMARY KEY, "select" int NOT NULL DEFAULT 1);
        INSERT INTO "Ünï""Code"."Order Items" SELECT i FROM generate_series(1, 300) AS i;"#;
    let (_server, client, project) = start(schema).await;
    project.migration(
        "0001_total",
        r#"ALTER TABLE "Ünï""Code"."Order Items" ADD COLUMN "Total €" bigint;
           UPDATE "Ünï""Code"."Order Items" SET "Total €" = "select" * 2;
           ALTER TABLE "Ünï""Code"."Order Items" ALTER COLUMN "Total €" SET NOT NULL;
           ALTER TABLE "Ünï""Code"."Order Items" ADD CONSTRAINT "positive?" CHECK ("Total €" > 0);
           CREATE INDEX "Order Items Total €" ON "Ünï""Code"."Order Items" ("Total €");"#,
    );
    project.expect(0, &["apply"]);
    assert_eq!(number(&client, r#"SELECT sum("Total €")::bigint FROM "Ünï""Code"."Order Items""#).await, 600);
    project.expect(0, &["undo", "0001_total"]);
    project.expect(0, &["status"]);
}

#[tokio::test]
async fn a_role_without_superuser_is_enough() {
    let (server, client, mut project) = start("").await;
    client.batch_execute("CREATE ROLE deploy LOGIN; CREATE SCHEMA app AUTHORIZATION deploy").await.unwrap();
    project.set("DATABASE_URL", &server.url_as("deploy", "app"));
    project.migration("0001_users", "CREATE TABLE app.users (id bigint PRIMARY KEY, name text);");
    project.migration(
        "0002_name",
        "-- concertina:fill name = ''\nALTER TABLE app.users ALTER COLUMN name SET NOT NULL;",
    );
    let said = project.expect(12, &["expand"]);
    assert!(said.stderr.contains("GRANT CREATE ON DATABASE"), "{said:?}");
    client.batch_execute("GRANT CREATE ON DATABASE app TO deploy").await.unwrap();
    project.expect(0, &["apply"]);
    assert!(states(&project).iter().all(|(_, state)| state == "done"));
}

#[tokio::test]
async fn a_standby_ends_with_14() {
    let server = Server::start_default().await.unwrap();
    let standby = server.standby(Options::new()).await.unwrap();
    let mut project = Project::new();
    project.set("DATABASE_URL", &standby.url("postgres"));
    project.migration("0001_a", "CREATE TABLE t (id int);");
    project.expect(14, &["expand"]);
}

#[tokio::test]
async fn no_password_is_ever_shown() {
    let (server, client, project) = start(USERS).await;
    client.batch_execute("CREATE ROLE deploy LOGIN SUPERUSER PASSWORD 'geheim'").await.unwrap();
    let url = format!("{} password=geheim", server.url_as("deploy", "app"));
    project.migration(
        "0001_note",
        "ALTER TABLE users ADD COLUMN note text; ALTER TABLE users ADD COLUMN more text;",
    );
    for command in ["plan 1", "expand 1", "status", "history", "contract 1", "undo 1"] {
        let command: Vec<&str> = command.split(' ').collect();
        let said = project.expect(0, &[&command[..], &["-vvv", "-d", &url]].concat());
        assert!(!said.stdout.contains("geheim") && !said.stderr.contains("geheim"), "{command:?}: {said:?}");
    }
    let stored = "SELECT count(*) FROM concertina.migration AS m WHERE m::text LIKE '%geheim%'";
    assert_eq!(number(&client, stored).await, 0);
}

#[tokio::test]
async fn what_is_dropped_lies_in_the_archive_until_it_is_purged() {
    let schema = "CREATE TABLE logs (id bigserial PRIMARY KEY, line text);
        INSERT INTO logs (line) SELECT 'l' || i FROM generate_series(1, 300) AS i;
        CREATE TABLE users (id bigint PRIMARY KEY, age int);
        CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'";
    let (_server, client, project) = start(schema).await;
    assert!(project.expect(0, &["archive", "list"]).stdout.contains("empty"));
    project.migration("0001_logs", "DROP TABLE logs; DROP FUNCTION twice");
    project.migration("0002_age", "ALTER TABLE users DROP COLUMN age");
    project.expect(0, &["expand"]);
    project.expect(10, &["contract"]);
    project.expect(0, &["contract", "--yes"]);
    assert_eq!(number(&client, "SELECT count(*) FROM pg_tables WHERE tablename = 'logs'").await, 0);

    let listed = project.json(0, &["archive", "list"]);
    let of = |document: &Value, list: &str| -> Vec<String> {
        let objects = document[list].as_array().unwrap();
        let mut names: Vec<String> = objects.iter().map(|it| it["of"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let all = ["column age of public.users", "routine public.twice", "table public.logs"];
    assert_eq!(of(&listed, "objects"), all);
    assert!(listed["objects"][0]["bytes"].as_i64().unwrap() > 0, "{listed}");

    // Brought back with its rows, its sequence and its index.
    project.expect(0, &["archive", "restore", "logs"]);
    assert_eq!(number(&client, "SELECT count(*) FROM logs WHERE twice(2) = 4").await, 300);
    client.execute("INSERT INTO logs (line) VALUES ('new')", &[]).await.unwrap();
    assert_eq!(number(&client, "SELECT max(id) FROM logs").await, 301);
    project.expect(0, &["expand"]);
    project.expect(0, &["contract", "--yes"]);

    let nothing = project.json(0, &["archive", "purge", "--older-than", "30d"]);
    assert_eq!(of(&nothing, "objects"), all);
    project.expect(10, &["archive", "purge", "--older-than", "0s"]);
    let purged = project.json(0, &["archive", "purge", "--older-than", "0s", "logs", "--yes"]);
    assert_eq!(of(&purged, "purged"), ["routine public.twice", "table public.logs"]);
    assert_eq!(of(&purged, "objects"), ["column age of public.users"]);
    let undo = project.expect(11, &["undo", "logs"]);
    assert!(undo.stderr.contains("public.logs") && undo.stderr.contains("not there any more"), "{undo:?}");
    project.expect(0, &["undo", "age"]);
    assert!(project.expect(0, &["archive", "list"]).stdout.contains("empty"));
    assert!(project.expect(0, &["history"]).stdout.contains("removed for good"));
}

#[tokio::test]
async fn a_file_that_nobody_has_written_yet_is_not_run() {
    let (_server, _client, project) = start("CREATE TABLE t (id int)").await;
    project.expect(0, &["new", "first"]);
    for command in [["plan", "1"], ["expand", "1"], ["apply", "--simple"]] {
        let said = project.expect(9, &command);
        assert!(said.stderr.contains("0001_first.sql is still as `concertina new` made it"), "{said:?}");
    }
    assert_eq!(project.json(0, &["status"])["migrations"][0]["state"], "pending");
    // It keeps nothing else from running, and whoever wants it empty says so.
    project.migration("0002_second", "ALTER TABLE t ADD COLUMN a int");
    project.expect(0, &["plan", "2"]);
    project.migration("0001_first", "-- nothing");
    project.expect(0, &["expand"]);
    let said = project.expect(9, &["report", "nope"]);
    assert!(said.stderr.contains("there is no migration nope"), "{said:?}");
}

#[tokio::test]
async fn a_file_of_the_archive_brings_back_what_was_purged() {
    let schema = r#"CREATE TYPE mood AS ENUM ('so', 'it''s so');
        CREATE TABLE "Logs" (id bigserial PRIMARY KEY, line text NOT NULL DEFAULT 'x' CHECK (line <> ''), "Mood" mood,
            number int GENERATED BY DEFAULT AS IDENTITY, twice bigint GENERATED ALWAYS AS (id * 2) STORED, at timestamptz, b bytea, f float8);
        COMMENT ON COLUMN "Logs".line IS 'a line; it''s one';
        CREATE INDEX ON "Logs" (line) WHERE id > 3;
        INSERT INTO "Logs" (line, "Mood", at, b, f) SELECT E'l\\\\' || i || E'\n\\.\n\t', CASE i % 3 WHEN 0 THEN 'so' WHEN 1 THEN 'it''s so' END::mood,
            now() + i * interval '1 day', decode(md5(i::text), 'hex'), i / 7.0 FROM generate_series(1, 3000) AS i;
        GRANT SELECT ON "Logs" TO PUBLIC;
        CREATE TABLE users (id bigint PRIMARY KEY, age numeric(5,2));
        INSERT INTO users SELECT i, i / 100.0 FROM generate_series(1, 500) AS i;
        CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'"#;
    let (_server, client, project) = start(schema).await;
    let picture = r#"SELECT md5(string_agg(t::text, '|' ORDER BY id)) || (SELECT string_agg(users::text, '|' ORDER BY id) FROM users)
        FROM "Logs" AS t"#;
    let before: String = client.query_one(picture, &[]).await.unwrap().get(0);
    project.migration("0001_logs", "DROP TABLE \"Logs\"; DROP FUNCTION twice");
    project.migration("0002_age", "ALTER TABLE users DROP COLUMN age");
    project.expect(0, &["expand"]);
    project.expect(0, &["contract", "--yes"]);

    assert!(
        project
            .expect(9, &["archive", "save", "nothing", "--output", "x.gz"])
            .stderr
            .contains("left nothing")
    );
    let saved = project.json(0, &["archive", "save", "logs", "--output", "logs.gz"]);
    assert_eq!(saved["objects"].as_array().unwrap().len(), 2, "{saved}");
    let again = project.expect(9, &["archive", "save", "logs", "--output", "logs.gz"]);
    assert!(again.stderr.contains("exists already"), "{again:?}");
    project.expect(0, &["archive", "save", "age", "--output", "age.gz"]);
    let verified = project.json(0, &["archive", "verify", "logs.gz"]);
    assert_eq!(verified["objects"], saved["objects"]);
    let table = saved["objects"].as_array().unwrap().iter().find(|it| it["kind"] == "table").unwrap();
    assert_eq!(table["rows"], 3000);

    // Damage is found, wherever it is.
    let path = project.path().join("logs.gz");
    let whole = std::fs::read(&path).unwrap();
    for (at, what) in [(whole.len() / 2, "damaged"), (3, "no file of")] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        std::fs::write(project.path().join("damaged.gz"), &damaged).unwrap();
        let said = project.expect(9, &["archive", "verify", "damaged.gz"]);
        assert!(said.stderr.contains("damaged") || said.stderr.contains(what), "{said:?}");
    }
    std::fs::write(project.path().join("short.gz"), &whole[..whole.len() - 20]).unwrap();
    assert!(project.expect(9, &["archive", "verify", "short.gz"]).stderr.contains("ends too early"));

    let unsaved = project.expect(10, &["archive", "purge", "--older-than", "0s"]);
    assert!(
        unsaved.stderr.contains("saved in logs.gz") && !unsaved.stderr.contains("not saved"),
        "{unsaved:?}"
    );
    project.expect(0, &["archive", "purge", "--older-than", "0s", "--yes"]);
    project.expect(11, &["undo", "logs"]);
    for refused in [vec!["--from", "short.gz"], vec!["age", "--from", "logs.gz"]] {
        project.expect(9, &[&["archive", "restore"][..], &refused].concat());
    }
    assert!(project.expect(0, &["archive", "list"]).stdout.contains("empty"));
    let restored = project.json(0, &["archive", "restore", "--from", "logs.gz"]);
    assert_eq!(restored["restored"].as_array().unwrap().len(), 2, "{restored}");
    project.expect(0, &["archive", "restore", "age", "--from", "age.gz"]);
    let nothing = project.json(0, &["archive", "restore", "--from", "age.gz"]);
    assert_eq!(nothing["restored"].as_array().unwrap().len(), 0);
    project.expect(0, &["undo", "logs"]);
    project.expect(0, &["undo", "age"]);
    let after: String = client.query_one(picture, &[]).await.unwrap().get(0);
    assert_eq!(after, before);
    client.batch_execute("INSERT INTO \"Logs\" (at) VALUES (now())").await.unwrap();
    let fresh =
        "SELECT count(*) FROM \"Logs\" WHERE id = 3001 AND number = 3001 AND line = 'x' AND twice(1) = 2";
    assert_eq!(number(&client, fresh).await, 1);
    let index = "SELECT count(*) FROM pg_indexes WHERE tablename = 'Logs' AND indexname IN ('Logs_pkey', 'Logs_line_idx')";
    assert_eq!(number(&client, index).await, 2);
    let kept = "SELECT count(*) FROM pg_description WHERE description = 'a line; it''s one'";
    assert_eq!(number(&client, kept).await, 1);
    assert!(
        client
            .query_one("SELECT has_table_privilege('public', '\"Logs\"', 'SELECT')", &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
    );
}

/// What makes up a partitioned table: partitions with bounds, keys, indexes with the one that they belong to, triggers, defaults.
const TREE: &str = "
SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
    SELECT format('%s %s %s', c.oid::regclass, pg_get_expr(relpartbound, c.oid), pg_get_partkeydef(c.oid)) AS line
    FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    UNION ALL SELECT format('%s %s %s', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), h.inhparent::regclass)
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid LEFT JOIN pg_inherits AS h ON h.inhrelid = i.indexrelid
    WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'c', 'f')
    UNION ALL SELECT format('%s %s', tgrelid::regclass, pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT format('%s %s %s', adrelid::regclass, adnum, pg_get_expr(adbin, adrelid)) FROM pg_attrdef
    WHERE adrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    UNION ALL SELECT format('%s %s', oid::regprocedure, prokind) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT format('%s %s %s', t.oid::regtype, attname, format_type(a.atttypid, a.atttypmod))
    FROM pg_type AS t JOIN pg_attribute AS a ON attrelid = typrelid WHERE typtype = 'c' AND typnamespace = 'public'::regnamespace AND attnum > 0
) AS all_of_it (line)";

#[tokio::test]
async fn a_file_of_the_archive_holds_partitioned_tables_composite_types_and_aggregates() {
    let schema = r#"CREATE TYPE mood AS ENUM ('so', 'so so');
        CREATE TYPE "Pair" AS (a int, "B" numeric(5,2), m mood);
        CREATE TYPE "Alone" AS ("A" "Pair", b text COLLATE "C", c varchar(7)[]); COMMENT ON COLUMN "Alone".b IS 'b';
        CREATE DOMAIN few AS "Pair"[] CHECK (cardinality(VALUE) < 3);
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TABLE "Events" (id bigserial, at int NOT NULL, kind int, note text CHECK (note <> ''),
            PRIMARY KEY (id, at, kind)) PARTITION BY RANGE (at);
        CREATE TABLE events_low PARTITION OF "Events" FOR VALUES FROM (0) TO (100);
        CREATE TABLE "Events High" PARTITION OF "Events" FOR VALUES FROM (100) TO (200) PARTITION BY LIST (kind);
        CREATE TABLE high_0 PARTITION OF "Events High" FOR VALUES IN (0);
        CREATE TABLE high_rest PARTITION OF "Events High" DEFAULT;
        CREATE INDEX "By Note" ON "Events" (lower(note));
        CREATE INDEX low_only ON events_low (kind);
        CREATE TRIGGER stamp BEFORE INSERT ON "Events" FOR EACH ROW EXECUTE FUNCTION stamp();
        INSERT INTO "Events" (at, kind, note) SELECT i, i % 3, 'n' || i FROM generate_series(0, 199) AS i;
        CREATE TABLE holds (id int PRIMARY KEY, p "Pair", f few);
        INSERT INTO holds SELECT i, ROW(i, i / 3.0, 'so so')::"Pair", ARRAY[ROW(i, NULL, 'so')]::"Pair"[] FROM generate_series(1, 50) AS i;
        CREATE FUNCTION add_up(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + $2';
        CREATE FUNCTION finish(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 10';
        CREATE AGGREGATE "Sum Up" (int) (SFUNC = add_up, STYPE = int, INITCOND = '5', FINALFUNC = finish, COMBINEFUNC = add_up,
            MSFUNC = add_up, MINVFUNC = add_up, MSTYPE = int, PARALLEL = safe);
        CREATE AGGREGATE rows_of (*) (SFUNC = int8inc, STYPE = bigint, INITCOND = '0')"#;
    let (_server, client, project) = start(schema).await;
    let picture = r#"SELECT (SELECT string_agg(e.tableoid::regclass || ' ' || e::text, '|' ORDER BY id) FROM "Events" AS e)
        || (SELECT string_agg(h::text, '|' ORDER BY id) FROM holds AS h)
        || (SELECT "Sum Up"(id) || ' ' || rows_of(*) FROM holds) || $$ $$ "#;
    let look = async || {
        let tree: String = client.query_one(TREE, &[]).await.unwrap().get(0);
        (client.query_one(picture, &[]).await.unwrap().get::<_, String>(0), tree)
    };
    let before = look().await;
    project.migration(
        "0001_all",
        r#"DROP TABLE "Events"; DROP TABLE holds; DROP AGGREGATE "Sum Up" (int); DROP AGGREGATE rows_of (*)"#,
    );
    project.migration("0002_type", "DROP TYPE \"Alone\"");
    let names = ["all", "type"];
    let file = |name: &str| format!("{name}.gz");
    for name in names {
        project.expect(0, &["expand", name]);
        project.expect(0, &["contract", name, "--yes"]);
        project.expect(0, &["archive", "save", name, "--output", &file(name)]);
        project.expect(0, &["archive", "verify", &file(name)]);
    }
    project.expect(0, &["archive", "purge", "--older-than", "0s", "--yes"]);
    assert!(project.expect(0, &["archive", "list"]).stdout.contains("empty"));
    for name in names.iter().rev() {
        project.expect(0, &["archive", "restore", "--from", &file(name)]);
        project.expect(0, &["undo", name]);
    }
    let after = look().await;
    assert_eq!(after.1, before.1);
    assert_eq!(after.0, before.0);
    // It goes on where it was, and its key is one.
    client.batch_execute("INSERT INTO \"Events\" (at, kind) VALUES (7, 1)").await.unwrap();
    assert_eq!(number(&client, "SELECT count(*) FROM \"Events\" WHERE id = 201").await, 1);
}
