//! A database that was there before: baseline, accepted files, late files, and the way out again.

use concertina_lab::Server;
use concertina_run::failpoint::VARIABLE;
use serde_json::Value;

use crate::project::Project;

/// A database of a plain role, which owns a schema of so many tables with names that need quotes.
async fn start(tables: u32) -> (Server, Project) {
    let server = Server::start_default().await.unwrap();
    server.create_database("The Shop").await.unwrap();
    let roles = "CREATE ROLE \"Deploy-Role\" LOGIN; GRANT CREATE ON DATABASE \"The Shop\" TO \"Deploy-Role\"; \
                 CREATE SCHEMA \"App\" AUTHORIZATION \"Deploy-Role\"";
    server.psql("The Shop", roles).await.unwrap();
    let tables = format!(
        r#"SET ROLE "Deploy-Role"; DO $$ BEGIN
             FOR i IN 1..{tables} LOOP
               EXECUTE format('CREATE TABLE "App".%I (id bigint PRIMARY KEY, "Name" text, parent bigint)', 'Table ' || i);
               IF i > 1 THEN
                 EXECUTE format('ALTER TABLE "App".%I ADD FOREIGN KEY (parent) REFERENCES "App".%I', 'Table ' || i, 'Table ' || i - 1);
               END IF;
             END LOOP; END $$;
           INSERT INTO "App"."Table 1" VALUES (1, 'one'), (2, NULL)"#
    );
    server.psql("The Shop", &tables).await.unwrap();
    let mut project = Project::new();
    project.set("DATABASE_URL", &server.url_as("Deploy-Role", "The Shop"));
    (server, project)
}

fn count(document: &Value, member: &str, value: &Value) -> usize {
    document["migrations"].as_array().unwrap().iter().filter(|it| it[member] == *value).count()
}

const DERIVED: &str = r#"ALTER TABLE "App"."Table 1" ADD COLUMN "Upper" text;
UPDATE "App"."Table 1" SET "Upper" = upper(coalesce("Name", '-'));
ALTER TABLE "App"."Table 1" ALTER COLUMN "Upper" SET NOT NULL;"#;

#[tokio::test]
async fn a_database_of_several_hundred_tables_is_adopted_migrated_and_left() {
    let (server, project) = start(400).await;
    let before = server.pg_dump_schema("The Shop").await.unwrap();
    for number in 1..=300 {
        project.migration(&format!("{number:04}_step"), "SELECT 1 / 0; -- another tool ran this");
    }
    project.migration("0301_upper", DERIVED);

    let said = project.expect(0, &["baseline", "300", "--reason", "flyway's"]);
    assert!(said.stdout.contains("300 migrations, 0001_step to 0300_step: recorded as applied"), "{said:?}");
    let status = project.json(0, &["status"]);
    assert_eq!(
        (count(&status, "baseline", &true.into()), count(&status, "state", &"done".into())),
        (300, 300)
    );
    assert_eq!(status["migrations"][300]["state"], "pending");
    assert!(project.expect(0, &["status"]).stdout.contains("done (baseline)"));
    let history = project.json(0, &["history"]);
    let events = history["events"].as_array().unwrap();
    assert_eq!(events.len(), 300);
    assert_eq!((&events[299]["event"], &events[299]["migration"]), (&"baseline".into(), &"0300_step".into()));
    assert!(events[0]["message"].as_str().unwrap().ends_with("flyway's"), "{history}");
    // Again: nothing.
    let again = project.json(0, &["baseline", "0300_step"]);
    assert_eq!(again["recorded"], Value::Array(Vec::new()));
    assert_eq!(again["known"].as_array().unwrap().len(), 300);

    let undo = project.expect(11, &["undo", "1"]);
    assert!(undo.stderr.contains("baseline"), "{undo:?}");
    assert!(project.expect(9, &["plan", "1"]).stderr.contains("0001_step has no plan"));
    assert_eq!(project.json(0, &["report", "1"])["baseline"], true);
    assert!(project.expect(0, &["report", "1"]).stdout.contains("recorded as applied"));

    assert_eq!(project.json(0, &["plan"])["plans"].as_array().unwrap().len(), 1);
    project.expect(0, &["expand"]);
    let upper = r#"SELECT string_agg("Upper", ' ' ORDER BY id) FROM "App"."Table 1""#;
    assert_eq!(server.psql("The Shop", upper).await.unwrap(), "ONE -\n");
    let said = project.expect(16, &["uninstall", "--yes"]);
    assert!(
        said.stderr.contains("0301_upper is in flight") && said.stderr.contains("concertina undo 0301_upper")
    );
    project.expect(0, &["undo"]);
    let removed = project.json(0, &["uninstall"]);
    assert_eq!(removed["schemas"], serde_json::json!(["concertina_archive", "concertina"]));
    assert_eq!(server.pg_dump_schema("The Shop").await.unwrap(), before);
}

