//! Targets and sessions against real servers: the PG* environment, TLS, roles, poolers, standbys, cancelling.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use concertina_lab::{Installation, Options, Pooler, Server};
use concertina_run::connect::{Session, Target};
use concertina_run::error::{Error, Failure};
use concertina_run::settings::Settings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

async fn connect(url: &str) -> Result<Session, Error> {
    Target::resolve(Some(url))?.connect("test", &Settings::default()).await
}

async fn ask(session: &Session, sql: &str) -> String {
    session.client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_session_names_itself_and_pins_its_settings() {
    let server = Server::start_default().await.unwrap();
    let sql = "CREATE SCHEMA \"App\"; ALTER ROLE postgres SET statement_timeout = '1s'; ALTER ROLE postgres SET lock_timeout = '7s';
               ALTER ROLE postgres SET \"DateStyle\" = 'German'";
    server.psql("postgres", sql).await.unwrap();
    let target = Target::resolve(Some(&server.url("postgres"))).unwrap();
    let settings = Settings {
        max_stall: Duration::from_millis(120),
        search_path: Some(vec!["App".to_owned(), "public".to_owned()]),
        ..Settings::default()
    };
    let session = target.connect("backfill", &settings).await.unwrap();
    for (setting, value) in [
        ("application_name", "concertina: backfill"),
        ("lock_timeout", "120ms"),
        ("statement_timeout", "0"),
        ("idle_in_transaction_session_timeout", "1min"),
        ("client_connection_check_interval", "1s"),
        ("search_path", "\"App\", public"),
        // The user's own: statements mean what they mean in psql.
        ("DateStyle", "German, DMY"),
    ] {
        assert_eq!(ask(&session, &format!("SELECT current_setting('{setting}')")).await, value, "{setting}");
    }
    assert_eq!(ask(&session, "SELECT pg_backend_pid()::text").await, session.pid.to_string());
    let starts = "SELECT count(*)::text FROM pg_stat_activity WHERE pid = pg_backend_pid()
                  AND backend_start = $$S$$::timestamptz";
    assert_eq!(ask(&session, &starts.replace("$$S$$", &format!("'{}'", session.backend_start))).await, "1");
    assert!(session.who.starts_with("postgres@"), "{}", session.who);
    target.refuse_pooler().await.unwrap();

    let pid = session.pid;
    drop(session);
    let alive = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    while server.psql("postgres", &alive).await.unwrap() != "0\n" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_role_is_taken_or_its_grant_asked_for() {
    let server = Server::start_default().await.unwrap();
    server.psql("postgres", "CREATE ROLE login LOGIN; CREATE ROLE \"The Owner\"").await.unwrap();
    let target = Target::resolve(Some(&server.url_as("login", "postgres"))).unwrap();
    let settings = Settings { role: Some("The Owner".to_owned()), ..Settings::default() };
    let Err(Error::Privilege { grant, .. }) = target.connect("test", &settings).await else {
        panic!("connected")
    };
    assert_eq!(grant, "GRANT \"The Owner\" TO login");
    server.psql("postgres", &grant).await.unwrap();
    let session = target.connect("test", &settings).await.unwrap();
    assert_eq!(ask(&session, "SELECT current_user::text").await, "The Owner");
    let control = target.connect_control("test", &settings).await.unwrap();
    assert_eq!(ask(&control, "SELECT current_user::text").await, "login");

    let settings = Settings { role: Some("nobody".to_owned()), ..Settings::default() };
    let error = target.connect("test", &settings).await.unwrap_err();
    assert!(matches!(&error, Error::Sql { message, .. } if message.contains("nobody")), "{error}");
}

#[tokio::test]
async fn cancel_ends_the_statement_and_not_the_session() {
    let server = Server::start_default().await.unwrap();
    let session = connect(&server.url("postgres")).await.unwrap();
    let canceller = session.canceller();
    let cancel = async {
        let started =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)' AND state = 'active'";
        while server.psql("postgres", started).await.unwrap() == "0\n" {}
        canceller.cancel().await.unwrap();
    };
    let (slept, ()) = tokio::join!(session.client.batch_execute("SELECT pg_sleep(3600)"), cancel);
    assert_eq!(Failure::of(&slept.unwrap_err()), Failure::Canceled);
    session.client.batch_execute("SELECT 1").await.unwrap();

    let kill = format!("SELECT pg_terminate_backend({})", session.pid);
    server.psql("postgres", &kill).await.unwrap();
    let error = session.client.batch_execute("SELECT 1").await.unwrap_err();
    assert_eq!(Failure::of(&error), Failure::ConnectionLost);
}

#[tokio::test]
async fn a_standby_is_refused_and_the_primary_found_behind_it() {
    let primary = Server::start_default().await.unwrap();
    let standby = primary.standby(Options::new()).await.unwrap();
    let error = connect(&standby.url("postgres")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unsupported { message } if message.contains("target_session_attrs")),
        "{error}"
    );
    let both = format!(
        "host={},{} port={},{} user=postgres dbname=postgres target_session_attrs=primary",
        standby.directory().display(),
        primary.directory().display(),
        standby.port(),
        primary.port()
    );
    let session = connect(&both).await.unwrap();
    assert_eq!(ask(&session, "SELECT pg_is_in_recovery()::text").await, "false");
}

