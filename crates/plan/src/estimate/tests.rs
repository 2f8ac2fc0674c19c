use std::collections::BTreeMap;

use super::*;
use crate::kind::shared::testing::{catalog, planned as plan_of, table};
use crate::sql::ident::{Ident, Name};

const PACE: Pace = Pace { load: 0.5, batch: 0.000_5 };

fn sizes(rows: u64) -> Sizes {
    let table = Table {
        rows,
        heap: rows * 100,
        toast: 0,
        indexes: BTreeMap::from([(Ident::new("t_pkey"), rows * 20)]),
        widths: BTreeMap::from([(Ident::new("id"), 8), (Ident::new("v"), 20)]),
        unlogged: false,
        ..Table::default()
    };
    Sizes { tables: BTreeMap::from([(Name::new("public", "t"), table)]), ..Sizes::default() }
}

fn sample(measure: Measure, amount: f64, seconds: f64) -> Sample {
    Sample { measure, amount, seconds, pace: PACE }
}

fn planned(sql: &str) -> Plan {
    plan_of(&catalog([table("t", &[("id", "bigint"), ("v", "text")])]), sql)
}

const DERIVED: &str =
    "ALTER TABLE t ADD COLUMN n bigint; UPDATE t SET n = length(v); CREATE INDEX t_n_idx ON t (n);
    ALTER TABLE t ADD CONSTRAINT c CHECK (v <> '')";

#[test]
fn every_kind_of_work_is_measured_in_its_own_unit() {
    let plan = planned(DERIVED);
    let estimates = steps(&plan, &sizes(1_000_000), &[], PACE);
    assert_eq!(estimates.len(), plan.steps.len());
    let of = |measure| estimates.iter().find(|it| it.load.measure == measure).map(|it| it.load.amount);
    assert_eq!(of(Measure::Pages), Some(1_000_000));
    assert_eq!(of(Measure::IndexBuild), Some(100_000_000));
    assert_eq!(of(Measure::Scan), Some(100_000_000));
    assert_eq!(of(Measure::Short), Some(1));
}

#[test]
fn a_range_grows_with_the_size_and_is_never_upside_down() {
    let measured: Vec<Sample> = [Measure::Pages, Measure::Scan, Measure::IndexBuild, Measure::Short]
        .into_iter()
        .flat_map(|measure| [sample(measure, 40_000.0, 1.1), sample(measure, 100_000.0, 2.0)])
        .collect();
    for samples in [&[][..], &measured] {
        for measure in Measure::ALL {
            let mut before = Expected { low: 0.0, high: 0.0, basis: Basis::Unmeasured };
            for power in 0..40 {
                let now = expected(Load { measure, amount: 1 << power }, samples, PACE);
                assert!(now.low <= now.high, "{measure:?} {now:?}");
                assert!(now.low >= before.low && now.high >= before.high, "{measure:?} {now:?} {before:?}");
                before = now;
            }
        }
    }
}

#[test]
fn what_was_measured_lies_within_what_is_expected_of_the_same_again() {
    for seconds in [0.01, 1.0, 1_000.0] {
        for measure in Measure::ALL {
            let amount = if measure == Measure::Short { 1.0 } else { 50_000.0 };
            let again =
                expected(Load { measure, amount: amount as u64 }, &[sample(measure, amount, seconds)], PACE);
            assert_eq!(again.basis, Basis::Measured(1));
            assert!(again.low <= seconds && seconds <= again.high, "{measure:?} {seconds} {again:?}");
        }
    }
}

#[test]
fn a_gentler_backfill_takes_longer_and_an_index_build_does_not() {
    let at = |measure, load| {
        let pace = Pace { load, ..PACE };
        expected(Load { measure, amount: 1_000_000 }, &[sample(measure, 1_000_000.0, 10.0)], pace)
    };
    assert!(at(Measure::Pages, 0.1).low > at(Measure::Pages, 0.5).low * 4.0);
    assert_eq!(at(Measure::IndexBuild, 0.1), at(Measure::IndexBuild, 0.5));
    // Other batches make it less certain, on both sides.
    let other = Pace { batch: 0.004, ..PACE };
    let load = Load { measure: Measure::Key, amount: 1_000_000 };
    let samples = [sample(Measure::Key, 1_000_000.0, 10.0)];
    let (same, changed) = (expected(load, &samples, PACE), expected(load, &samples, other));
    assert!(changed.low < same.low && changed.high > same.high);
}

