//! The demo, small, through the program itself. What it measured is not judged here; that it is true and complete is.

use std::process::Command;

use serde_json::Value;

#[path = "support/page.rs"]
mod page;

const ROWS: u64 = 20_000;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

#[test]
fn both_runs_end_alike_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("demo.html");
    let output = Command::new(env!("CARGO_BIN_EXE_concertina"))
        .args(["demo", "--format", "json", "--rows", &ROWS.to_string()])
        .args(["--rate", "100", "--connections", "4", "--seconds", "1", "--html"])
        .arg(&file)
        .output()
        .unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["format"], "concertina.demo");
    assert_eq!(seen["rows"], ROWS);
    assert_eq!(seen["faults"].as_array().unwrap().len(), 0, "{seen:#}");

    for way in ["naive", "concertina"] {
        let run = &seen[way];
        // Naively the one UPDATE sees every row there is; online, clients' own writes fill some through the trigger.
        let written = number(&run["rows_written"]);
        assert!(written > 0 && written <= number(&run["rows"]), "{way}: {run:#}");
        assert!(number(&run["rows"]) > ROWS, "clients insert: {run:#}");
        assert_eq!(run["unanswered"], 0, "{way}: {run:#}");
        assert_eq!(run["acknowledged_writes_lost"], 0, "{way}: {run:#}");
        assert!(number(&run["acknowledged_writes"]) > 0, "{way}: {run:#}");
        for window in ["before", "during"] {
            let felt = &run[window];
            assert!(number(&felt["operations"]) > 0, "{way} {window}: {felt:#}");
            let by_code: u64 = felt["errors"].as_object().unwrap().values().map(number).sum();
            assert_eq!(by_code, number(&felt["failed"]), "{way} {window}: {felt:#}");
            let [p50, p99, worst] = ["p50_ms", "p99_ms", "worst_ms"].map(|name| felt[name].as_f64().unwrap());
            assert!(0.0 < p50 && p50 <= p99 && p99 <= worst, "{way} {window}: {felt:#}");
        }
        assert_eq!(run["before"]["failed"], 0, "{way}: {run:#}");
        let spans = run["spans"].as_array().unwrap();
        let neighbours = spans.iter().zip(&spans[1..]);
        assert!(neighbours.clone().count() >= 4);
        for (one, next) in neighbours {
            assert_eq!(one["to_seconds"], next["from_seconds"], "{way}: {spans:#?}");
        }
    }
    let naive = &seen["naive"];
    assert!(number(&naive["rows_written"]) >= ROWS, "{naive:#}");
    let online = &seen["concertina"];
    assert_eq!(online["during"]["failed"], 0, "{online:#}");
    assert_eq!(online["rows_right"], online["rows"], "{online:#}");
    let phases: Vec<&str> =
        online["spans"].as_array().unwrap().iter().filter_map(|s| s["what"].as_str()).collect();
    for phase in ["expand", "backfill", "validate", "contract"] {
        assert!(phases.contains(&phase), "{phases:?}");
    }
    // The page holds it all, and nothing else is needed to read it.
    let shown = page::read(&std::fs::read_to_string(&file).unwrap());
    for run in [naive, online] {
        for span in run["spans"].as_array().unwrap() {
            shown.says(span["what"].as_str().unwrap());
        }
        for lock in run["locks"].as_array().unwrap() {
            let what = |name: &str| lock[name].as_str().unwrap().to_owned();
            shown.says(&format!("{} on {}", what("mode"), what("relation")));
            assert!(lock["from_seconds"].as_f64() <= lock["to_seconds"].as_f64(), "{lock}");
        }
        let failed: u64 = run["moments"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|moment| moment["errors"].as_object().unwrap().values())
            .map(number)
            .sum();
        assert!(failed >= number(&run["during"]["failed"]), "{failed}: {:#}", run["during"]);
        let answered: u64 = run["moments"].as_array().unwrap().iter().map(|m| number(&m["answered"])).sum();
        assert_eq!(answered, number(&run["scheduled"]));
    }
    // The naive transaction keeps the strongest lock to its end; nothing of Concertina's is at work outside its phases.
    let strongest = naive["locks"].as_array().unwrap().iter().find(|lock| lock["mode"] == "ACCESS EXCLUSIVE");
    assert_eq!(strongest.unwrap()["relation"], "public.orders");
    let steps = seen["steps"].as_array().unwrap();
    assert!(steps.len() > 6, "{steps:#?}");
    let end = online["spans"].as_array().unwrap().last().unwrap()["to_seconds"].as_f64().unwrap();
    for step in steps {
        shown.says(step["title"].as_str().unwrap());
        assert_eq!(step["state"], "done", "{step:#}");
        let (began, ended) =
            (step["began_seconds"].as_f64().unwrap(), step["ended_seconds"].as_f64().unwrap());
        assert!(0.0 < began && began <= ended && ended <= end, "{step:#}");
    }
    for words in ["svg", "table", "caption", "title"] {
        assert!(shown.elements.iter().any(|name| name == words), "{words}");
    }
}
