//! Fetches other major versions into the cache.
