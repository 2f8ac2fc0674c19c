-- How long WAL stays on this server's disk, as far as every role may know. A slot that somebody reads is one that keeps up, unless it
-- has fallen behind by more than a checkpoint's worth.
WITH bounds AS (
    SELECT pg_size_bytes(current_setting('max_wal_size')) AS max_wal_size,
           pg_size_bytes(current_setting('wal_keep_size')) AS keep_size
)
SELECT json_build_object(
    'max_wal_size', b.max_wal_size,
    'keep_size', b.keep_size,
    'slots', coalesce((
        SELECT json_agg(json_build_object(
            'name', s.slot_name,
            'active', s.active,
            'held', greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::bigint,
            'limit', s.safe_wal_size
        ) ORDER BY s.slot_name)
        FROM pg_catalog.pg_replication_slots AS s
        WHERE s.restart_lsn IS NOT NULL AND s.wal_status IS DISTINCT FROM 'lost'
          AND (NOT s.active OR pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) > b.max_wal_size)
    ), '[]'),
    'archiver_fails', current_setting('archive_mode') <> 'off' AND EXISTS (
        SELECT FROM pg_catalog.pg_stat_archiver AS a
        WHERE a.last_failed_time > coalesce(a.last_archived_time, '-infinity')
    )
)
FROM bounds AS b
