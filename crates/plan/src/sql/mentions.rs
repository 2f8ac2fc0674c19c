//! The names that a text has as words. Bodies of functions are text to the server: what they name is found when they run.
//!
//! A word in a comment or a string counts too, since dynamic SQL is a string; a name that is put together at run time is
//! not found. So what is found may be harmless, and what is not found may still be there.

use std::collections::BTreeSet;

use crate::sql::ident::Ident;

/// Words that `known` knows, unquoted ones in lower case.
pub fn of(text: &str, known: impl Fn(&Ident) -> bool) -> BTreeSet<Ident> {
    let plain = text
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$')))
        .filter(|word| !word.is_empty())
        .map(|word| Ident::new(word.to_lowercase()));
    plain.chain(quoted(text)).filter(known).collect()
}

/// What stands between double quotes, wherever it begins: text outside of a pair may lie between two quotes too.
fn quoted(text: &str) -> impl Iterator<Item = Ident> {
    let starts = text.match_indices('"').map(|(at, _)| at + 1);
    starts.filter_map(|start| {
        let mut name = String::new();
        let mut chars = text[start..].chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if chars.peek() == Some(&'"') => {
                    chars.next();
                    name.push('"');
                }
                '"' => return (!name.is_empty()).then(|| Ident::new(name)),
                '\n' => return None,
                c if name.len() > 64 && c != '"' => return None,
                c => name.push(c),
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::sql::ident::Ident;

    #[test]
    fn words_and_quoted_names() {
        let body = r#"INSERT INTO Users(id) SELECT id FROM "Or""der" WHERE x = 'users_old'; -- orders"#;
        let known = ["users", "Or\"der", "orders", "id", "Users"].map(Ident::new);
        let found: Vec<Ident> = of(body, |word| known.contains(word)).into_iter().collect();
        assert_eq!(found, ["Or\"der", "id", "orders", "users"].map(Ident::new));
        assert!(of("users_old user", |word| *word == Ident::new("users")).is_empty());
    }
}
