//! The long-lived part: [`RestApis`] over [`HttpApis`].

use std::collections::HashSet;
use std::sync::Arc;

use base::{Account, Fault, Region, Rng};
use store::{Batch, Key, Kv, Range, Rows, Space};

use super::serve::Live;
use super::types::{Api, Deployment};
use super::{faults, state};
use crate::remembered::Remembered;
use crate::rules::ids;
use crate::{HttpApis, Options};

/// Letters of a resource's id.
pub(crate) const RESOURCE: usize = 6;

/// REST APIs: carries out their operations, and answers the hosts of all APIs.
pub struct RestApis {
    // Answers what is no REST API, and has what both kinds need.
    pub(crate) others: Arc<HttpApis>,
    // None of an id that is no REST API's.
    remembered: Arc<Remembered<Option<Arc<Live>>>>,
}

/// An API that is being changed, and what else its transaction does.
pub(crate) struct Draft<'a> {
    pub(crate) api: Api,
    pub(crate) now_ms: i64,
    rng: &'a dyn Rng,
    batch: Batch,
}

impl Draft<'_> {
    /// An id that no part of the API has. A transaction that runs again makes another, and only the last one's is seen.
    pub(crate) fn id(&self, letters: usize) -> String {
        loop {
            let id = ids::fresh(self.rng, letters);
            let api = &self.api;
            let taken = api.resources.contains_key(&id)
                || api.deployments.contains_key(&id)
                || api.authorizers.contains_key(&id)
                || api.validators.contains_key(&id)
                || api.models.values().any(|model| model.id == id);
            if !taken {
                return id;
            }
        }
    }

    /// Freezes the API as it is in a deployment of its own.
    ///
    /// # Errors
    /// BadRequestException if there are too many, or nothing to deploy.
    pub(crate) fn freeze(&mut self, description: Option<String>) -> Result<String, Fault> {
        if self.api.deployments.len() >= crate::limits::DEPLOYMENTS {
            return Err(faults::too_many("deployments", crate::limits::DEPLOYMENTS));
        }
        let mut methods = self.api.resources.values().flat_map(|resource| resource.methods.values()).peekable();
        if methods.peek().is_none() {
            return Err(faults::bad("The REST API doesn't contain any methods"));
        }
        if methods.any(|method| method.integration.is_none()) {
            return Err(faults::bad("No integration defined for method"));
        }
        let id = self.id(ids::DEPLOYMENT);
        self.api.deployments.insert(id.clone(), Deployment { description, created_ms: self.now_ms });
        self.batch.put_json(Space::Control, state::frozen_row(&self.api.id, &id), &self.api.freeze())?;
        Ok(id)
    }

    /// Takes a deployment away.
    pub(crate) fn drop_deployment(&mut self, id: &str) {
        self.api.deployments.remove(id);
        self.batch.delete(Space::Control, state::frozen_row(&self.api.id, id));
    }

    /// Writes the rest of the transaction.
    fn finish(mut self) -> Result<Batch, Fault> {
        let bytes = serde_json::to_vec(&self.api)
            .map_err(|error| Fault::internal(format!("an API has no JSON form: {error}")))?;
        if bytes.len() > crate::limits::API_BYTES {
            return Err(faults::bad(format!(
                "The API with all that belongs to it takes {} bytes; {} are the limit here",
                bytes.len(),
                crate::limits::API_BYTES
            )));
        }
        self.batch.put(Space::Control, state::api_row(&self.api.id), bytes);
        Ok(self.batch)
    }
}

/// What an operation says of an API that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// That it is not.
    Api,
    /// That the resource is not, which AWS looks for first.
    Resource,
}

impl Missing {
    fn fault(self, account: Account, id: &str) -> Fault {
        match self {
            Self::Api => faults::no_api(account, id),
            Self::Resource => faults::no_resource(),
        }
    }
}

impl RestApis {
    /// Opens the room's other half over the same rows.
    #[must_use]
    pub fn open(others: Arc<HttpApis>) -> Arc<Self> {
        let remembered = Remembered::following(&*others.options.kv, state::APIS);
        Arc::new(Self { others, remembered })
    }

    pub(crate) fn options(&self) -> &Options {
        &self.others.options
    }

    pub(crate) fn kv(&self) -> &dyn Kv {
        &*self.others.options.kv
    }

    /// An API made ready, if there is such a REST API.
    pub(crate) fn live(&self, id: &str) -> Result<Option<Arc<Live>>, Fault> {
        let live = self.remembered.find(id, || {
            let api = state::find_api(self.kv(), id)?;
            Ok(Some(api.map(|api| Live::of(api, self.kv(), &self.others.buckets)).transpose()?.map(Arc::new)))
        })?;
        Ok(live.flatten())
    }

    /// An API of the caller's.
    ///
    /// # Errors
    /// NotFoundException.
    pub(crate) fn api(&self, account: Account, region: &Region, id: Option<&str>) -> Result<Arc<Live>, Fault> {
        let id = id.unwrap_or_default();
        let live = self.live(id)?.filter(|live| is_of(&live.api, account, region));
        live.ok_or_else(|| faults::no_api(account, id))
    }

