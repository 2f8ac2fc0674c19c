//! Every statement of PostgreSQL's grammar has a name: it is planned, runs as written, or is refused by name.

use super::{catalog, read_with};
use crate::diagnostic::Code;

const DDL: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE SEQUENCE numbers;
    CREATE EXTENSION citext;
    CREATE SCHEMA old;
    CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE TABLE t (id bigint PRIMARY KEY, a int, b text, CONSTRAINT a_positive CHECK (a > 0));
    CREATE INDEX t_b ON t (b);
    CREATE TABLE c (id int GENERATED ALWAYS AS IDENTITY, t bigint CONSTRAINT c_t REFERENCES t, g int GENERATED ALWAYS AS (id + 1) STORED);
    CREATE TABLE p (a int) PARTITION BY LIST (a);
    CREATE VIEW v AS SELECT a FROM t;
    CREATE MATERIALIZED VIEW m AS SELECT a FROM t;
    CREATE FOREIGN TABLE ft (a int) SERVER s;
    CREATE POLICY x ON c;
    CREATE RULE x AS ON DELETE TO c DO NOTHING;
";

/// What comes of each: a kind that is planned or runs as written, or the code of a refusal.
fn check(sql: &str, kind: &str, code: Option<Code>) {
    let mut statements = read_with(sql, &catalog(DDL));
    let statement = statements.pop().expect("is one statement");
    assert!(statements.is_empty(), "{sql}");
    match (statement.changes, code) {
        (Ok(changes), None) => {
            let names: Vec<&str> = changes.iter().map(|change| change.kind().name()).collect();
            assert_eq!(names, [kind], "{sql}");
        }
        (Err(diagnostic), Some(code)) => {
            assert_eq!((diagnostic.kind.as_deref(), diagnostic.code), (Some(kind), code), "{sql}");
            assert!(!diagnostic.message.is_empty() && !diagnostic.help.is_empty());
        }
        (Ok(_), Some(code)) => panic!("{sql} should be refused as {code}"),
        (Err(diagnostic), None) => panic!("{sql} is refused: {diagnostic:?}"),
    }
}

#[test]
fn planned() {
    for (sql, kind) in [
        ("CREATE TABLE n (a int)", "create_table"),
        ("ALTER TABLE t ADD COLUMN z int", "add_column"),
        ("CREATE INDEX ON t (a)", "create_index"),
        ("DROP INDEX t_b", "drop_index"),
        ("ALTER TABLE t ADD CHECK (a < 9)", "add_check"),
        ("ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES t", "add_foreign_key"),
        ("ALTER TABLE c ADD PRIMARY KEY (id)", "add_primary_key"),
        ("ALTER TABLE t ADD UNIQUE (a)", "add_unique"),
        ("ALTER TABLE t ALTER a SET NOT NULL", "set_not_null"),
        ("ALTER TABLE t ALTER a DROP NOT NULL", "drop_not_null"),
        ("ALTER TABLE t ALTER a SET DEFAULT 1", "set_default"),
        ("ALTER TABLE t ALTER a DROP DEFAULT", "drop_default"),
        ("REINDEX TABLE t", "reindex"),
        ("REINDEX INDEX CONCURRENTLY t_b", "reindex"),
        ("ALTER TABLE p ATTACH PARTITION t FOR VALUES IN (1)", "attach_partition"),
        ("ALTER TABLE p DETACH PARTITION t", "detach_partition"),
        ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "enable_row_security"),
        ("ALTER TABLE t FORCE ROW LEVEL SECURITY", "enable_row_security"),
        ("ALTER TABLE t DISABLE ROW LEVEL SECURITY", "disable_row_security"),
        ("CREATE RULE x AS ON INSERT TO t DO NOTHING", "create_rule"),
        ("CREATE POLICY x ON t", "create_policy"),
        ("ALTER POLICY x ON c USING (true)", "alter_policy"),
        ("DROP POLICY x ON c", "drop_policy"),
        ("DROP RULE x ON c", "drop_rule"),
        ("UPDATE t SET a = 1", "update_table"),
        ("ALTER TABLE t DROP COLUMN a", "drop_column"),
        ("DELETE FROM t", "delete_table"),
        ("CREATE TRIGGER x BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()", "create_trigger"),
        ("ALTER TABLE t DROP CONSTRAINT a_positive", "drop_constraint"),
        ("DROP TABLE c", "drop_table"),
        ("DROP VIEW v", "drop_view"),
        ("DROP MATERIALIZED VIEW m", "drop_materialized_view"),
        ("DROP SEQUENCE numbers", "drop_sequence"),
        ("DROP FUNCTION f(int)", "drop_function"),
        ("DROP TYPE mood", "drop_type"),
        ("DROP DOMAIN positive", "drop_domain"),
    ] {
        check(sql, kind, None);
    }
}

