//! The worlds the protocol is put in.
