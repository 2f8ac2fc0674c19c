//! The binary where no database is needed, or none is there.

use std::fs;

use crate::project::Project;

#[test]
fn init_makes_what_is_missing_and_leaves_the_rest() {
    let project = Project::new();
    let first = project.expect(0, &["init"]);
    assert!(first.stdout.contains("concertina.toml: written"), "{first:?}");
    assert!(first.stdout.contains("no database is named"), "{first:?}");
    assert!(project.path().join("migrations").is_dir());
    fs::write(project.path().join("concertina.toml"), "migrations = \"sql\"\n").unwrap();
    let second = project.json(0, &["init"]);
    assert_eq!((&second["config_written"], &second["migrations_made"]), (&false.into(), &true.into()));
    assert!(project.path().join("sql").is_dir());
    assert_eq!(fs::read_to_string(project.path().join("concertina.toml")).unwrap(), "migrations = \"sql\"\n");
}

#[test]
fn new_prints_the_path_of_the_next_file() {
    let project = Project::new();
    assert_eq!(project.expect(0, &["new", "add users", "-q"]).stdout, "migrations/0001_add_users.sql\n");
    assert_eq!(project.json(0, &["new", "orders"])["name"], "0002_orders");
    assert!(project.path().join("migrations/0002_orders.sql").is_file());
    // From below, the same folder is found.
    let below = project.path().join("src/deep");
    fs::create_dir_all(&below).unwrap();
    project.expect(0, &["init"]);
    let output = project.command(&["new", "third"]).current_dir(&below).output().unwrap();
    let path = String::from_utf8(output.stdout).unwrap();
    assert!(path.trim_end().ends_with("migrations/0003_third.sql"), "{path}");
}

#[test]
fn mistakes_on_the_command_line_end_with_2() {
    let project = Project::new();
    for arguments in
        [&["frobnicate"][..], &["expand", "--load", "7"], &["new"], &["status", "--format", "xml"]]
    {
        let said = project.expect(2, arguments);
        assert!(said.stdout.is_empty() && !said.stderr.is_empty(), "{said:?}");
    }
    assert!(project.expect(0, &["--help"]).stdout.contains("contract"));
    assert!(project.expect(0, &["--version"]).stdout.starts_with("concertina "));
}

#[test]
fn mistakes_in_the_configuration_end_with_2_and_a_position() {
    let project = Project::new();
    fs::write(project.path().join("concertina.toml"), "[stall]\nmax = \"250\"\n").unwrap();
    let said = project.expect(2, &["status"]);
    assert!(said.stderr.contains("concertina.toml:2:7: "), "{said:?}");
    let document = project.json(2, &["status"]);
    assert_eq!(document["kind"], "usage");
    project.expect(2, &["status", "--config", "elsewhere.toml"]);
}

#[test]
fn mistakes_in_the_folder_end_with_9() {
    let project = Project::new();
    let said = project.expect(9, &["expand"]);
    assert!(said.stderr.contains("concertina init"), "{said:?}");
    project.migration("0001_a", "SELECT 1;");
    project.migration("seed", "SELECT 1;");
    let said = project.expect(9, &["expand"]);
    assert!(said.stderr.contains("seed.sql"), "{said:?}");
    fs::remove_file(project.path().join("migrations/seed.sql")).unwrap();
    let said = project.expect(9, &["expand", "0002"]);
    assert!(said.stderr.contains("0001_a"), "{said:?}");
}

#[test]
fn completions_and_manual_pages() {
    let project = Project::new();
    assert!(project.expect(0, &["completions", "bash"]).stdout.contains("_concertina"));
    assert!(project.expect(0, &["man"]).stdout.contains(".TH concertina"));
    assert!(project.expect(0, &["man", "archive", "purge"]).stdout.contains("older"));
    assert!(project.expect(2, &["man", "nothing"]).stderr.contains("no command nothing"));
}

#[test]
fn a_database_that_is_not_there_ends_with_8_and_no_password() {
    let mut project = Project::new();
    project.set("DATABASE_URL", "postgres://deploy:geheim@127.0.0.1:1/app");
    project.migration("0001_a", "SELECT 1;");
    for command in ["status", "plan", "expand", "history", "init"] {
        let said = project.expect(8, &[command, "-vv"]);
        assert!(!said.stderr.contains("geheim") && !said.stdout.contains("geheim"), "{said:?}");
    }
    assert_eq!(project.json(8, &["status"])["kind"], "connection");
    // What init could do without a database, it did.
    assert!(project.path().join("concertina.toml").is_file());
}
