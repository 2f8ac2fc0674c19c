use crate::catalog::Catalog;
use crate::diagnostic::Code;
use crate::kind::shared::proving::{catalog, plan};
use crate::kind::shared::testing::{refused, show};
use crate::plan::{Action, Plan, Undo};

const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, a int, b int);
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER g BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
    CREATE TRIGGER h BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION f()";

fn on() -> Catalog {
    catalog(SCHEMA)
}

fn with(more: &str) -> Catalog {
    catalog(&format!("{SCHEMA}; {more}"))
}

/// Whether each backfill fires users' triggers.
fn fire(plan: &Plan) -> Vec<bool> {
    let backfills = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Backfill(backfill) => Some(backfill.fire_triggers),
        _ => None,
    });
    backfills.collect()
}

#[test]
fn what_is_taken_away_waits_for_contract() {
    let off = with("ALTER TABLE t DISABLE TRIGGER g");
    let always = with("ALTER TABLE t ENABLE ALWAYS TRIGGER g");
    let replica = with("ALTER TABLE t ENABLE REPLICA TRIGGER g");
    for (catalog, sql, shown) in [
        (&on(), "DISABLE TRIGGER g", "contract: ALTER TABLE public.t DISABLE TRIGGER g\n"),
        (
            &on(),
            "DISABLE TRIGGER USER",
            "contract: ALTER TABLE public.t DISABLE TRIGGER g, DISABLE TRIGGER h\n",
        ),
        (&on(), "ENABLE REPLICA TRIGGER g", "contract: ALTER TABLE public.t ENABLE REPLICA TRIGGER g\n"),
        (&on(), "ENABLE ALWAYS TRIGGER g", "expand: ALTER TABLE public.t ENABLE ALWAYS TRIGGER g\n"),
        (&on(), "ENABLE TRIGGER ALL", ""),
        (&off, "ENABLE TRIGGER ALL", "expand: ALTER TABLE public.t ENABLE TRIGGER g\n"),
        (&off, "ENABLE REPLICA TRIGGER g", "expand: ALTER TABLE public.t ENABLE REPLICA TRIGGER g\n"),
        // Nobody gains anything.
        (&always, "ENABLE TRIGGER g", "contract: ALTER TABLE public.t ENABLE TRIGGER g\n"),
        (&replica, "ENABLE TRIGGER USER", "expand: ALTER TABLE public.t ENABLE TRIGGER g\n"),
    ] {
        let plan = plan(catalog, &format!("ALTER TABLE t {sql}"));
        assert_eq!(show(&plan), shown, "{sql}");
    }
    assert_eq!(refused(&on(), "ALTER TABLE t DISABLE TRIGGER x").0, Code::WillFail);
}

#[test]
fn undo_sets_each_as_it_was() {
    let mixed = with("ALTER TABLE t ENABLE ALWAYS TRIGGER g; ALTER TABLE t ENABLE REPLICA TRIGGER h");
    let plan = plan(&mixed, "ALTER TABLE t DISABLE TRIGGER USER");
    let Undo::Steps { steps, loses: None } = &plan.steps[0].undo else { panic!("{plan:?}") };
    let Action::Transaction { sql } = &steps[0].action else { panic!("{steps:?}") };
    assert_eq!(
        sql[..],
        ["ALTER TABLE public.t ENABLE ALWAYS TRIGGER g", "ALTER TABLE public.t ENABLE REPLICA TRIGGER h"]
    );
}

#[test]
fn what_the_pair_holds_is_silent_by_itself() {
    for (what, silent) in [("USER", true), ("ALL", true), ("g", true)] {
        let sql = format!(
            "ALTER TABLE t DISABLE TRIGGER {what}; UPDATE t SET a = b + 1; ALTER TABLE t ENABLE TRIGGER {what}"
        );
        let plan = plan(&on(), &sql);
        assert_eq!((plan.steps.len(), fire(&plan)), (1, vec![!silent]), "{sql}");
    }
    // What does not fire by itself needs no silence.
    let plan = plan(
        &on(),
        "ALTER TABLE t DISABLE TRIGGER h; UPDATE t SET a = b + 1; ALTER TABLE t ENABLE TRIGGER h",
    );
    assert_eq!((plan.steps.len(), fire(&plan)), (1, vec![true]));
}

