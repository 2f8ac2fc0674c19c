//! A plain owner over TLS with a certificate: no superuser, no password, no way around the encryption.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use concertina_lab::{Installation, Options, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::project::Project;

fn write(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    let owner = fs::metadata(file.parent().unwrap()).unwrap();
    chown(file, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// What a server and a client need to prove each other who they are.
struct Trust {
    root: CertifiedIssuer<'static, KeyPair>,
}

impl Trust {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "root");
        Self { root: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// A server that lets this role in over TLS with a certificate, and in no other way.
    async fn server(&self, login: &str) -> Server {
        let server = Server::start(&Installation::find().unwrap(), Options::new().tcp()).await.unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .signed_by(&key, &self.root)
            .unwrap();
        let data = server.data();
        write(&data.join("server.crt"), &certificate.pem());
        write(&data.join("server.key"), &key.serialize_pem());
        write(&data.join("root.crt"), &self.root.pem());
        let rest = fs::read_to_string(data.join("pg_hba.conf")).unwrap();
        let rules =
            format!("hostssl all {login} all cert\nhost all {login} all reject\nlocal all {login} reject\n");
        fs::write(data.join("pg_hba.conf"), format!("{rules}{rest}")).unwrap();
        server.psql("postgres", "ALTER SYSTEM SET ssl = on").await.unwrap();
        server.psql("postgres", "ALTER SYSTEM SET ssl_ca_file = 'root.crt'").await.unwrap();
        server.reload().unwrap();
        while server.psql("postgres", "SHOW ssl").await.unwrap() != "on\n" {}
        server
    }

    /// A project whose files lie where libpq looks for them, so that the URL holds nothing that is a secret.
    fn project(&self, server: &Server, login: &str) -> Project {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, login);
        let certificate = params.signed_by(&key, &self.root).unwrap();
        let mut project = Project::new();
        let home = project.path().join("home");
        let files = home.join(".postgresql");
        fs::create_dir_all(&files).unwrap();
        write(&files.join("root.crt"), &self.root.pem());
        write(&files.join("postgresql.crt"), &certificate.pem());
        write(&files.join("postgresql.key"), &key.serialize_pem());
        project.set("HOME", home.to_str().unwrap());
        project.set("PGPORT", &server.port().to_string());
        project.set("DATABASE_URL", &format!("postgresql://{login}@localhost/app?sslmode=verify-full"));
        project
    }
}

/// A database of several hundred tables that somebody else's tool has migrated so far, taken over and changed by the role of
/// docs/rights.md, over TLS, with a certificate.
#[tokio::test]
async fn several_hundred_tables_are_adopted_and_migrated_by_the_documented_role_over_verify_full() {
    let trust = Trust::new();
    let server = trust.server("app_migrate").await;
    server.create_database("app").await.unwrap();
    let (grants, toml) = crate::rights::documented();
    let schema = r#"CREATE ROLE app_owner; REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO app_owner;
        SET ROLE app_owner; DO $$ BEGIN
          FOR i IN 1..400 LOOP
            EXECUTE format('CREATE TABLE %I (id bigint PRIMARY KEY, name text, parent bigint)', 'table ' || i);
            EXECUTE format('INSERT INTO %I SELECT g, ''Row '' || g, g FROM generate_series(1, 20) AS g', 'table ' || i);
            EXECUTE format('CREATE INDEX ON %I (name)', 'table ' || i);
            IF i > 1 THEN
              EXECUTE format('ALTER TABLE %I ADD FOREIGN KEY (parent) REFERENCES %I', 'table ' || i, 'table ' || i - 1);
            END IF;
          END LOOP; END $$; ANALYZE"#;
    server.psql("app", schema).await.unwrap();
    server.psql("app", &grants).await.unwrap();
    let project = trust.project(&server, "app_migrate");
    fs::write(project.path().join("concertina.toml"), toml).unwrap();
    for number in 1..=300 {
        project.migration(&format!("{number:04}_step"), "SELECT 1 / 0; -- another tool ran this");
    }
    project.expect(0, &["baseline", "--all"]);
    let before = server.pg_dump_schema("app").await.unwrap();

    project.migration(
        "0301_upper",
        r#"ALTER TABLE "table 1" ADD COLUMN "Upper" text; UPDATE "table 1" SET "Upper" = upper(name);
           ALTER TABLE "table 1" ALTER COLUMN "Upper" SET NOT NULL; CREATE UNIQUE INDEX ON "table 1" ("Upper");
           ALTER TABLE "table 400" ADD FOREIGN KEY (parent) REFERENCES "table 1" (id);"#,
    );
    project.migration("0302_drop", r#"ALTER TABLE "table 200" DROP COLUMN name; DROP TABLE "table 400";"#);
    project.expect(0, &["expand", "301"]);
    project.expect(0, &["contract", "301"]);
    let upper = r#"SELECT count(*) FROM "table 1" WHERE "Upper" = 'ROW ' || id"#;
    assert_eq!(server.psql("app", upper).await.unwrap(), "20\n");
    project.expect(0, &["expand"]);
    project.expect(0, &["contract", "--yes"]);
    let gone = r#"SELECT to_regclass('"table 400"') IS NULL"#;
    assert_eq!(server.psql("app", gone).await.unwrap(), "t\n");

    // All of the way back, to the byte but for the place of a column.
    project.expect(0, &["undo", "302"]);
    project.expect(0, &["undo", "301"]);
    let rows = r#"SELECT count(*) FROM "table 200" AS a JOIN "table 400" AS b USING (id, name) WHERE a.name = 'Row ' || id"#;
    assert_eq!(server.psql("app", rows).await.unwrap(), "20\n");
    let lines = |dump: String| {
        let mut lines: Vec<String> = dump.lines().map(|line| line.trim_end_matches(',').to_owned()).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(server.pg_dump_schema("app").await.unwrap()), lines(before));
    let own = "SELECT count(*) FROM pg_class WHERE relowner <> 'app_owner'::regrole AND relkind = 'r' AND oid >= 16384";
    assert_eq!(server.psql("app", own).await.unwrap(), "0\n");
}

#[tokio::test]
async fn a_migration_by_a_plain_owner_over_verify_full_with_a_client_certificate() {
    let trust = Trust::new();
    let server = trust.server("deploy").await;
    server.create_database("app").await.unwrap();
    let schema = "CREATE ROLE deploy LOGIN; GRANT CREATE ON DATABASE app TO deploy; CREATE SCHEMA shop AUTHORIZATION deploy;
        SET ROLE deploy; CREATE TABLE shop.users (id bigint PRIMARY KEY, email text);
        INSERT INTO shop.users SELECT i, 'USER' || i || '@EXAMPLE.COM' FROM generate_series(1, 2000) AS i; ANALYZE shop.users";
    server.psql("app", schema).await.unwrap();
    let mut project = trust.project(&server, "deploy");
    fs::write(project.path().join("concertina.toml"), "[database]\nsearch_path = [\"shop\"]\n").unwrap();
    project.migration(
        "0001_lower",
        "ALTER TABLE users ADD COLUMN lower_email text;
         UPDATE users SET lower_email = lower(email);
         ALTER TABLE users ALTER COLUMN lower_email SET NOT NULL;
         CREATE UNIQUE INDEX users_lower ON users (lower_email);",
    );
    project.migration("0002_drop", "ALTER TABLE users DROP COLUMN email");
    let plan = project.json(0, &["plan"]);
    for at in 0..2 {
        assert_eq!(plan["plans"][at]["missing_rights"].as_array().unwrap().len(), 0, "{plan}");
    }
    project.expect(0, &["expand", "0001"]);
    project.expect(0, &["contract", "0001"]);
    project.expect(0, &["expand", "0002"]);
    project.expect(0, &["contract", "0002", "--yes"]);
    let sum = "SELECT count(*) FROM shop.users WHERE lower_email = 'user' || id || '@example.com'";
    assert_eq!(server.psql("app", sum).await.unwrap(), "2000\n");
    project.expect(0, &["undo", "0002"]);
    let restored = "SELECT count(*) FROM shop.users WHERE email = 'USER' || id || '@EXAMPLE.COM'";
    assert_eq!(server.psql("app", restored).await.unwrap(), "2000\n");

    // Another name for the same server is not the server that the certificate is for; without its own it is nobody.
    project.set("DATABASE_URL", "postgresql://deploy@127.0.0.1/app?sslmode=verify-full");
    let wrong = project.expect(8, &["status"]);
    assert!(wrong.stderr.contains("subject alternative names"), "{wrong:?}");
    project.set("DATABASE_URL", "postgresql://deploy@localhost/app?sslmode=verify-full&sslcertmode=disable");
    let nobody = project.expect(8, &["status"]);
    assert!(nobody.stderr.contains("28000"), "{nobody:?}");
}
