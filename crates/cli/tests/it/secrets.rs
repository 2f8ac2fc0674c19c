//! Passwords reach no output, no document, no log, no file and no row of the ledger, wherever they came from and however it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use concertina_lab::{Installation, Options, Server};

use crate::project::Project;

/// Needs escaping everywhere: in a URL, in a keyword string, in a password file.
const PASSWORD: &str = r"hunter2:@/%'\ s3cret";

/// No output may hold any of these: the password as such, or as it is written somewhere.
const TRACES: [&str; 3] = ["hunter2", "s3cret", "letmein"];

async fn start() -> Server {
    let server = Server::start(&Installation::find().unwrap(), Options::new().tcp()).await.unwrap();
    server.create_database("app").await.unwrap();
    let role = format!("CREATE ROLE deploy LOGIN PASSWORD '{}'", PASSWORD.replace('\'', "''"));
    server.psql("app", &role).await.unwrap();
    server
        .psql("app", "GRANT CREATE ON DATABASE app TO deploy; CREATE SCHEMA shop AUTHORIZATION deploy")
        .await
        .unwrap();
    server
        .psql("app", "SET ROLE deploy; CREATE TABLE shop.users (id bigint PRIMARY KEY, email text)")
        .await
        .unwrap();
    let file = server.data().join("pg_hba.conf");
    let rest = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("local all deploy scram-sha-256\nhost all deploy all scram-sha-256\n{rest}"))
        .unwrap();
    let loaded = "SELECT pg_conf_load_time()";
    let before = server.psql("app", loaded).await.unwrap();
    server.reload().unwrap();
    while server.psql("app", loaded).await.unwrap() == before {}
    server
}

/// A way to say where the database is, with the password in it: what is set in the environment.
type Way = (&'static str, Vec<(&'static str, String)>);

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn ways(server: &Server, project: &Project, password: &str) -> Vec<Way> {
    let port = server.port();
    let place = || {
        vec![
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", port.to_string()),
            ("PGUSER", "deploy".to_owned()),
        ]
    };
    let with = |more: Vec<(&'static str, String)>| {
        let mut all = place();
        all.push(("PGDATABASE", "app".to_owned()));
        all.extend(more);
        all
    };
    let file = |name: &str, text: String| {
        let file = project.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file.display().to_string()
    };
    let quoted = password.replace('\\', r"\\").replace('\'', r"\'");
    let escaped = password.replace('\\', r"\\").replace(':', r"\:");
    let pass = file("pass", format!("127.0.0.1:{port}:app:deploy:{escaped}\n"));
    let service = file("services", format!("[app]\npassword={password}\n"));
    vec![
        (
            "url",
            vec![("DATABASE_URL", format!("postgresql://deploy:{}@127.0.0.1:{port}/app", encoded(password)))],
        ),
        (
            "query",
            vec![(
                "DATABASE_URL",
                format!("postgresql://127.0.0.1:{port}/app?user=deploy&password={}", encoded(password)),
            )],
        ),
        (
            "keywords",
            vec![(
                "DATABASE_URL",
                format!("host=127.0.0.1 port={port} dbname=app user=deploy password='{quoted}'"),
            )],
        ),
        ("environment", with(vec![("PGPASSWORD", password.to_owned())])),
        ("password file", with(vec![("PGPASSFILE", pass)])),
        ("service file", with(vec![("PGSERVICEFILE", service), ("PGSERVICE", "app".to_owned())])),
    ]
}

#[track_caller]
fn clean(what: &str, text: &str) {
    for trace in TRACES {
        assert!(!text.contains(trace), "{what}: {text}");
    }
    assert!(!text.contains(&encoded("hunter2")), "{what}: {text}");
}

const BOTH: &[&str] = &["text", "json"];

/// Runs it with everything logged, in these formats, and searches what it says.
fn run(project: &Project, way: &Way, what: &str, formats: &[&str], arguments: &[&str]) -> i32 {
    let mut code = 0;
    for format in formats {
        let mut command = project.command(&[arguments, &["-vvv", "--format", format]].concat());
        command
            .envs(way.1.iter().map(|(name, value)| (*name, value.as_str())))
            .env("CONCERTINA_LOG", "trace");
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        clean(&format!("{what} {} {}", way.0, arguments.join(" ")), &String::from_utf8_lossy(&text));
        code = output.status.code().unwrap();
    }
    code
}

