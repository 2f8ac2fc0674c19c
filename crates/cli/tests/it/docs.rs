//! The documentation is true: what can be generated is compared with the code, and rewritten by `UPDATE_DOCS=1`.

use std::fmt::Write;
use std::fs;

use clap::CommandFactory;
use concertina::ExitCode;
use concertina::args::Args;
use concertina_plan::diagnostic::Code;

fn updating() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// Compares a whole file with what it should be.
pub(crate) fn check_file(path: &str, expected: &str) {
    let file = crate::root(path);
    if updating() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, expected).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is out of date; `UPDATE_DOCS=1 cargo test -p concertina docs` rewrites it"
    );
}

/// Compares what stands between `<!-- generated: NAME -->` and `<!-- end -->`.
pub(crate) fn check_part(path: &str, name: &str, expected: &str) {
    let text = fs::read_to_string(crate::root(path)).unwrap();
    let begin = format!("<!-- generated: {name} -->\n");
    let start = text.find(&begin).unwrap_or_else(|| panic!("{path} has no part {name}")) + begin.len();
    let end = start + text[start..].find("<!-- end -->").unwrap_or_else(|| panic!("{name} has no end"));
    check_file(path, &format!("{}{expected}{}", &text[..start], &text[end..]));
}

/// A doc comment as one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn commands() {
    let mut root = Args::command().term_width(100);
    root.build();
    let mut text =
        "# Commands\n\n<!-- Generated from the help text by crates/cli/tests/it/docs.rs. -->\n".to_owned();
    write!(text, "\n```text\n{}```\n", root.render_long_help()).unwrap();
    helps(&mut root, "", &mut text);
    let text: String = text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    check_file("docs/commands.md", &text);
}

/// The help of every command below, those of commands with commands of their own too.
fn helps(parent: &mut clap::Command, before: &str, text: &mut String) {
    for command in
        parent.get_subcommands_mut().filter(|command| !command.is_hide_set() && command.get_name() != "help")
    {
        let name = format!("{before}{}", command.get_name());
        let help = command.clone().term_width(100).render_long_help().to_string();
        // The global options stand above, once.
        let own = help.split("Global options:").next().unwrap_or(&help).trim_end();
        write!(text, "\n## {name}\n\n```text\n{own}\n```\n").unwrap();
        helps(command, &format!("{name} "), text);
    }
}

#[test]
fn exit_codes() {
    let mut table = "\n| code | name | meaning |\n|---|---|---|\n".to_owned();
    for code in ExitCode::ALL {
        writeln!(table, "| {} | {} | {} |", *code as u8, code.slug(), one_line(code.description())).unwrap();
    }
    check_part("docs/exit-codes.md", "exit codes", &format!("{table}\n"));
}

#[test]
fn diagnostic_codes() {
    let mut table = "\n| code | meaning |\n|---|---|\n".to_owned();
    for code in Code::ALL {
        writeln!(table, "| `{code}` | {} |", one_line(code.description())).unwrap();
    }
    check_part("docs/directives.md", "codes", &format!("{table}\n"));
}

#[test]
fn configuration() {
    let file = format!("\n```toml\n{}```\n\n", concertina::config::DEFAULT_FILE);
    check_part("docs/configuration.md", "concertina.toml", &file);
}

#[test]
fn json_schemas() {
    for (name, schema) in concertina::wire::schemas() {
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        check_file(&format!("docs/schema/{name}"), &text);
        let page = fs::read_to_string(crate::root("docs/json.md")).unwrap();
        assert!(page.contains(&name), "docs/json.md does not name docs/schema/{name}");
    }
}

/// Links between pages, and from the README to them, lead somewhere.
#[test]
fn links() {
    let mut pages = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for entry in fs::read_dir(crate::root("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    for entry in fs::read_dir(crate::root("docs/changes")).unwrap() {
        pages.push(format!("docs/changes/{}", entry.unwrap().file_name().into_string().unwrap()));
    }
    for page in pages {
        let file = crate::root(&page);
        let text = fs::read_to_string(&file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                assert!(file.parent().unwrap().join(target).exists(), "{page} links to {link}");
            }
        }
    }
}
