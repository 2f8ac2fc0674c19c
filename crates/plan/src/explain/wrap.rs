//! Breaking text into lines that fit.

/// Widest line, where words allow it.
const WIDTH: usize = 110;

/// Lines made of one text.
pub(super) struct Block {
    pub(super) lines: Vec<String>,
}

impl Block {
    /// Words: blanks and line breaks in the text do not matter.
    pub(super) fn words(first: usize, rest: usize, text: &str) -> Self {
        let mut lines = Vec::new();
        let mut line = " ".repeat(first);
        // A label at the start keeps the blanks behind it.
        let label = text.len() - text.trim_start_matches(|c: char| !c.is_whitespace()).trim_start().len();
        let (label, text) = text.split_at(label);
        line.push_str(label);
        fill(&mut lines, line, rest, text.split_whitespace());
        Self { lines }
    }

    /// Code: its line breaks and indentation stay; a line that is too long goes on deeper.
    pub(super) fn code(first: usize, rest: usize, label: &str, code: &str) -> Self {
        let mut lines = Vec::new();
        let mut start = format!("{}{label}", " ".repeat(first));
        for line in code.lines() {
            let indent = line.len() - line.trim_start().len();
            start.push_str(&line[..indent]);
            fill(&mut lines, start, rest + indent + 2, line.trim().split(' '));
            start = " ".repeat(rest);
        }
        Self { lines }
    }
}

fn fill<'t>(lines: &mut Vec<String>, mut line: String, rest: usize, words: impl Iterator<Item = &'t str>) {
    let mut begun = false;
    for word in words {
        let room = line.chars().count() + usize::from(begun) + word.chars().count() <= WIDTH;
        if begun && !room {
            lines.push(std::mem::replace(&mut line, " ".repeat(rest)));
            begun = false;
        }
        if begun {
            line.push(' ');
        }
        line.push_str(word);
        begun = true;
    }
    lines.push(line);
}