#[tokio::test]
async fn what_does_not_connect_says_where_to() {
    let error = connect("host=/nowhere user=me password=hunter2 dbname=d").await.unwrap_err().to_string();
    assert!(error.contains("me@/nowhere:5432/d") && !error.contains("hunter2"), "{error}");
    let server = Server::start_default().await.unwrap();
    let error = connect(&server.url("no_such_db")).await.unwrap_err().to_string();
    assert!(error.contains("no_such_db") && error.contains("3D000"), "{error}");
}

/// Not a test by itself: the next one runs it with an environment of its own.
#[tokio::test]
async fn helper_that_reads_the_environment() {
    if std::env::var_os("CONCERTINA_RUN_HELPER").is_none() {
        return;
    }
    let session = Target::resolve(None).unwrap().connect("test", &Settings::default()).await.unwrap();
    let seen = ask(
        &session,
        "SELECT current_user || ' ' || current_database() || ' ' || current_setting('work_mem')",
    );
    println!("\nseen {}", seen.await);
}

#[tokio::test]
async fn pg_variables_and_database_url() {
    let server = Server::start(&Installation::find().unwrap(), Options::new().tcp()).await.unwrap();
    server.psql("postgres", "CREATE ROLE app LOGIN; CREATE DATABASE shop").await.unwrap();
    let helper = |environment: &[(&str, &str)]| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "helper_that_reads_the_environment", "--nocapture"]);
        for name in ["DATABASE_URL", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGOPTIONS"] {
            command.env_remove(name);
        }
        let port = server.port().to_string();
        command.envs(environment.iter().copied()).env("CONCERTINA_RUN_HELPER", "1").env("PGPORT", port);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        text.lines()
            .find_map(|line| line.strip_prefix("seen "))
            .unwrap_or_else(|| panic!("{text}{errors}"))
            .to_owned()
    };
    let directory = server.directory().to_str().unwrap();
    let common = [("PGUSER", "app"), ("PGDATABASE", "shop"), ("PGOPTIONS", "-c work_mem=5MB")];
    let by = |more: &[(&'static str, &str)]| helper(&[&common, more].concat());
    assert_eq!(by(&[("PGHOST", directory)]), "app shop 5MB");
    assert_eq!(
        by(&[("PGHOSTADDR", "127.0.0.1"), ("PGSSLMODE", "prefer"), ("PGCONNECT_TIMEOUT", "5")]),
        "app shop 5MB"
    );
    // The URL leaves user and database open.
    assert_eq!(by(&[("DATABASE_URL", "postgresql://localhost/postgres")]), "app postgres 5MB");
}

/// Certificates and a server that uses them.
struct Secure {
    server: Server,
    directory: tempfile::TempDir,
}

impl Secure {
    async fn start(certificate: &str, key: &str) -> Self {
        let installation = Installation::find().unwrap();
        let server = Server::start(&installation, Options::new().tcp()).await.unwrap();
        let secure = Self { server, directory: tempfile::tempdir().unwrap() };
        secure.install(certificate, key).await;
        secure
    }

    async fn install(&self, certificate: &str, key: &str) {
        let data = self.server.data();
        let owner = fs::metadata(&data).unwrap();
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let file = data.join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        self.server.psql("postgres", "ALTER SYSTEM SET ssl = on").await.unwrap();
        self.server.psql("postgres", "SELECT pg_reload_conf()").await.unwrap();
        while self.server.psql("postgres", "SHOW ssl").await.unwrap() != "on\n" {}
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.directory.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// Puts rules before those of pg_hba.conf, which trust everybody, and waits until they hold.
    async fn rules(&self, rules: &str) {
        let file = self.server.data().join("pg_hba.conf");
        let rest = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{rules}\n{rest}")).unwrap();
        reloaded(&self.server).await;
    }

    /// Whether the session is encrypted, or why there is none.
    async fn tls(&self, host: &str, options: &str) -> Result<bool, String> {
        let port = self.server.port();
        let url = format!("host={host} port={port} user=postgres dbname=postgres {options}");
        let session = connect(&url).await.map_err(|error| error.to_string())?;
        let row = session.client.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]);
        Ok(row.await.unwrap().get(0))
    }
}

