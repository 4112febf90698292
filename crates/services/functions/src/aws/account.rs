//! GetAccountSettings.

use std::sync::Arc;

use base::{Fault, limits};
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};

use crate::Functions;

/// What all code of an account may be together, bytes. Source: AWS Lambda quotas; not enforced here, the disk decides.
const TOTAL_CODE_BYTES: i64 = 80_530_636_800;

impl Handle<ops::GetAccountSettings> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        _: aws::GetAccountSettingsRequest,
        _: Body,
    ) -> Result<Answer<aws::GetAccountSettingsResponse>, Fault> {
        let all = self.state.list(context.account, &context.region, None, usize::MAX)?;
        let mut code_bytes: u64 = all.iter().map(|(_, function)| function.code.size_bytes).sum();
        for (address, _) in all.iter().filter(|(_, function)| function.changes > 0) {
            let versions = self.state.versions(address, 0, usize::MAX)?;
            code_bytes += versions.iter().map(|(_, version)| version.code.size_bytes).sum::<u64>();
        }
        for (layer, ..) in self.state.layers(context.account, &context.region, None, usize::MAX, |_| true)? {
            let versions = self.state.layer_versions(&layer, None, usize::MAX, |_| true)?;
            code_bytes += versions.iter().map(|(_, version)| version.code.size_bytes).sum::<u64>();
        }
        let concurrency = self.options.account_concurrency;
        let unreserved = concurrency.saturating_sub(self.state.reserved(context.account, &context.region)?);
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let answer = aws::GetAccountSettingsResponse {
            account_limit: Some(aws::AccountLimit {
                total_code_size: Some(TOTAL_CODE_BYTES),
                code_size_unzipped: Some(number(limits::UNZIPPED_BYTES)),
                code_size_zipped: Some(number(limits::ZIP_BYTES as u64)),
                concurrent_executions: Some(concurrency.into()),
                unreserved_concurrent_executions: Some(unreserved.into()),
            }),
            account_usage: Some(aws::AccountUsage {
                total_code_size: Some(number(code_bytes)),
                function_count: Some(number(all.len() as u64)),
            }),
        };
        Ok(answer.into())
    }
}
