//! The loop that follows the rules.

use std::sync::Arc;

use base::{Fault, RequestId, Timestamp};
use bytes::Bytes;
use store::Space;

use super::decide::{self, Action};
use super::midnight_after;
use super::rules::{self, Rule, SETTING, When};
use crate::cause::Cause;
use crate::engine::Objects;
use crate::notify::About;
use crate::rules::events::Event;
use crate::rules::locks;
use crate::state;
use crate::types::{Bucket, Head, Upload, Version, Versioning};
use crate::write::{Family, Place, Step};

/// Rows read at a time.
const PAGE: usize = 256;

/// Runs until it is dropped: follows the rules at each midnight of UTC, while there are any.
pub(crate) async fn run(objects: &Arc<Objects>) {
    let mut turn = objects.clocks.turn();
    // What a midnight left that passed while nobody was here is made up for.
    let mut is_time = true;
    loop {
        turn = turn.called("the lifecycles of buckets");
        let now = objects.clocks.product();
        let mut any = true;
        match ruled(objects) {
            Ok(buckets) => {
                any = !buckets.is_empty();
                for (name, bucket) in buckets.into_iter().filter(|_| is_time) {
                    if let Err(fault) = follow(objects, &name, Arc::new(bucket), now).await {
                        tracing::warn!(%fault, bucket = name, "a bucket's lifecycle could not be followed to its end; the next midnight tries again");
                    }
                }
            }
            Err(fault) => tracing::error!(%fault, "the buckets could not be looked through for their lifecycles"),
        }
        let reached = any.then(|| objects.clocks.product_reaches(Timestamp(midnight_after(now.0))));
        drop(turn);
        let midnight = async {
            match reached {
                Some(reached) => reached.await,
                None => std::future::pending().await,
            }
        };
        (turn, is_time) = tokio::select! {
            turn = midnight => (turn, true),
            turn = objects.lifecycles.heard() => (turn, false),
        };
    }
}

/// The buckets that have rules.
fn ruled(objects: &Objects) -> Result<Vec<(String, Bucket)>, Fault> {
    let (mut found, mut last) = (Vec::new(), None);
    loop {
        let rows = objects.kv.range(Space::Control, state::after(state::BUCKETS.into(), last), PAGE, false)?;
        let Some((row, _)) = rows.last() else { return Ok(found) };
        last = Some(row.clone());
        for (row, value) in rows {
            let bucket: Bucket = state::parse(&row, &value)?;
            if bucket.settings.contains_key(SETTING) {
                found.push((String::from_utf8_lossy(&row[state::BUCKETS.len()..]).into_owned(), bucket));
            }
        }
    }
}

/// Does what a bucket's rules want done now.
async fn follow(objects: &Arc<Objects>, name: &str, bucket: Arc<Bucket>, now: Timestamp) -> Result<(), Fault> {
    let rules = rules::of(&bucket);
    let rules = rules.as_slice();
    if rules.iter().any(|rule| rule.abort_days.is_some()) {
        abort(objects, name, &bucket, rules, now).await?;
    }
    let mut last: Option<Bytes> = None;
    loop {
        let heads = state::after(state::heads(bucket.generation, ""), last);
        let rows = objects.kv.range(Space::Object, heads, PAGE, false)?;
        let Some((row, _)) = rows.last() else { return Ok(()) };
        last = Some(row.clone());
        for (row, value) in rows {
            let key = state::key_of_head(&row).ok_or_else(|| Fault::internal("an object's row does not read"))?;
            // Most keys of a bucket are often nobody's business.
            if !rules.iter().any(|rule| key.starts_with(&rule.scope.prefix)) {
                continue;
            }
            let place = Place { bucket: Arc::clone(&bucket), name: name.to_owned(), key };
            versions(objects, &place, state::parse(&row, &value)?, rules, now).await?;
        }
    }
}

/// Does what the rules want done with the versions of one key.
async fn versions(
    objects: &Arc<Objects>,
    place: &Place,
    head: Head,
    rules: &[Rule],
    now: Timestamp,
) -> Result<(), Fault> {
    let (mut newer, mut since_ms) = (0, head.current.modified_ms);
    let mut last: Option<Bytes> = None;
    loop {
        let older = state::after(state::older_of(place.bucket.generation, &place.key), last);
        let rows = if head.older { objects.kv.range(Space::Object, older, PAGE, false)? } else { Vec::new() };
        let Some((row, _)) = rows.last() else { break };
        last = Some(row.clone());
        for (row, value) in rows {
            let version: Version = state::parse(&row, &value)?;
            if let Some(action) = decide::older(rules, &place.key, &version, (newer, since_ms), now) {
                act(objects, place, &version, action, now).await?;
            }
            (newer, since_ms) = (newer + 1, version.modified_ms);
        }
    }
    // What was behind it when this began counts: a version has one thing done to it in a day.
    let action = decide::current(rules, &place.key, &head.current, newer == 0, place.bucket.versioning, now);
    match action {
        Some(action) => act(objects, place, &head.current, action, now).await,
        None => Ok(()),
    }
}

