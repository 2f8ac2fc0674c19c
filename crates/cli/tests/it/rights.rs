//! What a role lacks is said by `plan`, stops `expand` and `contract` before they begin, and the statements given help.

use std::collections::BTreeSet;

use concertina_lab::Server;

use crate::project::Project;

/// Three owners, one of them a superuser, and a role that may do nothing but log in.
const SHOP: &str = r#"
    CREATE ROLE "The Owner"; CREATE ROLE team; CREATE ROLE "Deploy" LOGIN;
    CREATE SCHEMA "App" AUTHORIZATION "The Owner"; GRANT USAGE, CREATE ON SCHEMA "App" TO team;
    CREATE TABLE "App".users (id bigint PRIMARY KEY, email text);
    ALTER TABLE "App".users OWNER TO team;
    CREATE TABLE "App"."Orders" (id bigint PRIMARY KEY, user_id bigint, total numeric);
    ALTER TABLE "App"."Orders" OWNER TO "The Owner";
    CREATE INDEX ON "App"."Orders" (user_id);
    CREATE TABLE public.settings (name text PRIMARY KEY);
    INSERT INTO "App".users SELECT i, i || '@example.com' FROM generate_series(1, 50) AS i;
    INSERT INTO "App"."Orders" SELECT i, i, i FROM generate_series(1, 50) AS i;
    ANALYZE"#;

const MIGRATION: &str = r#"
    ALTER TABLE "App"."Orders" ADD COLUMN cents bigint;
    UPDATE "App"."Orders" SET cents = round(total * 100);
    ALTER TABLE "App"."Orders" ALTER COLUMN cents SET NOT NULL;
    ALTER TABLE "App"."Orders" ADD CONSTRAINT orders_user FOREIGN KEY (user_id) REFERENCES "App".users (id);
    ALTER TABLE public.settings ADD COLUMN value text;"#;

async fn start() -> (Server, Project) {
    let server = Server::start_default().await.unwrap();
    server.create_database("My Shop").await.unwrap();
    server.psql("My Shop", SHOP).await.unwrap();
    let mut project = Project::new();
    project.set("DATABASE_URL", &server.url_as("Deploy", "My Shop"));
    project.migration("0001_cents", MIGRATION);
    (server, project)
}

/// What `plan` says is missing.
fn planned(project: &Project) -> Vec<String> {
    grants(&project.json(0, &["plan"])["plans"][0]["missing_rights"])
}

