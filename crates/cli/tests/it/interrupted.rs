//! Runs that do not go straight through: two at once, signals, locks that are not free, a terminal's questions.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use concertina_lab::Server;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio_postgres::Client;

use crate::project::{Project, Said};

const ROWS: i64 = 60_000;

async fn start() -> (Server, Client, Project) {
    let server = Server::start_default().await.unwrap();
    let client = server.connect("postgres").await.unwrap();
    let schema = format!(
        "CREATE TABLE big (id bigint PRIMARY KEY, v int NOT NULL);
         INSERT INTO big SELECT i, i % 100 FROM generate_series(1, {ROWS}) AS i;
         ANALYZE big"
    );
    client.batch_execute(&schema).await.unwrap();
    let mut project = Project::new();
    project.set("DATABASE_URL", &server.url("postgres"));
    (server, client, project)
}

const DERIVED: &str = "ALTER TABLE big ADD COLUMN twice bigint;
UPDATE big SET twice = v * 2;
ALTER TABLE big ALTER COLUMN twice SET NOT NULL;";

fn spawn(project: &Project, arguments: &[&str]) -> Child {
    project.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn finish(child: Child) -> Said {
    Said::from(child.wait_with_output().unwrap())
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal).unwrap();
}

/// Looks until `query` gives true. Half a minute is for a machine under load, not an expectation.
async fn until(client: &Client, query: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !client.query_one(query, &[]).await.is_ok_and(|row| row.get(0)) {
        assert!(Instant::now() < deadline, "never: {query}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Some rows are filled, and not all.
const UNDER_WAY: &str = "SELECT count(twice) BETWEEN 1 AND 59999 FROM big";

async fn all_right(client: &Client) {
    let right = client.query_one("SELECT count(*) FROM big WHERE twice = v * 2", &[]).await.unwrap();
    assert_eq!(right.get::<_, i64>(0), ROWS);
}

#[tokio::test]
async fn sigterm_stops_at_a_safe_point_and_the_next_run_goes_on() {
    let (_server, client, project) = start().await;
    project.migration("0001_twice", DERIVED);
    let child = spawn(&project, &["expand", "--load", "0.05"]);
    until(&client, UNDER_WAY).await;
    signal(&child, Signal::TERM);
    let said = finish(child);
    assert_eq!(said.code, 7, "{said:?}");
    assert!(said.stderr.contains("Stopping at the next safe point"), "{said:?}");
    assert_eq!(project.json(0, &["status"])["migrations"][0]["state"], "expanding");
    let resumed = project.expect(0, &["expand", "--load", "1"]);
    assert!(resumed.stderr.contains("goes on"), "{resumed:?}");
    all_right(&client).await;
}

#[tokio::test]
async fn a_killed_run_is_taken_up() {
    let (_server, client, project) = start().await;
    std::fs::write(project.path().join("concertina.toml"), "").unwrap();
    project.migration("0001_twice", DERIVED);
    let mut child = spawn(&project, &["expand", "--load", "0.05"]);
    until(&client, UNDER_WAY).await;
    child.kill().unwrap();
    finish(child);
    project.expect(0, &["expand", "--load", "1"]);
    all_right(&client).await;
}

#[tokio::test]
async fn of_two_runners_one_works_and_the_other_waits_or_leaves() {
    let (_server, client, project) = start().await;
    project.migration("0001_twice", DERIVED);
    let first = spawn(&project, &["expand", "--load", "0.1"]);
    until(&client, UNDER_WAY).await;
    let left = project.expect(6, &["expand", "--no-wait"]);
    assert!(left.stderr.contains("another runner"), "{left:?}");
    assert_eq!(project.json(6, &["expand", "--no-wait"])["kind"], "busy");
    let second = spawn(&project, &["expand"]);
    let (first, second) = (finish(first), finish(second));
    assert_eq!((first.code, second.code), (0, 0), "{first:?} {second:?}");
    all_right(&client).await;
}

#[tokio::test]
async fn a_lock_that_is_never_free_ends_with_5_and_says_who_holds_it() {
    let (server, client, project) = start().await;
    let config = "[stall]\npatience = \"2s\"\n";
    std::fs::write(project.path().join("concertina.toml"), config).unwrap();
    project.migration("0001_note", "ALTER TABLE big ADD COLUMN note text;");
    client.batch_execute("BEGIN; SELECT count(*) FROM big").await.unwrap();
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let said = project.expect(5, &["expand"]);
    assert!(said.stderr.contains(&pid.to_string()), "{pid} in {said:?}");
    // Somebody who came meanwhile was not in our way, and we not in his.
    let other = server.connect("postgres").await.unwrap();
    other.query("SELECT count(*) FROM big", &[]).await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    project.expect(0, &["expand"]);
}

/// A terminal for one command: what it writes, and a way to answer.
struct Terminal {
    child: Child,
    screen: BufReader<File>,
    keyboard: File,
    seen: String,
}

impl Terminal {
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
        let open = || File::options().read(true).write(true).open(&name).unwrap();
        let child = project
            .command(arguments)
            .env("TERM", "xterm")
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .spawn()
            .unwrap();
        let keyboard = File::from(controller);
        Self { child, screen: BufReader::new(keyboard.try_clone().unwrap()), keyboard, seen: String::new() }
    }

    /// Reads line by line until one contains `text`.
    fn until(&mut self, text: &str) {
        let mut line = Vec::new();
        while !String::from_utf8_lossy(&line).contains(text) {
            line.clear();
            let read = self.screen.read_until(b'\n', &mut line).unwrap_or(0);
            self.seen.push_str(&String::from_utf8_lossy(&line));
            assert!(read > 0, "no {text} in {}", self.seen);
        }
    }

    fn answer(&mut self, text: &str) {
        writeln!(self.keyboard, "{text}").unwrap();
    }

    fn finish(mut self) -> (i32, String) {
        let mut rest = Vec::new();
        // The terminal's end is an error to Linux.
        let _ = self.screen.read_to_end(&mut rest);
        self.seen.push_str(&String::from_utf8_lossy(&rest));
        (self.child.wait().unwrap().code().unwrap(), self.seen)
    }
}

#[tokio::test]
async fn on_a_terminal_it_asks_before_it_removes_data() {
    let (_server, client, project) = start().await;
    project.migration("0001_drop", "ALTER TABLE big DROP COLUMN v;");
    project.expect(0, &["expand"]);

    let mut terminal = Terminal::start(&project, &["contract"]);
    terminal.until("Type yes");
    terminal.answer("no");
    let (code, seen) = terminal.finish();
    assert_eq!(code, 10, "{seen}");
    client.query("SELECT v FROM big LIMIT 1", &[]).await.unwrap();

    let mut terminal = Terminal::start(&project, &["contract"]);
    terminal.until("removes data");
    terminal.until("Type yes");
    terminal.answer("yes");
    let (code, seen) = terminal.finish();
    assert_eq!(code, 0, "{seen}");
    assert!(client.query("SELECT v FROM big LIMIT 1", &[]).await.is_err());
}

#[tokio::test]
async fn on_a_terminal_it_draws_a_bar() {
    let (_server, _client, project) = start().await;
    project.migration("0001_twice", DERIVED);
    let (code, seen) = Terminal::start(&project, &["expand", "--load", "0.3"]).finish();
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("rows/s") && seen.contains('█'), "{seen}");
}
