//! Pages of other origins: a bucket's own rules say which may use it; the AWS APIs themselves are open to all, since a signature decides there.

use door::CrossOrigin;
use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap};
use wire::{Protocol, route};

use crate::Gateway;
use crate::addressed::Addressed;
use crate::arrival::{Arrival, bare_host};
use crate::respond::{self, Outgoing, Response};

/// Who sent a request, as browsers see it.
pub(crate) enum Page {
    /// No page.
    None,
    /// A page, to an API that is open to all.
    Any,
    /// A page, to a bucket that does not let it in.
    Foreign,
    /// A page that the bucket's rules let in: what its browser is told, and whether it is a page of this machine.
    Welcome(HeaderMap, bool),
}

impl Page {
    /// Whether it is a page of this machine that the bucket lets in.
    pub(crate) fn is_welcome(&self) -> bool {
        matches!(self, Self::Welcome(_, true))
    }

    /// The answer, readable for whom it may be.
    pub(crate) fn share(self, mut response: Response) -> Response {
        match self {
            Self::None | Self::Foreign => response,
            Self::Any => respond::readable_by_pages(response),
            Self::Welcome(headers, _) => {
                response.headers_mut().extend(headers);
                response
            }
        }
    }
}

impl Gateway {
    /// Which page sent a request.
    pub(crate) fn page_of(&self, arrival: &Arrival<'_>, addressed: &Addressed) -> Page {
        let Some(origin) = arrival.header("origin") else { return Page::None };
        let bucket = addressed.bucket().filter(|bucket| self.options.buckets.exists(bucket));
        let Some(bucket) = bucket else { return Page::Any };
        let page = CrossOrigin { origin, method: arrival.request.method.as_str(), headers: None };
        match self.options.buckets.share(bucket, &page) {
            Ok(headers) => Page::Welcome(headers, is_of_this_machine(origin)),
            Err(_) => Page::Foreign,
        }
    }

    /// What a page hears that asks before it sends.
    pub(crate) fn preflight(&self, arrival: &Arrival<'_>) -> Response {
        let addressed = self.addressed(arrival);
        let Some(bucket) = addressed.bucket() else { return respond::preflight(arrival) };
        let text = |name: http::HeaderName| arrival.header(name.as_str());
        let page = CrossOrigin {
            origin: text(http::header::ORIGIN).unwrap_or_default(),
            method: text(ACCESS_CONTROL_REQUEST_METHOD).unwrap_or_default(),
            headers: text(ACCESS_CONTROL_REQUEST_HEADERS),
        };
        match self.options.buckets.share(bucket, &page) {
            Ok(headers) => respond::build(200, headers, Outgoing::Whole(None)),
            Err(fault) => {
                let store = addressed.store().or_else(|| route::store(self.options.services));
                let id = arrival.request_id;
                respond::printed(wire::encode_fault(Protocol::RestXml, store, &fault, id.as_str()))
            }
        }
    }
}

/// `http://localhost:3000`: whoever wrote it runs it here.
fn is_of_this_machine(origin: &str) -> bool {
    let Some((_, authority)) = origin.split_once("://") else { return false };
    let host = bare_host(authority);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
