use super::*;

fn update(walk: Walk) -> Backfill {
    Backfill {
        table: Name::new("app", "Users"),
        write: Write::Update {
            alias: Ident::new("u"),
            set: vec![(Ident::new("email lower"), "lower(email) -- as it is".into())],
            unchanged: Vec::new(),
            pending: "\"email lower\" IS NULL".into(),
        },
        walk,
        fire_triggers: true,
        rows: 10,
    }
}

fn key(columns: &[(&str, &str)]) -> Vec<KeyColumn> {
    columns
        .iter()
        .map(|(name, data_type)| KeyColumn { name: Ident::new(*name), data_type: (*data_type).into() })
        .collect()
}

#[test]
fn a_strided_pass_and_the_rest_of_the_window() {
    let backfill = update(Walk::Pages { stride: 16 });
    assert_eq!(
        page_pass(&backfill, 0, 4096, Some(Stride { part: 3, of: 16 })),
        "UPDATE ONLY app.\"Users\" AS u SET \"email lower\" = (lower(email) -- as it is\n) WHERE \
         u.ctid >= '(0,0)' AND u.ctid < '(4096,0)' AND (hashtid(u.ctid) & 15) = 3 \
         AND (\"email lower\" IS NULL)"
    );
    assert!(!page_pass(&backfill, 0, 4096, None).contains("hashtid"));
    assert_eq!(
        any_pending(&backfill).as_deref(),
        Some("SELECT 1 FROM ONLY app.\"Users\" AS u WHERE (\"email lower\" IS NULL) LIMIT 1")
    );
}

#[test]
fn keys_in_order_with_a_composite_key() {
    let columns = vec![Ident::new("day"), Ident::new("id")];
    let backfill = update(Walk::Key { columns });
    let key = key(&[("day", "date"), ("id", "uuid")]);
    let after = ["2026-01-02".to_owned(), "a".to_owned()];
    assert_eq!(
        key_end(&backfill, &key),
        "SELECT to_jsonb(day) #>> '{}', id::text FROM ONLY app.\"Users\" AS concertina_keys \
         ORDER BY concertina_keys.day DESC, concertina_keys.id DESC LIMIT 1"
    );
    let end = ["2026-12-31".to_owned(), "z".to_owned()];
    assert_eq!(
        key_bound(&backfill, &key, Some(&after), &end, 500),
        "WITH batch AS MATERIALIZED (SELECT day, id FROM ONLY app.\"Users\" AS concertina_keys WHERE \
         (concertina_keys.day, concertina_keys.id) > ('2026-01-02'::date, 'a'::uuid) AND \
         (concertina_keys.day, concertina_keys.id) <= ('2026-12-31'::date, 'z'::uuid) \
         ORDER BY day, id LIMIT 500) \
         SELECT to_jsonb(day) #>> '{}', id::text, (SELECT count(*) FROM batch) FROM batch \
         ORDER BY batch.day DESC, batch.id DESC LIMIT 1"
    );
    assert!(
        key_batch(&backfill, &key, None, &after)
            .contains("WHERE (u.day, u.id) <= ('2026-01-02'::date, 'a'::uuid) AND (\"email lower\" IS NULL)")
    );
}

#[test]
fn a_row_set_fixes_the_rows_and_rechecks_the_filter() {
    let row_set = RowSet {
        table: Name::new("concertina", "rows_1"),
        key: vec![Ident::new("Day"), Ident::new("id")],
        filter: Some("id > 3 -- three".into()),
        alias: Ident::new("u"),
    };
    let backfill = update(Walk::RowSet(row_set.clone()));
    assert_eq!(
        row_set_create(&backfill, &row_set),
        [
            "CREATE TABLE concertina.rows_1 AS SELECT row_number() OVER (ORDER BY concertina_number / 262144, \
             concertina_number % 16, concertina_number) AS concertina_number, concertina_1, concertina_2 FROM \
             (SELECT row_number() OVER () AS concertina_number, u.\"Day\" AS concertina_1, u.id AS concertina_2 \
             FROM ONLY app.\"Users\" AS u WHERE (id > 3 -- three\n)) AS heap",
            "ALTER TABLE concertina.rows_1 ADD PRIMARY KEY (concertina_number)",
        ]
    );
    assert_eq!(
        row_set_batch(&backfill, &row_set, 7, 9),
        "UPDATE ONLY app.\"Users\" AS u SET \"email lower\" = (lower(email) -- as it is\n) \
         FROM ONLY concertina.rows_1 AS concertina_keys \
         WHERE concertina_keys.concertina_number > 7 AND concertina_keys.concertina_number <= 9 \
         AND u.\"Day\" = concertina_keys.concertina_1 AND u.id = concertina_keys.concertina_2 \
         AND (id > 3 -- three\n) AND (\"email lower\" IS NULL)"
    );
}

