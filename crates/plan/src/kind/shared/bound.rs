//! What a partition's bound says of its rows, as a CHECK that lets PostgreSQL attach it without a scan.
//!
//! PostgreSQL makes an expression of the bound, and skips the scan of ATTACH where the table's valid CHECKs and NOT NULLs
//! imply it. The text here is read by the server as the same expression; `crates/proof/tests/bounds.rs` measures that, type by
//! type. What cannot be written so is not guessed.
//! Source: `get_qual_from_partbound` in src/backend/partitioning/partbounds.c, `PartConstraintImpliedByRelConstraint` in
//! src/backend/commands/tablecmds.c.

use crate::catalog::{Catalog, Relation, TypeKind};
use crate::sql::ident::{Ident, Name, literal};
use crate::sql::partition::{self, Bound, Edge, PartitionKey, Strategy, Value};

/// PostgreSQL takes longer lists apart only where their arrays are equal in type and order.
/// Source: `MAX_SAOP_ARRAY_SIZE` in src/backend/optimizer/util/predtest.c.
const LONG_LIST: usize = 100;

/// What the rows of a partition of `parent` satisfy: its bound, and those of the partitioned tables above. An error says in
/// words why it cannot be written.
pub(crate) fn whole(
    catalog: &Catalog,
    parent: &Relation,
    child: &Name,
    bound: &Bound,
) -> Result<String, String> {
    let mut terms = Vec::new();
    if let (Some(above), Some(text)) = (&parent.partition_of, &parent.partition_bound) {
        let above = catalog.relation(above).ok_or_else(|| format!("{above} is not known"))?;
        let bound = partition::bound(text).ok_or_else(|| unreadable(&parent.name))?;
        terms.push(whole(catalog, above, &parent.name, &bound)?);
    }
    terms.push(own(catalog, parent, child, bound)?);
    Ok(terms.join(" AND "))
}

/// What the bound alone says.
pub(crate) fn own(
    catalog: &Catalog,
    parent: &Relation,
    child: &Name,
    bound: &Bound,
) -> Result<String, String> {
    let key = key(parent)?;
    let columns = columns(catalog, parent, &key)?;
    match bound {
        Bound::Default => default(catalog, parent, child, &columns),
        Bound::List { values, null } => list(&columns, values, *null),
        Bound::Range { from, to } => {
            let mut terms: Vec<String> = not_null(&columns);
            terms.extend(range(&columns, from, to)?);
            Ok(terms.join(" AND "))
        }
        Bound::Hash { modulus, remainder } => hash(parent, &columns, *modulus, *remainder),
    }
}

/// Every column that [`whole`] names.
pub(crate) fn named(catalog: &Catalog, parent: &Relation) -> Vec<Ident> {
    let mut columns = match parent.partition_of.as_ref().and_then(|above| catalog.relation(above)) {
        Some(above) => named(catalog, above),
        None => Vec::new(),
    };
    for column in &parent.partition_key {
        if !columns.contains(column) {
            columns.push(column.clone());
        }
    }
    columns
}

/// The key of a partitioned table.
pub(crate) fn key(parent: &Relation) -> Result<PartitionKey, String> {
    parent.partition_by.as_deref().and_then(partition::key).ok_or_else(|| unreadable(&parent.name))
}

/// A key column, its type, and whether that is a domain.
type KeyColumn<'a> = (&'a Ident, &'a str, bool);

fn columns<'a>(
    catalog: &Catalog,
    parent: &'a Relation,
    key: &PartitionKey,
) -> Result<Vec<KeyColumn<'a>>, String> {
    let is_domain = |data_type: &str| {
        let domains = catalog.types.values().filter(|t| matches!(t.kind, TypeKind::Domain { .. }));
        domains
            .map(|t| &t.name)
            .any(|name| data_type == name.to_string() || data_type == name.name.to_string())
    };
    let plain = |name: &Option<Ident>| {
        let column = name.as_ref().and_then(|name| parent.column(name))?;
        Some((&column.name, column.data_type.as_str(), is_domain(&column.data_type)))
    };
    key.columns.iter().map(plain).collect::<Option<Vec<_>>>().ok_or_else(|| {
        format!(
            "{} is partitioned by an expression, a collation or an operator class, whose type the catalog does not show",
            parent.name
        )
    })
}

