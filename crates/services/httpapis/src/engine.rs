//! The long-lived part: [`Options`] → [`HttpApis`].

use std::collections::HashSet;
use std::sync::Arc;

use base::{Account, Clocks, Fault, LogSink, Region, Rng};
use door::{Dispatch, Gate};
use store::{Batch, Key, Kv, Rows, Space};

use crate::outbound::Outbound;
use crate::remembered::Remembered;
use crate::rules::ids;
use crate::serve::{Buckets, Issuers, Live};
use crate::types::{Api, Deployment};
use crate::{faults, limits, state};

/// What the platform gives this room when it starts.
pub struct Options {
    /// The rows.
    pub kv: Arc<dyn Kv>,
    /// Dates follow the product clock.
    pub clocks: Arc<dyn Clocks>,
    /// Ids.
    pub rng: Arc<dyn Rng>,
    /// Carries out what integrations call.
    pub dispatch: Arc<dyn Dispatch>,
    /// Asked who may use routes with `AWS_IAM`.
    pub gate: Arc<Gate>,
    /// Reaches issuers of tokens and integrations elsewhere.
    pub outbound: Arc<dyn Outbound>,
    /// Takes access logs.
    pub logs: Arc<dyn LogSink>,
    /// Host and port at which clients reach the platform, where a call does not say it.
    pub authority: String,
    /// How they reach it: `http`, or `https` where nothing else is spoken.
    pub scheme: &'static str,
}

/// The room: carries out the operations, and answers the hosts of APIs.
pub struct HttpApis {
    pub(crate) options: Options,
    pub(crate) issuers: Issuers,
    // Of HTTP and REST APIs.
    pub(crate) buckets: Buckets,
    remembered: Arc<Remembered<Arc<Live>>>,
}

/// An API that is being changed, and what else its transaction does.
pub(crate) struct Draft<'a> {
    pub(crate) api: Api,
    pub(crate) now_ms: i64,
    rng: &'a dyn Rng,
    batch: Batch,
    // The change is of what stages answer with, so those that follow are deployed anew.
    deploys: bool,
}

impl Draft<'_> {
    /// An id that no part of the API has. A transaction that runs again makes another, and only the last one's is seen.
    pub(crate) fn id(&self, letters: usize) -> String {
        let api = &self.api;
        loop {
            let id = ids::fresh(self.rng, letters);
            let taken = api.routes.contains_key(&id)
                || api.integrations.contains_key(&id)
                || api.authorizers.contains_key(&id)
                || api.deployments.contains_key(&id);
            if !taken {
                return id;
            }
        }
    }

    /// Says that the change is of what stages answer with.
    pub(crate) fn deploys(&mut self) {
        self.deploys = true;
    }

    /// Freezes the API as it is in a deployment of its own.
    ///
    /// # Errors
    /// BadRequestException if there are too many, or no route.
    pub(crate) fn freeze(&mut self, description: Option<String>) -> Result<String, Fault> {
        if self.api.deployments.len() >= limits::DEPLOYMENTS {
            return Err(faults::too_many("deployments", limits::DEPLOYMENTS));
        }
        if self.api.routes.is_empty() {
            return Err(faults::bad(NO_ROUTES));
        }
        let id = self.id(ids::DEPLOYMENT);
        let one = Deployment { description, created_ms: self.now_ms, auto: false, frozen: true };
        self.api.deployments.insert(id.clone(), one);
        self.batch.put_json(Space::Control, state::frozen_row(&self.api.id, &id), &self.api.freeze())?;
        Ok(id)
    }

    /// Keeps what a deployment that follows every change has now, since something is to stay with it.
    ///
    /// # Errors
    /// That it has no JSON form.
    pub(crate) fn keep(&mut self, deployment: &str) -> Result<(), Fault> {
        let row = state::frozen_row(&self.api.id, deployment);
        let frozen = self.api.freeze();
        let Some(one) = self.api.deployments.get_mut(deployment).filter(|one| !one.frozen) else { return Ok(()) };
        one.frozen = true;
        self.batch.put_json(Space::Control, row, &frozen)?;
        Ok(())
    }

    /// Takes a deployment away.
    pub(crate) fn drop_deployment(&mut self, id: &str) {
        if self.api.deployments.remove(id).is_some_and(|one| one.frozen) {
            self.batch.delete(Space::Control, state::frozen_row(&self.api.id, id));
        }
    }

    /// Deploys the stage anew, which follows every change.
    pub(crate) fn follow(&mut self, stage: &str) {
        let id = self.id(ids::DEPLOYMENT);
        let (now_ms, none) = (self.now_ms, self.api.routes.is_empty());
        let Some(stage) = self.api.stages.get_mut(stage) else { return };
        if none {
            stage.deployment_message = Some(format!("Deployment attempt failed: {NO_ROUTES}"));
            return;
        }
        stage.deployment_message = Some(format!("Successfully deployed stage with deployment ID '{id}'"));
        let before = stage.deployment.replace(id.clone());
        let description = Some("Automatic deployment triggered by changes to the Api configuration".into());
        self.api.deployments.insert(id, Deployment { description, created_ms: now_ms, auto: true, frozen: false });
        // What followed until now is nobody's any more, unless another stage stays with it.
        if let Some(before) = before {
            let named = self.api.stages.values().any(|other| other.deployment.as_ref() == Some(&before));
            if !named && self.api.deployments.get(&before).is_some_and(|one| one.auto) {
                self.drop_deployment(&before);
            }
        }
    }

    /// Writes the rest of the transaction.
    fn finish(mut self) -> Result<Batch, Fault> {
        if self.deploys {
            let following: Vec<String> =
                self.api.stages.iter().filter(|(_, stage)| stage.auto_deploy).map(|(name, _)| name.clone()).collect();
            following.iter().for_each(|stage| self.follow(stage));
        }
        let bytes = serde_json::to_vec(&self.api)
            .map_err(|error| Fault::internal(format!("an API has no JSON form: {error}")))?;
        if bytes.len() > limits::API_BYTES {
            return Err(faults::bad(format!(
                "The API with all that belongs to it takes {} bytes; {} are the limit here",
                bytes.len(),
                limits::API_BYTES
            )));
        }
        self.batch.put(Space::Control, state::api_row(&self.api.id), bytes);
        Ok(self.batch)
    }
}

