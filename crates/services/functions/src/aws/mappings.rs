//! Create, Get, Update, Delete and ListEventSourceMapping(s).
//!
//! An answer tells the step (`Creating`, `Updating`, `Deleting`), as AWS's does; the row is already what comes of it, but
//! for what is deleted while its batches are under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Fault, RequestId, Timestamp};
use door::{Answer, Ask, Body, ConditionKeys, Context, Handle, Mode};
use model::lambda::{self as aws, ops};
use model::{dynamodbstreams, kinesis};

use super::list::{after, marker};
use super::{refuse, required, some_text};
use crate::find::Found;
use crate::name;
use crate::queue::{Queue, Seen, Spot, no_queue, role_of};
use crate::source::{self, Kind, Mapping, Wanted};
use crate::state::Home;
use crate::{Functions, faults, rules};

/// Most of one page. Source: AWS Lambda API reference, `ListEventSourceMappings`.
const PAGE: i64 = 100;

fn home(context: &Context) -> Home {
    Home { account: context.account, region: context.region.clone() }
}

/// The mapping that an ARN names, if it is one of the caller's.
pub(super) fn named_by(context: &Context, arn: &str) -> Option<String> {
    let (_, uuid) = arn.rsplit_once(':')?;
    (self::arn(context, uuid) == arn).then(|| uuid.to_owned())
}

/// The ARN of a mapping.
fn arn(context: &Context, uuid: &str) -> String {
    format!("arn:aws:lambda:{}:{}:event-source-mapping:{uuid}", context.region, context.account)
}

fn none_there() -> Fault {
    faults::not_found("The resource you requested does not exist.")
}

fn moved() -> Fault {
    faults::user(aws::resource_in_use_exception("Cannot update the event source mapping because it is in use."))
}

/// What a mapping is, as its row and its reader say.
fn state(mapping: &Mapping, seen: &Seen) -> &'static str {
    match (mapping.enabled, seen.running > 0) {
        _ if mapping.deleting => "Deleting",
        (true, _) => "Enabled",
        (false, true) => "Disabling",
        (false, false) => "Disabled",
    }
}

/// A mapping as AWS describes it: under way to `step`, or as it is.
fn shown(
    context: &Context,
    uuid: &str,
    mapping: Mapping,
    seen: Seen,
    step: Option<&str>,
) -> aws::EventSourceMappingConfiguration {
    let kind = Kind::of(&mapping.source).ok();
    let state = step.unwrap_or_else(|| self::state(&mapping, &seen));
    let filters = mapping.filters.into_iter().map(|pattern| aws::Filter { pattern: Some(pattern) });
    let filters: Vec<_> = filters.collect();
    let stream = mapping.stream;
    let of_stream = stream.as_ref();
    aws::EventSourceMappingConfiguration {
        uuid: Some(uuid.to_owned()),
        event_source_mapping_arn: Some(arn(context, uuid)),
        event_source_arn: Some(mapping.source),
        function_arn: Some(mapping.function),
        batch_size: Some(mapping.batch_size),
        maximum_batching_window_in_seconds: Some(mapping.window_s),
        filter_criteria: (!filters.is_empty()).then_some(aws::FilterCriteria { filters: Some(filters) }),
        function_response_types: Some(mapping.response_types),
        scaling_config: mapping.max_concurrency.map(|most| aws::ScalingConfig { maximum_concurrency: Some(most) }),
        last_modified: Some(Timestamp(mapping.modified_ms)),
        last_processing_result: of_stream.map_or(seen.problem, |_| Some("No records processed".to_owned())),
        state: Some(state.to_owned()),
        state_transition_reason: kind.map(|kind| kind.reason().to_owned()),
        destination_config: of_stream
            .map(|_| aws::DestinationConfig { on_success: None, on_failure: Some(aws::OnFailure::default()) }),
        parallelization_factor: of_stream.map(|stream| stream.parallelization),
        maximum_record_age_in_seconds: of_stream.map(|stream| stream.record_age_s),
        bisect_batch_on_function_error: of_stream.map(|stream| stream.bisect),
        maximum_retry_attempts: of_stream.map(|stream| stream.retries),
        tumbling_window_in_seconds: of_stream.map(|stream| stream.tumbling_s),
        starting_position_timestamp: of_stream.and_then(|stream| stream.position_ms).map(Timestamp),
        starting_position: stream.map(|stream| stream.position),
        ..aws::EventSourceMappingConfiguration::default()
    }
}

