//! Bytes into requests: as much of HTTP/1.1 as a runtime client speaks. Pure, and total: any bytes give a request, a wish
//! for more, or a refusal. Source: RFC 9112.

use base::RequestId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::Outcome;

/// The part of a request before its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) route: Route,
    pub(super) length: Length,
    /// Whether the connection serves another request after this one.
    pub(super) keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    /// `Lambda-Runtime-Function-Error-Type`.
    pub(super) error_type: Option<String>,
    /// How the client says it responds, if it does.
    pub(super) response: Option<Box<Response>>,
    /// `Authorization`.
    pub(super) authorization: Option<String>,
}

/// How a client responds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Response {
    /// `Lambda-Runtime-Function-Response-Mode`.
    pub(super) mode: String,
    /// `Content-Type`.
    pub(super) content_type: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Next,
    /// `None`: what stands in the path is no request id.
    Response(Option<RequestId>),
    Error(Option<RequestId>),
    InitError,
    RestoreNext,
    RestoreError,
    Snapshot,
    NoSnapshot,
    Credentials,
    /// A known path with another method; the methods it has.
    WrongMethod(&'static str),
    Unknown,
}

/// How the body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Known(usize),
    Chunked,
}

/// Bytes that are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Where the head ends (behind its empty line), if it is complete. `scanned` bytes were looked at before.
pub(super) fn head_end(bytes: &[u8], scanned: usize) -> Option<usize> {
    let from = scanned.saturating_sub(3).min(bytes.len());
    let mut ends = memchr::memchr_iter(b'\n', &bytes[from..]).map(|at| from + at + 1);
    ends.find(|end| bytes[..*end].ends_with(b"\r\n\r\n"))
}

/// Reads a complete head, its empty line included.
pub(super) fn head(bytes: &[u8]) -> Result<Head, Malformed> {
    let text = bytes.strip_suffix(b"\r\n\r\n").ok_or(Malformed("the head does not end"))?;
    let (line, mut rest) = cut_line(text);
    let (route, newest) = request_line(line)?;
    let mut head = Head {
        route,
        length: Length::Known(0),
        keep_alive: newest,
        expects_continue: false,
        error_type: None,
        response: None,
        authorization: None,
    };
    let mut lengths = Lengths::default();
    while !rest.is_empty() {
        let (line, after) = cut_line(rest);
        rest = after;
        header(line, &mut head, &mut lengths)?;
    }
    head.length = lengths.body()?;
    if let Some(response) = &mut head.response {
        // Nobody asks for it elsewhere.
        response.content_type = field(text, b"content-type");
    }
    Ok(head)
}

/// A header's value, found apart from all others.
fn field(text: &[u8], name: &[u8]) -> Option<String> {
    let (_, mut rest) = cut_line(text);
    while !rest.is_empty() {
        let (line, after) = cut_line(rest);
        rest = after;
        if let Some(value) = value_of(line, name) {
            return Some(value);
        }
    }
    None
}

/// The value of a line `NAME: value`, if it is one of this name.
fn value_of(line: &[u8], name: &[u8]) -> Option<String> {
    let colon = memchr::memchr(b':', line)?;
    let found = line[..colon].trim_ascii().eq_ignore_ascii_case(name);
    found.then(|| String::from_utf8_lossy(line[colon + 1..].trim_ascii()).into_owned())
}

fn cut_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match line_end(bytes) {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &[]),
    }
}

/// Where a line ends, in front of its CR and LF.
fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find_map(|at| bytes[..at].ends_with(b"\r").then(|| at - 1))
}

/// The route, and whether the version is 1.1.
fn request_line(line: &[u8]) -> Result<(Route, bool), Malformed> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Malformed("the request line is not `METHOD PATH VERSION`"));
    };
    let newest = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return Err(Malformed("the version is neither HTTP/1.1 nor HTTP/1.0")),
    };
    if method.is_empty() || !method.iter().all(u8::is_ascii_uppercase) {
        return Err(Malformed("the method is not a word in capitals"));
    }
    if !target.starts_with(b"/") {
        return Err(Malformed("the path does not begin with a slash"));
    }
    Ok((route(method, target), newest))
}

fn route(method: &[u8], target: &[u8]) -> Route {
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let Some(path) = path.strip_prefix(b"/2018-06-01/runtime/") else { return Route::Unknown };
    let only =
        |allowed: &'static str, found| if method == allowed.as_bytes() { found } else { Route::WrongMethod(allowed) };
    match path {
        b"invocation/next" => return only("GET", Route::Next),
        b"init/error" => return only("POST", Route::InitError),
        b"restore/next" => return only("GET", Route::RestoreNext),
        b"restore/error" => return only("POST", Route::RestoreError),
        b"snapshot" => return only("POST", Route::Snapshot),
        b"snapshot/none" => return only("POST", Route::NoSnapshot),
        b"credentials" => return only("GET", Route::Credentials),
        _ => {}
    }
    let Some(path) = path.strip_prefix(b"invocation/") else { return Route::Unknown };
    let mut parts = path.split(|byte| *byte == b'/');
    let id = parts.next().and_then(|id| std::str::from_utf8(id).ok()).and_then(|id| id.parse().ok());
    match (parts.next(), parts.next()) {
        (Some(b"response"), None) => only("POST", Route::Response(id)),
        (Some(b"error"), None) => only("POST", Route::Error(id)),
        _ => Route::Unknown,
    }
}

/// What the headers say about the body, before it is settled.
#[derive(Default)]
struct Lengths {
    known: Option<usize>,
    chunked: bool,
}

