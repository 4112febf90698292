//! Log groups and their retention.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::logs::{self, ops};
use store::{Batch, Key, Range, Space, transact_with};
use wire::Unit;

use super::{identified, own};
use crate::Observe;
use crate::faults;
use crate::rules::put::RETENTION_DAYS;
use crate::rules::token;
use crate::state::{self, GroupName};
use crate::types::Group;

/// Items of a page at most, and unless told otherwise.
pub(super) const PAGE: i64 = 50;
/// Rows read at a time.
const FETCH: usize = 500;

impl Handle<ops::CreateLogGroup> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::CreateLogGroupRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        if input.kms_key_id.is_some() {
            return Err(Fault::not_implemented("kmsKeyId of logs:CreateLogGroup"));
        }
        if let Some(class) = input.log_group_class.filter(|class| class != "STANDARD") {
            return Err(Fault::not_implemented(format_args!("logGroupClass {class} of logs:CreateLogGroup")));
        }
        let name = own(&context, input.log_group_name.unwrap_or_default());
        if name.name.starts_with("aws/") {
            return Err(faults::invalid("Log group names can't start with the string aws/"));
        }
        let mut group = self.fresh_group();
        group.tags = input.tags.unwrap_or_default();
        group.protected = input.deletion_protection_enabled.unwrap_or(false);
        let row = name.row();
        transact_with(&*self.kv, vec![Key::new(Space::Control, row.clone())], move |rows| {
            if rows.get(Space::Control, &row).is_some() {
                return Err(faults::group_exists());
            }
            let mut batch = Batch::new();
            batch.put_json(Space::Control, row.clone(), &group)?;
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::DeleteLogGroup> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::DeleteLogGroupRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        // Lines that came in before would otherwise make the group anew.
        self.queue.flush().await;
        let row = own(&context, input.log_group_name.unwrap_or_default()).row();
        transact_with(&*self.kv, vec![Key::new(Space::Control, row.clone())], move |rows| {
            let group: Group = rows.json(Space::Control, &row)?.ok_or_else(faults::no_group)?;
            if group.protected {
                return Err(logs::validation_exception("The log group has deletion protection enabled."));
            }
            let mut batch = Batch::new();
            batch.delete(Space::Control, row.clone());
            batch.drop_generation(Space::Log, state::generation(group.generation));
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::PutRetentionPolicy> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::PutRetentionPolicyRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        super::not_the_audit_log(input.log_group_name.as_deref().unwrap_or_default())?;
        let days = input.retention_in_days.unwrap_or_default();
        if !RETENTION_DAYS.contains(&days) {
            let allowed: Vec<String> = RETENTION_DAYS.iter().map(i64::to_string).collect();
            return Err(faults::invalid(format!(
                "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member \
                 must satisfy enum value set: [{}]",
                allowed.join(", ")
            )));
        }
        let name = own(&context, input.log_group_name.unwrap_or_default());
        self.change_group(&name, move |group| {
            group.retention_days = Some(days);
            Ok(())
        })
        .await?;
        self.retention.tell(&*self.clocks);
        Ok(Unit.into())
    }
}

impl Handle<ops::DeleteRetentionPolicy> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::DeleteRetentionPolicyRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = own(&context, input.log_group_name.unwrap_or_default());
        self.change_group(&name, |group| {
            group.retention_days = None;
            Ok(())
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::DescribeLogGroups> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::DescribeLogGroupsRequest,
        _: Body,
    ) -> Result<Answer<logs::DescribeLogGroupsResponse>, Fault> {
        if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
            return Err(faults::invalid(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
            ));
        }
        // No account is linked to another: of the accounts asked for only the caller's own can answer.
        let others = input.account_identifiers.as_ref().filter(|_| input.include_linked_accounts == Some(true));
        let nobody = others.is_some_and(|ids| !ids.is_empty() && !ids.iter().any(|id| id == context.account.as_str()));
        let nothing = input.log_group_class.as_ref().is_some_and(|class| class != "STANDARD");
        if nobody || nothing {
            return Ok(logs::DescribeLogGroupsResponse { log_groups: Some(Vec::new()), next_token: None }.into());
        }
        self.read(move |room| room.describe_groups(&context, input)).await.map(Answer::from)
    }
}

impl Observe {
    fn describe_groups(
        &self,
        context: &Context,
        input: logs::DescribeLogGroupsRequest,
    ) -> Result<logs::DescribeLogGroupsResponse, Fault> {
        let mut shown = Vec::new();
        if let Some(identifiers) = input.log_group_identifiers {
            for identifier in identifiers {
                let name = identified(context, identifier)?;
                if let Some(group) = state::group(&*self.kv, &name)? {
                    shown.push(self.show(&name, &group)?);
                }
            }
            return Ok(logs::DescribeLogGroupsResponse { log_groups: Some(shown), next_token: None });
        }
        let limit = usize::try_from(input.limit.unwrap_or(PAGE)).unwrap_or(1);
        let all = state::groups_prefix(context.account, &context.region);
        let wanted = own(context, input.log_group_name_prefix.unwrap_or_default()).row();
        let mut range = Range::prefix(wanted);
        if let Some(text) = input.next_token {
            range = range.after(own(context, token::read_name(&text).ok_or_else(faults::bad_token)?).row());
        }
        let pattern = input.log_group_name_pattern;
        loop {
            let rows = self.kv.range(Space::Control, range.clone(), FETCH, false)?;
            let Some((last, _)) = rows.last() else { break };
            range = range.after(last.clone());
            for (row, value) in rows {
                let name = own(context, String::from_utf8_lossy(&row[all.len()..]).into_owned());
                if pattern.as_ref().is_some_and(|pattern| !name.name.contains(pattern)) {
                    continue;
                }
                if shown.len() == limit {
                    let last = shown.last().and_then(|group: &logs::LogGroup| group.log_group_name.as_deref());
                    let next_token = last.map(token::print_name);
                    return Ok(logs::DescribeLogGroupsResponse { log_groups: Some(shown), next_token });
                }
                shown.push(self.show(&name, &state::parse(&row, &value)?)?);
            }
        }
        Ok(logs::DescribeLogGroupsResponse { log_groups: Some(shown), next_token: None })
    }

    fn show(&self, name: &GroupName, group: &Group) -> Result<logs::LogGroup, Fault> {
        let stored = self.kv.get(Space::Log, &state::stored(group.generation))?;
        Ok(logs::LogGroup {
            log_group_name: Some(name.name.clone()),
            creation_time: Some(group.created_ms),
            retention_in_days: group.retention_days,
            metric_filter_count: Some(0),
            arn: Some(format!("{}:*", name.arn())),
            stored_bytes: Some(i64::try_from(state::number(stored.as_deref())).unwrap_or(i64::MAX)),
            log_group_class: Some("STANDARD".into()),
            log_group_arn: Some(name.arn()),
            deletion_protection_enabled: Some(group.protected),
            ..Default::default()
        })
    }

    /// The group, or ResourceNotFoundException.
    pub(super) fn group(&self, name: &GroupName) -> Result<Group, Fault> {
        state::group(&*self.kv, name)?.ok_or_else(faults::no_group)
    }

    /// Changes a group's row.
    pub(super) async fn change_group<F>(&self, name: &GroupName, mut change: F) -> Result<(), Fault>
    where
        F: FnMut(&mut Group) -> Result<(), Fault> + Send + 'static,
    {
        // A function's group may still be on its way in.
        self.queue.flush().await;
        let row = name.row();
        transact_with(&*self.kv, vec![Key::new(Space::Control, row.clone())], move |rows| {
            let mut group: Group = rows.json(Space::Control, &row)?.ok_or_else(faults::no_group)?;
            change(&mut group)?;
            let mut batch = Batch::new();
            batch.put_json(Space::Control, row.clone(), &group)?;
            Ok((batch, ()))
        })
        .await?;
        Ok(())
    }
}