#[test]
fn as_written() {
    for (sql, kind) in [
        ("CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1'", "create_function"),
        ("ALTER TABLE c ALTER CONSTRAINT c_t DEFERRABLE INITIALLY DEFERRED", "alter_constraint"),
        ("ALTER INDEX t_b SET (fillfactor = 70)", "alter_index"),
        ("CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 2'", "create_function"),
        ("CREATE PROCEDURE g() LANGUAGE sql AS 'SELECT 1'", "create_procedure"),
        ("CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int)", "create_aggregate"),
        ("CREATE OPERATOR === (LEFTARG = box, RIGHTARG = box, FUNCTION = box_eq)", "create_operator"),
        ("CREATE OPERATOR CLASS oc FOR TYPE int USING btree AS OPERATOR 1 <", "create_operator_class"),
        ("CREATE OPERATOR FAMILY of USING btree", "create_operator_family"),
        ("ALTER OPERATOR FAMILY of USING btree ADD OPERATOR 1 < (int, int)", "alter_operator_family"),
        ("ALTER OPERATOR === (box, box) SET (RESTRICT = NONE)", "alter_operator"),
        ("CREATE TYPE color AS ENUM ('red')", "create_type"),
        ("CREATE TYPE pair AS (a int, b text)", "create_type"),
        ("CREATE TYPE shell", "create_type"),
        ("CREATE TYPE r AS RANGE (SUBTYPE = float8)", "create_type"),
        ("ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy'", "add_value"),
        ("ALTER TYPE shell SET (STORAGE = plain)", "alter_type_options"),
        ("CREATE DOMAIN short AS varchar(3)", "create_domain"),
        ("CREATE VIEW w AS SELECT a FROM t", "create_view"),
        ("CREATE OR REPLACE VIEW v AS SELECT a FROM t", "create_view"),
        ("CREATE MATERIALIZED VIEW n AS SELECT a FROM t", "create_materialized_view"),
        ("CREATE TABLE n AS SELECT a FROM t", "create_table_as"),
        ("SELECT a INTO n FROM t", "create_table_as"),
        ("CREATE TABLE n AS EXECUTE q", "create_table_as"),
        ("CREATE SEQUENCE more", "create_sequence"),
        ("ALTER SEQUENCE numbers RESTART 5", "alter_sequence"),
        ("CREATE EXTENSION btree_gist", "create_extension"),
        ("CREATE SCHEMA fresh", "create_schema"),
        ("CREATE COLLATION de (LOCALE = 'de')", "create_collation"),
        ("ALTER COLLATION de REFRESH VERSION", "alter_collation"),
        ("CREATE CONVERSION cv FOR 'UTF8' TO 'LATIN1' FROM f", "create_conversion"),
        ("CREATE CAST (int AS mood) WITHOUT FUNCTION", "create_cast"),
        ("CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION f(internal))", "create_transform"),
        ("CREATE LANGUAGE plx HANDLER h", "create_language"),
        ("CREATE ACCESS METHOD am TYPE INDEX HANDLER h", "create_access_method"),
        ("CREATE TEXT SEARCH CONFIGURATION ts (COPY = simple)", "create_text_search_configuration"),
        ("CREATE TEXT SEARCH DICTIONARY ts (TEMPLATE = simple)", "create_text_search_dictionary"),
        ("CREATE TEXT SEARCH PARSER ts (START = a)", "create_text_search_parser"),
        ("CREATE TEXT SEARCH TEMPLATE ts (LEXIZE = a)", "create_text_search_template"),
        (
            "ALTER TEXT SEARCH CONFIGURATION ts ALTER MAPPING FOR word WITH simple",
            "alter_text_search_configuration",
        ),
        ("ALTER TEXT SEARCH DICTIONARY ts (a = b)", "alter_text_search_dictionary"),
        ("CREATE FOREIGN DATA WRAPPER w", "create_foreign_data_wrapper"),
        ("ALTER FOREIGN DATA WRAPPER w OPTIONS (a 'b')", "alter_foreign_data_wrapper"),
        ("CREATE SERVER s FOREIGN DATA WRAPPER w", "create_server"),
        ("ALTER SERVER s VERSION '2'", "alter_server"),
        ("CREATE USER MAPPING FOR CURRENT_USER SERVER s", "create_user_mapping"),
        ("ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (a 'b')", "alter_user_mapping"),
        ("CREATE FOREIGN TABLE ft2 (a int) SERVER s", "create_foreign_table"),
        ("CREATE PUBLICATION pub FOR TABLE t", "create_publication"),
        ("ALTER PUBLICATION pub ADD TABLE t", "alter_publication"),
        ("CREATE STATISTICS st ON a, b FROM t", "create_statistics"),
        ("ALTER STATISTICS st SET STATISTICS 100", "alter_statistics"),
        ("COMMENT ON TABLE t IS 'x'", "comment"),
        ("COMMENT ON COLUMN t.a IS NULL", "comment"),
        ("COMMENT ON FUNCTION f(int) IS 'x'", "comment"),
        ("COMMENT ON INDEX t_b IS 'x'", "comment"),
        ("SECURITY LABEL ON TABLE t IS 'x'", "security_label"),
        ("GRANT SELECT ON t TO PUBLIC", "grant"),
        ("GRANT USAGE ON SCHEMA app TO PUBLIC", "grant"),
        ("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC", "revoke"),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", "alter_default_privileges"),
        ("INSERT INTO t VALUES (1, 2, 'x') ON CONFLICT DO NOTHING", "insert"),
        ("INSERT INTO t SELECT 1, 2, 'x'", "insert"),
        ("INSERT INTO c DEFAULT VALUES", "insert"),
        ("ALTER FUNCTION f(int) STABLE", "alter_function"),
        ("ALTER FUNCTION f(int) OWNER TO CURRENT_USER", "change_owner"),
        ("ALTER FUNCTION f(int) DEPENDS ON EXTENSION citext", "alter_depends"),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY m", "refresh_materialized_view"),
        ("ANALYZE t", "analyze"),
        ("ALTER INDEX t_b RENAME TO t_bb", "rename_index"),
        ("ALTER TABLE t VALIDATE CONSTRAINT a_positive", "validate_constraint"),
        ("ALTER TABLE t ALTER a SET STATISTICS 5", "set_statistics"),
        ("ALTER TABLE t ALTER a SET (n_distinct = 5)", "set_column_options"),
        ("ALTER TABLE t ALTER b SET STORAGE EXTERNAL", "set_storage"),
        ("ALTER TABLE t ALTER b SET COMPRESSION pglz", "set_compression"),
        ("ALTER TABLE t SET (fillfactor = 70)", "set_storage_parameters"),
        ("ALTER TABLE t RESET (fillfactor)", "set_storage_parameters"),
        ("ALTER TABLE t CLUSTER ON t_b", "set_cluster_index"),
        ("ALTER TABLE t REPLICA IDENTITY FULL", "set_replica_identity"),
        ("ALTER TABLE t OWNER TO somebody", "change_owner"),
        ("ALTER TABLE c ALTER id SET GENERATED BY DEFAULT", "set_identity"),
    ] {
        check(sql, kind, None);
    }
}