fn destination(config: Option<&aws::DestinationConfig>) -> bool {
    let some = |arn: Option<&String>| some_text(arn);
    config.is_some_and(|config| {
        some(config.on_success.as_ref().and_then(|to| to.destination.as_ref()))
            || some(config.on_failure.as_ref().and_then(|to| to.destination.as_ref()))
    })
}

/// Queues have their redrive policy instead, and AWS says so; of streams this platform has none yet.
fn refuse_destination(operation: &str, kind: Kind, config: Option<&aws::DestinationConfig>) -> Result<(), Fault> {
    match (destination(config), kind.is_queue()) {
        (false, _) => Ok(()),
        (true, true) => Err(source::unsupported("DestinationConfig")),
        (true, false) => refuse(operation, &[("DestinationConfig", true)]),
    }
}

fn patterns(criteria: Option<aws::FilterCriteria>) -> Option<Vec<String>> {
    let filters = criteria?.filters.unwrap_or_default();
    Some(filters.into_iter().map(|filter| filter.pattern.unwrap_or_default()).collect())
}

impl Functions {
    /// The tags of a mapping.
    pub(super) fn tags_of_mapping(&self, context: &Context, uuid: &str) -> Result<BTreeMap<String, String>, Fault> {
        Ok(self.state.mapping(&home(context), uuid)?.ok_or_else(none_there)?.tags)
    }

    /// Changes the tags of a mapping.
    pub(super) async fn retag_mapping(
        &self,
        context: &Context,
        uuid: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let before = self.state.mapping(&home(context), uuid)?.ok_or_else(none_there)?;
        let mut next = before.clone();
        change(&mut next.tags)?;
        self.state.put_mapping(&home(context), uuid, (Some(before), Some(next)), |_| moved(), moved()).await
    }

    /// The function a mapping shall deliver to.
    fn receiver(&self, context: &Context, text: &str) -> Result<Found, Fault> {
        let named = name::resolve(context.account, &context.region, text, None)?;
        match self.find(named) {
            Ok(found) => Ok(found),
            Err(fault) if fault.status == 404 => Err(faults::invalid("Function does not exist")),
            Err(fault) => Err(fault),
        }
    }

    /// Whether a source is there, the function's role may read it, and they go together.
    async fn may_read(&self, context: &Context, found: &Found, kind: Kind, arn: &str) -> Result<(), Fault> {
        if !kind.is_queue() {
            return self.may_read_stream(context, found, kind, arn).await;
        }
        let queue = Queue::of(arn).filter(|queue| queue.region == context.region);
        let queue = queue.ok_or_else(|| kind.missing(arn))?;
        let about = self.look_at_queue(&queue).await;
        let looked = (&queue, about.as_ref().ok());
        if let Some(action) = self.role_may_not((context, &role_of(found)), looked, kind.actions()) {
            return Err(kind.forbidden(action, arn));
        }
        let about = about.map_err(|fault| if no_queue(&fault) { kind.missing(arn) } else { fault })?;
        let timeout_s = found.edition().settings.timeout_s;
        if about.visibility_s < timeout_s {
            return Err(faults::invalid(format!(
                "Queue visibility timeout: {} seconds is less than Function timeout: {timeout_s} seconds",
                about.visibility_s
            )));
        }
        Ok(())
    }