/// Reloads, and waits until new connections see it.
async fn reloaded(server: &Server) {
    let loaded = "SELECT pg_conf_load_time()";
    let before = server.psql("postgres", loaded).await.unwrap();
    server.reload().unwrap();
    while server.psql("postgres", loaded).await.unwrap() == before {}
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn sslmode_verifies_as_much_as_it_says() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
    let secure = Secure::start(&certificate.pem(), &key.serialize_pem()).await;
    let (good, bad) = (secure.file("ours.crt", &ours.pem()), secure.file("theirs.crt", &theirs.pem()));
    let (good, bad) = (good.display(), bad.display());

    // `allow` is content without TLS where the server is.
    for options in ["sslmode=disable", "sslmode=allow"] {
        assert_eq!(secure.tls("localhost", options).await, Ok(false), "{options}");
    }
    for options in
        ["", "sslmode=prefer", "sslmode=require", "sslmode=require sslnegotiation=postgres sslsni=0"]
    {
        assert_eq!(secure.tls("localhost", options).await, Ok(true), "{options}");
    }
    assert_eq!(secure.tls("localhost", &format!("sslmode=verify-full sslrootcert={good}")).await, Ok(true));
    assert_eq!(secure.tls("127.0.0.1", &format!("sslmode=verify-ca sslrootcert={good}")).await, Ok(true));
    let error =
        secure.tls("127.0.0.1", &format!("sslmode=verify-full sslrootcert={good}")).await.unwrap_err();
    assert!(error.contains("subject alternative names"), "{error}");
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = secure.tls("localhost", &format!("sslmode={mode} sslrootcert={bad}")).await.unwrap_err();
        assert!(error.contains("UnknownIssuer"), "{mode}: {error}");
    }
    // A Unix socket knows no TLS, and needs none.
    let socket = secure.server.directory().to_str().unwrap().to_owned();
    assert_eq!(secure.tls(&socket, "sslmode=require").await, Ok(false));

    // The certificate that `openssl req -x509` makes is its own authority, and may be given as the root.
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let alone = params.self_signed(&key).unwrap();
    secure.install(&alone.pem(), &key.serialize_pem()).await;
    let root = secure.file("alone.crt", &alone.pem());
    let verify = format!("sslmode=verify-full sslrootcert={}", root.display());
    // The reload reaches new connections a moment later.
    while secure.tls("localhost", &verify).await.is_err_and(|error| error.contains("UnknownIssuer")) {}
    assert_eq!(secure.tls("localhost", &verify).await, Ok(true));
    assert!(secure.tls("127.0.0.1", &verify).await.is_err());
}

#[tokio::test]
async fn a_client_certificate_and_cancel_through_tls() {
    let ours = authority("ours");
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
    let secure = Secure::start(&certificate.pem(), &key.serialize_pem()).await;
    let data = secure.server.data();
    fs::write(data.join("root.crt"), ours.pem()).unwrap();
    fs::set_permissions(data.join("root.crt"), fs::Permissions::from_mode(0o644)).unwrap();
    secure.server.psql("postgres", "CREATE ROLE cert_user LOGIN").await.unwrap();
    secure.server.psql("postgres", "ALTER SYSTEM SET ssl_ca_file = 'root.crt'").await.unwrap();
    secure.rules("hostssl all cert_user all cert").await;
    while secure.server.psql("postgres", "SHOW ssl_ca_file").await.unwrap() != "root.crt\n" {}

    let own = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "cert_user");
    let certificate = params.signed_by(&own, &ours).unwrap();
    let url = format!(
        "postgresql://cert_user@localhost:{}/postgres?sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
        secure.server.port(),
        data.join("root.crt").display(),
        secure.file("own.crt", &certificate.pem()).display(),
        secure.file("own.key", &own.serialize_pem()).display(),
    );
    let session = connect(&url).await.unwrap();
    assert_eq!(ask(&session, "SELECT current_user::text").await, "cert_user");
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        session.cancel().await.unwrap();
    };
    let (slept, ()) = tokio::join!(session.client.batch_execute("SELECT pg_sleep(3600)"), cancel);
    assert_eq!(Failure::of(&slept.unwrap_err()), Failure::Canceled);

    // What is wrong with a key is said before anything is connected to.
    let refused = |url: String| Target::resolve(Some(&url)).unwrap_err().to_string();
    let key = secure.directory.path().join("own.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = refused(url.clone());
    assert!(error.contains("chmod 0600") && error.contains("own.key"), "{error}");
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIBvTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQww\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let locked = secure.file("locked.key", locked);
    let error = refused(url.replace("own.key", "locked.key"));
    assert!(error.contains("is encrypted") && error.contains("openssl pkey"), "{error}");
    fs::remove_file(locked).unwrap();
    let error = refused(url.replace("own.key", "locked.key"));
    assert!(error.contains("cannot read") && error.contains("locked.key"), "{error}");
    // Without the certificate the server says no, and says it with its SQLSTATE.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let error = connect(&format!("{url}&sslcertmode=disable")).await.unwrap_err().to_string();
    assert!(error.contains("certificate") && error.contains("28000"), "{error}");
}

