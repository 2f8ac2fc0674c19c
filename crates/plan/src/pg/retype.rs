//! Which changes of a column's type leave its rows as they are stored.
//!
//! Source: `ATColumnChangeRequiresRewrite` in src/backend/commands/tablecmds.c, the casts without function of pg_cast.dat, and the
//! support functions that drop a length coercion: `varchar_support`, `numeric_support`, `varbit_support`, `interval_support`,
//! `TemporalSimplify`. Each pair is measured by a case, on 14 to 18.

/// Whether values of the one type are values of the other as they stand. Types are spelt as `format_type` does; for any that are
/// not known here the answer is no.
pub fn stored_alike(old: &str, new: &str) -> bool {
    let (Some(old), Some(new)) = (Spelt::read(old), Spelt::read(new)) else { return old == new };
    let wider = |most: u32| match (old.first(), new.first()) {
        (_, None) => true,
        (_, Some(new)) if new >= most => true,
        (Some(old), Some(new)) => old <= new,
        (None, Some(_)) => false,
    };
    match (old.base, new.base) {
        ("character varying", "character varying") | ("bit varying", "bit varying") => wider(u32::MAX),
        ("character varying", "text") => true,
        ("text", "character varying") => new.modifiers.is_empty(),
        ("numeric", "numeric") => match (&old.modifiers[..], &new.modifiers[..]) {
            (_, []) => true,
            ([precision, scale], [wider, same]) => precision <= wider && scale == same,
            _ => false,
        },
        // Six digits are all there are.
        (one, other) if one == other && TEMPORAL.contains(&one) => wider(6),
        ("cidr", "inet") | ("integer", "oid") | ("oid", "integer") => true,
        _ => old == new,
    }
}

/// Whether an index over the one type serves the other: its operators are the same.
/// Source: `CheckIndexCompatible` in src/backend/commands/indexcmds.c compares operator classes.
pub fn same_operators(old: &str, new: &str) -> bool {
    !matches!((old, new), ("integer", "oid") | ("oid", "integer"))
}

/// Types whose modifier is a precision of seconds.
const TEMPORAL: [&str; 5] = [
    "interval",
    "time with time zone",
    "time without time zone",
    "timestamp with time zone",
    "timestamp without time zone",
];

/// A type's name without its modifiers, and these.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spelt<'a> {
    base: &'a str,
    modifiers: Vec<u32>,
}

impl<'a> Spelt<'a> {
    /// `None` for what has no modifiers of this sort: arrays, intervals with fields, negative scales.
    fn read(text: &'a str) -> Option<Self> {
        let Some((head, rest)) = text.split_once('(') else {
            return (!text.ends_with(']')).then_some(Self { base: text, modifiers: Vec::new() });
        };
        let (inside, tail) = rest.split_once(')')?;
        let modifiers =
            inside.split(',').map(|number| number.trim().parse().ok()).collect::<Option<Vec<u32>>>()?;
        let base = match (head, tail) {
            (_, "") => head,
            ("time", " with time zone") => "time with time zone",
            ("time", " without time zone") => "time without time zone",
            ("timestamp", " with time zone") => "timestamp with time zone",
            ("timestamp", " without time zone") => "timestamp without time zone",
            _ => return None,
        };
        Some(Self { base, modifiers })
    }

    fn first(&self) -> Option<u32> {
        self.modifiers.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::stored_alike;

    #[test]
    fn wider_is_alike_and_narrower_is_not() {
        for (old, new) in [
            ("character varying(10)", "character varying(20)"),
            ("character varying(10)", "character varying"),
            ("character varying(10)", "text"),
            ("text", "character varying"),
            ("numeric(5,2)", "numeric(9,2)"),
            ("numeric(5,2)", "numeric"),
            ("bit varying(3)", "bit varying(4)"),
            ("timestamp(3) with time zone", "timestamp with time zone"),
            ("timestamp with time zone", "timestamp(6) with time zone"),
            ("interval(0)", "interval(3)"),
            ("cidr", "inet"),
            ("integer", "integer"),
            ("text[]", "text[]"),
        ] {
            assert!(stored_alike(old, new), "{old} to {new}");
        }
        for (old, new) in [
            ("character varying(10)", "character varying(9)"),
            ("character varying", "character varying(9)"),
            ("text", "character varying(9)"),
            ("character(3)", "character(4)"),
            ("character(3)", "text"),
            ("numeric(5,2)", "numeric(9,3)"),
            ("numeric", "numeric(9,3)"),
            ("numeric(5,2)", "numeric(4,2)"),
            ("timestamp with time zone", "timestamp(3) with time zone"),
            ("timestamp with time zone", "timestamp without time zone"),
            ("time(3) with time zone", "timestamp(3) with time zone"),
            ("integer", "bigint"),
            ("inet", "cidr"),
            ("character varying(10)[]", "character varying(20)[]"),
            ("json", "jsonb"),
        ] {
            assert!(!stored_alike(old, new), "{old} to {new}");
        }
    }
}
