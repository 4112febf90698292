//! The HTML file. It loads nothing from anywhere: its script and style are inline and carry this answer's nonce.

use std::fmt::Write as _;

use base::Rng;
use door::{Body, SiteResponse};
use http::{HeaderValue, header};

const PAGE: &str = include_str!("page.html");

/// The page, with a nonce of its own.
pub(crate) fn answer(rng: &dyn Rng) -> SiteResponse {
    let mut raw = [0u8; 16];
    rng.fill(&mut raw);
    let mut nonce = String::with_capacity(32);
    for byte in raw {
        // Writing to a String cannot fail.
        let _ = write!(nonce, "{byte:02x}");
    }
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' blob: data:; \
         connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    );
    let html = PAGE.replace("{nonce}", &nonce).replace("{version}", env!("CARGO_PKG_VERSION"));
    let mut answer = crate::answer(200, "text/html; charset=utf-8", Body::Bytes(html.into()));
    let policy = HeaderValue::try_from(policy).expect("hexadecimal digits and fixed text make a header");
    answer.headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    answer.headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    answer
}