#[tokio::test]
async fn encryption_follows_pg_hba_and_a_refusal_ends_the_search() {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let secure = Secure::start(&certificate.pem(), &key.serialize_pem()).await;
    secure
        .rules("hostssl postgres postgres 127.0.0.1/32 trust\nhost postgres postgres 127.0.0.1/32 reject")
        .await;
    assert_eq!(secure.tls("localhost", "sslmode=allow").await, Ok(true));
    let error = secure.tls("localhost", "sslmode=disable").await.unwrap_err();
    assert!(error.contains("28000"), "{error}");
    secure
        .rules(
            "hostssl postgres postgres 127.0.0.1/32 reject\nhostnossl postgres postgres 127.0.0.1/32 trust",
        )
        .await;
    assert_eq!(secure.tls("localhost", "sslmode=prefer").await, Ok(false));
    let error = secure.tls("localhost", "sslmode=require").await.unwrap_err();
    assert!(error.contains("28000"), "{error}");
}

/// A server with a role that has a password, and a pg_hba.conf that asks for it by this method.
async fn with_password(options: Options, method: &str) -> Server {
    let server = Server::start(&Installation::find().unwrap(), options).await.unwrap();
    let encryption = if method == "md5" { "md5" } else { "scram-sha-256" };
    let role = format!("SET password_encryption = '{encryption}'; CREATE ROLE app LOGIN PASSWORD 'hunter2'");
    server.psql("postgres", &role).await.unwrap();
    let file = server.data().join("pg_hba.conf");
    let rest = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("local all app {method}\nhost all app all {method}\n{rest}")).unwrap();
    reloaded(&server).await;
    server
}

#[tokio::test]
async fn hosts_are_tried_in_order_until_one_answers() {
    let server = with_password(Options::new().tcp(), "scram-sha-256").await;
    let (socket, port) = (server.directory().display(), server.port());
    // Nobody listens on the first, the second has no such socket, and the third is it.
    let reached = format!(
        "host=127.0.0.1,/nowhere,{socket} port=1,5432,{port} user=app dbname=postgres password=hunter2"
    );
    assert_eq!(ask(&connect(&reached).await.unwrap(), "SELECT current_user::text").await, "app");
    // A wrong password ends the search: the next host would not be the one that was meant.
    let wrong = format!("host={socket},{socket} port={port} user=app dbname=postgres password=wrong");
    let error = connect(&wrong).await.unwrap_err().to_string();
    assert_eq!((error.matches("28P01").count(), error.contains("wrong password")), (1, false), "{error}");
    let nowhere =
        connect("host=127.0.0.1,/nowhere port=1 user=app password=hunter2").await.unwrap_err().to_string();
    for part in ["127.0.0.1:1: ", "/nowhere:1: ", "app@127.0.0.1:1,/nowhere:1/app"] {
        assert!(nowhere.contains(part) && !nowhere.contains("hunter2"), "{nowhere}");
    }
    // The name is the certificate's; the address is where to go.
    let named =
        format!("host=db.invalid hostaddr=127.0.0.1 port={port} user=app dbname=postgres password=hunter2");
    connect(&named).await.unwrap();
    let unnamed = format!("host=db.invalid port={port} user=app dbname=postgres password=hunter2");
    let error = connect(&unnamed).await.unwrap_err().to_string();
    assert!(error.contains("db.invalid") && error.contains("look up"), "{error}");
    // Somebody takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = silent.local_addr().unwrap().port();
    let past = format!(
        "host=127.0.0.1,{socket} port={mute},{port} user=app dbname=postgres password=hunter2 connect_timeout=2"
    );
    connect(&past).await.unwrap();
    // A primary that takes no writes is none for read-write.
    server.psql("postgres", "ALTER ROLE app SET default_transaction_read_only = on").await.unwrap();
    let read_write = format!(
        "host={socket} port={port} user=app dbname=postgres password=hunter2 target_session_attrs=read-write"
    );
    let error = connect(&read_write).await.unwrap_err().to_string();
    assert!(error.contains("read-only"), "{error}");
    connect(&read_write.replace("read-write", "primary")).await.unwrap();
}

