//! What was used in a month, for `lambent bill`: `GET /_lambent/usage?month=2026-11`, the current month when none is named.

use base::{BoxFuture, Fault, Principal};
use door::{Site, SiteRequest, SiteResponse};
use serde_json::{Value, json};

use crate::Observe;
use crate::types::UsageRow;

const PATH: &str = "/_lambent/usage";

/// Answers the account's root. Held beside the room by the gateway.
pub struct Usage(pub std::sync::Arc<Observe>);

impl Usage {
    async fn answer(&self, request: &SiteRequest) -> Result<Value, Fault> {
        let Principal::Root { account, .. } = request.principal else {
            return Err(Fault::denied("what was used is the account's root's business"));
        };
        if request.method != http::Method::GET {
            return Err(Fault::new("MethodNotAllowed", 405, "what was used is asked for by GET"));
        }
        let month = match request.query.strip_prefix("month=") {
            Some(text) if is_month(text) => text.to_owned(),
            Some(text) => {
                return Err(Fault::validation(format!("{text} is not a month: expected YYYY-MM, as 2026-11")));
            }
            None if request.query.is_empty() => {
                let (year, month, ..) = self.0.clocks.product().civil();
                format!("{year:04}-{month:02}")
            }
            None => return Err(Fault::validation("the only parameter is month")),
        };
        let rows = self.0.usage_of_month(account, &month).await?;
        let shown: Result<Vec<Value>, Fault> = rows.iter().map(show).collect();
        Ok(json!({"month": month, "functions": shown?}))
    }
}

/// Whether it is a year and a month, as `2026-11`.
fn is_month(text: &str) -> bool {
    let Some((year, month)) = text.split_once('-') else { return false };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let month_holds = month.parse().is_ok_and(|month: u8| (1..=12).contains(&month));
    year.len() == 4 && month.len() == 2 && digits(year) && digits(month) && month_holds
}

fn show(row: &UsageRow) -> Result<Value, Fault> {
    let used = serde_json::to_value(row.used).map_err(Fault::internal)?;
    Ok(json!({"region": row.region, "functionArn": row.function_arn, "used": used}))
}

impl Site for Usage {
    fn claims(&self, _: &str, path: &str) -> bool {
        path == PATH
    }

    fn serve(&self, request: SiteRequest) -> BoxFuture<'_, SiteResponse> {
        Box::pin(async move { SiteResponse::of_json(self.answer(&request).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::is_month;

    #[test]
    fn a_month_is_a_year_and_a_month() {
        assert!(is_month("2026-11") && is_month("2026-01"));
        for wrong in ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "2026-+1", "nov"] {
            assert!(!is_month(wrong), "{wrong}");
        }
    }
}
