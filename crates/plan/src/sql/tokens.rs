//! The tokens of a file with their byte ranges and nesting, and how clauses are sliced by them. The text of a clause is
//! always the user's own: the parser's deparse is never used.

use std::ops::Range;

pub(crate) use pg_query::protobuf::Token as Kind;

use crate::sql::parser_ffi;

/// A token that is not a comment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
    /// What it is.
    pub(crate) kind: Kind,
    /// Parentheses and brackets open around it; an opening and its closing one count as outside.
    pub(crate) depth: u32,
}

/// All tokens of a text, in order.
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'a> {
    /// The text.
    pub(crate) text: &'a str,
    /// Tokens, comments excepted.
    pub(crate) list: Vec<Token>,
    /// Comments.
    pub(crate) comments: Vec<Range<usize>>,
}

impl<'a> Tokens<'a> {
    /// Scans a text that PostgreSQL's parser has accepted. `None` when its scanner does not.
    pub(crate) fn scan(text: &'a str) -> Option<Self> {
        let mut list = Vec::new();
        let mut comments = Vec::new();
        let mut depth = 0_u32;
        if text.bytes().all(|byte| b" \t\n\r\x0b\x0c".contains(&byte)) {
            // The crate reads through a null pointer when there is no token.
            return Some(Self { text, list, comments });
        }
        let scanned = {
            let _guard = parser_ffi::one_at_a_time();
            pg_query::scan_tokens(text).ok()?
        };
        for raw in scanned {
            let start = usize::try_from(raw.start).ok()?;
            let end = usize::try_from(raw.end).ok()?;
            let kind = Kind::try_from(raw.token).ok()?;
            if matches!(kind, Kind::SqlComment | Kind::CComment) {
                comments.push(start..end);
                continue;
            }
            if matches!(kind, Kind::Ascii41 | Kind::Ascii93) {
                depth = depth.saturating_sub(1);
            }
            list.push(Token { start, end, kind, depth });
            if matches!(kind, Kind::Ascii40 | Kind::Ascii91) {
                depth += 1;
            }
        }
        Some(Self { text, list, comments })
    }

    /// Index of the first token that starts at or after a byte.
    pub(crate) fn at(&self, byte: usize) -> usize {
        self.list.partition_point(|token| token.start < byte)
    }

    /// The token, or `None` past the end.
    pub(crate) fn get(&self, index: usize) -> Option<&Token> {
        self.list.get(index)
    }

    /// Kind of a token, [`Kind::Nul`] past the end.
    pub(crate) fn kind(&self, index: usize) -> Kind {
        self.list.get(index).map_or(Kind::Nul, |token| token.kind)
    }

    /// Source text of tokens `from..to`, blanks and comments at its ends left out.
    pub(crate) fn slice(&self, from: usize, to: usize) -> &'a str {
        &self.text[self.bytes(from, to)]
    }

    /// Byte range of tokens `from..to`.
    pub(crate) fn bytes(&self, from: usize, to: usize) -> Range<usize> {
        if from >= to || to > self.list.len() {
            let at = self.list.get(from).map_or(self.text.len(), |token| token.start);
            return at..at;
        }
        self.list[from].start..self.list[to - 1].end
    }

    /// First token from `from` (before `to`) that satisfies `wanted` at the depth of token `from`.
    pub(crate) fn find(&self, from: usize, to: usize, mut wanted: impl FnMut(Kind) -> bool) -> Option<usize> {
        let depth = self.list.get(from)?.depth;
        (from..to.min(self.list.len())).find(|&i| self.list[i].depth == depth && wanted(self.list[i].kind))
    }

    /// One past the end of the list element that begins at `from`: the next comma at its depth, or the parenthesis that
    /// closes the list, or `to`.
    pub(crate) fn element_end(&self, from: usize, to: usize) -> usize {
        let Some(first) = self.list.get(from) else { return to };
        (from..to.min(self.list.len()))
            .find(|&i| {
                let token = self.list[i];
                token.depth < first.depth || (token.depth == first.depth && token.kind == Kind::Ascii44)
            })
            .unwrap_or(to)
    }

    /// Token that closes the parenthesis or bracket at `open`.
    pub(crate) fn close(&self, open: usize) -> usize {
        let Some(token) = self.list.get(open) else { return self.list.len() };
        (open + 1..self.list.len()).find(|&i| self.list[i].depth <= token.depth).unwrap_or(self.list.len())
    }

    /// Index after a possibly qualified name that begins at `from`: `a`, `a.b`, `a.*`. `U&"…" UESCAPE '…'` counts as one part.
    pub(crate) fn after_name(&self, from: usize) -> usize {
        let mut at = self.after_part(from);
        while self.kind(at) == Kind::Ascii46 {
            at = self.after_part(at + 1);
        }
        at
    }

    fn after_part(&self, from: usize) -> usize {
        if self.kind(from) == Kind::Uident && self.kind(from + 1) == Kind::Uescape {
            from + 3
        } else {
            from + 1
        }
    }

    /// Line of a byte, from 1.
    pub(crate) fn line(&self, byte: usize) -> usize {
        line(self.text, byte)
    }
}

/// Line of a byte, from 1.
pub(crate) fn line(text: &str, byte: usize) -> usize {
    text.as_bytes()[..byte.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_elements_and_names() {
        let text =
            "f(a, (b), \"c,d\" /* , */ || $q$,$q$), x.\"y\".z -- ,\n, U&\"d\\0061t\" UESCAPE '!' .q end";
        let tokens = Tokens::scan(text).expect("scans");
        let end = tokens.list.len();
        assert_eq!(tokens.slice(0, tokens.element_end(0, end)), "f(a, (b), \"c,d\" /* , */ || $q$,$q$)");
        assert_eq!(tokens.slice(2, tokens.element_end(2, end)), "a");
        let open = tokens.find(0, end, |kind| kind == Kind::Ascii40).expect("has one");
        assert_eq!(tokens.close(open) + 1, tokens.element_end(0, end));
        let second = tokens.element_end(0, end) + 1;
        assert_eq!(tokens.slice(second, tokens.after_name(second)), "x.\"y\".z");
        let third = tokens.element_end(second, end) + 1;
        assert_eq!(tokens.slice(third, tokens.after_name(third)), "U&\"d\\0061t\" UESCAPE '!' .q");
        assert_eq!(tokens.comments.len(), 2);
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!(
            (line("a\nb\n", 0), line("a\nb\n", 1), line("a\nb\n", 2), line("a\nb\n", 4)),
            (1, 1, 2, 3)
        );
    }
}
