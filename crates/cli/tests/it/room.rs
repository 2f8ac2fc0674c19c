//! Room on the server's disk and expected durations, from the outside: what `plan` says, what is refused, what is paused and stopped,
//! and what a run teaches the next plan.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use concertina_lab::Server;
use serde_json::Value;
use tokio_postgres::Client;

use crate::project::{Project, Said};

const DERIVED: &str = "ALTER TABLE \"Big\" ADD COLUMN twice bigint;
UPDATE \"Big\" SET twice = v * 2;
ALTER TABLE \"Big\" ALTER COLUMN twice SET NOT NULL;
CREATE INDEX big_twice_idx ON \"Big\" (twice);";

async fn start(rows: u32) -> (Server, Client, Project) {
    let server = Server::start_default().await.unwrap();
    let client = server.connect("postgres").await.unwrap();
    let schema = format!(
        "CREATE TABLE \"Big\" (id bigint PRIMARY KEY, v int NOT NULL, note text);
         INSERT INTO \"Big\" SELECT i, i % 100, repeat('x', 50) FROM generate_series(1, {rows}) AS i;
         ANALYZE \"Big\""
    );
    client.batch_execute(&schema).await.unwrap();
    let mut project = Project::new();
    project.set("DATABASE_URL", &server.url("postgres"));
    (server, client, project)
}

fn steps(document: &Value) -> &Vec<Value> {
    document["plans"][0]["steps"].as_array().unwrap()
}

/// The first step of a kind of action.
fn step<'d>(document: &'d Value, action: &str) -> &'d Value {
    steps(document).iter().find(|step| step["action"]["type"] == action).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn a_run_teaches_the_next_plan_how_fast_this_server_is() {
    let (_server, client, project) = start(30_000).await;
    project.migration("0001_twice", DERIVED);

    let before = project.json(0, &["plan"]);
    for step in steps(&before) {
        let estimate = &step["estimate"];
        assert_eq!(estimate["measured_steps"], 0, "{step}");
        assert!(number(&estimate["low_seconds"]) <= number(&estimate["high_seconds"]), "{step}");
    }
    assert!(number(&before["plans"][0]["disk"]["need_bytes"]) > 30_000.0 * 50.0, "{before}");
    assert!(number(&before["plans"][0]["disk"]["free_bytes"]) > 0.0);
    let text = project.expect(0, &["plan"]).stdout;
    assert!(
        text.contains("nothing measured on this server yet")
            && text.contains("are free, by the file system of"),
        "{text}"
    );

    project.expect(0, &["expand"]);
    project.expect(0, &["contract"]);

    // What was expected is kept as it was shown, beside what the journal says of it.
    let status = project.json(0, &["status"]);
    let report = project.json(0, &["report", "0001_twice"]);
    for (at, planned) in steps(&before).iter().enumerate() {
        let kept = &status["migrations"][0]["steps"][at]["estimate"];
        // What contract takes is estimated when it begins, and by then something is known.
        if planned["phase"] == "contract" {
            assert!(number(&kept["measured_steps"]) >= 1.0, "{kept}");
        } else {
            for member in ["measured_steps", "low_seconds", "high_seconds", "keeps_bytes", "wal_bytes"] {
                assert_eq!(kept[member], planned["estimate"][member], "{member} of step {at}");
            }
        }
        let told = &report["steps"][at];
        let journal: f64 = told["spans"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|span| span["kind"] == "run")
            .map(|span| number(&span["to_seconds"]) - number(&span["from_seconds"]))
            .sum();
        for took in [&kept["took_seconds"], &told["estimate"]["took_seconds"], &told["worked_seconds"]] {
            assert!((number(took) - journal).abs() < 1e-5, "step {at}: {took} {journal}");
        }
    }
    let history = project.expect(0, &["history"]).stdout;
    assert!(history.contains("; expected were "), "{history}");

    // The next plan goes by it, and a larger table takes no less.
    client.batch_execute("CREATE TABLE small AS SELECT * FROM \"Big\" LIMIT 1000; ALTER TABLE small ADD PRIMARY KEY (id); ANALYZE small").await.unwrap();
    let sql = |table: &str| {
        format!(
            "ALTER TABLE {table} ADD COLUMN thrice bigint; UPDATE {table} SET thrice = v * 3;
             ALTER TABLE {table} ALTER COLUMN thrice SET NOT NULL; CREATE INDEX ON {table} (thrice);"
        )
    };
    project.migration("0002_big", &sql("\"Big\""));
    project.migration("0003_small", &sql("small"));
    let (big, small) = (project.json(0, &["plan", "0002"]), project.json(0, &["plan", "0003"]));
    for action in ["backfill", "alone", "long", "transaction"] {
        let (big, small) = (&step(&big, action)["estimate"], &step(&small, action)["estimate"]);
        assert!(number(&big["measured_steps"]) >= 1.0, "{action} {big}");
        for bound in ["low_seconds", "high_seconds", "wal_bytes"] {
            assert!(number(&small[bound]) <= number(&big[bound]), "{action} {bound} {small} {big}");
        }
    }
    assert!(project.expect(0, &["plan", "0002"]).stdout.contains("on this server"));
}