    async fn may_read_stream(&self, context: &Context, found: &Found, kind: Kind, arn: &str) -> Result<(), Fault> {
        let role = role_of(found);
        if self.options.gate.mode() == Mode::Enforce {
            for action in kind.actions() {
                let ask = Ask {
                    principal: &role,
                    key_id: None,
                    action,
                    resource: arn,
                    owner: None,
                    policy: None,
                    trust: false,
                    keys: &ConditionKeys::new,
                };
                self.options.gate.authorise(&ask, context.request_id).map_err(|_| kind.forbidden(action, arn))?;
            }
        }
        let stream_arn = Some(arn.to_owned());
        let there = if kind == Kind::Stream {
            let input = kinesis::DescribeStreamSummaryInput { stream_arn, ..Default::default() };
            self.ask_source::<kinesis::ops::DescribeStreamSummary>(&role, &context.region, input).await.is_ok()
        } else {
            let input = dynamodbstreams::DescribeStreamInput { stream_arn, ..Default::default() };
            self.ask_source::<dynamodbstreams::ops::DescribeStream>(&role, &context.region, input).await.is_ok()
        };
        if there { Ok(()) } else { Err(kind.missing(arn)) }
    }

    /// What is seen of a mapping besides its row.
    fn seen(&self, context: &Context, uuid: &str) -> Seen {
        self.readers.seen(&spot(context, uuid))
    }

    /// A mapping's row has changed.
    fn mapping_changed(&self, context: &Context, uuid: &str, mapping: Option<&Mapping>) {
        self.readers.changed(&spot(context, uuid), mapping, &*self.options.clocks);
    }
}

fn spot(context: &Context, uuid: &str) -> Spot {
    Spot { home: home(context), uuid: uuid.to_owned() }
}

/// What is said of a second mapping of the same source and function.
fn taken(kind: Kind, mapping: &Mapping) -> impl Fn(&str) -> Fault + Send + 'static {
    let source = mapping.source.clone();
    let function = mapping.function.split(':').nth(6).unwrap_or_default().to_owned();
    move |uuid: &str| {
        faults::conflict(format!(
            "An event source mapping with {} arn (\" {source} \") and function (\" {function} \") already exists. Please \
             update or delete the existing mapping with UUID {uuid}",
            kind.word()
        ))
    }
}

fn unsupported(input: &aws::CreateEventSourceMappingRequest) -> Result<(), Fault> {
    refuse(
        "CreateEventSourceMapping",
        &[
            ("SelfManagedEventSource", input.self_managed_event_source.is_some()),
            ("SelfManagedKafkaEventSourceConfig", input.self_managed_kafka_event_source_config.is_some()),
            ("AmazonManagedKafkaEventSourceConfig", input.amazon_managed_kafka_event_source_config.is_some()),
            ("DocumentDBEventSourceConfig", input.document_db_event_source_config.is_some()),
            ("Topics", input.topics.is_some()),
            ("Queues", input.queues.is_some()),
            ("SourceAccessConfigurations", super::some_of(input.source_access_configurations.as_ref())),
            ("ProvisionedPollerConfig", input.provisioned_poller_config.is_some()),
            ("KMSKeyArn", some_text(input.kms_key_arn.as_ref())),
            ("MetricsConfig", input.metrics_config.is_some()),
            ("LoggingConfig", input.logging_config.is_some()),
        ],
    )
}