impl Lengths {
    fn body(self) -> Result<Length, Malformed> {
        match self {
            // Both together is how requests are smuggled.
            Self { known: Some(_), chunked: true } => Err(Malformed("both Content-Length and Transfer-Encoding")),
            Self { chunked: true, .. } => Ok(Length::Chunked),
            Self { known, .. } => Ok(Length::Known(known.unwrap_or(0))),
        }
    }
}

fn header(line: &[u8], head: &mut Head, lengths: &mut Lengths) -> Result<(), Malformed> {
    let colon = memchr::memchr(b':', line).ok_or(Malformed("a header has no colon"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if name.is_empty() || name.iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
        return Err(Malformed("a header's name has white space in it"));
    }
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
    if is("content-length") {
        let length = decimal(value).ok_or(Malformed("Content-Length is not a number"))?;
        if lengths.known.replace(length).is_some_and(|before| before != length) {
            return Err(Malformed("two lengths"));
        }
    } else if is("transfer-encoding") {
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Malformed("a Transfer-Encoding other than chunked"));
        }
        lengths.chunked = true;
    } else if is("connection") {
        let has =
            |wanted: &[u8]| value.split(|b| *b == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(wanted));
        head.keep_alive = has(b"keep-alive") || head.keep_alive && !has(b"close");
    } else if is("expect") {
        head.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
    } else if is("lambda-runtime-function-error-type") {
        head.error_type = Some(String::from_utf8_lossy(value).into_owned());
    } else if is("lambda-runtime-function-response-mode") {
        head.response.get_or_insert_default().mode = String::from_utf8_lossy(value).into_owned();
    } else if is("authorization") {
        head.authorization = Some(String::from_utf8_lossy(value).into_owned());
    }
    Ok(())
}

fn decimal(value: &[u8]) -> Option<usize> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The longest line that announces a chunk, extensions included.
const CHUNK_LINE_BYTES: usize = 1024;
/// The longest trailer line. An error object with its stack trace stands in one, in base64.
pub(super) const TRAILER_LINE_BYTES: usize = 64 * 1024;
/// Most trailer lines behind the last chunk.
const TRAILER_LINES: usize = 32;

/// Takes a chunked body apart, whatever the sizes in which it arrives.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: ChunkState,
    // What the trailers say of a failure.
    error_type: Option<String>,
    error_body: Option<String>,
}

#[derive(Debug, Default, Clone, Copy)]
enum ChunkState {
    #[default]
    Size,
    Data(usize),
    DataEnd,
    Trailer(usize),
    Done,
}

/// What the next bytes of a chunked body are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// The first `skip` bytes are framing, then `data` bytes belong to the body.
    Data { skip: usize, data: usize },
    /// The first `skip` bytes are framing, and the body is complete.
    End { skip: usize },
    /// The first `skip` bytes are framing; more must arrive.
    More { skip: usize },
}

impl Chunks {
    /// Looks at bytes that follow what earlier calls took.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<Piece, Malformed> {
        let mut skip = 0;
        loop {
            let rest = &bytes[skip..];
            match self.at {
                ChunkState::Data(left) => {
                    let data = left.min(rest.len());
                    if data == 0 {
                        return Ok(Piece::More { skip });
                    }
                    self.at = if data == left { ChunkState::DataEnd } else { ChunkState::Data(left - data) };
                    return Ok(Piece::Data { skip, data });
                }
                ChunkState::Done => return Ok(Piece::End { skip }),
                ChunkState::Size | ChunkState::DataEnd | ChunkState::Trailer(_) => {
                    let Some(end) = line_end(rest) else {
                        let longest = match self.at {
                            ChunkState::Trailer(_) => TRAILER_LINE_BYTES,
                            _ => CHUNK_LINE_BYTES,
                        };
                        let fits = rest.len() <= longest;
                        return if fits {
                            Ok(Piece::More { skip })
                        } else {
                            Err(Malformed("a chunk's line is too long"))
                        };
                    };
                    self.at = self.after_line(&rest[..end])?;
                    skip += end + 2;
                }
            }
        }
    }

    /// What the trailers of a complete body say went wrong, if anything.
    pub(super) fn failure(self) -> Option<Outcome> {
        let error_type = self.error_type?;
        let body = self.error_body.unwrap_or_default();
        // One that is not in base64 is told as it is.
        let payload = STANDARD.decode(&body).map_or_else(|_| Bytes::from(body), Bytes::from);
        Some(Outcome::Error { error_type, payload })
    }

    fn after_line(&mut self, line: &[u8]) -> Result<ChunkState, Malformed> {
        match self.at {
            ChunkState::Size => Ok(match chunk_size(line)? {
                0 => ChunkState::Trailer(0),
                size => ChunkState::Data(size),
            }),
            ChunkState::DataEnd if line.is_empty() => Ok(ChunkState::Size),
            ChunkState::DataEnd => Err(Malformed("a chunk is longer than it said")),
            ChunkState::Trailer(_) if line.is_empty() => Ok(ChunkState::Done),
            ChunkState::Trailer(lines) if lines >= TRAILER_LINES => Err(Malformed("too many trailers")),
            ChunkState::Trailer(lines) => {
                if let Some(value) = value_of(line, b"lambda-runtime-function-error-type") {
                    self.error_type = Some(value).filter(|value| !value.is_empty());
                } else if let Some(value) = value_of(line, b"lambda-runtime-function-error-body") {
                    self.error_body = Some(value);
                }
                Ok(ChunkState::Trailer(lines + 1))
            }
            state @ (ChunkState::Data(_) | ChunkState::Done) => Ok(state),
        }
    }
}

fn chunk_size(line: &[u8]) -> Result<usize, Malformed> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Malformed("a chunk's size is not a hexadecimal number"));
    }
    usize::from_str_radix(digits, 16).map_err(|_| Malformed("a chunk's size is out of range"))
}
