use super::{explain, lines, rounded};
use crate::kind::shared::proving::{catalog, plan};

const SCHEMA: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, age int)";

#[test]
fn a_plan_in_words() {
    let plan = plan(&catalog(SCHEMA), "ALTER TABLE users ADD CONSTRAINT age_sane CHECK (age >= 0)");
    let expected = "\
Migration 0001_test
Planned for PostgreSQL 15.0

Asked for
  1. ALTER TABLE users ADD CONSTRAINT age_sane CHECK (age >= 0);
     as written: ACCESS EXCLUSIVE on public.users while every row is read: blocks reads and writes
     as written: code that writes rows against age_sane into public.users gets errors (23514) from then on

Validate: proofs, and what could not come before them
  1. Prove that no row breaks CHECK age_sane on public.users
     why    a violator found now stops the migration while nothing is enforced yet
     query  SELECT users.id::text AS id FROM ONLY public.users WHERE NOT (age >= 0) LIMIT 5;
     proves there are no rows of public.users that break CHECK age_sane
     work   reads every row of public.users
     undo   nothing to take back

Contract: what old code could break, and what goes
  2. Add CHECK age_sane to public.users, not yet valid
     why    new rows are checked from here on; rows that exist are not looked at under the strong lock
     sql    ALTER TABLE public.users ADD CONSTRAINT age_sane CHECK (age >= 0) NOT VALID;
     lock   ACCESS EXCLUSIVE on public.users — blocks reads and writes, for an instant
     undo   Drop CHECK age_sane of public.users

  3. Validate CHECK age_sane of public.users
     why    the scan runs beside reads and writes
     sql    ALTER TABLE public.users VALIDATE CONSTRAINT age_sane;
     lock   SHARE UPDATE EXCLUSIVE on public.users — reads and writes go on
     work   reads every row of public.users
     undo   nothing to take back

Notices
  announce: CHECK age_sane on public.users is enforced from contract on; until then code may still write rows
    against it
";
    assert_eq!(explain(&plan), expected);
}

#[test]
fn lines_fit_where_words_allow_it() {
    let plan = plan(
        &catalog(SCHEMA),
        "ALTER TABLE users DROP COLUMN age; CREATE INDEX a_rather_long_name_for_an_index_that_is_not_needed ON users
           (lower(email), length(email)) INCLUDE (email) WHERE id > 10 AND id < 1000 AND length(email) > 3",
    );
    let lines = lines(&plan);
    assert!(lines.iter().any(|line| line.text.chars().count() > 90), "nothing was near the limit");
    for line in lines {
        let words = line.text.split_whitespace().count();
        assert!(line.text.chars().count() <= 110 || words < 3, "{}", line.text);
    }
}

#[test]
fn nothing_to_do() {
    let plan = plan(&catalog(SCHEMA), "ALTER TABLE users DROP COLUMN IF EXISTS nothing");
    assert!(explain(&plan).ends_with("Nothing to do\n  The database is as asked for already.\n"));
}

#[test]
fn estimates_are_rounded() {
    assert_eq!(rounded(0), "0");
    assert_eq!(rounded(99), "99");
    assert_eq!(rounded(1_994), "2,000");
    assert_eq!(rounded(123_456_789), "120,000,000");
}
