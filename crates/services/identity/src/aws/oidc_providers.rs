//! OpenID Connect providers. They are kept and shown; nothing is fetched from them, and nobody signs in by them yet.

use std::sync::Arc;

use base::{Account, Fault, Timestamp};
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use store::Batch;
use wire::Unit;

use super::{show, tags};
use crate::Identity;
use crate::faults::{self, quota};
use crate::holder::Kept;
use crate::state::{self, Kind, SPACE};
use crate::types::OidcProvider;

/// Source: IAM User Guide, "IAM and AWS STS quotas".
pub(super) const PROVIDERS_PER_ACCOUNT: usize = 100;
const CLIENTS: usize = 100;
const THUMBPRINTS: usize = 5;

fn check_thumbprints(thumbprints: &[String]) -> Result<(), Fault> {
    if thumbprints.len() > THUMBPRINTS {
        return Err(iam::invalid_input_exception("Thumbprint list must contain fewer than 5 entries."));
    }
    Ok(())
}

fn add_client(clients: &mut Vec<String>, client: String) -> Result<(), Fault> {
    if !clients.contains(&client) {
        if clients.len() >= CLIENTS {
            return Err(quota("ClientIdsPerOpenIdConnectProvider", CLIENTS));
        }
        clients.push(client);
    }
    Ok(())
}

impl Handle<ops::CreateOpenIDConnectProvider> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::CreateOpenIDConnectProviderRequest,
        _: Body,
    ) -> Result<Answer<iam::CreateOpenIDConnectProviderResponse>, Fault> {
        let account = context.account;
        let url = input.url.unwrap_or_default();
        let host = url.strip_prefix("https://").filter(|rest| !rest.is_empty() && !rest.contains(['?', '#']));
        let host = host.ok_or_else(|| faults::invalid("Invalid Open ID Connect Provider URL"))?;
        let thumbprints = input.thumbprint_list.unwrap_or_default();
        check_thumbprints(&thumbprints)?;
        let mut clients = Vec::new();
        for client in input.client_id_list.unwrap_or_default() {
            add_client(&mut clients, client)?;
        }
        let provider = OidcProvider {
            url: host.to_owned(),
            clients,
            thumbprints,
            created_ms: self.clocks.product().0 / 1000 * 1000,
            tags: tags::given(input.tags)?,
        };
        let (quota, taken) = ("OpenIdConnectProvidersPerAccount", format!("Provider with url {url} already exists."));
        self.make(account, &provider.url, &provider, (quota, PROVIDERS_PER_ACCOUNT), taken).await?;
        let output = iam::CreateOpenIDConnectProviderResponse {
            open_id_connect_provider_arn: Some(provider.arn(account)),
            tags: Some(show::tags(&provider.tags)).filter(|tags| !tags.is_empty()),
        };
        Ok(output.into())
    }
}

impl Handle<ops::GetOpenIDConnectProvider> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::GetOpenIDConnectProviderRequest,
        _: Body,
    ) -> Result<Answer<iam::GetOpenIDConnectProviderResponse>, Fault> {
        let arn = input.open_id_connect_provider_arn.unwrap_or_default();
        let provider: OidcProvider = self.kept(context.account, &arn)?;
        let output = iam::GetOpenIDConnectProviderResponse {
            url: Some(provider.url),
            client_id_list: Some(provider.clients),
            thumbprint_list: Some(provider.thumbprints),
            create_date: Some(Timestamp(provider.created_ms)),
            tags: Some(show::tags(&provider.tags)).filter(|tags| !tags.is_empty()),
        };
        Ok(output.into())
    }
}

impl Handle<ops::DeleteOpenIDConnectProvider> for Identity {
    /// To delete one that is not there is no error.
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DeleteOpenIDConnectProviderRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let arn = input.open_id_connect_provider_arn.unwrap_or_default();
        let name = OidcProvider::name_in(context.account, &arn).ok_or_else(|| OidcProvider::missing(&arn))?;
        let row = state::row(context.account, Kind::OidcProvider, name);
        let account = context.account;
        self.transact(vec![row.clone()], move |rows| {
            let mut batch = Batch::new();
            // Another spelling names another one, which is what policies were asked about.
            let found: Option<OidcProvider> = rows.json(SPACE, &row)?;
            if found.is_some_and(|found| found.is_called(account, &arn)) {
                batch.delete(SPACE, row.clone());
            }
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListOpenIDConnectProviders> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        _: iam::ListOpenIDConnectProvidersRequest,
        _: Body,
    ) -> Result<Answer<iam::ListOpenIDConnectProvidersResponse>, Fault> {
        let mut list = Vec::new();
        state::each(&*self.kv, &state::prefix(context.account, Kind::OidcProvider), |_, one: OidcProvider| {
            list.push(iam::OpenIDConnectProviderListEntry { arn: Some(one.arn(context.account)) });
        })?;
        Ok(iam::ListOpenIDConnectProvidersResponse { open_id_connect_provider_list: Some(list) }.into())
    }
}

impl Handle<ops::AddClientIDToOpenIDConnectProvider> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::AddClientIDToOpenIDConnectProviderRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let client = input.client_id.unwrap_or_default();
        let change = move |one: &mut OidcProvider| add_client(&mut one.clients, client.clone());
        self.change_provider(context.account, input.open_id_connect_provider_arn, change).await
    }
}

impl Handle<ops::RemoveClientIDFromOpenIDConnectProvider> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::RemoveClientIDFromOpenIDConnectProviderRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let client = input.client_id.unwrap_or_default();
        let change = move |one: &mut OidcProvider| {
            one.clients.retain(|known| *known != client);
            Ok(())
        };
        self.change_provider(context.account, input.open_id_connect_provider_arn, change).await
    }
}

impl Handle<ops::UpdateOpenIDConnectProviderThumbprint> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::UpdateOpenIDConnectProviderThumbprintRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let thumbprints = input.thumbprint_list.unwrap_or_default();
        check_thumbprints(&thumbprints)?;
        let change = move |one: &mut OidcProvider| {
            one.thumbprints.clone_from(&thumbprints);
            Ok(())
        };
        self.change_provider(context.account, input.open_id_connect_provider_arn, change).await
    }
}

impl Identity {
    async fn change_provider<F>(&self, account: Account, arn: Option<String>, change: F) -> Result<Answer<Unit>, Fault>
    where
        F: FnMut(&mut OidcProvider) -> Result<(), Fault> + Send + 'static,
    {
        self.change(account, &arn.unwrap_or_default(), change).await?;
        Ok(Unit.into())
    }
}
