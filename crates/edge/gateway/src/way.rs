//! Where a request goes, decided from its head alone. The order is the rule: function URLs and APIs own their hosts whole, then
//! the platform's own paths, then pages for people, then the AWS APIs.

use base::limits::REQUEST_BODY_BYTES;
use door::{Site, Via};
use http::Method;
use http::header::{ACCEPT, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION};

use crate::addressed::of_store;
use crate::arrival::Arrival;
use crate::platform::Page;
use crate::{Options, clock};

/// The platform's own paths begin so.
const OWN: &str = "/_lambent/";
/// Own paths that are not for people: function URLs and APIs without a host of their own, and downloads by token.
const PUBLIC: [&str; 3] = ["/_lambent/url/", "/_lambent/api/", "/_lambent/code/"];
/// Largest body of a page's request, bytes.
const PAGE_BODY_BYTES: usize = 64 * 1024;

/// Where a request goes.
pub(crate) enum Way<'a> {
    /// A page asks what it may send to the AWS APIs.
    Preflight,
    /// Health and test controls.
    Platform(Page),
    /// A site that anybody may call.
    Public(&'a dyn Site),
    /// A site for the person at this machine.
    Page(&'a dyn Site),
    /// Nobody answers there, and why.
    Nowhere(&'static str),
    /// An AWS API.
    Api,
}

impl<'a> Way<'a> {
    pub(crate) fn of(arrival: &Arrival<'_>, options: &'a Options) -> Self {
        let (host, path) = (arrival.host.as_str(), arrival.request.path.as_str());
        let inside = arrival.connection.entrance.via == Via::Sandbox;
        let site = || options.sites.iter().find(|site| site.claims(host, path)).map(|site| &**site);
        if is_tenants(host) || PUBLIC.iter().any(|prefix| path.starts_with(prefix)) {
            return site()
                .map_or(Self::Nowhere("no function URL, no API and no website has this host or path"), Self::Public);
        }
        if let Some(page) = Page::at(path) {
            if inside && page.is_private() {
                return Self::Nowhere("there is no such page");
            }
            return match page.is_control() {
                true if inside => Self::Nowhere("no function may hold the clock"),
                true if options.test_controls.is_none() => Self::Nowhere(clock::NONE),
                _ => Self::Platform(page),
            };
        }
        if path.starts_with(OWN) || (is_visit(arrival) && of_store(host, &options.hosts).is_none()) {
            let site = if inside { None } else { site() };
            return site.map_or(Self::Nowhere("there is no such page"), Self::Page);
        }
        if arrival.request.method == Method::OPTIONS
            && arrival.request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Self::Preflight;
        }
        Self::Api
    }

    /// How long a body is welcome here, bytes.
    pub(crate) fn body_limit(&self) -> usize {
        match self {
            Self::Api => REQUEST_BODY_BYTES,
            Self::Public(site) => site.body_bytes(),
            Self::Preflight | Self::Platform(_) | Self::Page(_) | Self::Nowhere(_) => PAGE_BODY_BYTES,
        }
    }
}

/// `<id>.lambda-url.<region>.<anything>`: the host of a function URL.
pub(crate) fn is_function_url(host: &str) -> bool {
    host.split('.').nth(1) == Some("lambda-url")
}

/// `<api>.execute-api.<region>.<anything>`: the host of an HTTP API.
fn is_api(host: &str) -> bool {
    host.split('.').nth(1) == Some("execute-api")
}

/// Whether a host is a function's, an API's or a website's own: an origin apart from ours.
pub(crate) fn is_tenants(host: &str) -> bool {
    is_function_url(host) || is_api(host) || is_website(host)
}

/// `<bucket>.s3-website.<region>.<anything>` or `<bucket>.s3-website-<region>.<anything>`: the host of a bucket's website.
fn is_website(host: &str) -> bool {
    host.split('.').skip(1).any(|label| label == "s3-website" || label.starts_with("s3-website-"))
}

/// A browser that opens the front page: it wants HTML and says nothing that an AWS client says.
fn is_visit(arrival: &Arrival<'_>) -> bool {
    matches!(arrival.request.method, Method::GET | Method::HEAD)
        && arrival.request.path == "/"
        && wants_html(arrival)
        && !is_marked(arrival)
}

/// Whether a browser asks for a page to show.
pub(crate) fn wants_html(arrival: &Arrival<'_>) -> bool {
    let accepts = arrival.request.headers.get_all(ACCEPT);
    accepts.iter().any(|accept| accept.as_bytes().windows(9).any(|window| window == b"text/html"))
}

/// Whether the request carries a mark that only AWS clients set: a signature or a target.
fn is_marked(arrival: &Arrival<'_>) -> bool {
    let signed = arrival.request.headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS4-"));
    signed
        || arrival.request.headers.contains_key("x-amz-target")
        || arrival.request.query.contains("X-Amz-Signature=")
        || arrival.request.query.contains("Action=")
}

#[cfg(test)]
mod tests {
    use super::{is_function_url, is_tenants};

    #[test]
    fn hosts_of_websites_and_apis_are_told_by_a_label() {
        assert!(is_tenants("b.s3-website.us-east-1.localhost"));
        assert!(is_tenants("a.b.s3-website-eu-west-1.amazonaws.com"));
        assert!(!is_tenants("s3-website.localhost"));
        assert!(!is_tenants("b.s3.localhost"));
        assert!(is_tenants("abc.execute-api.us-east-1.localhost"));
        assert!(!is_tenants("execute-api.us-east-1.localhost"));
    }

    #[test]
    fn function_url_hosts_are_told_by_their_second_label() {
        assert!(is_function_url("abc.lambda-url.us-east-1.localhost"));
        assert!(is_function_url("abc.lambda-url.us-east-1.on.aws"));
        assert!(!is_function_url("lambda-url.localhost"));
        assert!(!is_function_url("127.0.0.1"));
        assert!(!is_function_url(""));
    }
}
