//! PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use wire::Unit;

use super::{alter, required, whole};
use crate::{Functions, faults, name};

impl Handle<ops::PutFunctionConcurrency> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutFunctionConcurrencyRequest,
        _: Body,
    ) -> Result<Answer<aws::Concurrency>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let address = name::resolve_whole(context.account, &context.region, &text)?;
        let wanted = input.reserved_concurrent_executions.unwrap_or_default();
        // More than any account has fails the sum's check, in AWS's words.
        let reserved = u32::try_from(wanted).unwrap_or(u32::MAX);
        if wanted < 0 {
            let must = "have value greater than or equal to 0";
            return Err(faults::constraint(wanted, "reservedConcurrentExecutions", must));
        }
        alter(&self, &address, move |function| {
            function.reserved = Some(reserved);
            let provisioned = function.provisioned_sum();
            if provisioned > reserved {
                return Err(faults::invalid(format!(
                    "ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned \
                     concurrency [{provisioned}]."
                )));
            }
            Ok(())
        })
        .await?;
        self.reserve(&address, Some(reserved));
        Ok(aws::Concurrency { reserved_concurrent_executions: Some(wanted) }.into())
    }
}

impl Handle<ops::GetFunctionConcurrency> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetFunctionConcurrencyRequest,
        _: Body,
    ) -> Result<Answer<aws::GetFunctionConcurrencyResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let (_, function) = whole(&self, &context, &text)?;
        let reserved_concurrent_executions = function.reserved.map(i64::from);
        Ok(aws::GetFunctionConcurrencyResponse { reserved_concurrent_executions }.into())
    }
}

impl Handle<ops::DeleteFunctionConcurrency> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteFunctionConcurrencyRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let address = name::resolve_whole(context.account, &context.region, &text)?;
        alter(&self, &address, |function| {
            function.reserved = None;
            Ok(())
        })
        .await?;
        self.reserve(&address, None);
        Ok(Unit.into())
    }
}