#[test]
fn not_schema() {
    for (sql, kind) in [
        ("BEGIN", "begin"),
        ("START TRANSACTION", "begin"),
        ("COMMIT", "commit"),
        ("END", "commit"),
        ("ROLLBACK", "rollback"),
        ("SAVEPOINT s", "savepoint"),
        ("RELEASE s", "release_savepoint"),
        ("ROLLBACK TO s", "rollback_to_savepoint"),
        ("PREPARE TRANSACTION 'x'", "prepare_transaction"),
        ("COMMIT PREPARED 'x'", "commit_prepared"),
        ("ROLLBACK PREPARED 'x'", "rollback_prepared"),
        ("SET search_path = app", "set"),
        ("SET LOCAL lock_timeout = 1", "set"),
        ("RESET ALL", "set"),
        ("SHOW ALL", "show"),
        ("SET CONSTRAINTS ALL DEFERRED", "set_constraints"),
        ("LOCK TABLE t", "lock_table"),
        ("NOTIFY n", "notify"),
        ("LISTEN n", "listen"),
        ("UNLISTEN n", "unlisten"),
        ("DECLARE c CURSOR FOR SELECT 1", "declare_cursor"),
        ("CLOSE c", "close_cursor"),
        ("FETCH c", "fetch"),
        ("MOVE c", "fetch"),
        ("PREPARE q AS SELECT 1", "prepare"),
        ("EXECUTE q", "execute"),
        ("DEALLOCATE q", "deallocate"),
        ("DISCARD ALL", "discard"),
        ("LOAD 'x'", "load"),
        ("EXPLAIN SELECT 1", "explain"),
        ("COPY t TO stdout", "copy"),
        ("CREATE DATABASE d", "create_database"),
        ("DROP DATABASE d", "drop_database"),
        ("ALTER DATABASE d SET a = 1", "alter_database"),
        ("ALTER DATABASE d CONNECTION LIMIT 1", "alter_database"),
        ("ALTER DATABASE d REFRESH COLLATION VERSION", "alter_database"),
        ("CREATE TABLESPACE s LOCATION '/x'", "create_tablespace"),
        ("DROP TABLESPACE s", "drop_tablespace"),
        ("ALTER TABLESPACE s SET (random_page_cost = 1)", "alter_tablespace"),
        ("CREATE ROLE r", "create_role"),
        ("ALTER ROLE r LOGIN", "alter_role"),
        ("ALTER ROLE r SET a = 1", "alter_role"),
        ("DROP ROLE r", "drop_role"),
        ("GRANT a TO b", "grant_role"),
        ("ALTER SYSTEM SET a = 1", "alter_system"),
        ("CHECKPOINT", "checkpoint"),
        ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", "create_subscription"),
        ("ALTER SUBSCRIPTION s DISABLE", "alter_subscription"),
        ("DROP SUBSCRIPTION s", "drop_subscription"),
        ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()", "create_event_trigger"),
        ("ALTER EVENT TRIGGER e DISABLE", "alter_event_trigger"),
        ("VACUUM t", "vacuum"),
        ("VACUUM FULL t", "vacuum"),
        ("CREATE TEMP TABLE x (a int)", "create_temporary_table"),
        ("CREATE TEMP VIEW x AS SELECT 1", "create_temporary_table"),
        ("CREATE TEMP SEQUENCE x", "create_temporary_table"),
        ("CREATE TEMP TABLE x AS SELECT 1", "create_temporary_table"),
        ("SELECT a FROM t", "select"),
        ("SELECT pg_catalog.set_config('search_path', '', false)", "select"),
    ] {
        check(sql, kind, Some(Code::NotSchema));
    }
}