#[test]
fn small_samples_count_no_more_once_large_ones_are_there() {
    let load = Load { measure: Measure::Scan, amount: 1_000_000_000 };
    let large = sample(Measure::Scan, 1e9, 10.0);
    let alone = expected(load, &[large], PACE);
    assert_eq!(expected(load, &[sample(Measure::Scan, 1e3, 9.0), large], PACE), alone);
    // More of them make the range narrower.
    let three = expected(load, &[large; 3], PACE);
    assert!(three.low > alone.low && three.high < alone.high);
    // What cannot be a measurement is none.
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(expected(load, &[sample(Measure::Scan, bad, 1.0)], PACE).basis, Basis::Unmeasured);
        assert_eq!(expected(load, &[sample(Measure::Scan, 1.0, bad)], PACE).basis, Basis::Unmeasured);
    }
}

#[test]
fn room_grows_with_the_table_and_an_empty_one_needs_none() {
    let plan = planned(DERIVED);
    let room = |rows| {
        let estimates = steps(&plan, &sizes(rows), &[], PACE);
        demands(&estimates, 0..plan.steps.len(), &WalKeeping::default()).last().map(Demand::total)
    };
    assert_eq!(room(0), Some(0));
    assert!(room(1_000_000) > room(1_000));
    // A table that does not exist yet is empty too.
    let nowhere = steps(&plan, &Sizes::default(), &[], PACE);
    let heavy = nowhere.iter().filter(|it| it.load.measure == Measure::IndexBuild);
    assert!(heavy.clone().count() == 1 && heavy.clone().all(|it| it.room == Room::default()));
}

#[test]
fn the_copy_of_a_dropped_column_needs_room_for_its_values() {
    let plan = planned("ALTER TABLE t DROP COLUMN v");
    let estimates = steps(&plan, &sizes(1_000), &[], PACE);
    let copy = estimates.iter().find(|it| it.load.measure == Measure::Key).unwrap();
    assert!(copy.room.keeps >= 1_000 * (20 + 8 + 32), "{copy:?}");
}

#[test]
fn an_unlogged_table_writes_no_wal() {
    let plan = planned(DERIVED);
    let mut sizes = sizes(1_000);
    for table in sizes.tables.values_mut() {
        table.unlogged = true;
    }
    assert!(steps(&plan, &sizes, &[], PACE).iter().all(|it| it.room.wal == 0));
}

#[test]
fn wal_stays_between_checkpoints_and_behind_whoever_does_not_read_it() {
    const GB: u64 = 1 << 30;
    let mut wal = WalKeeping { max_wal_size: GB, keep_size: GB, holders: Vec::new() };
    assert_eq!(wal.kept(GB), GB);
    assert!(wal.kept(100 * GB) < 3 * GB);
    wal.holders.push(Holder { what: "a slot with a limit".into(), limit: Some(10 * GB) });
    assert_eq!(wal.kept(100 * GB), 10 * GB);
    wal.holders.push(Holder { what: "one without".into(), limit: None });
    assert_eq!(wal.kept(100 * GB), 100 * GB);
}

#[test]
fn the_step_at_which_room_runs_out_is_named() {
    let step = |keeps, passing, wal| StepEstimate {
        load: Load { measure: Measure::Scan, amount: 1 },
        expected: expected(Load { measure: Measure::Scan, amount: 1 }, &[], PACE),
        room: Room { keeps, passing, wal },
        elsewhere: BTreeMap::new(),
    };
    let all = [step(100, 0, 0), step(0, 0, 0), step(50, 200, 30), step(10, 0, 0)];
    let wal = WalKeeping { max_wal_size: 10, ..WalKeeping::default() };
    let demanded = demands(&all, [0, 2, 3], &wal);
    assert_eq!(
        demanded.iter().map(|it| (it.step, it.data, it.wal)).collect::<Vec<_>>(),
        [(0, 100, 0), (2, 350, 11), (3, 160, 11)]
    );
    let free = |data, wal| Free { data, wal, spaces: Vec::new(), source: "test".into() };
    assert_eq!(shortage(&demanded, &free(371, None), 10), None);
    let short = shortage(&demanded, &free(370, None), 10).unwrap();
    assert_eq!((short.step, short.need, short.have, short.wal), (2, 361, 360, 11));
    // WAL on a disk of its own counts there.
    assert_eq!(shortage(&demanded, &free(350, Some(11)), 0), None);
    let short = shortage(&demanded, &free(350, Some(10)), 0).unwrap();
    assert_eq!((short.place, short.need), (Lacking::Wal, 11));
    assert_eq!(shortage(&demanded, &free(5, Some(11)), 10).unwrap().have, 0);
}