fn grants(missing: &serde_json::Value) -> Vec<String> {
    missing.as_array().unwrap().iter().map(|missing| missing["grant"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn all_missing_rights_are_named_at_once_and_their_grants_are_enough() {
    let (server, project) = start().await;
    let expected = [
        "GRANT CREATE ON DATABASE \"My Shop\" TO \"Deploy\"",
        "GRANT USAGE ON SCHEMA \"App\" TO \"Deploy\"",
        "GRANT \"The Owner\" TO \"Deploy\"",
        "ALTER TABLE public.settings OWNER TO \"Deploy\"",
        "GRANT REFERENCES ON TABLE \"App\".users TO \"Deploy\"",
        "GRANT SELECT ON TABLE \"App\".users TO \"Deploy\"",
    ];
    let all: BTreeSet<String> = expected.map(str::to_owned).into();
    assert_eq!(planned(&project).into_iter().collect::<BTreeSet<_>>(), all);
    let text = project.expect(0, &["plan"]).stdout;
    assert!(text.contains("Rights are missing") && text.contains(&format!("{};", expected[2])), "{text}");

    // Not even the ledger could be made, and still the rest is said along.
    for command in ["expand", "apply"] {
        let error = project.json(12, &[command]);
        assert_eq!(grants(&error["missing_rights"]).into_iter().collect::<BTreeSet<_>>(), all, "{command}");
        assert_eq!((&error["kind"], &error["sqlstate"]), (&"privilege".into(), &"42501".into()));
    }
    let there = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'concertina%'";
    assert_eq!(server.psql("My Shop", there).await.unwrap(), "0\n");

    for grant in planned(&project) {
        server.psql("My Shop", &grant).await.unwrap();
    }
    assert!(planned(&project).is_empty());
    project.expect(0, &["expand"]);

    // A right that went away meanwhile stops contract before it begins.
    server.psql("My Shop", "REVOKE \"The Owner\" FROM \"Deploy\"").await.unwrap();
    let error = project.json(12, &["contract"]);
    assert!(grants(&error["missing_rights"]).contains(&expected[2].to_owned()), "{error}");
    assert_eq!(project.json(0, &["status"])["migrations"][0]["state"], "expanded");
    server.psql("My Shop", expected[2]).await.unwrap();
    project.expect(0, &["contract"]);

    // The same for the way back, and nothing is begun.
    server.psql("My Shop", "REVOKE \"The Owner\" FROM \"Deploy\"").await.unwrap();
    let error = project.json(12, &["undo", "cents"]);
    assert!(grants(&error["missing_rights"]).contains(&expected[2].to_owned()), "{error}");
    assert_eq!(project.json(0, &["status"])["migrations"][0]["state"], "done");
    server.psql("My Shop", expected[2]).await.unwrap();
    project.expect(0, &["undo", "cents"]);
}

/// All files that have not run are looked at before the first of them runs, with the ledger and without.
#[tokio::test]
async fn as_written_all_missing_rights_are_named_before_anything_runs() {
    let (server, project) = start().await;
    project.migration("0001_cents", "ALTER TABLE \"App\".\"Orders\" ADD COLUMN cents bigint;");
    project.migration(
        "0002_more",
        "CREATE TABLE \"App\".notes (id bigint PRIMARY KEY, user_id bigint REFERENCES \"App\".users (id));
         COMMENT ON TABLE public.settings IS 'x'; UPDATE \"App\".users SET email = lower(email);",
    );
    // Of the role that sees everything; the comment asks for what the statements before have asked for already.
    let all: BTreeSet<String> = [
        "GRANT CREATE ON DATABASE \"My Shop\" TO \"Deploy\"",
        "GRANT USAGE, CREATE ON SCHEMA \"App\" TO \"Deploy\"",
        "GRANT \"The Owner\" TO \"Deploy\"",
        "GRANT REFERENCES ON TABLE \"App\".users TO \"Deploy\"",
        "ALTER TABLE public.settings OWNER TO \"Deploy\"",
    ]
    .map(str::to_owned)
    .into();
    let simple = |code| project.json(code, &["apply", "--simple"]);
    assert_eq!(grants(&simple(12)["missing_rights"]).into_iter().collect::<BTreeSet<_>>(), all);
    let ledger = "GRANT CREATE ON DATABASE \"My Shop\" TO \"Deploy\"";
    server.psql("My Shop", ledger).await.unwrap();
    project.expect(0, &["init"]);
    let rest = grants(&simple(12)["missing_rights"]);
    assert_eq!(rest.len(), all.len() - 1, "{rest:?}");
    assert_eq!(project.json(0, &["status"])["migrations"][0]["state"], "pending");
    for grant in &rest {
        server.psql("My Shop", grant).await.unwrap();
    }
    // What statements of data need is not looked up: the server says it, and the first file stays done.
    let denied = simple(12);
    assert!(denied["message"].as_str().unwrap().contains("0002_more.sql, line"), "{denied}");
    assert_eq!(project.json(0, &["status"])["migrations"][0]["state"], "done");
    let grants = grants(&denied["missing_rights"]);
    assert_eq!(grants, ["GRANT SELECT, UPDATE ON TABLE \"App\".users TO \"Deploy\""], "{denied}");
    server.psql("My Shop", &grants[0]).await.unwrap();
    project.expect(0, &["apply", "--simple"]);
}

/// What expressions and triggers use is not looked up beforehand. The server says no, and the statement that helps is found by name.
#[tokio::test]
async fn what_the_server_denies_while_it_runs_is_granted_by_what_is_printed() {
    let (server, project) = start().await;
    let schema = r#"
        CREATE FUNCTION "App".cents(numeric, "Of" text DEFAULT '') RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT round($1 * 100)::bigint';
        REVOKE EXECUTE ON FUNCTION "App".cents FROM PUBLIC;
        CREATE TABLE "App"."Log" (what text);
        CREATE FUNCTION "App".note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO "App"."Log" VALUES (TG_OP); RETURN NEW; END $$;
        CREATE TRIGGER note AFTER UPDATE ON "App"."Orders" FOR EACH ROW EXECUTE FUNCTION "App".note();
        CREATE TABLE "App"."Rows" (n int); ALTER TABLE "App"."Rows" OWNER TO "The Owner";
        ALTER TABLE "App"."Rows" ENABLE ROW LEVEL SECURITY; ALTER TABLE "App"."Rows" FORCE ROW LEVEL SECURITY;
        GRANT "The Owner" TO "Deploy"; GRANT CREATE ON DATABASE "My Shop" TO "Deploy"; GRANT USAGE, CREATE ON SCHEMA "App" TO "Deploy""#;
    server.psql("My Shop", schema).await.unwrap();
    project.migration(
        "0001_cents",
        "UPDATE \"App\".\"Orders\" SET total = \"App\".cents(total);
         ALTER TABLE \"App\".\"Rows\" ALTER COLUMN n SET NOT NULL;",
    );
    for grant in [
        "GRANT EXECUTE ON FUNCTION \"App\".cents(numeric, \"Of\" text) TO \"Deploy\"",
        "GRANT INSERT ON TABLE \"App\".\"Log\" TO \"Deploy\"",
        "ALTER ROLE \"Deploy\" BYPASSRLS",
    ] {
        let error = project.json(12, &["expand"]);
        assert_eq!((&error["kind"], &error["sqlstate"]), (&"privilege".into(), &"42501".into()));
        assert_eq!(grants(&error["missing_rights"]), [grant], "{error}");
        assert!(error["message"].as_str().unwrap().contains(grant), "{error}");
        server.psql("My Shop", grant).await.unwrap();
    }
    project.expect(0, &["expand"]);
}

#[tokio::test]
async fn baseline_and_the_archive_say_what_they_lack() {
    let (server, project) = start().await;
    let error = project.json(12, &["baseline", "--all"]);
    let missing = grants(&error["missing_rights"]);
    assert_eq!(missing, ["GRANT CREATE ON DATABASE \"My Shop\" TO \"Deploy\""], "{error}");
    server.psql("My Shop", &missing[0]).await.unwrap();
    project.expect(0, &["baseline", "--all"]);

    project.migration("0002_drop", "DROP TABLE \"App\".\"Orders\";");
    for grant in grants(&project.json(0, &["plan", "2"])["plans"][0]["missing_rights"]) {
        server.psql("My Shop", &grant).await.unwrap();
    }
    server.psql("My Shop", "GRANT CREATE ON SCHEMA \"App\" TO \"Deploy\"").await.unwrap();
    project.expect(0, &["expand", "2"]);
    project.expect(0, &["contract", "2", "--yes"]);
    server.psql("My Shop", "REVOKE \"The Owner\" FROM \"Deploy\"").await.unwrap();
    // Its new owner could not be made otherwise, and who made the archive may remove what lies in it.
    let error = project.json(12, &["archive", "restore", "2"]);
    let missing = grants(&error["missing_rights"]);
    assert!(missing.contains(&"GRANT \"The Owner\" TO \"Deploy\"".to_owned()), "{error}");
    assert_eq!(project.json(0, &["status"])["migrations"][1]["state"], "done");

    server.psql("My Shop", "ALTER SCHEMA concertina_archive OWNER TO team").await.unwrap();
    server.psql("My Shop", "GRANT USAGE, CREATE ON SCHEMA concertina_archive TO \"Deploy\"").await.unwrap();
    let purge = ["archive", "purge", "--older-than", "0s", "--yes"];
    let error = project.json(12, &purge);
    assert_eq!(grants(&error["missing_rights"]), ["GRANT \"The Owner\" TO \"Deploy\""], "{error}");
    server.psql("My Shop", "GRANT \"The Owner\" TO \"Deploy\"").await.unwrap();
    project.expect(0, &purge);
}

/// Each statement is asked for exactly when it is missing: none is there for nothing.
#[tokio::test]
async fn each_grant_is_asked_for_by_itself() {
    let (server, project) = start().await;
    for grant in planned(&project) {
        server.psql("My Shop", &grant).await.unwrap();
    }
    project.expect(0, &["init"]);
    for grant in [
        "GRANT \"The Owner\" TO \"Deploy\"",
        "GRANT REFERENCES ON TABLE \"App\".users TO \"Deploy\"",
        "GRANT SELECT ON TABLE \"App\".users TO \"Deploy\"",
    ] {
        let revoke = grant.replace("GRANT ", "REVOKE ").replace(" TO ", " FROM ");
        server.psql("My Shop", &revoke).await.unwrap();
        let missing = planned(&project);
        assert!(missing.contains(&grant.to_owned()), "{grant}: {missing:?}");
        let error = project.json(12, &["expand"]);
        assert_eq!(grants(&error["missing_rights"]), missing, "{grant}");
        assert_eq!(project.json(0, &["status"])["migrations"][0]["state"], "pending");
        server.psql("My Shop", grant).await.unwrap();
    }
    // A member that does not inherit has the membership already, and needs something else.
    server.psql("My Shop", "ALTER ROLE \"Deploy\" NOINHERIT").await.unwrap();
    let version: u32 =
        server.psql("My Shop", "SHOW server_version_num").await.unwrap().trim().parse().unwrap();
    let missing = planned(&project);
    if version < 160_000 {
        assert!(missing.contains(&"ALTER ROLE \"Deploy\" INHERIT".to_owned()), "{missing:?}");
        server.psql("My Shop", "ALTER ROLE \"Deploy\" INHERIT").await.unwrap();
    }
    assert!(planned(&project).is_empty());
    project.expect(0, &["expand"]);
}

#[tokio::test]
async fn a_schema_that_the_search_path_leaves_out_is_said() {
    let (server, project) = start().await;
    project.migration("0001_cents", "ALTER TABLE users ADD COLUMN seen timestamptz");
    server.psql("My Shop", "ALTER ROLE \"Deploy\" SET search_path = public, \"App\"").await.unwrap();
    let said = project.expect(3, &["plan"]);
    assert!(said.stderr.contains("GRANT USAGE ON SCHEMA \"App\" TO \"Deploy\""), "{said:?}");
    server.psql("My Shop", "GRANT USAGE ON SCHEMA \"App\" TO \"Deploy\"").await.unwrap();
    assert!(planned(&project).contains(&"GRANT team TO \"Deploy\"".to_owned()));
}

#[tokio::test]
async fn everything_is_done_as_the_role_and_in_the_schemas_of_the_configuration() {
    let (server, project) = start().await;
    let file = "[database]\nrole = \"The Owner\"\nsearch_path = [\"App\"]\n";
    std::fs::write(project.path().join("concertina.toml"), file).unwrap();
    project.migration(
        "0001_cents",
        "ALTER TABLE \"Orders\" ADD COLUMN cents bigint;
         UPDATE \"Orders\" SET cents = round(total * 100);
         ALTER TABLE \"Orders\" ALTER COLUMN cents SET NOT NULL;
         CREATE TABLE notes (id bigint PRIMARY KEY);",
    );
    // The membership first, and then what the role itself lacks: two different statements.
    let error = project.json(12, &["plan"]);
    assert_eq!(grants(&error["missing_rights"]), ["GRANT \"The Owner\" TO \"Deploy\""]);
    server.psql("My Shop", "GRANT \"The Owner\" TO \"Deploy\"").await.unwrap();
    assert_eq!(planned(&project), ["GRANT CREATE ON DATABASE \"My Shop\" TO \"The Owner\""]);
    server.psql("My Shop", &planned(&project)[0]).await.unwrap();
    project.expect(0, &["expand"]);
    project.expect(0, &["contract"]);
    let owners = "SELECT string_agg(DISTINCT pg_get_userbyid(relowner), ',') FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname LIKE 'concertina%' OR c.relname = 'notes' AND n.nspname = 'App'";
    assert_eq!(server.psql("My Shop", owners).await.unwrap(), "The Owner\n");
    project.expect(0, &["undo", "cents"]);
}

/// What docs/rights.md says to run once, and what it says of `concertina.toml`.
pub(crate) fn documented() -> (String, String) {
    let page = std::fs::read_to_string(crate::root("docs/rights.md")).unwrap();
    let block = |from: &str, language: &str| {
        let rest = &page[page.find(from).unwrap()..];
        let begin = rest.find(&format!("```{language}\n")).unwrap() + language.len() + 4;
        rest[begin..begin + rest[begin..].find("```").unwrap()].to_owned()
    };
    (block("run by a test", "sql"), block("concertina.toml", "toml"))
}

/// What docs/rights.md says to run once is enough, and so is what it says is left.
#[tokio::test]
async fn the_documented_role_is_enough() {
    let (sql, toml) = documented();
    let server = Server::start_default().await.unwrap();
    server.create_database("app").await.unwrap();
    let schema = "CREATE ROLE app_owner; CREATE TABLE users (id bigint PRIMARY KEY, email text); ALTER TABLE users OWNER TO app_owner;
        INSERT INTO users SELECT i, i FROM generate_series(1, 50) AS i; ANALYZE users; REVOKE ALL ON SCHEMA public FROM PUBLIC";
    server.psql("app", schema).await.unwrap();
    server.psql("app", &sql).await.unwrap();
    let mut project = Project::new();
    project.set("DATABASE_URL", &server.url_as("app_migrate", "app"));
    std::fs::write(project.path().join("concertina.toml"), toml).unwrap();
    project.migration(
        "0001_lower",
        "ALTER TABLE users ADD COLUMN lower_email text;
         UPDATE users SET lower_email = lower(email);
         CREATE TABLE notes (id bigint PRIMARY KEY, user_id bigint REFERENCES users (id))",
    );
    project.expect(0, &["init"]);
    server.psql("app", "REVOKE CREATE ON DATABASE app FROM app_owner").await.unwrap();
    assert!(planned(&project).is_empty());
    project.expect(0, &["expand"]);
    project.expect(0, &["contract"]);
    let owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'notes'::regclass";
    assert_eq!(server.psql("app", owner).await.unwrap(), "app_owner\n");
    project.expect(0, &["undo", "lower"]);
}
