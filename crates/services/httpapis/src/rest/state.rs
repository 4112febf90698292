//! Layout over the store, all in [`Space::Control`]:
//!
//! - `restapi/api/<id>`: an API with all that belongs to it, JSON ([`Api`](super::types::Api));
//! - `restapi/owned/<account>/<region>/<id>`: that it is the account's, empty;
//! - `restapi/frozen/<id>/<deployment>`: what a deployment froze, JSON ([`Frozen`]).

use base::{Account, Fault, Region};
use store::{Kv, Space};

use super::types::{Api, Frozen};

/// The prefix of all APIs.
pub(crate) const APIS: &str = "restapi/api/";

/// An API's row.
pub(crate) fn api_row(id: &str) -> String {
    format!("{APIS}{id}")
}

/// The prefix of an account's APIs in a region.
pub(crate) fn owned(account: Account, region: &Region) -> String {
    format!("restapi/owned/{account}/{region}/")
}

/// The row that says whose an API is.
pub(crate) fn owned_row(account: &str, region: &str, id: &str) -> String {
    format!("restapi/owned/{account}/{region}/{id}")
}

/// The row of what a deployment froze.
pub(crate) fn frozen_row(api: &str, deployment: &str) -> String {
    format!("restapi/frozen/{api}/{deployment}")
}

/// An API, if it exists.
pub(crate) fn find_api(kv: &dyn Kv, id: &str) -> Result<Option<Api>, Fault> {
    Ok(store::get_json(kv, Space::Control, api_row(id).as_bytes())?)
}

/// What a deployment froze, if there is such a deployment.
pub(crate) fn find_frozen(kv: &dyn Kv, api: &str, deployment: &str) -> Result<Option<Frozen>, Fault> {
    Ok(store::get_json(kv, Space::Control, frozen_row(api, deployment).as_bytes())?)
}