/// What `expand` says of a disk that is too small; nothing of the migration was begun.
fn refused(project: &Project, arguments: &[&str]) -> Value {
    let error = project.json(17, &[&["expand"], arguments].concat());
    assert_eq!(error["kind"], "no-room");
    assert_eq!(project.json(0, &["status"])["migrations"][0]["state"], "pending");
    error
}

#[tokio::test]
async fn nothing_begins_without_room_and_the_way_out_is_one() {
    let (_server, client, project) = start(30_000).await;
    project.migration("0001_twice", DERIVED);
    let config =
        |disk: &str| fs::write(project.path().join("concertina.toml"), format!("[disk]\n{disk}\n")).unwrap();

    config("reserve = \"1MB\"");
    let error = refused(&project, &["--disk-free", "2MB"]);
    let short = &error["shortage"];
    assert!(number(&short["need_bytes"]) > number(&short["have_bytes"]), "{error}");
    assert_eq!(number(&short["have_bytes"]), f64::from(1 << 20));
    let message = error["message"].as_str().unwrap();
    let title =
        steps(&project.json(0, &["plan"]))[short["step"].as_u64().unwrap() as usize - 1]["title"].clone();
    for part in [title.as_str().unwrap(), "may need up to", "1.0 MB may be used", "disk.free"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(error["hint"].as_str().unwrap().contains("--disk-free"), "{error}");
    assert!(client.query("SELECT twice FROM \"Big\"", &[]).await.is_err());
    let plan = project.expect(0, &["plan", "--disk-free", "2MB"]).stdout;
    assert!(plan.contains("Not enough room for step"), "{plan}");

    // Ways to learn it that do not answer fail closed, and say which.
    for (disk, says) in [
        (
            "free_command = \"echo much\"",
            "disk.free_command does not tell what is free: it must print a number",
        ),
        ("free_command = \"echo no >&2; exit 3\"", "exit status: 3: no"),
        ("free_query = \"SELECT 1/0\"", "disk.free_query does not tell what is free: division by zero"),
        ("free_query = \"SELECT NULL\"", "returns no number"),
        ("free_query = \"SELECT 5\"", "0 bytes may be used"),
        ("free_command = \"echo 5\"", "0 bytes may be used"),
    ] {
        config(disk);
        let error = refused(&project, &[]);
        assert!(error["message"].as_str().unwrap().contains(says), "{says} in {error}");
        // A plan is shown all the same.
        let plan = project.expect(0, &["plan"]).stdout;
        let (number, seen) = (says == "0 bytes may be used", project.json(0, &["plan"]));
        assert_eq!(plan.contains("Room could not be measured"), !number, "{plan}");
        assert!(plan.contains(says) && plan.contains("twice"), "{says} in {plan}");
        assert_eq!(seen["plans"][0]["disk"]["failed"], !number, "{seen}");
    }
    // A slot that nobody reads holds back what the migration writes.
    client.batch_execute("SELECT pg_create_physical_replication_slot('old', true)").await.unwrap();
    let error = refused(&project, &["--disk-free", "5"]);
    assert!(
        error["message"].as_str().unwrap().contains("replication slot old, which nobody reads"),
        "{error}"
    );
    client.batch_execute("SELECT pg_drop_replication_slot('old')").await.unwrap();

    project.expect(0, &["expand", "--disk-free", "false"]);
}

/// Waits until the command has said it; half a minute is for a machine under load.
fn until(path: &std::path::Path, words: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !fs::read_to_string(path).unwrap().contains(words) {
        assert!(Instant::now() < deadline, "never: {words} in {}", fs::read_to_string(path).unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_disk_that_fills_up_pauses_a_backfill_and_stops_an_index_build() {
    let (_server, client, project) = start(20_000).await;
    let free = project.path().join("free");
    let set = |bytes: &str| fs::write(&free, bytes).unwrap();
    let config = "[disk]\nfree_command = \"cat free\"\nreserve = \"1GB\"\n[throttle]\nload = 0.02\n";
    fs::write(project.path().join("concertina.toml"), config).unwrap();
    let heard = project.path().join("heard");
    let spawn = || {
        let stderr = fs::File::create(&heard).unwrap();
        project.command(&["expand"]).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
    };
    let plenty = (1_u64 << 40).to_string();

    // Paused, and on it goes.
    set(&plenty);
    project.migration(
        "0001_twice",
        "ALTER TABLE \"Big\" ADD COLUMN twice bigint; UPDATE \"Big\" SET twice = v * 2;",
    );
    let mut child = spawn();
    until(&heard, "rows/s");
    set("1000");
    until(&heard, "waits: 1000 bytes are free on the server's disk, less than the reserve of 1.0 GB");
    set(&plenty);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", fs::read_to_string(&heard).unwrap());

    // Stopped, and nothing is left of it.
    let slow = "CREATE FUNCTION slowly(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.002); RETURN v; END $$";
    client.batch_execute(slow).await.unwrap();
    project.migration("0002_slow", "CREATE INDEX slow_idx ON \"Big\" (slowly(v));");
    let mut child = spawn();
    let building = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'building%'";
    let deadline = Instant::now() + Duration::from_secs(30);
    while client.query_one(building, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(Instant::now() < deadline, "{}", fs::read_to_string(&heard).unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    set("1000");
    let code = child.wait().unwrap().code();
    let said = fs::read_to_string(&heard).unwrap();
    assert_eq!(code, Some(17), "{said}");
    assert!(said.contains("1000 bytes are free on the server's disk"), "{said}");
    let left =
        client.query_one("SELECT count(*) FROM pg_class WHERE relname = 'slow_idx'", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 0);
    // As long as there is no room it does not go on, and then it does.
    let again: Said = project.expect(17, &["expand"]);
    assert!(again.stderr.contains("may be used"), "{again:?}");
    set(&plenty);
    client
        .batch_execute(
            "CREATE OR REPLACE FUNCTION slowly(v int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT v'",
        )
        .await
        .unwrap();
    project.expect(0, &["expand"]);
}

#[tokio::test]
async fn a_plain_role_is_told_what_it_cannot_know_and_how_it_could() {
    let (server, client, mut project) = start(200_000).await;
    client
        .batch_execute(
            "CREATE ROLE deploy LOGIN; GRANT CREATE ON DATABASE postgres TO deploy; ALTER TABLE \"Big\" OWNER TO deploy;
             GRANT ALL ON SCHEMA public TO deploy",
        )
        .await
        .unwrap();
    project.set("DATABASE_URL", &server.url_as("deploy", "postgres"));
    project.migration("0001_idx", "CREATE INDEX big_note_idx ON \"Big\" (note, v);");
    let disk = |document: Value| document["plans"][0]["disk"].clone();
    let blind = disk(project.json(0, &["plan"]));
    assert_eq!(blind["free_bytes"], Value::Null);
    let why = blind["source"].as_str().unwrap();
    let grant = why.split_once('(').unwrap().1.trim_end_matches(')');
    assert_eq!(grant, "GRANT pg_read_all_settings TO deploy");
    let said = project.expect(0, &["expand"]);
    assert!(said.stderr.contains("0001_idx needs up to") && said.stderr.contains("--disk-free"), "{said:?}");

    client.batch_execute(grant).await.unwrap();
    project.migration("0002_idx", "CREATE INDEX big_v_idx ON \"Big\" (v);");
    let seen = disk(project.json(0, &["plan", "0002"]));
    assert!(number(&seen["free_bytes"]) > 0.0, "{seen}");
}