#[tokio::test]
async fn uninstall_asks_before_archives_go_and_nothing_is_left() {
    let (server, project) = start(2).await;
    project.expect(0, &["init"]);
    project.migration("0001_drop", r#"ALTER TABLE "App"."Table 1" DROP COLUMN "Name";"#);
    project.migration("0002_upper", r#"ALTER TABLE "App"."Table 1" ADD COLUMN b int;"#);
    project.migration("0003_table", r#"DROP TABLE "App"."Table 2";"#);
    project.expect(0, &["apply", "--yes"]);
    let said = project.expect(10, &["uninstall"]);
    let named =
        [r#"column "Name" of "App"."Table 1" ("#, r#"table "App"."Table 2" ("#, "kB, as concertina_archive."];
    assert!(named.iter().all(|part| said.stderr.contains(part)) && said.stderr.contains("--yes"), "{said:?}");
    assert_eq!(project.json(10, &["uninstall"])["kind"], "not-confirmed");
    project.expect(0, &["status"]);
    let removed = project.json(0, &["uninstall", "--yes"]);
    assert_eq!(removed["archives"].as_array().unwrap().len(), 2);
    assert!(removed["archives"][0]["bytes"].as_u64().unwrap() > 0, "{removed}");

    let dump = server.pg_dump_schema("The Shop").await.unwrap();
    assert!(!dump.contains("concertina"), "{dump}");
    // The migrations' own work stays.
    let columns = "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute
                   WHERE attrelid = '\"App\".\"Table 1\"'::regclass AND attnum > 0 AND NOT attisdropped";
    assert_eq!(server.psql("The Shop", columns).await.unwrap(), "b id parent\n");
    assert!(dump.contains("b integer"), "{dump}");
    let again = project.expect(0, &["uninstall"]);
    assert!(again.stdout.contains("Nothing to remove"), "{again:?}");
    // And back, with the files as the baseline.
    assert_eq!(project.json(0, &["baseline", "--all"])["recorded"].as_array().unwrap().len(), 3);
    assert!(project.expect(0, &["expand"]).stdout.contains("Nothing to expand"));
}

#[tokio::test]
async fn a_project_without_files_gets_its_ledger() {
    let (_server, project) = start(1).await;
    // Without a folder there is no telling which files are meant.
    assert!(project.expect(9, &["baseline", "--all"]).stderr.contains("concertina init"));
    std::fs::create_dir(project.path().join("migrations")).unwrap();
    let said = project.expect(0, &["baseline", "--all"]);
    assert!(said.stdout.contains("the database as it is becomes the start"), "{said:?}");
    assert_eq!(project.json(0, &["history"])["events"].as_array().unwrap().len(), 1);
    project.migration("0001_upper", DERIVED);
    project.expect(0, &["apply"]);
}

#[tokio::test]
async fn files_that_changed_or_are_gone_are_accepted_with_a_reason() {
    let (_server, project) = start(1).await;
    project.migration("0001_a", "CREATE TABLE \"App\".a (id int);");
    let second = project.migration("0002_b", "CREATE TABLE \"App\".b (id int);");
    project.expect(0, &["apply", "--simple"]);
    project.migration("0001_a", "-- (c) 2026\nCREATE TABLE \"App\".a (id int);");
    std::fs::remove_file(&second).unwrap();

    let said = project.expect(9, &["expand"]);
    assert!(said.stderr.contains("concertina accept 0001_a --reason"), "{said:?}");
    project.expect(9, &["plan"]);
    project.expect(2, &["accept", "1"]);
    project.expect(2, &["accept", "1", "--reason", "  "]);
    let said = project.expect(0, &["accept", "migrations/0001_a.sql", "--reason", "a header"]);
    assert!(said.stdout.contains("present text is accepted"), "{said:?}");
    let said = project.expect(9, &["expand"]);
    assert!(said.stderr.contains("concertina accept 0002_b --reason"), "{said:?}");
    // By its number, though the file is gone.
    let gone = project.json(0, &["accept", "2", "--reason", "squashed into 0001"]);
    assert_eq!((&gone["migration"], &gone["accepted"]), (&"0002_b".into(), &"gone".into()));
    assert!(gone["after"].is_null() && gone["before"].is_string(), "{gone}");
    assert_eq!(project.json(0, &["accept", "2", "--reason", "again"])["accepted"], "nothing");
    assert!(project.expect(0, &["expand"]).stdout.contains("Nothing to expand"));
    assert!(project.json(0, &["status"])["migrations"][1]["checksum"].is_null());

    let history = project.json(0, &["history"]);
    let accepted: Vec<&Value> =
        history["events"].as_array().unwrap().iter().filter(|event| event["event"] == "accepted").collect();
    assert_eq!(accepted.len(), 2);
    assert!(accepted[1]["message"].as_str().unwrap().contains("squashed into 0001"), "{history}");
    assert!(accepted[1]["by"].as_str().unwrap().starts_with("Deploy-Role@"), "{history}");

    project.migration("0003_upper", DERIVED);
    assert!(project.expect(9, &["accept", "3", "--reason", "x"]).stderr.contains("has not run"));
    project.expect(9, &["accept", "0009", "--reason", "x"]);
    project.expect(0, &["expand"]);
    project.migration("0003_upper", "SELECT 1;");
    let said = project.expect(16, &["accept", "3", "--reason", "x"]);
    assert!(said.stderr.contains("bring the file back"), "{said:?}");
    assert_eq!(project.json(16, &["accept", "3", "--reason", "x"])["kind"], "in-flight");
    assert_eq!(project.json(16, &["baseline", "--all"])["kind"], "in-flight");
}

#[tokio::test]
async fn a_late_file_runs_only_when_it_is_allowed() {
    let (_server, project) = start(1).await;
    project.migration("0002_b", "CREATE TABLE \"App\".b (id int);");
    project.expect(0, &["expand"]);
    project.migration("0001_a", "CREATE TABLE \"App\".a (id int);");
    for command in [&["plan"][..], &["plan", "1"], &["expand"], &["apply"], &["apply", "--simple"]] {
        let said = project.expect(9, command);
        assert!(said.stderr.contains("--allow-out-of-order"), "{said:?}");
    }
    // What is stored is shown all the same.
    assert_eq!(project.json(0, &["plan", "2"])["plans"][0]["stored"], true);
    assert_eq!(project.json(0, &["plan", "--allow-out-of-order"])["plans"][0]["migration"], "0001_a");
    project.expect(0, &["expand", "--allow-out-of-order"]);
    project.migration("0000_z", "CREATE TABLE \"App\".z (id int);");
    project.expect(0, &["apply", "--allow-out-of-order"]);
    let history = project.json(0, &["history"]);
    let noted = history["events"].as_array().unwrap().iter().filter(|it| it["event"] == "out_of_order");
    let noted: Vec<&str> = noted.map(|it| it["migration"].as_str().unwrap()).collect();
    assert_eq!(noted, ["0001_a", "0000_z"]);
    // Nothing is late any more.
    project.expect(0, &["expand"]);
}

#[tokio::test]
async fn killed_at_any_place_the_same_command_does_the_rest() {
    let (server, mut project) = start(2).await;
    let before = server.pg_dump_schema("The Shop").await.unwrap();
    project.migration("0001_a", "SELECT 1 / 0;");
    project.migration("0002_b", "SELECT 1 / 0;");
    let killed = |project: &mut Project, place: &str, arguments: &[&str]| {
        project.set(VARIABLE, place);
        let said = project.run(arguments);
        project.set(VARIABLE, "");
        assert_eq!(said.code, -1, "{place}: {said:?}");
    };
    let recorded = |project: &Project| count(&project.json(0, &["status"]), "baseline", &true.into());
    killed(&mut project, "before_commit:1", &["baseline", "--all"]);
    assert_eq!(recorded(&project), 0);
    killed(&mut project, "after_commit:1", &["baseline", "1"]);
    assert_eq!(recorded(&project), 1);
    project.expect(0, &["baseline", "--all"]);
    assert_eq!(recorded(&project), 2);

    project.migration("0001_a", "SELECT 2 / 0;");
    killed(&mut project, "before_commit:1", &["accept", "1", "--reason", "x"]);
    project.expect(9, &["expand"]);
    killed(&mut project, "after_commit:1", &["accept", "1", "--reason", "x"]);
    assert_eq!(project.json(0, &["accept", "1", "--reason", "x"])["accepted"], "nothing");

    // Of uninstall: before and after the archive's schema, and before the ledger's.
    let left =
        "SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspname LIKE 'concertina%'";
    for (place, schemas) in [
        ("before_commit:1", "concertina concertina_archive\n"),
        ("after_commit:1", "concertina\n"),
        ("before_commit:1", "concertina\n"),
        ("after_commit:1", "\n"),
    ] {
        killed(&mut project, place, &["uninstall"]);
        assert_eq!(server.psql("The Shop", left).await.unwrap(), schemas);
    }
    assert!(project.expect(0, &["uninstall"]).stdout.contains("Nothing to remove"));
    assert_eq!(server.pg_dump_schema("The Shop").await.unwrap(), before);
}

#[tokio::test]
async fn files_may_be_numbered_as_other_tools_do() {
    let (_server, project) = start(1).await;
    for name in ["001_a", "002_b", "2025-01-31-120000_c", "20260131120000_d"] {
        project.migration(name, "SELECT 1 / 0;");
    }
    project.expect(0, &["baseline", "2025-01-31-120000_c"]);
    project.migration("20260131120000_d", DERIVED);
    project.expect(0, &["apply"]);
    assert_eq!(count(&project.json(0, &["status"]), "baseline", &true.into()), 3);
    project.migration("003_late", "CREATE TABLE \"App\".late ();");
    assert!(project.expect(9, &["expand"]).stderr.contains("sorts before 20260131120000_d"));
}

#[tokio::test]
async fn mistakes_on_the_command_line() {
    let (_server, project) = start(1).await;
    project.migration("0001_a", "SELECT 1;");
    project.expect(2, &["baseline"]);
    project.expect(2, &["baseline", "1", "--all"]);
    assert!(project.expect(9, &["baseline", "7"]).stderr.contains("there is no migration 7"));
    assert!(project.expect(0, &["uninstall"]).stdout.contains("Nothing to remove"));
}
