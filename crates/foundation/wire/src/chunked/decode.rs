//! Takes a framed body apart as it comes, in pieces of any size and without keeping it.

use base::Fault;
use bytes::{Buf, Bytes};

use super::chain::{Chain, same};
use super::{Framing, fault};
use crate::Request;
use crate::checksum::{Algorithm, Checksum};

/// The longest line before a chunk, bytes: a size, a signature, and room for extensions nobody uses.
const LINE_BYTES: usize = 1024;
/// The longest headers after the last chunk, bytes.
const TRAILER_BYTES: usize = 16 * 1024;
/// Chunks but the last must be this long, bytes.
const LEAST_CHUNK: u64 = 8192;
/// The largest body, decoded, bytes: what one PUT may hold.
const LARGEST: u64 = 5 << 30;

/// What followed the last chunk: headers by lower-case name, the signature excepted.
pub type Trailers = Vec<(String, String)>;

/// A framed body being decoded. Decoded bytes are handed on before their chunk's signature is known to hold: nothing may
/// come of them unless [`Decoder::finish`] succeeds.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    // Signs what came, to compare; none where no signature is asked for.
    chain: Option<Chain>,
    // What the client said the decoded body would measure.
    announced: u64,
    decoded: u64,
    // The headers it said would follow.
    declared: Vec<String>,
    checksum: Option<(Algorithm, Checksum)>,
    state: State,
    // A line or trailer of which a part came.
    held: Vec<u8>,
    // The number and size of the last chunk, counted from one.
    chunk: (u64, u64),
}

/// What comes next.
#[derive(Debug)]
enum State {
    /// A chunk's size and signature
    Line,
    /// So many bytes of a chunk with this signature
    Data { left: u64, signature: String },
    /// The line break after a chunk
    Break,
    /// What follows the last chunk
    Trailer,
}

