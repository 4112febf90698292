//! No web page of a stranger may drive a platform on loopback.
//!
//! A caller who proves nothing is believed on a loopback listener because only programs of this machine reach it. A
//! browser is such a program, and any page it shows can make it send requests here: under its own name (`Origin`), or,
//! after pointing that name at 127.0.0.1, as if it were ours (`Host`). So unproven requests must name a host that is
//! loopback for certain, and, if a page sent them, a page of this very host.

use std::net::IpAddr;

use base::Fault;
use http::Method;

use crate::arrival::Arrival;

/// Names that nobody else can point somewhere: loopback by RFC 6761, and AWS's own, which only our resolver sends here.
const NAMES: [&str; 4] = ["localhost", ".localhost", ".localhost.localstack.cloud", ".amazonaws.com"];

/// Refuses what a stranger's page may have sent. `hosts` are further names this platform is known by.
pub(crate) fn check(arrival: &Arrival<'_>, hosts: &[String]) -> Result<(), Fault> {
    if !is_ours(&arrival.host, hosts) {
        return Err(Fault::denied(format!(
            "'{}' is not a name of this platform, so only signed requests of a known access key are answered there: \
             use http://localhost or http://127.0.0.1",
            arrival.host
        )));
    }
    if is_foreign(arrival) && !arrival.welcome {
        return Err(Fault::denied(
            "a page of another origin sent this request: sign it with an access key the platform knows, or send it from a \
             page of this host",
        ));
    }
    Ok(())
}

fn is_ours(host: &str, hosts: &[String]) -> bool {
    // A page loaded from an address can only come from the server at that address: no name was pointed anywhere.
    host.parse::<IpAddr>().is_ok()
        || host == "localhost.localstack.cloud"
        || NAMES.iter().any(|name| if name.starts_with('.') { host.ends_with(name) } else { host == *name })
        || hosts.iter().any(|known| known == host)
}

/// Whether a browser says that another origin's page sent this. Following a link to a page of ours is not that.
fn is_foreign(arrival: &Arrival<'_>) -> bool {
    if arrival.request.headers.contains_key("origin") {
        let own = arrival.header("origin").and_then(|origin| origin.split_once("://"));
        return !own.is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(&arrival.authority));
    }
    let follows_link = matches!(arrival.request.method, Method::GET | Method::HEAD)
        && arrival.header("sec-fetch-mode") == Some("navigate")
        && arrival.header("sec-fetch-dest") == Some("document");
    !follows_link && matches!(arrival.header("sec-fetch-site"), Some("cross-site" | "same-site"))
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_names_that_cannot_be_pointed_here_are_ours() {
        let known = ["build.lan".to_owned()];
        for host in
            ["localhost", "127.0.0.1", "::1", "10.1.2.3", "x.localhost", "build.lan", "s3.localhost.localstack.cloud"]
        {
            assert!(is_ours(host, &known), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "notlocalhost", "amazonaws.com.evil", "", "127.0.0.1.nip.io"]
        {
            assert!(!is_ours(host, &known), "{host}");
        }
    }
}
