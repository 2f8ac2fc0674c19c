REINDEX INDEX events_kind_idx;
