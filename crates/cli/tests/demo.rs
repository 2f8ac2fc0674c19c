//! The demo, small, through the program itself. What it measured is not judged here; that it is true and complete is.

use std::process::Command;

use serde_json::Value;

const ROWS: u64 = 20_000;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

#[test]
fn both_runs_end_alike_and_nothing_is_lost() {
    let output = Command::new(env!("CARGO_BIN_EXE_concertina"))
        .args(["demo", "--format", "json", "--rows", &ROWS.to_string()])
        .args(["--rate", "100", "--connections", "4", "--seconds", "1"])
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
}
