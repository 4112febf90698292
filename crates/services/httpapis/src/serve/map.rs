//! Carries out parameter mapping.

use door::{Body, SiteRequest, SiteResponse};

use super::Visit;
use super::authorize::Authorizer;
use super::log::of_request;
use crate::rules::mapping::{self, Change, What};
use crate::rules::selection::Selection;

/// A request as an integration is to see it.
pub(super) struct Mapped {
    pub(super) request: SiteRequest,
    /// The path that replaces the request's own.
    pub(super) path: Option<String>,
}

impl Visit<'_> {
    /// The request with the changes that its integration wants; none if it wants none.
    pub(super) fn mapped(&self, changes: &[Change], authorizer: &Authorizer) -> Option<Mapped> {
        if changes.is_empty() {
            return None;
        }
        let from = self.request;
        let mut request = SiteRequest {
            method: from.method.clone(),
            path: from.path.clone(),
            query: from.query.clone(),
            host: from.host.clone(),
            authority: from.authority.clone(),
            headers: from.headers.clone(),
            body: from.body.clone(),
            peer: from.peer,
            principal: from.principal.clone(),
            origin: from.origin.clone(),
            request_id: from.request_id,
            takeover: None,
        };
        let mut path = None;
        for change in changes {
            let value = change.value(|selection| self.selected(selection, authorizer, None));
            match &change.what {
                What::Header(name) => mapping::change_header(&mut request.headers, change.how, name, &value),
                What::Query(name) => request.query = mapping::changed_query(&request.query, change.how, name, &value),
                What::Path => path = Some(if value.starts_with('/') { value } else { format!("/{value}") }),
                What::Status => {}
            }
        }
        Some(Mapped { request, path })
    }

    /// Changes an integration's answer.
    pub(super) fn change_answer(&self, changes: &[Change], authorizer: &Authorizer, response: &mut SiteResponse) {
        for change in changes {
            let value = change.value(|selection| self.selected(selection, authorizer, Some(response)));
            match &change.what {
                What::Header(name) => mapping::change_header(&mut response.headers, change.how, name, &value),
                What::Status => response.status = value.parse().unwrap_or(response.status),
                What::Query(_) | What::Path => {}
            }
        }
    }

    fn selected(
        &self,
        selection: &Selection,
        authorizer: &Authorizer,
        response: Option<&SiteResponse>,
    ) -> Option<String> {
        match selection {
            Selection::Body(place) => mapping::place(&self.request.body, place.as_deref()),
            Selection::AnswerHeader(name) => {
                let all = response?.headers.get_all(name.as_str()).iter();
                let all: Vec<_> = all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
                Some(all.join(","))
            }
            Selection::AnswerBody(place) => match &response?.body {
                Body::Bytes(bytes) => mapping::place(bytes, place.as_deref()),
                Body::Empty | Body::Stream(_) => None,
            },
            Selection::Context(name) => of_request(self, authorizer, name),
            other => self.select(other),
        }
    }
}
