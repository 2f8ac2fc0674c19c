//! Every document that is printed fits its published JSON Schema.

use std::collections::BTreeMap;

use concertina::failure::{self, Failure, Refusal};
use concertina::wire::{self, Document};
use concertina::{ExitCode, render};
use concertina_plan::diagnostic::{Code, Diagnostic};
use concertina_plan::estimate::{
    Basis, Demand, Elsewhere, Expected, Free, Holder, Lacking, Load, Measure, Room, Shortage, StepEstimate,
    WalKeeping,
};
use concertina_plan::pg::lock::LockMode;
use concertina_plan::pg::version::Version;
use concertina_plan::plan::{
    Action, Backfill, Blocks, Claim, Facts, Fails, LockClaim, Notice, Phase, Plan, Probe, Step, Undo, Walk,
    Work, WorkKind, Write, Written,
};
use concertina_plan::sql::ident::{Ident, Name};
use concertina_run::engine::Outcome;
use concertina_run::ledger::EstimateRow;
use concertina_run::outlook::Outlook;
use concertina_run::quarantine::{Entry, Summary};
use concertina_run::room::Known;
use concertina_run::state::{
    DoubleWrites, HistoryEntry, MigrationState, MigrationStatus, StepState, StepStatus,
};
use serde_json::{Value, json};

fn check<D: Document>(document: &D) {
    let printed: Value = serde_json::from_str(&wire::to_json(document)).unwrap();
    assert_eq!(printed["format"], D::FORMAT);
    assert_eq!(printed["version"], wire::VERSION);
    let published = crate::root(&format!("docs/schema/{}.v{}.json", D::FORMAT, wire::VERSION));
    let published: Value = serde_json::from_str(&std::fs::read_to_string(published).unwrap()).unwrap();
    crate::validate::validate(&published, &printed).unwrap();
}

fn name() -> Name {
    Name::new("app", "Orders")
}

/// A plan with every sort of everything.
fn plan() -> Plan {
    let transaction = Action::Transaction { sql: vec!["ALTER TABLE …".into()] };
    let update = Write::Update {
        alias: Ident::new("orders"),
        set: vec![(Ident::new("a"), "1".into())],
        unchanged: vec![Ident::new("b")],
        pending: "true".into(),
    };
    let backfill =
        |write, walk| Action::Backfill(Backfill { table: name(), write, walk, fire_triggers: true, rows: 7 });
    let mut steps = vec![
        Step::new(Phase::Expand, "Add column a", "It was asked for.", transaction),
        Step::new(
            Phase::Backfill,
            "Fill a",
            "Old rows have none.",
            backfill(update, Walk::Pages { stride: 16 }),
        ),
        Step::new(
            Phase::Backfill,
            "Copy a",
            "Undo needs it.",
            backfill(
                Write::Copy { into: name(), columns: vec![Ident::new("id")], only: None },
                Walk::Key { columns: vec![Ident::new("id")] },
            ),
        ),
        Step::new(Phase::Validate, "Validate", "Proof.", Action::Long { sql: "ALTER …".into() }),
        Step::new(
            Phase::Validate,
            "Build index",
            "Speed.",
            Action::Alone { sql: "CREATE …".into(), heal: None },
        ),
        Step::new(
            Phase::Contract,
            "Prove",
            "Tightening.",
            Action::Proof { query: "SELECT 1".into(), violation: "rows of app.orders".into() },
        ),
    ];
    steps[0].locks.push(LockClaim { relation: name(), mode: LockMode::AccessExclusive });
    steps[0].undo = Undo::Steps { steps: vec![steps[3].clone()], loses: Some("new values".into()) };
    steps[1].work.push(Work { relation: name(), what: WorkKind::Rows });
    steps[1].undo = Undo::Impossible { why: "rows were changed".into() };
    steps[4].probe = Probe::Ledger;
    steps[5].destroys = true;
    Plan {
        format: 1,
        migration: "0001_a".into(),
        checksum: "00".into(),
        server_version: Version(150_018),
        search_path: vec![Ident::new("app")],
        statements: vec![Written {
            line: 1,
            sql: "ALTER TABLE …".into(),
            kinds: vec!["add_column".into()],
            facts: Facts {
                locks: vec![LockClaim { relation: name(), mode: LockMode::ShareRowExclusive }],
                work: vec![Work { relation: name(), what: WorkKind::Rewrite }],
                transaction: true,
                breaks: vec!["SELECT *".into()],
                fails: Some(Fails { sqlstate: "23502".into(), when: "there are rows".into() }),
            },
        }],
        steps,
        notices: vec![Notice { statement: 0, code: Code::Announce, message: "…".into() }],
        claims: Vec::new(),
    }
}

