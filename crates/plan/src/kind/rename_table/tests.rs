use crate::catalog::Function;
use crate::diagnostic::Code;
use crate::kind::shared::proving::{catalog, catalog_on, plan};
use crate::kind::shared::testing::{refused, show};
use crate::plan::{Phase, Undo};
use crate::sql::ident::{Ident, Name};

const SCHEMA: &str = "CREATE TABLE users (id serial PRIMARY KEY, name text DEFAULT 'x', low text GENERATED ALWAYS AS (lower(name)) STORED);
    CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users);
    CREATE VIEW names AS SELECT name FROM users;
    CREATE SCHEMA app";

#[test]
fn a_view_first_and_the_name_at_contract() {
    let plan = plan(&catalog(SCHEMA), "ALTER TABLE users RENAME TO people");
    let phases: Vec<Phase> = plan.steps.iter().map(|step| step.phase).collect();
    assert_eq!(phases, [Phase::Expand, Phase::Contract]);
    assert!(plan.steps[0].locks.is_empty());
    let shown = show(&plan);
    for part in [
        "CREATE VIEW public.people WITH (security_invoker = true) AS SELECT id, name, low FROM public.users",
        "ALTER VIEW public.people ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass), ALTER COLUMN name SET DEFAULT 'x'",
        "DROP VIEW public.people",
        "ALTER TABLE public.users RENAME TO people",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(
        plan.steps
            .iter()
            .all(|step| matches!(&step.undo, Undo::Steps { steps, loses: None } if steps.len() == 1))
    );
}

#[test]
fn another_schema_is_another_name() {
    let shown = show(&plan(&catalog(SCHEMA), "ALTER TABLE users SET SCHEMA app"));
    assert!(
        shown.contains("CREATE VIEW app.users ") && shown.contains("ALTER TABLE public.users SET SCHEMA app"),
        "{shown}"
    );
    assert!(
        show(&plan(&catalog(SCHEMA), "ALTER VIEW names RENAME TO n"))
            .contains("ALTER VIEW public.names RENAME TO n")
    );
}

#[test]
fn row_security_needs_fifteen() {
    let secured = |major| {
        let mut catalog = catalog_on(major, SCHEMA);
        let users = catalog.relations.get_mut(&Name::new("public", "users")).expect("is there");
        users.row_security = true;
        catalog
    };
    assert_eq!(plan(&secured(15), "ALTER TABLE users RENAME TO people").steps.len(), 2);
    let (code, said) = refused(&secured(14), "ALTER TABLE users RENAME TO people");
    assert!(code == Code::NoOnlineForm && said.contains("row level security"), "{said}");
    assert!(
        !show(&plan(&catalog_on(14, SCHEMA), "ALTER TABLE users RENAME TO people"))
            .contains("security_invoker")
    );
}

#[test]
fn functions_that_name_it_are_named() {
    let mut catalog = catalog(SCHEMA);
    let volatility = crate::catalog::Volatility::Stable;
    let mut function = Function::new(Name::new("public", "count_users"), "a integer", volatility);
    function.mentions.insert(Ident::new("users"));
    catalog.functions.insert(function);
    let plan = plan(&catalog, "ALTER TABLE users RENAME TO people");
    assert!(plan.notices.iter().any(|notice| notice.message.contains("public.count_users(a integer)")));
}

#[test]
fn what_is_taken_or_missing_fails() {
    for (sql, state) in [
        ("ALTER TABLE users RENAME TO orders", "42P07"),
        ("ALTER TABLE users RENAME TO orders_pkey", "42P07"),
        ("ALTER TABLE users SET SCHEMA nowhere", "3F000"),
        ("ALTER TABLE users RENAME TO mood", "42710"),
    ] {
        let (code, said) = refused(&catalog(&format!("{SCHEMA}; CREATE TYPE mood AS ENUM ('a')")), sql);
        assert!(code == Code::WillFail && said.contains(state), "{said}");
    }
}

#[test]
fn what_follows_in_the_file_must_not_touch_it() {
    for after in [
        "ALTER TABLE people ADD COLUMN x int",
        "CREATE VIEW v AS SELECT id FROM people",
        "CREATE TABLE users (id int)",
    ] {
        let (code, said) = refused(&catalog(SCHEMA), &format!("ALTER TABLE users RENAME TO people; {after}"));
        assert!(code == Code::SplitFile && said.contains("at contract only"), "{after}: {said}");
    }
    let before =
        plan(&catalog(SCHEMA), "ALTER TABLE users ADD COLUMN x int; ALTER TABLE users RENAME TO people");
    assert!(show(&before).contains("SELECT id, name, low, x FROM public.users"));
}
