//! Ledgers that earlier versions of the program left behind when they were killed in the middle of a migration: this one takes them to
//! the same end. How they were made: tests/ledgers/README.md.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

use std::fs;
use std::path::{Path, PathBuf};

use concertina_proof::case::ColumnOrder;
use concertina_proof::compare;
use concertina_proof::drive;
use concertina_proof::world::World;
use concertina_run::engine::Confirm;
use concertina_run::state::{MigrationFile, MigrationState};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/ledgers")
}

fn files() -> Vec<MigrationFile> {
    ["0001_reshape", "0002_count"]
        .map(|name| MigrationFile {
            name: name.to_owned(),
            text: fs::read_to_string(root().join(format!("migrations/{name}.sql"))).unwrap(),
        })
        .into()
}

/// Dumps of one version, by name.
fn dumps(version: u32) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = fs::read_dir(root().join(format!("v{version}")))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    all.sort();
    all
}

/// What `concertina` says of a restored copy with a migration in flight.
const NOW_THIS_ONE: &str = "UPDATE concertina.meta SET system_identifier = NULL, database_oid = NULL";

#[tokio::test]
async fn what_earlier_versions_began_is_finished() {
    let world = World::start().await.unwrap();
    let schema = fs::read_to_string(root().join("schema.sql")).unwrap();
    let template = world.database(&schema).await.unwrap();
    let original = compare::picture(&template, &[]).await.unwrap();
    let files = files();
    for file in &files {
        template.psql(&file.text).await.unwrap();
    }
    let expected = compare::picture(&template, &[]).await.unwrap();
    let mut seen = 0;
    for version in [1, 2] {
        for (name, dump) in dumps(version) {
            // The dump makes schema public's objects itself.
            let database = world.database("").await.unwrap();
            let client = database.connect().await.unwrap();
            client.batch_execute(&dump).await.unwrap();
            let found: i32 =
                client.query_one("SELECT version FROM concertina.meta", &[]).await.unwrap().get(0);
            assert_eq!(u32::try_from(found), Ok(version), "{name}");
            let engine = drive::looking(&database.url()).await.unwrap();

            // A ledger of an earlier version can be looked at as it is, but for a copy in flight: that is said first.
            let error = engine.status(&files).await.unwrap_err();
            assert!(error.to_string().contains(NOW_THIS_ONE), "{error}");
            client.batch_execute(NOW_THIS_ONE).await.unwrap();
            let before = engine.status(&files).await.unwrap();
            assert!(before.iter().all(|it| it.steps.iter().all(|step| step.estimate.is_none())), "{name}");

            let (wanted, order) = if name == "undo" {
                engine.undo(Some("0001_reshape")).await.unwrap();
                (&original, ColumnOrder::Same)
            } else {
                engine.expand(&files, None).await.unwrap();
                engine.contract(&files, None, Confirm { destroy: true }).await.unwrap();
                let after = engine.status(&files).await.unwrap();
                assert!(
                    after.iter().all(|it| it.state == MigrationState::Done),
                    "{version} {name}: {after:?}"
                );
                (&expected, ColumnOrder::Differs)
            };
            let found: i32 =
                client.query_one("SELECT version FROM concertina.meta", &[]).await.unwrap().get(0);
            assert_eq!(found, 4, "{name}");
            compare::picture(&database, &[])
                .await
                .unwrap()
                .same_as(wanted, order)
                .unwrap_or_else(|error| panic!("{version} {name}: {error}"));
            // What was finished is reported, whoever began it.
            let report = engine.report("0001_reshape").await.unwrap().unwrap();
            assert!(!report.steps.is_empty());
            drop(client);
            database.remove().await.unwrap();
            seen += 1;
        }
    }
    assert_eq!(seen, 12, "a dump is missing");
}