impl Decoder {
    /// A decoder of a request's body. The chain is none where its signatures are not to be checked.
    pub(crate) fn new(framing: Framing, request: &Request, chain: Option<Chain>) -> Result<Self, Fault> {
        let text = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let announced = text("x-amz-decoded-content-length").ok_or_else(fault::no_length)?;
        let announced = announced.trim().parse::<u64>().map_err(|_| fault::no_length())?;
        if announced > LARGEST {
            let words = "Your proposed upload exceeds the maximum allowed size";
            return Err(Fault::new("EntityTooLarge", 400, words));
        }
        let declared: Vec<String> = text("x-amz-trailer")
            .unwrap_or_default()
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty())
            .collect();
        if framing.trailer && declared.is_empty() || !framing.trailer && !declared.is_empty() {
            return Err(fault::trailer());
        }
        let mut checksum = None;
        for name in &declared {
            match Algorithm::of_header(name) {
                Some(algorithm) => checksum = Some((algorithm, Checksum::new(algorithm))),
                None if name.starts_with("x-amz-checksum-") => {
                    return Err(Fault::not_implemented(format_args!("the trailing checksum {name}")));
                }
                None => {}
            }
        }
        let chain = if framing.signed { chain } else { None };
        Ok(Self {
            framing,
            chain,
            announced,
            decoded: 0,
            declared,
            checksum,
            state: State::Line,
            held: Vec::new(),
            chunk: (0, 0),
        })
    }

    /// A decoder that checks no signatures, for a caller who proves nothing; none when the body is not framed.
    pub fn unverified(request: &Request) -> Result<Option<Self>, Fault> {
        Framing::of(request)?.map(|framing| Self::new(framing, request, None)).transpose()
    }

    /// The length of the decoded body, as announced, bytes.
    pub fn decoded_bytes(&self) -> u64 {
        self.announced
    }

    /// Takes the next piece of the body and hands on what it decodes to, uncopied.
    ///
    /// Faults with IncompleteBody, InvalidChunkSizeError, SignatureDoesNotMatch or MalformedTrailerError; the decoder is of
    /// no use after that.
    pub fn push(&mut self, mut piece: Bytes, out: &mut impl FnMut(Bytes)) -> Result<(), Fault> {
        while !piece.is_empty() {
            match &mut self.state {
                State::Line => self.line(&mut piece)?,
                State::Data { left, .. } => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                    *left -= take as u64;
                    let done = *left == 0;
                    let data = piece.split_to(take);
                    if let Some(chain) = &mut self.chain {
                        chain.update(&data);
                    }
                    if let Some((_, checksum)) = &mut self.checksum {
                        checksum.update(&data);
                    }
                    out(data);
                    if done {
                        self.check_chunk()?;
                        self.state = State::Break;
                    }
                }
                State::Break => {
                    self.hold(&mut piece, 2);
                    if !b"\r\n".starts_with(&self.held) {
                        return Err(fault::incomplete());
                    }
                    if self.held.len() == 2 {
                        self.held.clear();
                        self.state = State::Line;
                    }
                }
                State::Trailer => {
                    let room = TRAILER_BYTES - self.held.len();
                    if piece.len() > room {
                        return Err(fault::trailer());
                    }
                    self.hold(&mut piece, TRAILER_BYTES);
                }
            }
        }
        Ok(())
    }

    /// Moves bytes of the piece into the held ones, up to so many held.
    fn hold(&mut self, piece: &mut Bytes, most: usize) {
        let take = piece.len().min(most - self.held.len());
        self.held.extend_from_slice(&piece[..take]);
        piece.advance(take);
    }

    /// `10000;chunk-signature=…` and its line break.
    fn line(&mut self, piece: &mut Bytes) -> Result<(), Fault> {
        let end = memchr::memchr(b'\n', piece);
        let take = end.map_or(piece.len(), |at| at + 1);
        if self.held.len() + take > LINE_BYTES {
            return Err(fault::incomplete());
        }
        self.held.extend_from_slice(&piece[..take]);
        piece.advance(take);
        if end.is_none() {
            return Ok(());
        }
        let line = std::mem::take(&mut self.held);
        let line = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
        let (size, extensions) =
            line.map(|line| line.split_once(';').unwrap_or((line, ""))).ok_or_else(fault::incomplete)?;
        let hex = !size.is_empty() && size.len() <= 16 && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = u64::from_str_radix(size, 16).ok().filter(|_| hex).ok_or_else(fault::incomplete)?;
        let signature = extensions.split(';').find_map(|part| part.trim().strip_prefix("chunk-signature="));
        let signature = signature.unwrap_or_default().to_owned();
        self.chunk.0 += 1;
        if size > 0 && self.chunk.0 > 1 && self.chunk.1 < LEAST_CHUNK {
            return Err(fault::small(self.chunk.0, self.chunk.1));
        }
        self.chunk.1 = size;
        self.decoded = self.decoded.saturating_add(size);
        if self.decoded > self.announced || (size == 0 && self.decoded < self.announced) {
            return Err(fault::incomplete());
        }
        self.state = State::Data { left: size, signature };
        if size == 0 {
            self.check_chunk()?;
            self.state = State::Trailer;
        }
        Ok(())
    }

    /// Checks the signature of the chunk that ended.
    fn check_chunk(&mut self) -> Result<(), Fault> {
        match (&mut self.chain, &self.state) {
            (Some(chain), State::Data { signature, .. }) => same(chain.chunk(), signature),
            _ => Ok(()),
        }
    }

    /// Checks that the body is whole, the trailing headers are those declared, and their signature and checksum hold.
    pub fn finish(mut self) -> Result<Trailers, Fault> {
        if !matches!(self.state, State::Trailer) {
            return Err(fault::incomplete());
        }
        if !self.framing.trailer {
            // The last chunk, too, ends with a line break.
            return if self.held == b"\r\n" { Ok(Trailers::new()) } else { Err(fault::incomplete()) };
        }
        let (trailers, signature) = trailers(&self.held)?;
        let declared = |name: &String| self.declared.contains(name);
        if trailers.len() != self.declared.len() || !trailers.iter().all(|(name, _)| declared(name)) {
            return Err(fault::trailer());
        }
        match (&mut self.chain, signature) {
            (Some(chain), Some(claimed)) => {
                let canonical: String = trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
                same(chain.trailer(&canonical), &claimed)?;
            }
            (Some(_), None) => return Err(fault::trailer()),
            (None, _) => {}
        }
        self.check_sum(&trailers)?;
        Ok(trailers)
    }

    fn check_sum(&mut self, trailers: &Trailers) -> Result<(), Fault> {
        use base64::Engine;
        let Some((algorithm, checksum)) = self.checksum.take() else { return Ok(()) };
        let claimed = trailers.iter().find(|(name, _)| name == algorithm.header());
        let Some((_, claimed)) = claimed else { return Err(fault::trailer()) };
        let bytes = base64::engine::general_purpose::STANDARD.decode(claimed).ok();
        if bytes.is_none_or(|bytes| bytes.len() != algorithm.length()) {
            return Err(fault::invalid_checksum(algorithm));
        }
        if *claimed == checksum.finish() { Ok(()) } else { Err(fault::digest(algorithm)) }
    }

    /// A whole body at once: its decoded bytes and the trailing headers.
    pub fn whole(mut self, body: Bytes) -> Result<(Bytes, Trailers), Fault> {
        let mut pieces: Vec<Bytes> = Vec::new();
        self.push(body, &mut |piece| pieces.push(piece))?;
        let trailers = self.finish()?;
        // One chunk is shared, several are joined.
        let whole = if pieces.len() == 1 { pieces.remove(0) } else { pieces.concat().into() };
        Ok((whole, trailers))
    }
}

/// The headers after the last chunk, and their signature. Empty lines stand where clients put them; one ends the body.
fn trailers(held: &[u8]) -> Result<(Trailers, Option<String>), Fault> {
    let text = std::str::from_utf8(held).map_err(|_| fault::trailer())?;
    if !text.ends_with("\r\n") {
        return Err(fault::incomplete());
    }
    let (mut trailers, mut signature) = (Trailers::new(), None);
    for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(fault::trailer)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        if signature.is_some() || trailers.iter().any(|(known, _)| *known == name) {
            return Err(fault::trailer());
        }
        match &*name {
            "x-amz-trailer-signature" => signature = Some(value),
            _ => trailers.push((name, value)),
        }
    }
    Ok((trailers, signature))
}
