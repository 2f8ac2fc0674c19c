//! The pages of real runs: complete in themselves, well-formed, and with everything that happened on them.

use concertina_lab::Server;
use serde_json::Value;

use crate::page;
use crate::project::Project;

/// Names that would be markup if somebody forgot to escape them, of 63 bytes and with every sort of quote.
const TABLE: &str = "<script>alert('ö')</script> & \"a\" <!-- that nobody chooses";
const COLUMN: &str = "]]></style></svg></title><img src=x onerror=alert(1)> &lt;b&gt";

fn quoted(name: &str) -> String {
    assert!(name.len() <= 63, "{}", name.len());
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The page says everything that the document holds.
#[track_caller]
fn complete(project: &Project, migration: &str) -> page::Page {
    let shown = page::read(&project.expect(0, &["report", migration]).stdout);
    let document = project.json(0, &["report", migration]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    shown.says(&text(&document["migration"]));
    for step in document["steps"].as_array().unwrap() {
        shown.says(&text(&step["title"]));
        shown.says(&text(&step["why"]));
        for lock in step["locks"].as_array().unwrap() {
            shown.says(&format!("{} on {}", text(&lock["mode"]), text(&lock["relation"])));
        }
        if let Some(error) = step["error"].as_str() {
            shown.says(error);
        }
    }
    for event in document["events"].as_array().unwrap() {
        shown.says(&text(&event["message"]));
    }
    shown
}

#[tokio::test]
async fn a_run_with_hostile_names_forward_and_back() {
    let server = Server::start_default().await.unwrap();
    server.create_database("app").await.unwrap();
    let (table, column) = (quoted(TABLE), quoted(COLUMN));
    let sql = format!(
        "CREATE TABLE {table} (id bigint PRIMARY KEY, v int); INSERT INTO {table} SELECT i, i FROM generate_series(1, 3000) AS i; \
         ANALYZE"
    );
    server.psql("app", &sql).await.unwrap();
    let mut project = Project::new();
    project.set("DATABASE_URL", &server.url("app"));
    project.migration(
        "0001_hostile",
        &format!(
            "ALTER TABLE {table} ADD COLUMN {column} bigint; UPDATE {table} SET {column} = v * 2;
             ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL; CREATE INDEX ON {table} ({column});"
        ),
    );
    project.expect(0, &["expand"]);
    let expanded = complete(&project, "1");
    expanded.says("not begun");
    project.expect(0, &["contract"]);
    let done = complete(&project, "1");
    for phase in ["Expand", "Backfill", "Validate", "Contract"] {
        done.says(phase);
    }
    done.says("3,000");
    assert!(done.text.contains(TABLE) || done.text.contains(&TABLE.replace('"', "\"\"")), "{}", done.text);
    project.expect(0, &["undo", "1"]);
    complete(&project, "1").says("Undo of step 1");
}

#[tokio::test]
async fn what_stopped_and_what_has_no_steps() {
    let server = Server::start_default().await.unwrap();
    server.create_database("app").await.unwrap();
    server.psql("app", "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (7)").await.unwrap();
    let mut project = Project::new();
    project.set("DATABASE_URL", &server.url("app"));
    project.migration("0001_there", "CREATE TABLE t (id int PRIMARY KEY)");
    project.expect(0, &["baseline", "--all"]);
    complete(&project, "1").says("never ran here");
    project.migration("0002_as_written", "CREATE TABLE u ()");
    project.expect(0, &["apply", "--simple"]);
    complete(&project, "2").says("It ran as written");
    project.migration("0003_check", "ALTER TABLE t ADD CHECK (id < 5)");
    project.expect(4, &["expand"]);
    let stopped = complete(&project, "3");
    stopped.says("It stopped: rows of public.t that break CHECK");
    stopped.says("It goes on with concertina expand 0003_check");
}