fn unreadable(table: &Name) -> String {
    format!("how {table} is partitioned cannot be read")
}

fn not_null(columns: &[KeyColumn]) -> Vec<String> {
    columns.iter().map(|(column, ..)| format!("{column} IS NOT NULL")).collect()
}

/// A cast to a domain is not folded into a constant; a literal beside a column of it is read as one of its base type.
fn constant(value: &Value, (_, data_type, domain): KeyColumn) -> Result<String, String> {
    let zoned = |name: &str| name.contains("with time zone") || matches!(name, "timestamptz" | "timetz");
    let plain = match &value.cast {
        None => true,
        // From other types the conversion depends on the session's time zone.
        Some(cast) => !zoned(&data_type.to_lowercase()) || zoned(cast),
    };
    if !value.literal || !plain {
        return Err(format!("{} in its bound is not a plain literal", value.text));
    }
    if domain {
        return Ok(value.text.clone());
    }
    Ok(format!("CAST({} AS {data_type})", value.text))
}

/// Source: `get_qual_for_list`.
fn list(columns: &[KeyColumn], values: &[Value], null: bool) -> Result<String, String> {
    let [key] = columns else { return Err("a list has one key column".to_owned()) };
    let column = key.0;
    let among = among(*key, values)?;
    Ok(match (among, null) {
        (None, _) => format!("{column} IS NULL"),
        (Some(among), true) => format!("({column} IS NULL OR {among})"),
        (Some(among), false) => format!("{column} IS NOT NULL AND {among}"),
    })
}

fn among(key: KeyColumn, values: &[Value]) -> Result<Option<String>, String> {
    let (column, data_type, domain) = key;
    let constants = values.iter().map(|value| constant(value, key)).collect::<Result<Vec<_>, _>>()?;
    // A varchar is compared as text, and the array has the type of its elements.
    let relabelled =
        domain || ["character varying", "varchar"].iter().any(|name| data_type.starts_with(name));
    if constants.len() > LONG_LIST && relabelled {
        return Err(format!("a list of more than {LONG_LIST} values of type {data_type}"));
    }
    Ok(match constants.as_slice() {
        [] => None,
        [one] => Some(format!("{column} = {one}")),
        all => Some(format!("{column} = ANY (ARRAY[{}])", all.join(", "))),
    })
}

/// Source: `get_qual_for_range`.
fn range(columns: &[KeyColumn], from: &[Edge], to: &[Edge]) -> Result<Vec<String>, String> {
    if from.len() != columns.len() || to.len() != columns.len() {
        return Err("its bound has not as many values as the key has columns".to_owned());
    }
    let mut terms = Vec::new();
    let mut at = 0;
    // Columns in which both ends have the same value, up to the first in which they have not.
    while let (Some(Edge::Value(low)), Some(Edge::Value(high))) = (from.get(at), to.get(at))
        && low.text == high.text
    {
        terms.push(format!("{} = {}", columns[at].0, constant(low, columns[at])?));
        at += 1;
    }
    terms.extend(side(&columns[at..], &from[at..], Side::Lower)?);
    terms.extend(side(&columns[at..], &to[at..], Side::Upper)?);
    Ok(terms)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Lower,
    Upper,
}

/// Compares rows by their columns in order: `a > 1 OR (a = 1 AND b >= 2)`. MINVALUE and MAXVALUE end the comparison.
fn side(columns: &[KeyColumn], edges: &[Edge], side: Side) -> Result<Option<String>, String> {
    let (strict, loose, open) = match side {
        Side::Lower => (">", ">=", Edge::Min),
        Side::Upper => ("<", "<=", Edge::Max),
    };
    let mut arms: Vec<String> = Vec::new();
    let mut equal: Vec<String> = Vec::new();
    for (at, (key, edge)) in columns.iter().zip(edges).enumerate() {
        let Edge::Value(value) = edge else { break };
        let (column, constant) = (key.0, constant(value, *key)?);
        let next = edges.get(at + 1);
        let operator = match next {
            None if side == Side::Lower => loose,
            Some(next) if *next == open => loose,
            _ => strict,
        };
        let mut arm = equal.clone();
        arm.push(format!("{column} {operator} {constant}"));
        arms.push(if arm.len() == 1 { arm.concat() } else { format!("({})", arm.join(" AND ")) });
        if !matches!(next, Some(Edge::Value(_))) {
            break;
        }
        equal.push(format!("{column} = {constant}"));
    }
    Ok(match arms.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("({})", several.join(" OR "))),
    })
}

