//! The README's example is what the program says: run here on a server, and compared. Times differ from run to run and are left
//! out of the comparison. `UPDATE_DOCS=1` rewrites it.

use std::fmt::Write;
use std::fs;

use concertina_lab::Server;

use crate::project::Project;

const SCHEMA: &str =
    "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total numeric(12, 2) NOT NULL);
INSERT INTO orders (total) SELECT i % 1000 / 10.0 FROM generate_series(1, 20000) AS i;
VACUUM ANALYZE orders";

const MIGRATION: &str = "\
ALTER TABLE orders ADD COLUMN total_cents bigint;
UPDATE orders SET total_cents = round(total * 100);
ALTER TABLE orders ALTER COLUMN total_cents SET NOT NULL;
CREATE INDEX orders_total_cents_idx ON orders (total_cents);
";

#[tokio::test]
async fn the_example_is_true() {
    let server = Server::start_default().await.unwrap();
    if server.installation().major >= 18 {
        // NOT NULL takes fewer steps there; the README shows what is true for all that are older.
        return;
    }
    let client = server.connect("postgres").await.unwrap();
    for statement in SCHEMA.split(";\n") {
        client.batch_execute(statement).await.unwrap();
    }
    let mut project = Project::new();
    project.set("DATABASE_URL", &server.url("postgres"));

    let mut text = String::new();
    let show = |text: &mut String, arguments: &[&str]| {
        let mut command = project.command(arguments);
        // One stream, in order, as on a screen.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
        drop(command);
        let mut said = String::new();
        std::io::Read::read_to_string(&mut reader, &mut said).unwrap();
        assert!(child.wait().unwrap().success(), "{said}");
        let said: String = said.lines().filter_map(settled).collect();
        write!(text, "$ concertina {}\n{said}", arguments.join(" ")).unwrap();
    };
    text.push_str("\n```console\n");
    show(&mut text, &["init"]);
    show(&mut text, &["new", "order_totals"]);
    fs::write(project.path().join("migrations/0001_order_totals.sql"), MIGRATION).unwrap();
    write!(
        text,
        "```\n\nThe file, after you have written into it:\n\n```sql\n{MIGRATION}```\n\n```console\n"
    )
    .unwrap();
    text.truncate(text.len() - "```console\n".len());
    text.push_str("<details><summary>What <code>concertina plan</code> shows: every step with its locks and its undo</summary>\n\n```console\n");
    show(&mut text, &["plan"]);
    text.push_str("```\n\n</details>\n\n```console\n");
    show(&mut text, &["expand"]);
    text.push_str("```\n\nOld code goes on as before, new code may use the column. When no old code is left:\n\n```console\n");
    show(&mut text, &["contract"]);
    show(&mut text, &["status"]);
    text.push_str("```\n\n");

    let path = crate::root("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let begin = "<!-- generated: example -->\n";
    let start = readme.find(begin).unwrap() + begin.len();
    let end = start + readme[start..].find("<!-- end -->").unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() && timeless(&readme[start..end]) != timeless(&text) {
        fs::write(&path, format!("{}{text}{}", &readme[..start], &readme[end..])).unwrap();
        return;
    }
    assert_eq!(timeless(&readme[start..end]), timeless(&text), "UPDATE_DOCS=1 rewrites it");
}

/// A line without what depends on the machine; lines that come only where it is slow or busy are left out.
fn settled(line: &str) -> Option<String> {
    if ["rows/s", " waits", "tries again"].iter().any(|moment| line.contains(moment)) {
        return None;
    }
    // What is free where the test runs, and the directory of its server.
    if let Some((need, _)) =
        line.split_once(" are free, by the file system of ").filter(|_| line.starts_with("Room: "))
    {
        let need = need.rsplit_once("; ").map_or(need, |(need, _)| need);
        return Some(format!(
            "{need}; 120.0 GB are free, by the file system of /var/lib/postgresql/15/main\n"
        ));
    }
    let line = match line.split_once(" postgres@") {
        Some((row, _host_and_pid)) => format!("{row} deploy@ci 4711"),
        None => line.split(", 1 session waited").next().unwrap_or(line).to_owned(),
    };
    Some(format!("{line}\n"))
}

/// The text without what differs from run to run or between servers: durations and sizes with their units, rates, instants, the server's
/// version.
fn timeless(text: &str) -> String {
    const UNITS: [&str; 7] = ["ms", "s", "min", "h", "kB", "MB", "GB"];
    let mut out: Vec<String> = Vec::new();
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let number = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',');
        let unit = words.peek().and_then(|next| next.split([',', ';', '\n']).next()).unwrap_or("");
        let instant = word.starts_with("20") && word.len() >= 10 && word.contains('-');
        let clock = word.ends_with('Z') && word.contains(':');
        if number && UNITS.contains(&unit) {
            // A millisecond more may make it a second: the unit goes with the number, and so does "1 min" before "5 s".
            let after = words.next().unwrap_or("")[unit.len()..].to_owned();
            if out.last().is_some_and(|last| last == "…") {
                out.pop();
            }
            out.push(format!("…{after}"));
        } else if out.last().is_some_and(|last| last == "PostgreSQL") {
            out.push(word.split_once('\n').map_or("", |(_, rest)| rest).to_owned());
        } else {
            out.push(if instant || clock { "…".to_owned() } else { word.to_owned() });
        }
    }
    out.join(" ")
}

#[test]
fn only_times_are_left_out() {
    let same =
        timeless("[1/2] done in 12 ms, 100,000 rows\n[2/2] done in 1 min 2 s\nat 2026-11-21 10:30:00Z");
    assert_eq!(
        same,
        timeless("[1/2] done in 3.1 s, 100,000 rows\n[2/2] done in 9.0 ms\nat 2027-01-02 01:00:00Z")
    );
    assert_eq!(timeless("for PostgreSQL 15.18\n\nAsked"), timeless("for PostgreSQL 17.2\n\nAsked"));
    assert_ne!(timeless("7 steps"), timeless("8 steps"));
    assert_ne!(timeless("done in 1 s, 7 rows"), timeless("done in 1 s, 8 rows"));
}
