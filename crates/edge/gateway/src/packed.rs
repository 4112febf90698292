//! Bodies packed with gzip, as SDKs send large requests of some operations (PutMetricData): unpacked here, so that no room
//! behind knows of it.

use std::io::Read;

use base::Fault;
use flate2::read::MultiGzDecoder;
use http::header::CONTENT_ENCODING;
use wire::Protocol;

use crate::arrival::Arrival;
use crate::body::{Room, Rooms};
use crate::limits::SANDBOX_BODY_BYTES;

/// Bytes of an unpacked body: a small one may hold a thousand times as much.
const UNPACKED_BYTES: u64 = 8 * 1024 * 1024;

/// Unpacks the body where it is a service's own document. With the REST protocols a body may be a caller's own, an object for
/// example, and stays as it is. To be called once the signature has held: it is over the packed body.
pub(crate) async fn unpack(arrival: &mut Arrival<'_>, protocol: Protocol, rooms: Rooms<'_>) -> Result<Room, Fault> {
    let mut room = Room::default();
    let packed = arrival.header("content-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
    if !packed || matches!(protocol, Protocol::RestJson | Protocol::RestXml) {
        return Ok(room);
    }
    let mut body = Vec::new();
    let mut decoder = MultiGzDecoder::new(&arrival.request.body[..]);
    // What stays small needs no place; who knows how large the rest is must have found one before.
    for bytes in [SANDBOX_BODY_BYTES as u64, UNPACKED_BYTES + 1] {
        let read = (&mut decoder).take(bytes - body.len() as u64).read_to_end(&mut body);
        read.map_err(|_| Fault::serialization("The request's body is not what its Content-Encoding says: gzip"))?;
        if (body.len() as u64) < bytes {
            break;
        }
        rooms.enter(UNPACKED_BYTES as usize, &mut room).await;
    }
    if body.len() as u64 > UNPACKED_BYTES {
        let words = format!("The request's body is larger than {UNPACKED_BYTES} bytes when it is unpacked");
        return Err(Fault::new("RequestEntityTooLargeException", 413, words));
    }
    arrival.request.headers.remove(CONTENT_ENCODING);
    arrival.request.body = body.into();
    Ok(room)
}
