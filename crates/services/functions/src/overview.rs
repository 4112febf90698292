//! What goes on, for `lambent top`: `GET /_lambent/top`.
//!
//! Whoever looks comes back and subtracts what they read before: nothing is kept for them here, and nothing runs between.

use std::sync::Arc;

use base::{Account, BoxFuture, Fault, Principal};
use door::{Site, SiteRequest, SiteResponse};
use invoker::{Counted, Overview, Spread, VersionInUse};
use serde_json::{Value, json};

use crate::Functions;

const PATH: &str = "/_lambent/top";

/// Answers the account's root: its own functions one by one, and of the whole platform the sums. Held beside the room by the
/// gateway.
pub struct Top(pub Arc<Functions>);

impl Top {
    async fn answer(&self, request: &SiteRequest) -> Result<Value, Fault> {
        let Principal::Root { account, .. } = request.principal else {
            return Err(Fault::denied("what goes on is the account's root's business"));
        };
        if request.method != http::Method::GET {
            return Err(Fault::new("MethodNotAllowed", 405, "what goes on is asked for by GET"));
        }
        if !request.query.is_empty() {
            return Err(Fault::validation("this path has no parameters"));
        }
        let invoker = self.0.invoker.clone();
        let seen = tokio::task::spawn_blocking(move || show(account, &invoker.overview())).await;
        seen.map_err(Fault::internal)
    }
}

fn show(account: Account, seen: &Overview) -> Value {
    let account = account.to_string();
    let versions = seen.versions.iter().filter_map(|version| of_version(&account, version));
    json!({
        "uptimeUs": seen.uptime_us,
        "environments": seen.environments,
        "running": seen.running,
        "waiting": seen.waiting,
        "total": of_counted(&seen.total),
        "versions": versions.collect::<Vec<_>>(),
    })
}

/// A version of a function of this account; none of another's. The ARN is `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
fn of_version(account: &str, version: &VersionInUse) -> Option<Value> {
    let mut parts = version.function.splitn(7, ':').skip(3);
    let (region, owner, name) = (parts.next()?, parts.next()?, parts.nth(1)?);
    (owner == account).then(|| {
        json!({
            "function": name,
            "version": &*version.version,
            "region": region,
            "memoryMb": version.memory_mb,
            "starting": version.starting,
            "idle": version.idle,
            "frozen": version.frozen,
            "busy": version.busy,
            "provisioned": version.provisioned,
            "peakMemoryBytes": version.peak_memory_bytes,
            "privateMemoryBytes": version.private_memory_bytes,
            "counted": of_counted(&version.counted),
            "spread": of_spread(&version.spread),
        })
    })
}

fn of_counted(counted: &Counted) -> Value {
    json!({
        "invocations": counted.invocations,
        "errors": counted.errors,
        "coldStarts": counted.cold_starts,
        "throttles": counted.throttles,
        "refusals": counted.refusals,
        "cpuUserUs": counted.cpu_user_us,
        "cpuSystemUs": counted.cpu_system_us,
    })
}

/// Of each phase, pairs of microseconds and how many took about so long.
fn of_spread(spread: &Spread) -> Value {
    json!({
        "queue": spread.queue,
        "sandbox": spread.sandbox,
        "init": spread.init,
        "restore": spread.restore,
        "handler": spread.handler,
    })
}

impl Site for Top {
    fn claims(&self, _: &str, path: &str) -> bool {
        path == PATH
    }

    fn serve(&self, request: SiteRequest) -> BoxFuture<'_, SiteResponse> {
        Box::pin(async move { SiteResponse::of_json(self.answer(&request).await) })
    }
}
