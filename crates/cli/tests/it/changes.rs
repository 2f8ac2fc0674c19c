//! docs/changes/: a page a kind, made from the doc comment of its file and from its cases, whose plans the case harness runs.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::docs::{check_file, check_part};

/// Folders of cases that are about no one kind.
const OTHERS: [&str; 2] = ["as_written", "refused"];

#[test]
fn pages() {
    let mut index = "\n".to_owned();
    for kind in folders(&crate::root("tests/cases")).iter().filter(|kind| !OTHERS.contains(&kind.as_str())) {
        let page = Page::of(kind);
        check_file(&format!("docs/changes/{kind}.md"), &page.text(kind));
        writeln!(index, "- [{}](changes/{kind}.md)", page.title).unwrap();
    }
    check_part("docs/kinds.md", "changes", &format!("{index}\n"));
}

struct Page {
    title: String,
    prose: String,
}

impl Page {
    /// The doc comment of the kind's file: its first sentence starts with the title and a colon, if it has one.
    fn of(kind: &str) -> Self {
        let file = match kind {
            "derived_column" => "add_column/derived".to_owned(),
            kind => kind.to_owned(),
        };
        let source = fs::read_to_string(crate::root(&format!("crates/plan/src/kind/{file}.rs"))).unwrap();
        let comment: Vec<&str> = source
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        let comment = comment.join("\n").replace("[`", "`").replace("`]", "`");
        match comment.split_once(": ") {
            Some((title, prose))
                if title.starts_with(|c: char| c.is_uppercase()) && !title.contains('\n') =>
            {
                let mut prose = prose.to_owned();
                prose[..1].make_ascii_uppercase();
                Self { title: title.to_owned(), prose }
            }
            _ => Self { title: kind.replace('_', " "), prose: comment },
        }
    }

    fn text(&self, kind: &str) -> String {
        let root = crate::root(&format!("tests/cases/{kind}"));
        let cases = folders(&root);
        let run = |case: &&String| !case.starts_with("refused");
        let example = cases.iter().find(|case| *case == "plain").or_else(|| cases.iter().find(run)).unwrap();
        let read = |file: &str| fs::read_to_string(root.join(example).join(file)).unwrap();
        let mut text = format!(
            "# {}\n\n<!-- Generated from the kind's file and its cases by crates/cli/tests/it/changes.rs. -->\n\n{}\n",
            self.title, self.prose
        );
        write!(text, "\n## An example\n\nThere is this:\n\n```sql\n{}\n```\n", read("schema.sql").trim())
            .unwrap();
        write!(text, "\nYou write:\n\n```sql\n{}\n```\n", read("migration.sql").trim()).unwrap();
        write!(text, "\n`concertina plan` says:\n\n```text\n{}\n```\n", read("plan.snap").trim()).unwrap();
        text.push_str("\n## Other cases\n\nEach is a folder with a migration and its plan, and is run by the tests.\n\n");
        for case in cases.iter().filter(|case| *case != example) {
            let about: toml::Table =
                fs::read_to_string(root.join(case).join("case.toml")).unwrap().parse().unwrap();
            let about = about["about"].as_str().unwrap();
            writeln!(text, "- [{about}](../../tests/cases/{kind}/{case}/plan.snap)").unwrap();
        }
        text
    }
}

fn folders(of: &Path) -> Vec<String> {
    let entries = fs::read_dir(of).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
