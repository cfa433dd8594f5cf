//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file that includes this uses a part of it")]

pub(crate) mod full_search;