/// Does one thing to a version, if it is still what it was, and no lock holds it.
async fn act(
    objects: &Arc<Objects>,
    place: &Place,
    version: &Version,
    action: Action,
    now: Timestamp,
) -> Result<(), Fault> {
    let seen = version.clone();
    let cause = Cause::internal(RequestId::new(&*objects.rng));
    let done = objects.change(place, Some(version.seq), move |family| {
        let is_newest = family.current() == Some(&seen);
        let there = if is_newest { Some(seen.clone()) } else { family.version(seen.shown_id(), Some(seen.seq))? };
        // Somebody changed it meanwhile: the next midnight looks again.
        let Some(mut version) = there.filter(|there| *there == seen) else { return Ok(Step::Done(())) };
        match &action {
            Action::Move(class) => {
                if let Some(object) = &mut version.object {
                    object.storage_class = Some(class.clone());
                }
                family.amend(&version)?;
                Ok(Step::Done(()))
            }
            Action::Remove => {
                if version.object.as_ref().is_some_and(|object| locks::unlocked(object, now, false).is_err()) {
                    return Ok(Step::Done(()));
                }
                match is_newest {
                    // A delete marker that had nothing behind it, and has nothing now.
                    true if family.is_alone() => family.pop()?,
                    true => return Ok(Step::Done(())),
                    false => family.remove(&version)?,
                }
                family.tell(Event::ExpirationDelete, About::gone(&version), &cause)?;
                Ok(Step::Done(()))
            }
            Action::Expire if !is_newest => Ok(Step::Done(())),
            Action::Expire => expire(family, &version, &cause),
        }
    });
    match done.await {
        // The bucket went meanwhile, and everything with it.
        Err(fault) if fault.code == "NoSuchBucket" => Ok(()),
        done => done,
    }
}

/// The newest version goes as it does when it is deleted.
fn expire(family: &mut Family<'_>, version: &Version, cause: &Cause) -> Result<Step<()>, Fault> {
    if family.bucket.versioning.is_none() {
        family.pop()?;
        family.tell(Event::ExpirationDelete, About::default(), cause)?;
        return Ok(Step::Done(()));
    }
    let marker = family.new_version(family.bucket.owner.clone(), None);
    if let again @ Step::Again(_) = family.push(marker.clone())? {
        return Ok(again);
    }
    // Without versions to come, a marker takes the place of what has no id.
    if family.bucket.versioning == Some(Versioning::Suspended) && version.id.is_none() {
        family.tell(Event::ExpirationDelete, About::gone(version), cause)?;
    }
    family.tell(Event::ExpirationDeleteMarkerCreated, About::made(&marker), cause)?;
    Ok(Step::Done(()))
}

/// Aborts the uploads that take too long.
async fn abort(
    objects: &Arc<Objects>,
    name: &str,
    bucket: &Arc<Bucket>,
    rules: &[Rule],
    now: Timestamp,
) -> Result<(), Fault> {
    let mut last: Option<Bytes> = None;
    loop {
        let uploads = state::after(state::uploads(bucket.generation, ""), last);
        let rows = objects.kv.range(Space::Object, uploads, PAGE, false)?;
        let Some((row, _)) = rows.last() else { return Ok(()) };
        last = Some(row.clone());
        for (row, value) in rows {
            let (key, id) =
                state::key_of_upload(&row).ok_or_else(|| Fault::internal("an upload's row does not read"))?;
            let upload: Upload = state::parse(&row, &value)?;
            let due = |rule: &Rule| {
                let days = rule.abort_days.filter(|_| key.starts_with(&rule.scope.prefix));
                days.is_some_and(|days| When::Days(days).due_ms(upload.initiated_ms) <= now.0)
            };
            if !rules.iter().any(due) {
                continue;
            }
            let place = Place { bucket: Arc::clone(bucket), name: name.to_owned(), key };
            match objects.abort(&place, &id).await {
                Err(fault) if fault.code != "NoSuchUpload" => return Err(fault),
                _ => {}
            }
        }
    }
}