/// The function's collation is none in the expression that PostgreSQL makes, and the argument's in one that is written: where
/// the argument has a collation the two differ. Source: `get_qual_for_hash`; measured on 14, 15 and 18.
fn hash(parent: &Relation, columns: &[KeyColumn], modulus: i32, remainder: i32) -> Result<String, String> {
    const WITHOUT_COLLATION: [&str; 14] = [
        "smallint",
        "integer",
        "int",
        "bigint",
        "uuid",
        "numeric",
        "date",
        "timestamp",
        "time",
        "boolean",
        "bytea",
        "oid",
        "inet",
        "real",
    ];
    for (column, data_type, _) in columns {
        let base = data_type.split(['(', ' ']).next().unwrap_or_default();
        if !WITHOUT_COLLATION.contains(&base) && base != "timestamptz" {
            return Err(format!(
                "it is a hash of column {column} of type {data_type}, which may have a collation"
            ));
        }
    }
    let names: Vec<String> = columns.iter().map(|(column, ..)| column.to_string()).collect();
    Ok(format!(
        "satisfies_hash_partition(CAST({}::regclass AS oid), {modulus}, {remainder}, {})",
        literal(&parent.name.to_string()),
        names.join(", ")
    ))
}

/// All that no other partition takes.
fn default(
    catalog: &Catalog,
    parent: &Relation,
    child: &Name,
    columns: &[KeyColumn],
) -> Result<String, String> {
    let mut bounds = Vec::new();
    for name in parent.partitions.iter().filter(|name| *name != child) {
        let bound = catalog
            .relation(name)
            .and_then(|sibling| partition::bound(sibling.partition_bound.as_deref()?))
            .ok_or_else(|| format!("the bound of {name} cannot be read"))?;
        bounds.push(bound);
    }
    let mut ranges = Vec::new();
    let mut values = Vec::new();
    let mut null = false;
    for bound in bounds {
        match bound {
            Bound::Range { from, to } => {
                let terms = range(columns, &from, &to)?;
                ranges.push(if terms.is_empty() {
                    "true".to_owned()
                } else {
                    format!("({})", terms.join(" AND "))
                });
            }
            Bound::List { values: more, null: also } => {
                values.extend(more);
                null |= also;
            }
            Bound::Default | Bound::Hash { .. } => {
                return Err("it has a DEFAULT partition already".to_owned());
            }
        }
    }
    if !ranges.is_empty() {
        let mut terms = not_null(columns);
        terms.push(format!("({})", ranges.join(" OR ")));
        return Ok(format!("NOT ({})", terms.join(" AND ")));
    }
    if values.is_empty() && !null {
        // The only partition takes every row.
        return Ok("true".to_owned());
    }
    if values.len() > LONG_LIST {
        return Err(format!("the other partitions take more than {LONG_LIST} values"));
    }
    Ok(format!("NOT ({})", list(columns, &values, null)?))
}

/// Whether two bounds of one table certainly take the same row.
/// Source: `check_new_partition_bound` in src/backend/partitioning/partbounds.c.
pub(crate) fn overlap(parent: &Relation, one: &Bound, other: &Bound) -> bool {
    match (one, other) {
        (Bound::Default, Bound::Default) => true,
        (Bound::List { values: one, null: first }, Bound::List { values: other, null: second }) => {
            (*first && *second)
                || one.iter().any(|value| {
                    value.literal
                        && value.cast.is_none()
                        && other.iter().any(|other| value.text == other.text)
                })
        }
        (Bound::Hash { modulus: m, remainder: r }, Bound::Hash { modulus: other_m, remainder: other_r }) => {
            let (least, most) = (*m.min(other_m), *m.max(other_m));
            least > 0 && most % least == 0 && r % least == other_r % least
        }
        (Bound::Range { from, to }, Bound::Range { from: other_from, to: other_to }) => {
            let below = |low: &[Edge], high: &[Edge]| certainly_below(parent, low, high);
            below(from, other_to) && below(other_from, to)
        }
        _ => false,
    }
}