    /// An API of the caller's, of which a resource is wanted.
    ///
    /// # Errors
    /// NotFoundException, which speaks of the resource.
    pub(crate) fn of_resource(&self, account: Account, region: &Region, id: Option<&str>) -> Result<Arc<Live>, Fault> {
        self.api(account, region, id).map_err(|fault| if fault.status == 404 { faults::no_resource() } else { fault })
    }

    /// The ids of an account's APIs in a region, in their order.
    pub(crate) fn owned(&self, account: Account, region: &Region) -> Result<Vec<String>, Fault> {
        let prefix = state::owned(account, region);
        let rows = self.kv().range(Space::Control, Range::prefix(prefix.clone()), crate::limits::APIS, false)?;
        let id = |row: &[u8]| row.get(prefix.len()..).map(|id| String::from_utf8_lossy(id).into_owned());
        Ok(rows.iter().filter_map(|(row, _)| id(row)).collect())
    }

    /// Changes an API of the caller's in one transaction, and makes it ready.
    ///
    /// # Errors
    /// NotFoundException; what `change` decides; the store's.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        (account, region): (Account, &Region),
        id: Option<&str>,
        missing: Missing,
        mut change: impl FnMut(&mut Draft<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let id = id.unwrap_or_default().to_owned();
        let (rng, region) = (Arc::clone(&self.options().rng), region.clone());
        let now_ms = self.options().clocks.product().0;
        let row = state::api_row(&id);
        let keys = vec![Key::new(Space::Control, row.clone())];
        let named = id.clone();
        let run = move |rows: &Rows| {
            let api: Option<Api> = rows.json(Space::Control, row.as_bytes())?;
            let api = api.filter(|api| is_of(api, account, &region)).ok_or_else(|| missing.fault(account, &named))?;
            let mut draft = Draft { api, now_ms, rng: &*rng, batch: Batch::new() };
            let told = change(&mut draft)?;
            Ok((draft.finish()?, told))
        };
        let told = store::transact_with(self.kv(), keys, run).await?;
        // The first request after a change finds everything ready.
        self.live(&id)?;
        Ok(told)
    }

    /// Keeps a new API, as `make` fills it.
    ///
    /// # Errors
    /// What `make` decides; the store's.
    pub(crate) async fn make(
        &self,
        api: Api,
        mut make: impl FnMut(&mut Draft<'_>) -> Result<(), Fault> + Send + 'static,
    ) -> Result<Arc<Live>, Fault> {
        let (rng, now_ms) = (Arc::clone(&self.options().rng), api.created_ms);
        let id = api.id.clone();
        let row = state::api_row(&id);
        // HTTP APIs have ids of the same space.
        let other = crate::state::api_row(&id);
        let keys = vec![Key::new(Space::Control, row.clone()), Key::new(Space::Control, other.clone())];
        let run = move |rows: &Rows| {
            let taken = |row: &str| rows.get(Space::Control, row.as_bytes()).is_some();
            if taken(&row) || taken(&other) {
                return Err(Fault::internal("a random id was taken: try again"));
            }
            let mut draft = Draft { api: api.clone(), now_ms, rng: &*rng, batch: Batch::new() };
            make(&mut draft)?;
            draft.batch.put(Space::Control, state::owned_row(&api.account, &api.region, &api.id), bytes::Bytes::new());
            draft.finish()
        };
        self.options().kv.transact(keys, Box::new(run)).await?;
        self.live(&id)?.ok_or_else(|| Fault::internal("an API was made and is not there"))
    }

    /// Takes an API away with all that belongs to it.
    ///
    /// # Errors
    /// NotFoundException; the store's.
    pub(crate) async fn remove(&self, account: Account, region: &Region, id: Option<&str>) -> Result<(), Fault> {
        let (id, region) = (id.unwrap_or_default().to_owned(), region.clone());
        let named = id.clone();
        let row = state::api_row(&id);
        let keys = vec![Key::new(Space::Control, row.clone())];
        let run = move |rows: &Rows| {
            let api: Option<Api> = rows.json(Space::Control, row.as_bytes())?;
            let api = api.filter(|api| is_of(api, account, &region)).ok_or_else(|| faults::no_api(account, &id))?;
            let mut batch = Batch::new();
            batch.delete(Space::Control, row.clone());
            batch.delete(Space::Control, state::owned_row(&api.account, &api.region, &api.id));
            for deployment in api.deployments.keys() {
                batch.delete(Space::Control, state::frozen_row(&api.id, deployment));
            }
            Ok(batch)
        };
        self.options().kv.transact(keys, Box::new(run)).await?;
        self.others.buckets.keep(&named, &HashSet::new());
        Ok(())
    }
}

fn is_of(api: &Api, account: Account, region: &Region) -> bool {
    api.account == account.as_str() && api.region == region.as_str()
}
