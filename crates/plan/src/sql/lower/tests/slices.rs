//! Clauses are sliced from the source whatever stands in and between them.

use proptest::prelude::*;

use super::{catalog, changes, folded, read_with};
use crate::change::Change;
use crate::sql::ident::Ident;

/// An identifier as the catalog has it.
fn ident() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_]{0,8}",
        "[A-Za-z0-9 ,;()'\"$.-]{1,12}",
        "[äéß漢🦀\\[\\]:\\\\/*]{1,5}",
        Just("where".to_owned()),
        Just("check".to_owned()),
        Just("default".to_owned()),
        Just("not valid".to_owned()),
    ]
}

/// An expression that may stand in DEFAULT.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("1".to_owned()),
        Just("-2.5e3".to_owned()),
        Just("NULL".to_owned()),
        Just("now()".to_owned()),
        Just("CURRENT_TIMESTAMP".to_owned()),
        Just("'it''s, ) where -- no comment'".to_owned()),
        Just("E'a\\'b, DEFAULT'".to_owned()),
        Just("$tag$ , ) NOT NULL $ -- $tag$".to_owned()),
        Just("U&'d\\0061ta'".to_owned()),
        Just("'a' /* , */\n  'b'".to_owned().replace(" /* , */", "")),
        Just("'{}'::int[]".to_owned()),
        Just("interval '1 day'".to_owned()),
        Just("ARRAY[1, 2, 3]".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("coalesce({a}, /* , */ {b})")),
            inner.clone().prop_map(|a| format!("CASE WHEN {a} IS DISTINCT FROM 1 THEN 2 ELSE 3 END")),
            inner.prop_map(|a| format!("(({a}))")),
        ]
    })
}

/// What may stand between two tokens.
fn blank() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(" ".to_owned()),
        Just("\n\t".to_owned()),
        Just(" /* , ( ' \" $x$ */ ".to_owned()),
        Just(" -- it's, (\n".to_owned()),
        Just("/* a /* nested; */ b */".to_owned()),
    ]
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn of_add_column(
        (table, column, other) in (ident(), ident(), ident()),
        default in expression(),
        b in proptest::collection::vec(blank(), 16),
    ) {
        prop_assume!(column != other && !table.is_empty());
        let ddl = format!("CREATE TABLE {} ({} text)", quoted(&table), quoted(&other));
        let check = format!("{} <> '),' AND length({}) > 0", quoted(&column), quoted(&other));
        let sql = format!(
            "ALTER{}TABLE{}{}{}ADD{}{}{}varchar(9){}COLLATE{}\"C\"{}DEFAULT{}{default}{}NOT{}NULL{}CHECK{}({}{check}{}) , ADD z int",
            b[0], b[1], quoted(&table), b[2], b[3], quoted(&column), b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14]
        );
        let changes = changes(&ddl, &sql);
        let Change::AddColumn(added) = &changes[0] else { panic!("not a column") };
        prop_assert_eq!(&added.column, &Ident::new(column.clone()));
        prop_assert_eq!(&added.data_type, "character varying(9)");
        prop_assert_eq!(&added.options, &format!("COLLATE{}\"C\"", b[6]));
        prop_assert_eq!(&added.default.as_ref().expect("has one").text, &default);
        prop_assert!(added.not_null);
        let Change::AddCheck(added) = &changes[1] else { panic!("not a check") };
        prop_assert_eq!(&added.expr.text, &check);
        prop_assert_eq!(
            added.expr.rewrite(|name| format!("<{}>", name.as_str())),
            format!("<{}> <> '),' AND length(<{}>) > 0", Ident::new(column).as_str(), Ident::new(other).as_str())
        );
    }

    #[test]
    fn of_update(
        (table, column, other, alias) in (ident(), ident(), ident(), ident()),
        value in expression(),
        b in proptest::collection::vec(blank(), 12),
    ) {
        prop_assume!(column != other);
        let ddl = format!("CREATE TABLE {} ({} text, {} text)", quoted(&table), quoted(&column), quoted(&other));
        let filter = format!("{}.{} IS DISTINCT FROM 'where'", quoted(&alias), quoted(&other));
        let sql = format!(
            "UPDATE{}{}{}AS{}{}{}SET{}{}{}={}{value}{},{}{} = {}.{} WHERE{}{filter}{};",
            b[0], quoted(&table), b[1], b[2], quoted(&alias), b[3], b[4], quoted(&column), b[5], b[6], b[7], b[8],
            quoted(&other), quoted(&alias), quoted(&column), b[9], b[10]
        );
        let changes = changes(&ddl, &sql);
        let Change::UpdateTable(update) = &changes[0] else { panic!("not an update") };
        prop_assert_eq!(&update.set[0].1.text, &value);
        prop_assert_eq!(update.set[1].1.rewrite(|_| "x".to_owned()), "x");
        prop_assert_eq!(&update.filter.as_ref().expect("has one").text, &filter);
        prop_assert_eq!(&update.sql, &sql[..sql.len() - 1 - b[10].len()]);
    }

    #[test]
    fn of_create_table_and_index(
        (table, column, other) in (ident(), ident(), ident()),
        default in expression(),
        b in proptest::collection::vec(blank(), 12),
    ) {
        prop_assume!(column != other);
        let sql = format!(
            "CREATE TABLE{}{}{}({}{}{}text{}DEFAULT{}{default}{},{}{} bigint{}CHECK ({} > 0));CREATE INDEX ON{}{}{}(({} || ';'), {} DESC)",
            b[0], quoted(&table), b[1], b[2], quoted(&column), b[3], b[4], b[5], b[6], b[7], quoted(&other), b[8],
            quoted(&other), b[9], quoted(&table), b[10], quoted(&column), quoted(&other)
        );
        let catalog = folded(&sql, &catalog(""));
        let relation = catalog.relations.values().next().expect("is made");
        prop_assert_eq!(relation.columns[0].default.as_ref(), Some(&default));
        prop_assert_eq!(&relation.constraints[0].definition, &format!("CHECK ({} > 0)", quoted(&other)));
        let body = format!("(({} || ';'), {} DESC)", quoted(&column), quoted(&other));
        prop_assert!(relation.indexes[0].definition.ends_with(&body));
    }

    #[test]
    fn and_no_text_panics(text in "[a-zA-Z0-9'\"$;(),:\\\\.\\-/* \n{}\\[\\]äé🦀]{0,60}") {
        let _ = crate::sql::read(&text, &catalog(""), &crate::policy::Policy::default());
        let _ = crate::sql::read(&format!("-- concertina:{text}\nSELECT 1"), &catalog(""), &crate::policy::Policy::default());
        let _ = read_with;
    }
}