/// Whether a range is certainly empty, which ATTACH refuses.
pub(crate) fn empty(parent: &Relation, bound: &Bound) -> bool {
    match bound {
        Bound::Range { from, to } => from == to || certainly_below(parent, to, from),
        _ => false,
    }
}

/// Compares keys of one column that are whole numbers or ISO dates without a time zone; of others nothing is certain.
fn certainly_below(parent: &Relation, low: &[Edge], high: &[Edge]) -> bool {
    let ([low], [high]) = (low, high) else { return false };
    let data_type = match key(parent).ok().and_then(|key| key.columns.into_iter().next().flatten()) {
        Some(column) => parent.column(&column).map_or("", |column| column.data_type.as_str()),
        None => return false,
    };
    match (low, high) {
        (Edge::Max, _) | (_, Edge::Min) => false,
        (Edge::Min, _) | (_, Edge::Max) => true,
        (Edge::Value(low), Edge::Value(high)) => match data_type {
            "smallint" | "integer" | "int" | "bigint" => {
                matches!((number(low), number(high)), (Some(low), Some(high)) if low < high)
            }
            "date" | "timestamp without time zone" => {
                matches!((date(low), date(high)), (Some(low), Some(high)) if low < high)
            }
            _ => false,
        },
    }
}

fn number(value: &Value) -> Option<i64> {
    value.text.trim_matches('\'').parse().ok()
}

/// `'2024-01-01'`, also with midnight behind it, as text that sorts as the date does.
fn date(value: &Value) -> Option<&str> {
    let text = value.text.strip_prefix('\'')?.strip_suffix('\'')?;
    let day = text.strip_suffix(" 00:00:00").unwrap_or(text);
    let shaped = day.len() == 10
        && day.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    (shaped && value.cast.is_none()).then_some(day)
}