#[tokio::test]
async fn no_password_is_said_logged_or_stored() {
    let server = start().await;
    let project = Project::new();
    project.migration(
        "0001_lower",
        "ALTER TABLE shop.users ADD COLUMN lower_email text;
        UPDATE shop.users SET lower_email = lower(email);
        ALTER TABLE shop.users ALTER COLUMN lower_email SET NOT NULL",
    );
    for (at, way) in ways(&server, &project, PASSWORD).into_iter().enumerate() {
        let format = &BOTH[at % 2..][..1];
        for command in
            [["plan"].as_slice(), &["expand"], &["status"], &["contract"], &["history"], &["undo", "lower"]]
        {
            assert_eq!(run(&project, &way, "right", format, command), 0, "{}: {command:?}", way.0);
        }
        let report = project.path().join("report.html");
        assert_eq!(
            run(&project, &way, "right", format, &["report", "lower", "--output", report.to_str().unwrap()]),
            0
        );
        clean("report", &fs::read_to_string(&report).unwrap());
    }
    for way in ways(&server, &project, "letmein") {
        assert_eq!(run(&project, &way, "wrong password", BOTH, &["expand"]), 8, "{}", way.0);
    }
    let mut elsewhere = ways(&server, &project, PASSWORD);
    for (_, variables) in &mut elsewhere {
        for (name, value) in
            variables.iter_mut().filter(|(name, _)| matches!(*name, "DATABASE_URL" | "PGPORT"))
        {
            *value = if *name == "PGPORT" {
                "1".to_owned()
            } else {
                value.replace(&server.port().to_string(), "1")
            };
        }
    }
    for way in &elsewhere {
        assert_eq!(run(&project, way, "wrong server", BOTH, &["expand"]), 8, "{}", way.0);
    }
    // The ledger, and what the server itself wrote down.
    let tables = "SELECT c.oid::regclass FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname LIKE 'concertina%' AND c.relkind = 'r'";
    let tables = server.psql("app", tables).await.unwrap();
    assert!(tables.lines().count() >= 5, "{tables}");
    for table in tables.lines() {
        let rows = server.psql("app", &format!("SELECT t::text FROM {table} AS t")).await.unwrap();
        clean(table, &rows);
    }
    let log = fs::read_to_string(server.log()).unwrap();
    let others: Vec<&str> = log.lines().filter(|line| !line.contains("CREATE ROLE")).collect();
    clean("the server's log", &others.join("\n"));
}

#[test]
fn what_cannot_be_read_is_not_repeated() {
    let project = Project::new();
    project.migration("0001_a", "SELECT 1");
    for url in [
        "postgresql://deploy:hunter2@h:s3cret/app",
        "postgresql://deploy:hunter2@h/app?sslmode=s3cret",
        "postgresql://deploy:hunter2@h/app?pasword=s3cret",
        "postgresql://deploy:hunter2%zz@h/app",
        "postgresql://deploy:1/hunter2@h/app",
        "postgresql://deploy:a?hunter2=s3cret@h/app",
        "host=h password=my hunter2=s3cret",
        "postgres:/deploy:hunter2@h/app",
        "mysql://deploy:hunter2@h/app",
        "deploy:hunter2@h/app",
        "host=h password='hunter2",
        "host=h password=hunter2 s3cret",
        "host=h password=hunter2 connect_timeout=s3cret",
        "host=h password=hunter2 hostaddr=s3cret",
        "host=h sslpassword=hunter2",
    ] {
        let way: Way = ("malformed", vec![("DATABASE_URL", url.to_owned())]);
        assert_eq!(run(&project, &way, url, BOTH, &["status"]), 8, "{url}");
        // On the command line it is seen by other users of the machine; it is not repeated by us.
        assert_eq!(
            run(&project, &("flag", Vec::new()), url, BOTH, &["status", "--database", url]),
            8,
            "{url}"
        );
        fs::write(project.path().join("concertina.toml"), format!("[database]\nurl = \"\"\"{url}\"\"\"\n"))
            .unwrap();
        assert_eq!(run(&project, &("file", Vec::new()), url, BOTH, &["status"]), 8, "{url}");
        fs::write(project.path().join("concertina.toml"), format!("[database]\nurl = \"{url}\n")).unwrap();
        assert_eq!(run(&project, &("broken file", Vec::new()), url, BOTH, &["status"]), 2, "{url}");
        fs::remove_file(project.path().join("concertina.toml")).unwrap();
    }
}
