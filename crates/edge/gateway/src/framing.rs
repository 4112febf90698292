//! Bodies in chunks of their own, which S3's clients send: decoded here, so that no room behind knows of it.

use base::Fault;
use http::{HeaderName, HeaderValue};
use wire::chunked::{self, Decoder, Framing};
use wire::sigv4;

use crate::Gateway;
use crate::arrival::Arrival;

impl Gateway {
    /// Takes a framed body apart and checks what it holds: the signature of every chunk where the key is known, and the
    /// trailing checksum. Trailing headers join the others. To be called once the request's own signature has held.
    pub(crate) fn unframe(&self, arrival: &mut Arrival<'_>) -> Result<(), Fault> {
        if Framing::of(&arrival.request)?.is_none() {
            return Ok(());
        }
        let Some(decoder) = self.decoder(arrival)? else { return Ok(()) };
        let (body, trailers) = decoder.whole(std::mem::take(&mut arrival.request.body))?;
        let headers = &mut arrival.request.headers;
        chunked::strip(headers, body.len() as u64);
        for (name, value) in trailers {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
                headers.insert(name, value);
            }
        }
        arrival.request.body = body;
        Ok(())
    }

    /// What takes a framed body apart; none when it is not framed.
    pub(crate) fn decoder(&self, arrival: &Arrival<'_>) -> Result<Option<Decoder>, Fault> {
        let claim = sigv4::parse(&arrival.request)?;
        let known = claim.and_then(|claim| Some((self.options.keys.find(&claim.key_id)?, claim)));
        match known {
            Some((credential, claim)) => claim.decoder(&arrival.request, &credential.secret),
            None => Decoder::unverified(&arrival.request),
        }
    }
}