#[test]
fn a_copy_locks_its_rows_and_a_restore_walks_the_archive() {
    let mut backfill = update(Walk::Key { columns: vec![Ident::new("id")] });
    let key = key(&[("id", "bigint")]);
    let archive = Name::new("concertina_archive", "a");
    let id = Ident::new("id");
    backfill.write =
        Write::Copy { into: archive.clone(), columns: vec![id.clone(), Ident::new("x")], only: None };
    assert_eq!(
        key_batch(&backfill, &key, None, &["9".to_owned()]),
        "WITH batch AS MATERIALIZED (SELECT id, x FROM ONLY app.\"Users\" AS concertina_row WHERE \
         concertina_row.id <= '9'::bigint FOR KEY SHARE) INSERT INTO concertina_archive.a (id, x) \
         SELECT id, x FROM batch ON CONFLICT DO NOTHING"
    );
    backfill.write = Write::Restore {
        from: archive,
        key: vec![id],
        column: Ident::new("x"),
        pending: None,
        same: Vec::new(),
    };
    assert!(
        key_bound(&backfill, &key, None, &["9".to_owned()], 10)
            .contains("FROM ONLY concertina_archive.a AS concertina_keys")
    );
    assert_eq!(
        key_batch(&backfill, &key, None, &["9".to_owned()]),
        "UPDATE ONLY app.\"Users\" AS concertina_row SET x = concertina_keys.x \
         FROM ONLY concertina_archive.a AS concertina_keys WHERE concertina_row.id <= '9'::bigint \
         AND concertina_keys.id <= '9'::bigint AND concertina_row.id = concertina_keys.id \
         AND concertina_row.x IS NULL AND concertina_keys.x IS NOT NULL"
    );
}

#[test]
fn what_is_overwritten_is_locked_kept_and_written_by_one_statement() {
    let mut backfill = update(Walk::Key { columns: vec![Ident::new("id")] });
    let kept = Name::new("concertina_archive", "b");
    let (key, columns) = (vec![Ident::new("id")], vec![Ident::new("email lower")]);
    backfill.write = Write::Keeping {
        what: Box::new(backfill.write.clone()),
        into: kept.clone(),
        key: key.clone(),
        columns: columns.clone(),
    };
    let types = self::key(&[("id", "bigint")]);
    assert_eq!(
        key_batch(&backfill, &types, None, &["9".to_owned()]),
        "WITH concertina_before AS MATERIALIZED (SELECT u.id AS concertina_key_1, u.\"email lower\" AS concertina_old_1 \
         FROM ONLY app.\"Users\" AS u WHERE u.id <= '9'::bigint AND (\"email lower\" IS NULL) FOR NO KEY UPDATE OF u), \
         concertina_done AS (UPDATE ONLY app.\"Users\" AS u SET \"email lower\" = (lower(email) -- as it is\n) \
         FROM concertina_before WHERE u.id = concertina_before.concertina_key_1 \
         RETURNING concertina_before.concertina_key_1, concertina_before.concertina_old_1, \
         u.\"email lower\" AS concertina_after_1) \
         INSERT INTO concertina_archive.b (id, \"email lower\", concertina_after_1) SELECT * FROM concertina_done"
    );
    backfill.write = Write::PutBack { from: kept, key, columns, deleted: false };
    let back = key_batch(&backfill, &types, None, &["9".to_owned()]);
    assert!(
        back.contains(
            "AND NOT pg_catalog.record_image_ne(ROW(concertina_row.\"email lower\"), \
             ROW(concertina_keys.concertina_after_1))"
        ),
        "{back}"
    );
    assert!(back.contains("DELETE FROM ONLY concertina_archive.b"), "{back}");
}