#[test]
fn opaque() {
    for (sql, kind) in [
        ("DO $$ BEGIN END $$", "do"),
        ("CALL f()", "call"),
        ("SELECT setval('numbers', 5)", "select"),
        ("ALTER EXTENSION citext UPDATE", "alter_extension"),
        ("ALTER EXTENSION citext ADD TABLE t", "alter_extension_contents"),
        ("IMPORT FOREIGN SCHEMA x FROM SERVER s INTO app", "import_foreign_schema"),
        ("DROP OWNED BY r", "drop_owned"),
        ("REASSIGN OWNED BY r TO s", "reassign_owned"),
        ("UPDATE pg_index SET indisvalid = true", "update_table"),
    ] {
        check(sql, kind, Some(Code::Opaque));
    }
}

#[test]
fn no_online_form() {
    for (sql, kind) in [
        ("TRUNCATE t", "truncate"),
        ("CLUSTER t USING t_b", "cluster"),
        ("REFRESH MATERIALIZED VIEW m", "refresh_materialized_view"),
        ("ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b", "move_all_to_tablespace"),
        ("ALTER TABLE t ADD EXCLUDE USING gist (a WITH =)", "add_exclude"),
        ("ALTER TABLE t SET LOGGED", "set_logged"),
        ("ALTER TABLE t SET UNLOGGED", "set_unlogged"),
        ("ALTER TABLE t SET TABLESPACE s", "set_tablespace"),
        ("ALTER TABLE t SET ACCESS METHOD heap", "set_access_method"),
        ("ALTER DOMAIN positive ADD CHECK (VALUE < 9)", "alter_domain"),
        ("ALTER TYPE mood RENAME VALUE 'sad' TO 'low'", "rename_value"),
        ("ALTER TABLE t RENAME CONSTRAINT a_positive TO x", "rename_constraint"),
        ("ALTER TRIGGER x ON t RENAME TO y", "rename_trigger"),
        ("ALTER TYPE mood RENAME TO moods", "rename_type"),
        ("ALTER SCHEMA app RENAME TO apps", "rename_schema"),
        ("ALTER FUNCTION f(int) RENAME TO h", "rename_function"),
        ("ALTER SEQUENCE numbers RENAME TO n", "rename_sequence"),
        ("ALTER ROLE a RENAME TO b", "rename_role"),
        ("ALTER DOMAIN positive RENAME TO p2", "rename_domain"),
        ("ALTER DOMAIN positive RENAME CONSTRAINT a TO b", "rename_domain_constraint"),
        ("ALTER POLICY x ON t RENAME TO y", "rename_policy"),
    ] {
        check(sql, kind, Some(Code::NoOnlineForm));
    }
}

