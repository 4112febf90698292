//! Lists of queues, in pages.

use std::sync::Arc;

use base::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use door::{Answer, Body, Context, Handle};
use model::sqs::{self as aws, ops};
use store::{Range, Space};

use crate::queues::engine::Queues;
use crate::queues::rules::redrive::Redrive;
use crate::queues::types::{Definition, QueueName};
use crate::queues::{faults, state};

/// Queues of one page at most, and of one answer without pages.
const PAGE: usize = 1000;
/// Rows read at a time.
const ROWS: usize = 256;

/// The page that somebody wants.
struct Page {
    /// None: all at once, up to the largest page, and without a token for what is left.
    size: Option<usize>,
    /// The last name of the page before.
    after: Option<String>,
}

impl Page {
    fn of(size: Option<i64>, token: Option<String>) -> Result<Self, Fault> {
        let size = match size {
            None => None,
            Some(size) if (1..=PAGE as i64).contains(&size) => Some(size as usize),
            Some(size) => {
                let reason = format!("MaxResults must be an integer between 1 and {PAGE}.");
                return Err(faults::parameter("MaxResults", size, reason));
            }
        };
        let read = |token: String| {
            let raw = URL_SAFE_NO_PAD.decode(&token).ok().and_then(|raw| String::from_utf8(raw).ok());
            raw.ok_or_else(|| faults::parameter("NextToken", token, "It is no token of this operation."))
        };
        let after = token.map(read).transpose()?;
        if after.is_some() && size.is_none() {
            return Err(faults::invalid("MaxResults is a mandatory parameter when you provide a value for NextToken."));
        }
        Ok(Self { size, after })
    }
}

impl Queues {
    /// The names of the caller's queues that begin with `prefix` and fit, in order, and a token if a page is full.
    fn list(
        &self,
        context: &Context,
        prefix: &str,
        page: &Page,
        fits: impl Fn(&Definition) -> bool,
    ) -> Result<(Vec<String>, Option<String>), Fault> {
        let of = state::queues_of(context.account, &context.region);
        let mut range = Range::prefix(format!("{of}{prefix}"));
        if let Some(after) = &page.after {
            range = range.after(format!("{of}{after}"));
        }
        let size = page.size.unwrap_or(PAGE);
        let mut names = Vec::new();
        loop {
            let rows = self.kv.range(Space::Control, range.clone(), ROWS, false)?;
            let full = rows.len() == ROWS;
            if let Some((last, _)) = rows.last() {
                range = range.after(last.clone());
            }
            for (key, value) in rows {
                let name = key.strip_prefix(of.as_bytes()).and_then(|name| std::str::from_utf8(name).ok());
                let read = name.zip(serde_json::from_slice::<Definition>(&value).ok());
                let (name, definition) = read.ok_or_else(|| state::damaged(&key))?;
                if !fits(&definition) {
                    continue;
                }
                if names.len() == size {
                    let token = names.last().filter(|_| page.size.is_some()).map(|last| URL_SAFE_NO_PAD.encode(last));
                    return Ok((names, token));
                }
                names.push(name.to_owned());
            }
            if !full {
                return Ok((names, None));
            }
        }
    }

    fn urls(&self, context: &Context, names: Vec<String>) -> Vec<String> {
        let (account, region) = (context.account, &context.region);
        let url = |name| self.url(context, &QueueName { account, region: region.clone(), name });
        names.into_iter().map(url).collect()
    }
}

impl Handle<ops::ListQueues> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListQueuesRequest,
        _: Body,
    ) -> Result<Answer<aws::ListQueuesResult>, Fault> {
        let aws::ListQueuesRequest { queue_name_prefix, next_token, max_results } = input;
        let page = Page::of(max_results, next_token)?;
        let (names, next_token) =
            self.list(&context, queue_name_prefix.as_deref().unwrap_or_default(), &page, |_| true)?;
        // AWS leaves an empty list out.
        let queue_urls = Some(self.urls(&context, names)).filter(|urls| !urls.is_empty());
        Ok(aws::ListQueuesResult { queue_urls, next_token }.into())
    }
}

impl Handle<ops::ListDeadLetterSourceQueues> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListDeadLetterSourceQueuesRequest,
        _: Body,
    ) -> Result<Answer<aws::ListDeadLetterSourceQueuesResult>, Fault> {
        let aws::ListDeadLetterSourceQueuesRequest { queue_url, next_token, max_results } = input;
        let queue = self.at(&context, queue_url.as_deref())?;
        let page = Page::of(max_results, next_token)?;
        let leads_here = |definition: &Definition| {
            let redrive = definition.attributes.redrive.as_deref().and_then(|policy| Redrive::read(policy).ok());
            redrive.is_some_and(|redrive| redrive.target == queue.arn)
        };
        let owner = Context { account: queue.name.account, ..context };
        let (names, next_token) = self.list(&owner, "", &page, leads_here)?;
        Ok(aws::ListDeadLetterSourceQueuesResult { queue_urls: Some(self.urls(&owner, names)), next_token }.into())
    }
}
