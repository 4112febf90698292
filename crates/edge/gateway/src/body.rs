//! Reads a request's body within its limits, without copying it when it came in one piece.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::arriving::Arriving;
use crate::limits::{LARGE_BODY_BYTES, Limits, SANDBOX_BODY_BYTES};

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// It is longer than its way allows.
    #[error("Request must be smaller than {limit} bytes")]
    TooLarge {
        /// What the way allows.
        limit: usize,
    },
    /// The client took too long.
    #[error("the request's body did not arrive in time")]
    TooSlow,
    /// The client went away or broke the framing.
    #[error("the request's body broke off: {0}")]
    Broken(#[from] hyper::Error),
}

/// The place of a body in memory; freed when the request is done.
#[derive(Debug, Default)]
pub(crate) struct Room {
    own: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
}

/// Where bodies find room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rooms<'a> {
    /// The places of one sandbox, for bodies above [`SANDBOX_BODY_BYTES`]. None outside.
    pub(crate) own: Option<&'a Arc<Semaphore>>,
    /// The places of everybody on this side, for bodies above [`LARGE_BODY_BYTES`].
    pub(crate) large: &'a Arc<Semaphore>,
}

impl Rooms<'_> {
    /// Waits for the places that a body of this size needs and `room` lacks.
    pub(crate) async fn enter(self, bytes: usize, room: &mut Room) {
        if let Some(own) = self.own.filter(|_| bytes > SANDBOX_BODY_BYTES && room.own.is_none()) {
            room.own = wait(own).await;
        }
        if bytes > LARGE_BODY_BYTES && room.large.is_none() {
            room.large = wait(self.large).await;
        }
    }
}

async fn wait(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // The semaphores are never closed, so this only fails to come while others hold every place.
    Arc::clone(places).acquire_owned().await.ok()
}

/// The whole body, at most `limit` bytes.
pub(crate) async fn read(
    body: Arriving,
    limit: usize,
    limits: &Limits,
    rooms: Rooms<'_>,
) -> Result<(Bytes, Room), Unread> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), Room::default()));
    }
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Unread::TooLarge { limit });
    }
    let reading = Box::pin(collect(body, announced, limit, limits, rooms));
    tokio::time::timeout(limits.body, reading).await.map_err(|_| Unread::TooSlow)?
}

async fn collect(
    mut body: Arriving,
    announced: usize,
    limit: usize,
    limits: &Limits,
    rooms: Rooms<'_>,
) -> Result<(Bytes, Room), Unread> {
    let mut room = Room::default();
    rooms.enter(announced, &mut room).await;
    let Some(first) = piece(&mut body, limits).await? else { return Ok((Bytes::new(), room)) };
    if body.is_end_stream() && first.len() <= limit {
        return Ok((first, room));
    }
    // The announced length is the client's word: memory follows what really comes.
    let mut whole = BytesMut::with_capacity(announced.clamp(first.len(), LARGE_BODY_BYTES.max(first.len())));
    let mut next = Some(first);
    while let Some(piece_read) = next {
        if whole.len() + piece_read.len() > limit {
            return Err(Unread::TooLarge { limit });
        }
        whole.extend_from_slice(&piece_read);
        rooms.enter(whole.len(), &mut room).await;
        next = piece(&mut body, limits).await?;
    }
    Ok((whole.freeze(), room))
}

/// The next piece of data; none at the end. Trailers are dropped: no AWS protocol here has any.
async fn piece(body: &mut Arriving, limits: &Limits) -> Result<Option<Bytes>, Unread> {
    loop {
        let next = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        let frame = tokio::time::timeout(limits.body_pause, next).await.map_err(|_| Unread::TooSlow)?;
        match frame.transpose()? {
            None => return Ok(None),
            Some(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
