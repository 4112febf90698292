//! Bodies in chunks of their own, which S3's clients send: decoded here, so that no room behind knows of it.

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use md5::{Digest, Md5};
use wire::checksum::{Algorithm, Checksum};
use wire::chunked::{self, Decoder, Framing};
use wire::route::Guess;
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

    /// Checks what a request to a store says of its whole body: an MD5, a checksum. Bodies that stream are checked by who
    /// reads them.
    pub(crate) fn check_integrity(arrival: &Arrival<'_>, guess: &Guess) -> Result<(), Fault> {
        if !guess.service.is_some_and(|service| service.bare_errors) {
            return Ok(());
        }
        let body = &arrival.request.body;
        if let Some(text) = arrival.header("content-md5") {
            let wanted = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == 16).ok_or_else(|| {
                Fault::new("InvalidDigest", 400, "The Content-MD5 you specified was invalid.").with("Content-MD5", text)
            })?;
            let computed = Md5::digest(body);
            if computed[..] != wanted[..] {
                let words = "The Content-MD5 you specified did not match what we received.";
                return Err(Fault::new("BadDigest", 400, words)
                    .with("ExpectedDigest", text)
                    .with("CalculatedDigest", STANDARD.encode(computed)));
            }
        }
        for algorithm in Algorithm::ALL {
            let Some(said) = arrival.header(algorithm.header()) else { continue };
            let mut checksum = Checksum::new(algorithm);
            checksum.update(body);
            if checksum.finish() != said {
                let words = format!("The {} you specified did not match the calculated checksum.", algorithm.name());
                return Err(Fault::new("BadDigest", 400, words));
            }
        }
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