/// Whether a strategy takes such a bound.
pub(crate) fn fits(key: &PartitionKey, bound: &Bound) -> bool {
    match (key.strategy, bound) {
        (Strategy::List | Strategy::Range, Bound::Default)
        | (Strategy::List, Bound::List { .. })
        | (Strategy::Hash, Bound::Hash { .. }) => true,
        (Strategy::Range, Bound::Range { from, to }) => {
            from.len() == key.columns.len() && to.len() == key.columns.len()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::shared::proving::catalog;

    fn check(schema: &str, bound: &str) -> Result<String, String> {
        let catalog = catalog(schema);
        let parent = catalog.relation(&Name::new("public", "p")).expect("p is there");
        let bound = partition::bound(bound).expect("it is a bound");
        whole(&catalog, parent, &Name::new("public", "c"), &bound)
    }

    #[test]
    fn ranges_compare_rows_column_by_column() {
        let two = "CREATE TABLE p (a int, b text) PARTITION BY RANGE (a, b)";
        for (bound, said) in [
            (
                "FOR VALUES FROM (1, 'x') TO (2, 'y')",
                "(a > CAST(1 AS integer) OR (a = CAST(1 AS integer) AND b >= CAST('x' AS text))) AND \
                 (a < CAST(2 AS integer) OR (a = CAST(2 AS integer) AND b < CAST('y' AS text)))",
            ),
            (
                "FOR VALUES FROM (1, 'x') TO (1, 'y')",
                "a = CAST(1 AS integer) AND b >= CAST('x' AS text) AND b < CAST('y' AS text)",
            ),
            (
                "FOR VALUES FROM (1, MINVALUE) TO (2, MAXVALUE)",
                "a >= CAST(1 AS integer) AND a <= CAST(2 AS integer)",
            ),
            (
                "FOR VALUES FROM (1, MAXVALUE) TO (2, MINVALUE)",
                "a > CAST(1 AS integer) AND a < CAST(2 AS integer)",
            ),
        ] {
            assert_eq!(check(two, bound), Ok(format!("a IS NOT NULL AND b IS NOT NULL AND {said}")));
        }
        assert_eq!(
            check(two, "FOR VALUES FROM (MINVALUE, MINVALUE) TO (MAXVALUE, MAXVALUE)"),
            Ok("a IS NOT NULL AND b IS NOT NULL".to_owned())
        );
    }

    #[test]
    fn lists_with_and_without_null() {
        let schema = "CREATE TABLE p (a text) PARTITION BY LIST (a)";
        for (bound, said) in [
            ("FOR VALUES IN ('x')", "a IS NOT NULL AND a = CAST('x' AS text)"),
            ("FOR VALUES IN ('x', NULL)", "(a IS NULL OR a = CAST('x' AS text))"),
            ("FOR VALUES IN (NULL)", "a IS NULL"),
            (
                "FOR VALUES IN ('x', 'y')",
                "a IS NOT NULL AND a = ANY (ARRAY[CAST('x' AS text), CAST('y' AS text)])",
            ),
        ] {
            assert_eq!(check(schema, bound).as_deref(), Ok(said));
        }
    }

    #[test]
    fn the_default_partition_takes_the_rest_and_levels_add_up() {
        let schema = "CREATE TABLE r (a int, b int) PARTITION BY RANGE (a);
            CREATE TABLE p PARTITION OF r FOR VALUES FROM (0) TO (9) PARTITION BY LIST (b);
            CREATE TABLE one PARTITION OF p FOR VALUES IN (1)";
        assert_eq!(
            check(schema, "DEFAULT").as_deref(),
            Ok("a IS NOT NULL AND a >= CAST(0 AS integer) AND a < CAST(9 AS integer) AND \
                NOT (b IS NOT NULL AND b = CAST(1 AS integer))")
        );
    }

    #[test]
    fn what_cannot_be_written_says_why() {
        for (schema, bound, word) in [
            ("CREATE TABLE p (a text) PARTITION BY LIST (lower(a))", "FOR VALUES IN ('x')", "expression"),
            (
                "CREATE TABLE p (a text) PARTITION BY HASH (a)",
                "FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
                "collation",
            ),
            (
                "CREATE TABLE p (a date) PARTITION BY RANGE (a)",
                "FOR VALUES FROM (now()) TO (MAXVALUE)",
                "literal",
            ),
            (
                "CREATE TABLE p (a timestamptz) PARTITION BY LIST (a)",
                "FOR VALUES IN ('2024-01-01'::date)",
                "literal",
            ),
        ] {
            let why = check(schema, bound).expect_err("it cannot");
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn certain_overlaps() {
        for (by, one, other, expected) in [
            ("RANGE (i)", "FOR VALUES FROM (0) TO (10)", "FOR VALUES FROM (9) TO (20)", true),
            ("RANGE (i)", "FOR VALUES FROM (0) TO (10)", "FOR VALUES FROM ('10') TO (MAXVALUE)", false),
            (
                "RANGE (d)",
                "FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
                "FOR VALUES FROM (MINVALUE) TO ('2024-01-02')",
                true,
            ),
            ("RANGE (t)", "FOR VALUES FROM ('a') TO ('c')", "FOR VALUES FROM ('b') TO ('d')", false),
            ("LIST (t)", "FOR VALUES IN ('a', 'b')", "FOR VALUES IN ('b')", true),
            ("LIST (t)", "FOR VALUES IN ('a', NULL)", "FOR VALUES IN (NULL)", true),
            (
                "HASH (i)",
                "FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
                "FOR VALUES WITH (MODULUS 4, REMAINDER 3)",
                true,
            ),
            (
                "HASH (i)",
                "FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
                "FOR VALUES WITH (MODULUS 4, REMAINDER 2)",
                false,
            ),
        ] {
            let catalog = catalog(&format!("CREATE TABLE p (i int, d date, t text) PARTITION BY {by}"));
            let parent = catalog.relation(&Name::new("public", "p")).expect("p is there");
            let read = |text| partition::bound(text).expect("it is a bound");
            assert_eq!(overlap(parent, &read(one), &read(other)), expected, "{one} {other}");
        }
        let catalog = catalog("CREATE TABLE p (i int) PARTITION BY RANGE (i)");
        let parent = catalog.relation(&Name::new("public", "p")).expect("p is there");
        let read = |text| partition::bound(text).expect("it is a bound");
        assert!(empty(parent, &read("FOR VALUES FROM (10) TO (10)")));
        assert!(!empty(parent, &read("FOR VALUES FROM (9) TO (10)")));
    }
}
