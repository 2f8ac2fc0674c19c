//! The one call into libpg_query's C interface that the `pg_query` crate does not offer: parse, and on an error keep
//! the cursor position.
//!
//! The crate's own `parse` drops the position, and afterwards walks the tree with casts that panic on some valid
//! statements. This returns the encoded tree; the crate's generated types decode it.

use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An error of PostgreSQL's parser.
#[derive(Clone, Debug)]
pub(crate) struct ParserError {
    pub(crate) message: String,
    /// Character of the input, from 1; 0 when not known.
    pub(crate) cursor: usize,
}

/// Mirrors of `pg_query.h` of libpg_query 18.
#[repr(C)]
struct RawError {
    message: *mut c_char,
    funcname: *mut c_char,
    filename: *mut c_char,
    lineno: c_int,
    cursorpos: c_int,
    context: *mut c_char,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct RawTree {
    len: usize,
    data: *mut c_char,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct RawResult {
    tree: RawTree,
    stderr: *mut c_char,
    error: *mut RawError,
}

#[expect(unsafe_code, reason = "the C interface of libpg_query, which the pg_query crate links")]
unsafe extern "C" {
    fn pg_query_parse_protobuf(input: *const c_char) -> RawResult;
    fn pg_query_free_protobuf_parse_result(result: RawResult);
}

/// To be held during every call of libpg_query: it redirects the process's stderr meanwhile, and two threads doing so at once
/// would leave it redirected to nowhere.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parses, and returns the tree as protobuf bytes of `pg_query::protobuf::ParseResult`.
#[expect(unsafe_code, reason = "the C interface of libpg_query, which the pg_query crate links")]
pub(crate) fn parse(text: &str) -> Result<Vec<u8>, ParserError> {
    let input = CString::new(text)
        .map_err(|e| ParserError { message: "NUL byte".to_owned(), cursor: e.nul_position() + 1 })?;
    let _guard = one_at_a_time();
    // SAFETY: `input` is a NUL-terminated string that outlives the call, and the declarations match pg_query.h.
    let result = unsafe { pg_query_parse_protobuf(input.as_ptr()) };
    // SAFETY: `error` is null or points to an error that lives until the result is freed below.
    let parsed = match unsafe { result.error.as_ref() } {
        Some(error) => {
            // SAFETY: `message` is a NUL-terminated string owned by the error.
            let message = unsafe { CStr::from_ptr(error.message) }.to_string_lossy().into_owned();
            Err(ParserError { message, cursor: usize::try_from(error.cursorpos).unwrap_or(0) })
        }
        None if result.tree.data.is_null() => Ok(Vec::new()),
        // SAFETY: without an error `data` points to `len` bytes that live until the result is freed below.
        None => {
            Ok(unsafe { std::slice::from_raw_parts(result.tree.data.cast::<u8>(), result.tree.len) }.to_vec())
        }
    };
    // SAFETY: the result came from libpg_query and is not used after this.
    unsafe { pg_query_free_protobuf_parse_result(result) };
    parsed
}
