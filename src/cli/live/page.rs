//! The page itself: one HTML with everything in it, so that it asks no other host for anything.
//!
//! It has the colours of the [page](super::super::page) that shows paths, and is joined of modules as that
//! one is. What only this page has is in the folder `assets`.

use super::super::page::{DOM, STYLE, joined};
use super::http::{Refusal, Response};

const HTML: &str = include_str!("assets/index.html");
const OWN_STYLE: &str = include_str!("assets/live.css");

/// The modules, each after those that it imports.
const MODULES: [&str; 10] = [
    DOM,
    include_str!("assets/base.js"),
    include_str!("assets/ring.js"),
    include_str!("assets/cards.js"),
    include_str!("assets/tails.js"),
    include_str!("assets/plots.js"),
    include_str!("assets/events.js"),
    include_str!("assets/verdicts.js"),
    include_str!("assets/desk.js"),
    include_str!("assets/main.js"),
];

/// The page. Only what bears the number of this answer is run or styles, so no text of a server can be.
pub(super) fn page() -> Result<Response, Refusal> {
    let nonce = getrandom::u64()
        .map_err(|error| Refusal::new(500, format!("There are no random numbers: {error}.")))?;
    let nonce = format!("{nonce:016x}");
    let style = format!("<style nonce=\"{nonce}\">\n{STYLE}{OWN_STYLE}</style>");
    let code = format!("<script type=\"module\" nonce=\"{nonce}\">\n{}</script>", joined(&MODULES));
    let html = HTML.replace("<!-- style -->", &style).replace("<!-- code -->", &code);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let page = Response::new(200, "text/html; charset=utf-8", html);
    Ok(page.with_header("Content-Security-Policy", policy))
}

#[cfg(test)]
mod tests {
    use super::super::super::page::count_names;
    use super::*;

    #[test]
    fn the_page_has_a_place_for_each_part_and_a_sentence_for_browsers_without_javascript() {
        for place in ["<!-- style -->", "<!-- code -->", "<noscript>"] {
            assert_eq!(HTML.matches(place).count(), 1, "{place}");
        }
    }

    #[test]
    fn the_modules_become_one_that_names_no_other_host() {
        let code = joined(&MODULES);
        assert!(!code.contains("\nimport ") && !code.contains("\nexport "));
        assert!(!code.contains("</script"), "the code would end there");
        let hosts = code.matches("://").count();
        assert_eq!(
            hosts,
            code.matches("http://www.w3.org/2000/svg").count(),
            "a name of SVG alone"
        );
        assert!(count_names(&code) > 50);
        assert!(MODULES.iter().all(|module| module.starts_with("// ")));
    }
}