fn refusal() -> Refusal {
    Refusal {
        migration: "0002_b".into(),
        origin: "migrations/0002_b.sql".into(),
        text: "VACUUM FULL;".into(),
        diagnostics: vec![Diagnostic {
            code: Code::NotSchema,
            span: 0..11,
            message: "VACUUM is not a schema change".into(),
            help: "run it by itself".into(),
            kind: None,
        }],
    }
}

fn kept() -> EstimateRow {
    EstimateRow {
        ordinal: 0,
        expected: Expected { low: 0.1, high: 3.0, basis: Basis::Measured(2) },
        room: Room { keeps: 1, passing: 2, wal: 3 },
        took: Some(0.5),
        waited: None,
    }
}

#[test]
fn plan_document() {
    let fast = || Ident::new("Fast");
    let outlook = |free, basis| {
        let load = Load { measure: Measure::Scan, amount: 7 };
        let step = StepEstimate {
            load,
            expected: Expected { low: 0.0, high: 1.5, basis },
            room: kept().room,
            elsewhere: BTreeMap::new(),
        };
        let short = Shortage { step: 0, need: 3, have: 2, wal: 1, place: Lacking::Data };
        Outlook {
            steps: vec![step; plan().steps.len()],
            left: vec![0],
            demands: vec![Demand {
                step: 0,
                data: 1,
                wal: 2,
                spaces: BTreeMap::from([(fast(), 4), (Ident::new("slow"), 5)]),
            }],
            wal: WalKeeping {
                max_wal_size: 1,
                keep_size: 0,
                holders: vec![Holder { what: "a slot".into(), limit: None }],
            },
            free,
            shortage: Some(short),
        }
    };
    let apart = Elsewhere { names: vec![fast()], wal: false, free: 3 };
    let known = Known::Free(Free { data: 2, wal: Some(1), spaces: vec![apart], source: "df".into() });
    let mut planned = wire::PlannedMigration::new(&plan(), false, vec!["0000_z".into()]);
    planned.add_outlook(&outlook(known, Basis::Measured(3)));
    let mut unknown = planned.clone();
    unknown.add_outlook(&outlook(Known::Unknown("far away".into()), Basis::Unmeasured));
    check(&wire::PlanDocument {
        plans: vec![planned, unknown],
        refused: Some(wire::RefusedMigration::from(&refusal())),
        not_planned: vec!["0003_c".into()],
    });
}

#[test]
fn status_document() {
    let states = [
        MigrationState::Pending,
        MigrationState::Expanding,
        MigrationState::Expanded,
        MigrationState::Switched,
        MigrationState::Contracting,
        MigrationState::Done,
        MigrationState::Undoing,
        MigrationState::Undone,
    ];
    let steps =
        [StepState::Pending, StepState::Running, StepState::Done, StepState::Failed, StepState::Undone];
    let migrations: Vec<MigrationStatus> = states
        .into_iter()
        .map(|state| MigrationStatus {
            name: "0001_a".into(),
            state,
            simple: false,
            baseline: false,
            checksum: Some("00".into()),
            started_at: Some("2026-11-21T10:30:00Z".into()),
            changed_at: None,
            by: Some("deploy".into()),
            steps: steps
                .into_iter()
                .map(|state| StepStatus {
                    step: 1,
                    phase: Phase::Switch,
                    title: "x".into(),
                    state,
                    attempts: 1,
                    rows: Some(3),
                    seconds: Some(0.5),
                    victim_ms: 0.0,
                    estimate: (state == StepState::Done).then_some(kept()),
                    error: None,
                })
                .collect(),
            error: Some("no".into()),
            blocked_by: vec!["pid 7".into()],
            claims: vec![
                Claim { relation: name(), column: None, write: true },
                Claim { relation: name(), column: Some(Ident::new("A")), write: false },
            ],
            double_writes: vec![DoubleWrites {
                table: "public.t".into(),
                old: "a".into(),
                new: "b".into(),
                count: 2,
            }],
            quarantine: vec![Summary {
                table: "public.t".into(),
                column: "a".into(),
                blocks: Blocks::Contract,
                rows: 1,
                examples: vec!["id=7: no (22P02)".into()],
            }],
            plan: Some(plan()),
        })
        .collect();
    check(&wire::StatusDocument::from(migrations.as_slice()));
    let outcome = Outcome {
        moved: vec!["0001_a".into(), "gone".into()],
        steps: 3,
        waiting: vec![("0002_b".into(), "0001_a".into())],
    };
    check(&render::outcome::document("expand", &outcome, &migrations));
}

