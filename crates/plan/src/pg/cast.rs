//! What becomes of a value that is assigned to a column of another type: whether PostgreSQL does so by itself, whether it can fail,
//! and whether the way back gives the same value again.
//!
//! Source: pg_cast.dat (`castcontext`), "Value Storage" in doc/src/sgml/typeconv.sgml: values of any type are assigned to string
//! types by their output function. Types are spelt as `format_type` does.

/// How a value gets from one type to another without USING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// For every value.
    Always,
    /// It raises an error for some values.
    MayFail,
    /// The result depends on the session: its TimeZone or DateStyle.
    BySession,
    /// It is not known whether PostgreSQL does it.
    Unknown,
}

/// How values of `old` are assigned to a column of `new`.
pub fn assigned(old: &str, new: &str) -> Assignment {
    if old == new {
        return Assignment::Always;
    }
    let (from, to) = (Family::of(old), Family::of(new));
    let limited = new.contains('(');
    match (from, to) {
        (Some(from), Some(Family::Text)) if from.follows_the_session() => Assignment::BySession,
        (Some(Family::Text), Some(Family::Text)) | (_, Some(Family::Text)) => {
            if limited || base(new) == "character" { Assignment::MayFail } else { Assignment::Always }
        }
        (Some(Family::Number(Width::Numeric)), Some(Family::Number(Width::Real | Width::Double))) => {
            Assignment::MayFail
        }
        (Some(Family::Number(from)), Some(Family::Number(to))) if from < to && !limited => Assignment::Always,
        (Some(Family::Number(_)), Some(Family::Number(_))) => Assignment::MayFail,
        (Some(one), Some(other)) if one.follows_the_session() && other.follows_the_session() => {
            match (base(old), base(new)) {
                ("interval", "interval") => Assignment::MayFail,
                ("interval", _) | (_, "interval") => Assignment::Unknown,
                (from, to) if zoned(from) != zoned(to) => Assignment::BySession,
                // Rounding may leave the range.
                (from, to) if from == to => Assignment::MayFail,
                ("date", "timestamp without time zone") | ("timestamp without time zone", "date") => {
                    Assignment::MayFail
                }
                _ => Assignment::Unknown,
            }
        }
        _ => match (base(old), base(new)) {
            ("json", "jsonb") => Assignment::MayFail,
            ("jsonb", "json") => Assignment::Always,
            ("bit", "bit" | "bit varying") | ("bit varying", "bit" | "bit varying") => Assignment::MayFail,
            ("inet", "cidr") => Assignment::Unknown,
            ("cidr", "inet") => Assignment::Always,
            _ => Assignment::Unknown,
        },
    }
}

/// Whether it is certain that PostgreSQL does not assign values of `old` to `new` by itself: texts have no cast to these but by their
/// input functions, which take a cast or USING.
pub fn never_assigned(old: &str, new: &str) -> bool {
    let parsed = matches!(Family::of(new), Some(Family::Number(_) | Family::Time))
        || matches!(base(new), "boolean" | "uuid" | "json" | "jsonb" | "inet" | "cidr" | "bytea");
    Family::of(old) == Some(Family::Text) && parsed && !new.ends_with(']')
}

/// Whether a value that went from `old` to `new` is the same after the way back.
pub fn comes_back(old: &str, new: &str) -> bool {
    match (Family::of(old), Family::of(new)) {
        (Some(Family::Number(Width::Small | Width::Integer)), Some(Family::Number(Width::Double))) => true,
        (Some(Family::Number(from)), Some(Family::Number(to))) => {
            from < to && to <= Width::Numeric && !new.contains('(') && !old.contains('(')
        }
        (Some(Family::Text), Some(Family::Text)) => base(old) != "character" && base(new) != "character",
        (_, Some(Family::Text)) => !old.contains('(') && base(new) != "character",
        _ => false,
    }
}

/// Sorts of types that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// By what holds what: every value of a lesser one is a value of the greater.
    Number(Width),
    Text,
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    Small,
    Integer,
    Big,
    Numeric,
    /// Not every integer is a float: they come after, and rounding is no error.
    Real,
    Double,
}

impl Family {
    fn of(data_type: &str) -> Option<Self> {
        if data_type.ends_with(']') {
            return None;
        }
        Some(match base(data_type) {
            "smallint" => Self::Number(Width::Small),
            "integer" => Self::Number(Width::Integer),
            "bigint" => Self::Number(Width::Big),
            "numeric" => Self::Number(Width::Numeric),
            "real" => Self::Number(Width::Real),
            "double precision" => Self::Number(Width::Double),
            "text" | "character varying" | "character" => Self::Text,
            "date" | "interval" => Self::Time,
            name if name.starts_with("time") => Self::Time,
            _ => return None,
        })
    }

    fn follows_the_session(self) -> bool {
        self == Self::Time
    }
}

fn zoned(base: &str) -> bool {
    base.ends_with(" with time zone")
}

/// The type's name without its modifiers: `timestamp(3) with time zone` is `timestamp with time zone`.
fn base(data_type: &str) -> &str {
    let Some((head, rest)) = data_type.split_once('(') else { return data_type };
    match rest.split_once(')').map(|(_, tail)| tail) {
        Some(" with time zone") if head == "time" => "time with time zone",
        Some(" with time zone") => "timestamp with time zone",
        Some(" without time zone") if head == "time" => "time without time zone",
        Some(" without time zone") => "timestamp without time zone",
        _ => head,
    }
}

#[cfg(test)]
mod tests {
    use super::{Assignment, assigned, comes_back};

    #[test]
    fn wider_never_fails_and_narrower_may() {
        for (old, new, wanted) in [
            ("integer", "bigint", Assignment::Always),
            ("smallint", "numeric", Assignment::Always),
            ("bigint", "double precision", Assignment::Always),
            ("uuid", "text", Assignment::Always),
            ("character varying(9)", "character varying(5)", Assignment::MayFail),
            ("bigint", "integer", Assignment::MayFail),
            ("integer", "numeric(5,2)", Assignment::MayFail),
            ("numeric", "real", Assignment::MayFail),
            ("numeric(5,2)", "double precision", Assignment::MayFail),
            ("json", "jsonb", Assignment::MayFail),
            ("timestamp without time zone", "timestamp with time zone", Assignment::BySession),
            ("timestamp(3) with time zone", "date", Assignment::BySession),
            ("date", "text", Assignment::BySession),
            ("timestamp with time zone", "timestamp(3) with time zone", Assignment::MayFail),
            ("text", "integer", Assignment::Unknown),
            ("integer[]", "bigint[]", Assignment::Unknown),
        ] {
            assert_eq!(assigned(old, new), wanted, "{old} to {new}");
        }
    }

    #[test]
    fn what_comes_back() {
        assert!(comes_back("integer", "bigint") && comes_back("uuid", "text"));
        assert!(!comes_back("bigint", "integer") && !comes_back("numeric", "numeric(5,2)"));
        assert!(!comes_back("text", "integer") && !comes_back("bigint", "double precision"));
        assert!(comes_back("integer", "double precision") && !comes_back("character(3)", "text"));
    }
}