#[test]
fn not_yet() {
    for (sql, kind) in [
        ("INSERT INTO t SELECT * FROM t", "insert_select"),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "insert_select"),
        ("WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x", "select"),
        ("REINDEX SCHEMA app", "reindex"),
        ("ALTER TABLE t RENAME TO z", "rename_table"),
        ("ALTER VIEW v RENAME TO z", "rename_view"),
        ("ALTER TABLE t SET SCHEMA app", "set_schema"),
        ("ALTER FUNCTION f(int) SET SCHEMA app", "set_schema"),
        ("ALTER TABLE t ALTER a ADD GENERATED ALWAYS AS IDENTITY", "add_identity"),
        ("ALTER TABLE c ALTER id DROP IDENTITY", "drop_identity"),
        ("ALTER TABLE c ALTER g DROP EXPRESSION", "drop_expression"),
        ("ALTER TABLE t ENABLE TRIGGER ALL", "enable_trigger"),
        ("ALTER TABLE t DISABLE TRIGGER x", "disable_trigger"),
        ("ALTER TABLE t ENABLE RULE x", "enable_rule"),
        ("ALTER TABLE t DISABLE RULE x", "disable_rule"),
        ("ALTER TABLE t INHERIT c", "add_inherit"),
        ("ALTER TABLE t NO INHERIT c", "drop_inherit"),
        ("ALTER TABLE t OF mood", "set_table_type"),
        ("ALTER TABLE t NOT OF", "set_table_type"),
        ("ALTER TABLE t SET WITHOUT OIDS", "set_without_oids"),
        ("CREATE TABLE p1 PARTITION OF p (CHECK (true)) FOR VALUES IN (1)", "create_partition"),
        ("CREATE TABLE n () INHERITS (t)", "create_table"),
        ("CREATE TABLE n OF mood", "create_table"),
        ("ALTER DOMAIN positive DROP NOT NULL", "alter_domain"),
        ("CREATE SCHEMA x CREATE TABLE y (a int)", "create_schema"),
        ("ALTER VIEW v SET (security_barrier)", "alter_view"),
        ("ALTER VIEW v ALTER a SET DEFAULT 1", "alter_view"),
        ("ALTER MATERIALIZED VIEW m CLUSTER ON x", "alter_materialized_view"),
        ("ALTER SEQUENCE numbers SET LOGGED", "alter_sequence"),
        ("ALTER FOREIGN TABLE ft ADD COLUMN b int", "alter_foreign_table"),
        ("ALTER TYPE pair ADD ATTRIBUTE c int", "alter_type"),
        ("DROP FOREIGN TABLE ft", "drop_foreign_table"),
        ("DROP SCHEMA app", "drop_schema"),
        ("DROP EXTENSION citext", "drop_extension"),
        ("DROP COLLATION x", "drop_collation"),
        ("DROP CONVERSION x", "drop_conversion"),
        ("DROP CAST (int AS text)", "drop_cast"),
        ("DROP OPERATOR + (int, int)", "drop_operator"),
        ("DROP OPERATOR CLASS x USING btree", "drop_operator_class"),
        ("DROP OPERATOR FAMILY x USING btree", "drop_operator_family"),
        ("DROP LANGUAGE x", "drop_language"),
        ("DROP ACCESS METHOD x", "drop_access_method"),
        ("DROP STATISTICS x", "drop_statistics"),
        ("DROP PUBLICATION x", "drop_publication"),
        ("DROP EVENT TRIGGER x", "drop_event_trigger"),
        ("DROP TRANSFORM FOR int LANGUAGE x", "drop_transform"),
        ("DROP FOREIGN DATA WRAPPER x", "drop_foreign_data_wrapper"),
        ("DROP SERVER x", "drop_server"),
        ("DROP USER MAPPING FOR CURRENT_USER SERVER s", "drop_user_mapping"),
        ("DROP TEXT SEARCH CONFIGURATION x", "drop_text_search_configuration"),
        ("DROP TEXT SEARCH DICTIONARY x", "drop_text_search_dictionary"),
        ("DROP TEXT SEARCH PARSER x", "drop_text_search_parser"),
        ("DROP TEXT SEARCH TEMPLATE x", "drop_text_search_template"),
    ] {
        check(sql, kind, Some(Code::NotYet));
    }
    check("MERGE INTO t USING c ON t.id = c.id WHEN MATCHED THEN DELETE", "merge", Some(Code::NotBatchable));
}