#[test]
fn quarantine_document() {
    let entry = |blocks| Entry {
        id: 7,
        migration: "0001_a".into(),
        table: "public.t".into(),
        column: "a".into(),
        key: vec![("id".into(), "1".into())],
        sqlstate: "22P02".into(),
        message: "no".into(),
        at: "2026-11-21T10:30:00Z".into(),
        blocks,
    };
    let waiting =
        [entry(Blocks::Switch), entry(Blocks::Undo), Entry { key: Vec::new(), ..entry(Blocks::Contract) }];
    check(&wire::QuarantineDocument::of(&waiting, &waiting[..1]));
}

#[test]
fn other_documents() {
    check(&wire::HistoryDocument::from(
        &[HistoryEntry {
            at: "2026-11-21T10:30:00Z".into(),
            migration: None,
            event: "note".into(),
            message: "…".into(),
            by: "deploy".into(),
        }][..],
    ));
    let mut failure = Failure::new(ExitCode::Refused, "no").hint("yes");
    failure.refusal = Some(Box::new(refusal()));
    failure.sqlstate = Some("55P03".into());
    failure.shortage = Some(Box::new(failure::Shortage { step: 1, need: 2, have: 1 }));
    check(&wire::ErrorDocument::from(&failure));
    check(&wire::ErrorDocument::from(&Failure::usage("no")));
    check(&wire::BaselineDocument { recorded: vec!["0001_a".into()], known: vec!["0000_z".into()] });
    for what in [wire::What::Changed, wire::What::Gone, wire::What::Nothing] {
        check(&wire::AcceptDocument {
            migration: "0001_a".into(),
            accepted: what,
            before: Some("00".into()),
            after: None,
            reason: "because".into(),
        });
    }
    check(&wire::UninstallDocument {
        schemas: vec!["concertina".into()],
        archives: vec![wire::RemovedArchive {
            of: Some("table app.x".into()),
            name: "concertina_archive.x_0".into(),
            bytes: Some(8192),
        }],
        triggers: vec!["\"~concertina_x\" ON public.users".into()],
    });
    check(&wire::CheckDocument {
        ok: false,
        loaded: Some(wire::LoadedDump {
            path: "prod.sql".into(),
            statements: 7,
            skipped: vec![wire::SkippedStatement { line: 3, why: "role \"app\" does not exist".into() }],
        }),
        taken: vec!["0001_a".into()],
        migrations: vec![
            wire::CheckedMigration {
                migration: "0002_b".into(),
                plan: None,
                refused: Some(wire::RefusedMigration::from(&refusal())),
            },
            wire::CheckedMigration {
                migration: "0003_c".into(),
                plan: Some(wire::PlannedMigration::new(&plan(), false, Vec::new())),
                refused: None,
            },
        ],
        failed: Some(wire::FailedMigration {
            migration: "0004_d".into(),
            message: "no".into(),
            sqlstate: Some("22012".into()),
        }),
        not_checked: vec!["0005_e".into()],
    });
    check(&wire::CreatedDocument { name: "0001_a".into(), path: "migrations/0001_a.sql".into() });
    check(&wire::InitDocument {
        config: "concertina.toml".into(),
        config_written: true,
        migrations: "migrations".into(),
        migrations_made: false,
        ledger: true,
    });
}

#[test]
fn the_validator_says_no() {
    let schema = json!({
        "type": "object",
        "properties": { "a": { "type": ["integer", "null"] }, "b": { "$ref": "#/$defs/B" } },
        "required": ["a"],
        "$defs": { "B": { "oneOf": [{ "const": "x" }, { "enum": ["y", "z"] }] } },
    });
    for good in [json!({"a": 1}), json!({"a": null, "b": "z"})] {
        crate::validate::validate(&schema, &good).unwrap();
    }
    for bad in [json!({}), json!({"a": "1"}), json!({"a": 1, "b": "q"}), json!([]), json!({"a": 1, "c": 2})] {
        assert!(crate::validate::validate(&schema, &bad).is_err(), "{bad}");
    }
}
