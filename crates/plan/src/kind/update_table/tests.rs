use crate::catalog::{Catalog, Function, Generated, Identity, Index, Trigger, TriggerEvent, Volatility};
use crate::diagnostic::Code;
use crate::kind::shared::testing::{catalog, partitioned, planned, refused, show, steps, table};
use crate::pg::firing::Firing;
use crate::plan::{Action, Undo, Walk, Write};
use crate::sql::ident::{Ident, Name};

fn users() -> Catalog {
    catalog([
        table(
            "users",
            &[("id", "bigint"), ("email", "text!"), ("name", "character varying(20)"), ("age", "integer")],
        ),
        table("teams", &[("id", "bigint"), ("name", "text")]),
    ])
}

fn edit(change: impl FnOnce(&mut crate::catalog::Relation)) -> Catalog {
    let mut catalog = users();
    change(catalog.relations.get_mut(&Name::new("public", "users")).expect("users"));
    catalog
}

#[test]
fn each_row_of_the_start_is_written_once() {
    let plan = planned(&users(), "UPDATE users AS u SET age = u.age + 1, name = upper(name) WHERE age < 50");
    assert_eq!(
        show(&plan),
        "backfill public.users by key [id], row set: age = u.age + 1, name = upper(u.name) where true\n"
    );
    let Action::Backfill(backfill) = &plan.steps[0].action else { panic!("{plan:?}") };
    let Walk::RowSet(row_set) = &backfill.walk else { panic!("{plan:?}") };
    assert_eq!(row_set.filter.as_deref(), Some("u.age < 50"));
    assert_eq!(row_set.table.schema, Ident::new("concertina"));
    assert!(backfill.fire_triggers);
    assert!(matches!(plan.steps[0].undo, Undo::Impossible { .. }));
    assert!(plan.notices.iter().any(|notice| notice.code == Code::UndoLoses));
}

#[test]
fn of_a_new_column_alone_it_can_be_undone() {
    let plan = planned(
        &users(),
        "ALTER TABLE users ADD a int, ADD b int; UPDATE users SET a = age, b = age WHERE age > 3",
    );
    let undo = plan.steps.last().map(|step| &step.undo);
    assert!(matches!(undo, Some(Undo::Steps { loses: None, .. })), "{undo:?}");
}

#[test]
fn without_a_key_only_what_may_be_written_twice() {
    let keyless = |catalog: &mut crate::catalog::Relation| {
        catalog.indexes.clear();
        catalog.constraints.clear();
    };
    let shown = steps(&edit(keyless), "UPDATE users SET name = 'x' || id WHERE age / id > 2");
    assert_eq!(
        shown,
        "backfill public.users by pages, stride 16: name = 'x' || users.id where CASE WHEN (users.age / users.id > 2) THEN \
         pg_catalog.record_image_ne(ROW(users.name), ROW(('x' || users.id)::character varying(20))) ELSE false END\n"
    );
    let (code, said) = refused(&edit(keyless), "UPDATE users SET age = age + 1");
    assert!(code == Code::NoRowKey && said.contains("public.users"), "{said}");
}

#[test]
fn partitions_are_walked_one_by_one() {
    let events = catalog(partitioned("events", &[("id", "bigint"), ("kind", "text!"), ("note", "text")]));
    let shown = steps(&events, "UPDATE events SET note = kind WHERE note IS NULL");
    assert_eq!(shown.lines().count(), 2);
    assert!(shown.contains("public.events_2 by key [id], row set"), "{shown}");
    let (code, said) = refused(&events, "UPDATE events SET id = id + 1");
    assert!(code == Code::NotBatchable && said.contains("partition key"), "{said}");
}

#[test]
fn batches_that_would_differ_from_the_statement_are_refused() {
    let trigger = |row: bool, transition_table: bool| {
        edit(|users| {
            users.triggers.push(Trigger {
                name: Ident::new("touched"),
                row,
                before: false,
                on: vec![TriggerEvent::Update],
                update_of: Vec::new(),
                transition_table,
                fires: Firing::Origin,
                definition: String::new(),
            });
        })
    };
    let unique = edit(|users| {
        let mut index: Index = users.indexes[0].clone();
        index.name = Ident::new("users_age_key");
        index.primary = false;
        index.columns = vec![Some(Ident::new("age"))];
        index.uses = [Ident::new("age")].into();
        users.indexes.push(index);
    });
    let deferrable = edit(|users| {
        let mut constraint = users.constraints[0].clone();
        constraint.columns = vec![Ident::new("age")];
        constraint.deferrable = true;
        users.constraints.push(constraint);
    });
    let inherits = edit(|users| users.inherits = true);
    let mut stable = users();
    stable.functions.insert(Function::new(Name::new("public", "rate"), "", Volatility::Stable));
    let plain = users();
    let add = "UPDATE users SET age = age + 1";
    for (catalog, sql, code, says) in [
        (&trigger(false, false), add, Code::NotBatchable, "touched"),
        (&trigger(true, true), add, Code::NotBatchable, "touched"),
        (&unique, add, Code::NotBatchable, "users_age_key"),
        (&deferrable, add, Code::NotBatchable, "deferrable"),
        (&inherits, add, Code::NotYet, "inheritance"),
        (&stable, "UPDATE users SET age = rate()", Code::NotBatchable, "rate"),
        (&plain, "UPDATE users SET name = random()::text WHERE random() < 0.5", Code::NotBatchable, "random"),
        (
            &plain,
            "UPDATE users SET age = (SELECT max(age) FROM users)",
            Code::NotBatchable,
            "reads public.users",
        ),
        (&plain, "UPDATE users SET age = 1 FROM teams WHERE teams.id = users.id", Code::NotBatchable, "FROM"),
        (&plain, "UPDATE users SET age = DEFAULT", Code::NotBatchable, "DEFAULT"),
        (&plain, "UPDATE users SET name = ctid::text", Code::NotBatchable, "system column"),
        (&plain, "UPDATE users SET name = current_setting('x')", Code::NotYet, "current_setting"),
    ] {
        let (refused, said) = refused(catalog, sql);
        assert!(refused == code && said.contains(says), "{sql}: {refused}: {said}");
    }
    // What does not see the statement as a whole does not disturb.
    assert!(steps(&trigger(true, false), add).contains("row set"));
    assert!(steps(&plain, "UPDATE users SET name = CURRENT_USER").contains("row set"));
    assert!(steps(&plain, "UPDATE users SET name = (SELECT max(name) FROM teams)").contains("row set"));
}

