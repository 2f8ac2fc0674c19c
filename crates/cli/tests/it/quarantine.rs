//! `concertina quarantine`, from the row that could not be converted to the switch that goes through.

use concertina_lab::Server;

use crate::project::Project;

#[tokio::test]
async fn from_a_bad_row_to_the_switch() {
    let server = Server::start_default().await.unwrap();
    server.create_database("app").await.unwrap();
    let client = server.connect("app").await.unwrap();
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, i FROM generate_series(1, 20) AS i")
        .await
        .unwrap();
    let mut project = Project::new();
    project.set("DATABASE_URL", &server.url("app"));
    project.migration("0001_int", "ALTER TABLE t ALTER v TYPE int USING v::int;");
    assert!(project.expect(0, &["quarantine", "list"]).stdout.starts_with("No row is in quarantine."));
    project.expect(0, &["expand"]);
    client
        .batch_execute("UPDATE t SET v = 'many' WHERE id = 7; UPDATE t SET v = 'few' WHERE id = 8")
        .await
        .unwrap();

    let listed = project.expect(0, &["quarantine", "list"]).stdout;
    assert!(listed.contains("public.t id=7") && listed.contains("\"many\" (22P02)"), "{listed}");
    assert!(listed.contains("switch of 0001_int"), "{listed}");
    let status = project.expect(0, &["status"]).stdout;
    assert!(status.contains("look: 2 rows of public.t in quarantine, without a value of v"), "{status}");
    assert!(status.contains("blocked: the switch waits for 2 rows of public.t in quarantine"), "{status}");
    assert_eq!(project.json(0, &["status"])["migrations"][0]["quarantine"][0]["rows"], 2);
    let refused = project.json(18, &["switch"]);
    assert!(refused.to_string().contains("concertina quarantine set"), "{refused}");
    let left = project.expect(18, &["quarantine", "retry", "1"]);
    assert!(left.stderr.contains("0 rows repaired, 2 rows left"), "{left:?}");

    let rows = project.json(0, &["quarantine", "list"]);
    assert_eq!(
        (&rows["rows"][0]["key"][0]["value"], &rows["rows"][0]["blocks"]),
        (&"7".into(), &"switch".into())
    );
    let number = rows["rows"][0]["number"].to_string();
    project.expect(15, &["quarantine", "set", &number, "seven"]);
    let set = project.expect(0, &["quarantine", "set", &number, "-7"]).stdout;
    assert_eq!(set, "id=7 of public.t has its value in v; 1 row left in quarantine.\n");
    project.expect(18, &["quarantine", "set", &number, "-7"]);
    client.batch_execute("UPDATE t SET v = '8' WHERE id = 8").await.unwrap();
    assert_eq!(project.json(0, &["quarantine", "retry"])["rows"].as_array().unwrap().len(), 0);
    project.expect(0, &["switch"]);
    let sum = client.query_one("SELECT sum(v) FROM t WHERE id IN (7, 8)", &[]).await.unwrap();
    assert_eq!(sum.get::<_, i64>(0), 1);
    let history = project.expect(0, &["history"]).stdout;
    assert!(history.contains("id=7 of public.t: v was given"), "{history}");
    project.expect(0, &["contract", "--yes"]);
}