#[tokio::test]
async fn a_socket_in_the_abstract_namespace() {
    let mut server = Server::start_default().await.unwrap();
    let name = format!("@concertina-test-{}", std::process::id());
    let sql =
        format!("ALTER SYSTEM SET unix_socket_directories = '{}', '{name}'", server.directory().display());
    server.psql("postgres", &sql).await.unwrap();
    server.restart().await.unwrap();
    let url =
        format!("host={name} port={} user=postgres dbname=postgres application_name=deploy", server.port());
    let session = connect(&url).await.unwrap();
    assert_eq!(
        ask(&session, "SELECT current_setting('application_name')").await,
        "concertina: test (deploy)"
    );
    let cancel = async {
        let started =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)' AND state = 'active'";
        while server.psql("postgres", started).await.unwrap() == "0\n" {}
        session.cancel().await.unwrap();
    };
    let (slept, ()) = tokio::join!(session.client.batch_execute("SELECT pg_sleep(3600)"), cancel);
    assert_eq!(Failure::of(&slept.unwrap_err()), Failure::Canceled);
}

#[tokio::test]
async fn passwords_are_sent_only_in_the_ways_that_require_auth_allows() {
    for method in ["scram-sha-256", "md5", "password", "trust"] {
        let server = with_password(Options::new(), method).await;
        let name = if method == "trust" { "none" } else { method };
        let url = format!(
            "host={} port={} user=app dbname=postgres password=hunter2",
            server.directory().display(),
            server.port()
        );
        for (allowed, connects) in [
            (name.to_owned(), true),
            (format!("!{name}"), false),
            ("none".to_owned(), name == "none"),
            ("scram-sha-256".to_owned(), name == "scram-sha-256"),
            ("!gss,!sspi".to_owned(), true),
        ] {
            match connect(&format!("{url} require_auth={allowed}")).await {
                Ok(_) => assert!(connects, "{method} with {allowed}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(!connects && error.contains("require_auth") && error.contains(name), "{error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_password_file_is_used_for_its_host_and_named_when_it_is_wrong() {
    let server = with_password(Options::new(), "scram-sha-256").await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pass file");
    let host = server.directory().display();
    let port = server.port();
    let url = format!("host={host} port={port} user=app dbname=postgres passfile='{}'", file.display());
    let write = |text: &str, mode: u32| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    };
    write(&format!("elsewhere:*:*:*:no\n{host}:{port}:postgres:app:hunter2\n"), 0o600);
    connect(&url).await.unwrap();
    write("*:*:*:*:not-hunter2\n", 0o600);
    let error = connect(&url).await.unwrap_err().to_string();
    assert!(error.contains("28P01") && error.contains("came from the password file"), "{error}");
    assert!(!error.contains("not-hunter2"), "{error}");
    write("*:*:*:*:hunter2\n", 0o644);
    let error = connect(&url).await.unwrap_err().to_string();
    assert!(error.contains("chmod 0600") && error.contains(".pgpass"), "{error}");
}

#[tokio::test]
async fn a_transaction_pooler_is_told_apart_from_a_session_pooler() {
    for (mode, refused) in [("statement", true), ("transaction", true), ("session", false)] {
        let server = Server::start_default().await.unwrap();
        let Some(pooler) = Pooler::start(&server, mode, 20, &["postgres"]).await.unwrap() else { return };
        let url = pooler.url_as("postgres", "postgres");
        let target = Target::resolve(Some(&url)).unwrap();
        match target.refuse_pooler().await {
            Err(Error::Unsupported { message }) if refused => {
                assert!(message.contains("direct URL"), "{message}");
                // The application's next statement may well get the server session that we had.
                let (client, connection) =
                    tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                let shown = client.simple_query("SHOW lock_timeout").await.unwrap();
                let shown = shown.iter().find_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                    _ => None,
                });
                assert_eq!(shown, Some("0"));
            }
            result => assert!(result.is_ok() && !refused, "{mode}: {result:?}"),
        }
    }
}