impl Handle<ops::CreateEventSourceMapping> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateEventSourceMappingRequest,
        _: Body,
    ) -> Result<Answer<aws::EventSourceMappingConfiguration>, Fault> {
        unsupported(&input)?;
        let source = input.event_source_arn.filter(|arn| !arn.is_empty());
        let source = source.ok_or_else(|| faults::invalid("Unrecognized event source."))?;
        let kind = Kind::of(&source)?;
        refuse_destination("CreateEventSourceMapping", kind, input.destination_config.as_ref())?;
        let tags = input.tags.unwrap_or_default();
        rules::tags(&tags)?;
        let found = self.receiver(&context, &required(input.function_name, "FunctionName")?)?;
        let wanted = Wanted {
            enabled: input.enabled,
            batch_size: input.batch_size,
            window_s: input.maximum_batching_window_in_seconds,
            filters: patterns(input.filter_criteria),
            response_types: input.function_response_types,
            max_concurrency: input.scaling_config.map(|config| config.maximum_concurrency),
            position: input.starting_position,
            position_ms: input.starting_position_timestamp.map(|at| at.0),
            parallelization: input.parallelization_factor,
            record_age_s: input.maximum_record_age_in_seconds,
            bisect: input.bisect_batch_on_function_error,
            retries: input.maximum_retry_attempts,
            tumbling_s: input.tumbling_window_in_seconds,
        };
        let receiver = found.named.address.qualified(found.named.qualifier.as_deref());
        let mut mapping = source::create(kind, &source, receiver, &wanted)?;
        mapping.tags = tags;
        mapping.modified_ms = self.options.clocks.product().0;
        self.may_read(&context, &found, kind, &source).await?;
        let uuid = RequestId::new(&*self.options.rng).to_string();
        let taken = taken(kind, &mapping);
        self.state.put_mapping(&home(&context), &uuid, (None, Some(mapping.clone())), taken, moved()).await?;
        self.mapping_changed(&context, &uuid, Some(&mapping));
        Ok(shown(&context, &uuid, mapping, Seen::default(), Some("Creating")).into())
    }
}

impl Handle<ops::GetEventSourceMapping> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetEventSourceMappingRequest,
        _: Body,
    ) -> Result<Answer<aws::EventSourceMappingConfiguration>, Fault> {
        let uuid = required(input.uuid, "UUID")?;
        let mapping = self.state.mapping(&home(&context), &uuid)?.ok_or_else(none_there)?;
        let seen = self.seen(&context, &uuid);
        Ok(shown(&context, &uuid, mapping, seen, None).into())
    }
}

fn unsupported_change(input: &aws::UpdateEventSourceMappingRequest) -> Result<(), Fault> {
    refuse(
        "UpdateEventSourceMapping",
        &[
            ("SelfManagedKafkaEventSourceConfig", input.self_managed_kafka_event_source_config.is_some()),
            ("AmazonManagedKafkaEventSourceConfig", input.amazon_managed_kafka_event_source_config.is_some()),
            ("DocumentDBEventSourceConfig", input.document_db_event_source_config.is_some()),
            ("SourceAccessConfigurations", super::some_of(input.source_access_configurations.as_ref())),
            ("ProvisionedPollerConfig", input.provisioned_poller_config.is_some()),
            ("KMSKeyArn", some_text(input.kms_key_arn.as_ref())),
            ("MetricsConfig", input.metrics_config.is_some()),
            ("LoggingConfig", input.logging_config.is_some()),
        ],
    )
}

impl Handle<ops::UpdateEventSourceMapping> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateEventSourceMappingRequest,
        _: Body,
    ) -> Result<Answer<aws::EventSourceMappingConfiguration>, Fault> {
        unsupported_change(&input)?;
        let uuid = required(input.uuid, "UUID")?;
        let before = self.state.mapping(&home(&context), &uuid)?.ok_or_else(none_there)?;
        if before.deleting {
            return Err(moved());
        }
        let kind = Kind::of(&before.source)?;
        refuse_destination("UpdateEventSourceMapping", kind, input.destination_config.as_ref())?;
        let wanted = Wanted {
            enabled: input.enabled,
            batch_size: input.batch_size,
            window_s: input.maximum_batching_window_in_seconds,
            filters: patterns(input.filter_criteria),
            response_types: input.function_response_types,
            max_concurrency: input.scaling_config.map(|config| config.maximum_concurrency),
            position: None,
            position_ms: None,
            parallelization: input.parallelization_factor,
            record_age_s: input.maximum_record_age_in_seconds,
            bisect: input.bisect_batch_on_function_error,
            retries: input.maximum_retry_attempts,
            tumbling_s: input.tumbling_window_in_seconds,
        };
        let mut next = source::change(kind, &before, &wanted)?;
        if let Some(text) = input.function_name {
            let found = self.receiver(&context, &text)?;
            next.function = found.named.address.qualified(found.named.qualifier.as_deref());
        }
        if next.enabled {
            let found = self.receiver(&context, &next.function)?;
            self.may_read(&context, &found, kind, &next.source).await?;
        }
        next.modified_ms = self.options.clocks.product().0;
        let step = match (before.enabled, next.enabled) {
            (false, true) => "Enabling",
            (true, false) => "Disabling",
            _ => "Updating",
        };
        let taken = taken(kind, &next);
        self.state.put_mapping(&home(&context), &uuid, (Some(before), Some(next.clone())), taken, moved()).await?;
        self.mapping_changed(&context, &uuid, Some(&next));
        let seen = self.seen(&context, &uuid);
        Ok(shown(&context, &uuid, next, seen, Some(step)).into())
    }
}