/// Why an API is not deployed.
const NO_ROUTES: &str = "Unable to deploy API because no routes exist in this API";

impl HttpApis {
    /// Opens the room over its rows.
    #[must_use]
    pub fn open(options: Options) -> Arc<Self> {
        let remembered = Remembered::following(&*options.kv, state::APIS);
        Arc::new(Self { options, issuers: Issuers::default(), buckets: Buckets::default(), remembered })
    }

    /// An API with its routes made ready, if it exists.
    pub(crate) fn live(&self, id: &str) -> Result<Option<Arc<Live>>, Fault> {
        self.remembered.find(id, || {
            let api = state::find_api(&*self.options.kv, id)?;
            Ok(api.map(|api| Live::of(api, &*self.options.kv, &self.buckets)).transpose()?.map(Arc::new))
        })
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

    /// Changes an API of the caller's in one transaction, and makes its routes ready.
    ///
    /// # Errors
    /// NotFoundException; what `change` decides; the store's.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        account: Account,
        region: &Region,
        id: Option<&str>,
        mut change: impl FnMut(&mut Draft<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let id = id.unwrap_or_default().to_owned();
        let (rng, region) = (Arc::clone(&self.options.rng), region.clone());
        let now_ms = self.options.clocks.product().0;
        let row = state::api_row(&id);
        let keys = vec![Key::new(Space::Control, row.clone())];
        let named = id.clone();
        let run = move |rows: &Rows| {
            let api: Option<Api> = rows.json(Space::Control, row.as_bytes())?;
            let api = api.filter(|api| is_of(api, account, &region)).ok_or_else(|| faults::no_api(account, &named))?;
            let mut draft = Draft { api, now_ms, rng: &*rng, batch: Batch::new(), deploys: false };
            let told = change(&mut draft)?;
            Ok((draft.finish()?, told))
        };
        let told = store::transact_with(&*self.options.kv, keys, run).await?;
        // The first request after a change finds everything ready.
        self.live(&id)?;
        Ok(told)
    }

    /// Makes an API, as `make` fills it.
    ///
    /// # Errors
    /// What `make` decides; the store's.
    pub(crate) async fn make(
        &self,
        api: Api,
        mut make: impl FnMut(&mut Draft<'_>) -> Result<(), Fault> + Send + 'static,
    ) -> Result<Arc<Live>, Fault> {
        let (rng, now_ms) = (Arc::clone(&self.options.rng), self.options.clocks.product().0);
        let id = api.id.clone();
        let row = state::api_row(&id);
        let keys = vec![Key::new(Space::Control, row.clone())];
        let run = move |rows: &Rows| {
            if rows.get(Space::Control, row.as_bytes()).is_some() {
                return Err(Fault::internal("a random id was taken: try again"));
            }
            let mut draft = Draft { api: api.clone(), now_ms, rng: &*rng, batch: Batch::new(), deploys: true };
            make(&mut draft)?;
            draft.batch.put(Space::Control, state::owned_row(&api.account, &api.region, &api.id), bytes::Bytes::new());
            draft.finish()
        };
        self.options.kv.transact(keys, Box::new(run)).await?;
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
            for (deployment, _) in api.deployments.iter().filter(|(_, one)| one.frozen) {
                batch.delete(Space::Control, state::frozen_row(&api.id, deployment));
            }
            Ok(batch)
        };
        self.options.kv.transact(keys, Box::new(run)).await?;
        self.buckets.keep(&named, &HashSet::new());
        Ok(())
    }
}

fn is_of(api: &Api, account: Account, region: &Region) -> bool {
    api.account == account.as_str() && api.region == region.as_str()
}