#[test]
fn what_else_would_be_silent_splits_the_file() {
    let around = |what: &str, inner: &str| {
        format!("ALTER TABLE t DISABLE TRIGGER {what}; {inner}; ALTER TABLE t ENABLE TRIGGER {what}")
    };
    let says = |catalog: &Catalog, sql: &str, part: &str| {
        let (code, said) = refused(catalog, sql);
        assert!(code == Code::SplitFile && said.contains(part), "{sql}: {code:?} {said}");
    };
    let update = around("USER", "UPDATE t SET a = 1");
    let second = with("CREATE TRIGGER g2 BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()");
    says(&second, &around("g", "UPDATE t SET a = 1"), "cannot fire trigger g2 and not that one");
    let key = with(
        "CREATE TABLE u (id int PRIMARY KEY); ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES u",
    );
    says(&key, &update, "leave foreign key k of public.t unchecked");
    let incoming = with("CREATE TABLE u (id int REFERENCES t)");
    says(&incoming, &around("USER", "DELETE FROM t"), "unchecked");
    let always = with(
        "CREATE TRIGGER z BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t ENABLE ALWAYS TRIGGER z",
    );
    says(&always, "ALTER TABLE t DISABLE TRIGGER USER; UPDATE t SET a = 1", "replicating sessions do");
    let mut unable = on();
    unable.server.may_skip_triggers = false;
    says(&unable, &update, "session_replication_role");
    says(&on(), &around("USER", "INSERT INTO t VALUES (1, 2, 3)"), "still fires for whatever is written");
}

#[test]
fn a_trigger_that_is_dropped_at_contract_is_silent_for_what_follows() {
    let plan = plan(&on(), "DROP TRIGGER g ON t; UPDATE t SET a = b + 1");
    assert_eq!(fire(&plan), [false]);
    assert_eq!(refused(&on(), "DROP TRIGGER g ON t; INSERT INTO t VALUES (1, 2, 3)").0, Code::SplitFile);
    // The other way round it is to fire.
    let plan = self::plan(&on(), "UPDATE t SET a = b + 1; DROP TRIGGER g ON t");
    assert_eq!(fire(&plan), [true]);
}

#[test]
fn what_is_enabled_after_a_backfill_waits_for_it() {
    let off = with("ALTER TABLE t DISABLE TRIGGER g");
    let shown = show(&plan(&off, "UPDATE t SET a = b + 1; ALTER TABLE t ENABLE TRIGGER g"));
    assert!(shown.ends_with("validate: ALTER TABLE public.t ENABLE TRIGGER g\n"), "{shown}");
}

#[test]
fn what_keeps_constraints_is_not_disabled() {
    let key = with("CREATE TABLE u (id int REFERENCES t)");
    assert_eq!(refused(&key, "ALTER TABLE t DISABLE TRIGGER ALL").0, Code::NotYet);
    assert_eq!(refused(&key, "ALTER TABLE t DISABLE TRIGGER \"RI_ConstraintTrigger_a_1\"").0, Code::NotYet);
    assert_eq!(
        show(&plan(&key, "ALTER TABLE t DISABLE TRIGGER h")),
        "contract: ALTER TABLE public.t DISABLE TRIGGER h\n"
    );
}

#[test]
fn what_was_disabled_earlier_in_the_file_is_not_enabled_before() {
    let sql =
        "ALTER TABLE t DISABLE TRIGGER USER; ALTER TABLE t RENAME TO v; ALTER TABLE v ENABLE TRIGGER USER";
    assert_eq!(refused(&on(), sql).0, Code::SplitFile);
    let sql = "ALTER TABLE t DISABLE TRIGGER USER; ALTER TABLE t ENABLE TRIGGER g";
    assert_eq!(refused(&on(), sql).0, Code::SplitFile);
}