#[test]
fn what_fails_is_said_before() {
    let generated = edit(|users| users.columns[3].generated = Some(Generated::Stored));
    let identity = edit(|users| users.columns[3].identity = Some(Identity::Always));
    for (catalog, sql, sqlstate) in [
        (&users(), "UPDATE users SET nothing = 1", "42703"),
        (&users(), "UPDATE users SET age = nothing", "42703"),
        (&users(), "UPDATE nobody SET age = 1", "42P01"),
        (&generated, "UPDATE users SET age = 1", "428C9"),
        (&identity, "UPDATE users SET age = 1", "428C9"),
    ] {
        let (code, said) = refused(catalog, sql);
        assert!(code == Code::WillFail && said.contains(sqlstate), "{sql}: {said}");
    }
}

#[test]
fn on_a_table_of_the_same_file_it_runs_as_written() {
    let shown = steps(&users(), "CREATE TABLE n (a int); UPDATE n SET a = random()");
    assert!(shown.ends_with("expand: UPDATE n SET a = random()\n"), "{shown}");
}

#[test]
fn the_time_is_read_once() {
    let plan = planned(
        &users(),
        "UPDATE users SET name = to_char(now(), 'YYYY') || name || CURRENT_DATE || id WHERE LOCALTIMESTAMP(0) > '2020-01-01'",
    );
    let shown = show(&plan);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("backfill: DO $concertina$ BEGIN EXECUTE"), "{shown}");
    let function = lines[2].trim_start_matches("backfill: DROP FUNCTION IF EXISTS ");
    assert_eq!(
        lines[1],
        format!(
            "backfill public.users by key [id], row set: name = to_char({function}, 'YYYY') || users.name || \
             ({function}::date) || users.id where true"
        )
    );
    let Action::Backfill(backfill) = &plan.steps[1].action else { panic!("{plan:?}") };
    let Walk::RowSet(row_set) = &backfill.walk else { panic!("{plan:?}") };
    assert_eq!(row_set.filter, Some(format!("({function}::timestamp(0)) > '2020-01-01'")));
}

#[test]
fn kept_rows_are_put_back_by_undo() {
    let plan =
        planned(&users(), "-- concertina:keep-before-image\nUPDATE users SET age = age + 1, name = 'x'");
    let Action::Transaction { sql } = &plan.steps[0].action else { panic!("{plan:?}") };
    assert!(
        sql[0]
            .contains("AS SELECT id, age, name, age AS concertina_after_1, name AS concertina_after_2 FROM"),
        "{sql:?}"
    );
    assert_eq!(plan.steps[0].archived.len(), 1);
    let Action::Backfill(backfill) = &plan.steps[1].action else { panic!("{plan:?}") };
    assert!(matches!(&backfill.write, Write::Keeping { .. }));
    let Undo::Steps { steps, loses: None } = &plan.steps[1].undo else { panic!("{plan:?}") };
    let Action::Backfill(back) = &steps[0].action else { panic!("{steps:?}") };
    assert!(back.fire_triggers && matches!(&back.write, Write::PutBack { deleted: false, .. }));
    assert!(plan.notices.iter().all(|notice| notice.code != Code::UndoLoses));
    assert!(plan.notices.iter().any(|notice| notice.message.contains("twice the time")));
}

#[test]
fn nothing_is_kept_without_a_key_or_against_irreversible() {
    let keyless = edit(|catalog| {
        catalog.indexes.clear();
        catalog.constraints.clear();
    });
    let (code, said) = refused(&keyless, "-- concertina:keep-before-image\nUPDATE users SET name = 'x'");
    assert!(code == Code::NoRowKey && said.contains("keep its rows by"), "{said}");
    let both =
        "-- concertina:keep-before-image\n-- concertina:irreversible reason: x\nUPDATE users SET name = 'x'";
    let (code, said) = refused(&users(), both);
    assert!(code == Code::Directive && said.contains("contradict"), "{said}");
}
