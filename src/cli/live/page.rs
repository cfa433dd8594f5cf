//! The page itself: one HTML with everything in it, so that it asks no other host for anything.

use super::http::{Refusal, Response};

const HTML: &str = include_str!("assets/live.html");
const STYLE: &str = include_str!("assets/live.css");
/// The scripts, in an order in which each uses only those before it.
const SCRIPTS: [&str; 1] = [include_str!("assets/main.js")];

/// The page. Only what bears the number of this answer is run or styles, so no text of a server can be.
pub(super) fn page() -> Result<Response, Refusal> {
    let nonce = getrandom::u64()
        .map_err(|error| Refusal::new(500, format!("There are no random numbers: {error}.")))?;
    let nonce = format!("{nonce:016x}");
    let html = HTML
        .replace("{{nonce}}", &nonce)
        .replace("{{style}}", STYLE)
        .replace("{{script}}", &SCRIPTS.concat());
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let page = Response::new(200, "text/html; charset=utf-8", html);
    Ok(page.with_header("Content-Security-Policy", policy))
}
