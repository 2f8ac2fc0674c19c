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

#[tokio::test]
async fn a_migration_by_a_plain_owner_over_verify_full_with_a_client_certificate() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "root");
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let server_key = KeyPair::generate().unwrap();
    let server_certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&server_key, &root).unwrap();
    let own_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "deploy");
    let own_certificate = params.signed_by(&own_key, &root).unwrap();

    let server = Server::start(&Installation::find().unwrap(), Options::new().tcp()).await.unwrap();
    server.create_database("app").await.unwrap();
    let schema = "CREATE ROLE deploy LOGIN; GRANT CREATE ON DATABASE app TO deploy; CREATE SCHEMA shop AUTHORIZATION deploy;
        SET ROLE deploy; CREATE TABLE shop.users (id bigint PRIMARY KEY, email text);
        INSERT INTO shop.users SELECT i, 'USER' || i || '@EXAMPLE.COM' FROM generate_series(1, 2000) AS i; ANALYZE shop.users";
    server.psql("app", schema).await.unwrap();
    let data = server.data();
    write(&data.join("server.crt"), &server_certificate.pem());
    write(&data.join("server.key"), &server_key.serialize_pem());
    write(&data.join("root.crt"), &root.pem());
    let rest = fs::read_to_string(data.join("pg_hba.conf")).unwrap();
    let rules = "hostssl all deploy all cert\nhost all deploy all reject\nlocal all deploy reject\n";
    fs::write(data.join("pg_hba.conf"), format!("{rules}{rest}")).unwrap();
    server.psql("app", "ALTER SYSTEM SET ssl = on").await.unwrap();
    server.psql("app", "ALTER SYSTEM SET ssl_ca_file = 'root.crt'").await.unwrap();
    server.reload().unwrap();
    while server.psql("app", "SHOW ssl").await.unwrap() != "on\n" {}

    // The files where libpq looks for them, so that the URL holds nothing that is a secret.
    let mut project = Project::new();
    let home = project.path().join("home");
    let files = home.join(".postgresql");
    fs::create_dir_all(&files).unwrap();
    write(&files.join("root.crt"), &root.pem());
    write(&files.join("postgresql.crt"), &own_certificate.pem());
    write(&files.join("postgresql.key"), &own_key.serialize_pem());
    project.set("HOME", home.to_str().unwrap());
    project.set("PGPORT", &server.port().to_string());
    project.set("DATABASE_URL", "postgresql://deploy@localhost/app?sslmode=verify-full");
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