impl Handle<ops::DeleteEventSourceMapping> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteEventSourceMappingRequest,
        _: Body,
    ) -> Result<Answer<aws::EventSourceMappingConfiguration>, Fault> {
        let uuid = required(input.uuid, "UUID")?;
        let mapping = self.state.mapping(&home(&context), &uuid)?.ok_or_else(none_there)?;
        if mapping.deleting {
            return Err(moved());
        }
        // No batch begins from here on; those under way end, and the last one takes the row along.
        self.mapping_changed(&context, &uuid, None);
        let next = (self.seen(&context, &uuid).running > 0).then(|| Mapping { deleting: true, ..mapping.clone() });
        let taken = |_: &str| none_there();
        let change = (Some(mapping.clone()), next.clone());
        if let Err(fault) = self.state.put_mapping(&home(&context), &uuid, change, taken, moved()).await {
            self.mapping_changed(&context, &uuid, self.state.mapping(&home(&context), &uuid)?.as_ref());
            return Err(fault);
        }
        let seen = self.seen(&context, &uuid);
        if let Some(next) = next.filter(|_| seen.running == 0) {
            self.remove_mapping(&spot(&context, &uuid), next).await;
        }
        Ok(shown(&context, &uuid, mapping, seen, Some("Deleting")).into())
    }
}

impl Handle<ops::ListEventSourceMappings> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListEventSourceMappingsRequest,
        _: Body,
    ) -> Result<Answer<aws::ListEventSourceMappingsResponse>, Fault> {
        let function = match input.function_name.filter(|text| !text.is_empty()) {
            Some(text) => Some(name::resolve(context.account, &context.region, &text, None)?),
            None => None,
        };
        let function = function.map(|named| named.address.qualified(named.qualifier.as_deref()));
        let source = input.event_source_arn.filter(|arn| !arn.is_empty());
        let after = after(input.marker.as_deref())?;
        let wanted = usize::try_from(input.max_items.unwrap_or(PAGE).clamp(1, PAGE)).expect("it is 1..=100");
        let matches = |mapping: &Mapping| {
            function.as_ref().is_none_or(|function| mapping.function == *function)
                && source.as_ref().is_none_or(|source| mapping.source == *source)
        };
        // One more than wanted shows whether there is another page.
        let mut found = self.state.mappings(&home(&context), after.as_deref(), wanted + 1, matches)?;
        let more = found.len() > wanted;
        found.truncate(wanted);
        let next_marker = found.last().filter(|_| more).map(|(uuid, _)| marker(uuid));
        let mappings = found.into_iter().map(|(uuid, mapping)| {
            let seen = self.seen(&context, &uuid);
            shown(&context, &uuid, mapping, seen, None)
        });
        Ok(aws::ListEventSourceMappingsResponse { next_marker, event_source_mappings: Some(mappings.collect()) }.into())
    }
}