#[test]
fn each_tablespace_is_compared_with_its_own_file_system() {
    let fast = || Ident::new("Fast");
    let mut sizes = sizes(1_000_000);
    sizes.default_space = Some(Ident::new("archives"));
    let table = sizes.tables.values_mut().next().unwrap();
    (table.space, table.index_spaces) =
        (Some(fast()), BTreeMap::from([(Ident::new("t_pkey"), Ident::new("keys"))]));
    let elsewhere = |sql: &str| {
        let estimates = steps(&planned(sql), &sizes, &[], PACE);
        let mut names: Vec<String> =
            estimates.iter().flat_map(|it| it.elsewhere.keys()).map(ToString::to_string).collect();
        names.sort();
        names.dedup();
        names.join(" ")
    };
    assert_eq!(elsewhere("CREATE INDEX i ON t (v)"), "archives");
    assert_eq!(elsewhere("CREATE INDEX i ON t (v) TABLESPACE \"Fast\" WHERE v <> ''"), "\"Fast\"");
    assert_eq!(elsewhere("ALTER TABLE t ADD CONSTRAINT u UNIQUE (v) USING INDEX TABLESPACE keys"), "keys");
    assert_eq!(elsewhere("CREATE INDEX i ON t (v) TABLESPACE pg_default"), "");
    // Dead versions of rows and of index entries; copies of dropped values.
    assert_eq!(elsewhere(DERIVED), "\"Fast\" archives keys");
    assert_eq!(elsewhere("ALTER TABLE t DROP COLUMN v"), "archives");

    let step = |keeps, fast_keeps| StepEstimate {
        load: Load { measure: Measure::Scan, amount: 1 },
        expected: expected(Load { measure: Measure::Scan, amount: 1 }, &[], PACE),
        room: Room { keeps, passing: 0, wal: 5 },
        elsewhere: BTreeMap::from([(fast(), Used { keeps: fast_keeps, passing: 0 })]),
    };
    let all = [step(10, 10), step(30, 20)];
    let demanded = demands(&all, [0, 1], &WalKeeping { max_wal_size: 100, ..WalKeeping::default() });
    assert_eq!((demanded[1].data, demanded[1].spaces[&fast()], demanded[1].total()), (10, 30, 50));
    let apart = |free, wal| Elsewhere { names: vec![fast()], wal, free };
    let free = |data, spaces| Free { data, wal: None, spaces, source: "test".into() };
    // Known by itself, together with WAL, and not known at all.
    assert_eq!(shortage(&demanded, &free(20, vec![apart(30, false)]), 0), None);
    let short = shortage(&demanded, &free(20, vec![apart(29, false)]), 0).unwrap();
    assert_eq!((short.step, short.need, short.have), (1, 30, 29));
    assert_eq!(short.place.place(), "in tablespace \"Fast\"");
    let wal = Free { wal: Some(30), ..free(20, vec![apart(30, true)]) };
    assert_eq!(shortage(&demanded, &wal, 0).map(|it| (it.need, it.wal)), Some((40, 10)));
    assert_eq!(shortage(&demanded, &free(49, Vec::new()), 0).map(|it| it.place), Some(Lacking::Data));
    assert_eq!(shortage(&demanded, &free(50, Vec::new()), 0), None);
}

#[test]
fn words() {
    let said = |low, high, basis| span(&Expected { low, high, basis });
    assert_eq!(said(0.002, 0.9, Basis::Unmeasured), "under 1 s (nothing measured on this server yet)");
    assert_eq!(said(0.002, 1.0, Basis::Measured(1)), "up to 1 s (as an earlier step on this server)");
    assert_eq!(said(3.2, 300.0, Basis::Measured(4)), "4 s to 5 min (as 4 earlier steps on this server)");
    assert!(said(7_300.0, 1e6, Basis::Unmeasured).starts_with("3 h to 12 days"));
    assert!(said(3.1, 3.2, Basis::Unmeasured).starts_with("about 4 s"));
    assert_eq!(room(&Room::default()), None);
    assert_eq!(
        room(&Room { keeps: 1 << 20, passing: 1 << 20, wal: 1 << 30 }).unwrap(),
        "up to 1.0 MB, and 1.0 MB while it runs; up to 1.0 GB of WAL written"
    );
}