#[test]
fn certain_failures() {
    for (sql, kind) in [
        ("ALTER TABLE tt ADD COLUMN a int", "add_column"),
        ("ALTER TABLE t ALTER zz SET NOT NULL", "set_not_null"),
        ("ALTER TABLE c ALTER g SET EXPRESSION AS (id + 2)", "set_expression"),
        ("CREATE INDEX ON t (zz)", "create_index"),
        ("CREATE INDEX ON v (a)", "create_index"),
        ("DROP INDEX zz", "drop_index"),
        ("DROP TABLE zz", "drop_table"),
        ("DROP TRIGGER zz ON t", "drop_trigger"),
        ("UPDATE zz SET a = 1", "update_table"),
        ("INSERT INTO t (zz) VALUES (1)", "insert"),
        ("CREATE TYPE mood AS ENUM ()", "create_type"),
        ("ALTER TYPE mood ADD VALUE 'sad'", "add_value"),
        ("CREATE VIEW v AS SELECT 1", "create_view"),
        ("CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "create_function"),
        ("CREATE SCHEMA app", "create_schema"),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES zz", "add_foreign_key"),
        ("ALTER TABLE t DROP CONSTRAINT zz", "drop_constraint"),
        ("COMMENT ON TABLE zz IS 'x'", "comment"),
        ("ALTER TABLE t ADD NOT NULL a", "set_not_null"),
    ] {
        check(sql, kind, Some(Code::WillFail));
    }
}
