//! AWS's types as static data. Rows are written with the `const fn` builders, by `cargo xtask codegen`.

/// One AWS shape with its constraints.
#[derive(Debug)]
pub struct Shape {
    /// AWS's name, for example `FunctionName`.
    pub name: &'static str,
    /// What kind of value it is.
    pub kind: Kind,
    /// Least length (characters, bytes, items) or least number.
    pub min: Option<i64>,
    /// Greatest length or number.
    pub max: Option<i64>,
    /// A regular expression the whole text must match (AWS anchors it).
    pub pattern: Option<&'static str>,
    /// The allowed texts of an enumeration; empty when free.
    pub values: &'static [&'static str],
    /// Whether its value must never be shown or logged.
    pub sensitive: bool,
    /// How a timestamp is written where the protocol leaves it open.
    pub timestamp: Option<TimestampFormat>,
    /// XML: what elements of this shape declare.
    pub namespace: Option<Namespace>,
    /// XML: the root element when the shape is a whole body, if it is not the shape's name; empty otherwise.
    pub root: &'static str,
    /// A union whose members are the messages of an event stream.
    pub event_stream: bool,
}

/// An XML namespace that an element declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespace {
    /// The prefix; empty for the default namespace.
    pub prefix: &'static str,
    /// The name.
    pub uri: &'static str,
}

/// Where a member of an event travels in its message. Source: Smithy, "Event streams".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPart {
    /// In a header of its name
    Header,
    /// It is the message's whole payload
    Payload,
}

/// The kinds of values.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `bool`
    Boolean,
    /// 32-bit signed integer
    Integer,
    /// 64-bit signed integer
    Long,
    /// 32-bit float
    Float,
    /// 64-bit float
    Double,
    /// UTF-8 text
    Text,
    /// Bytes
    Blob,
    /// A moment, to the millisecond
    Timestamp,
    /// Free JSON
    Document,
    /// Named members
    Structure(&'static [Member]),
    /// Named members of which exactly one is set
    Union(&'static [Member]),
    /// Items alike; the member names the item's wire name
    List(&'static Member),
    /// Text keys to values alike
    Map(&'static Member, &'static Member),
}

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampFormat {
    /// `2026-11-21T05:20:00Z`
    Iso8601,
    /// `Sat, 21 Nov 2026 05:20:00 GMT`
    Rfc822,
    /// Seconds since the epoch, with a fraction
    Unix,
}

/// Where a member of a REST request or response travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// In the encoded body
    Body,
    /// In the header of the member's wire name
    Header,
    /// In all headers with the member's wire name as prefix (a map)
    Headers,
    /// In the query string
    Query,
    /// In the path template's label
    Uri,
    /// In the path template's greedy label: slashes belong to it
    UriGreedy,
    /// It is the HTTP status
    Status,
    /// It is the whole body
    Payload,
}

/// One member of a structure, list or map.
#[derive(Debug)]
pub struct Member {
    /// AWS's name, as messages name it.
    pub name: &'static str,
    /// Its name on the wire (`locationName`), the same unless told.
    pub wire: &'static str,
    /// Its type.
    pub shape: &'static Shape,
    /// Where it travels.
    pub location: Location,
    /// Whether a request without it is refused.
    pub required: bool,
    /// XML and query: no wrapping element.
    pub flattened: bool,
    /// XML: an attribute, not an element.
    pub attribute: bool,
    /// Filled in by clients when left out.
    pub idempotency_token: bool,
    /// The body is streamed.
    pub streaming: bool,
    /// How a timestamp is written here.
    pub timestamp: Option<TimestampFormat>,
    /// XML: what the member's element declares, before its shape's.
    pub namespace: Option<Namespace>,
    /// ec2Query: its name in a form, if it is not the capitalised wire name. awsQuery: its name in forms and answers, if it
    /// has another in the service's other protocols. Empty otherwise.
    pub query: &'static str,
    /// In an event of a stream: where it travels, if not in the payload's body.
    pub event: Option<EventPart>,
    /// Its text is JSON, which travels as base64 in headers.
    pub json: bool,
}

impl Shape {
    /// A shape of `kind` without constraints.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            min: None,
            max: None,
            pattern: None,
            values: &[],
            sensitive: false,
            timestamp: None,
            namespace: None,
            root: "",
            event_stream: false,
        }
    }

    /// Sets the XML namespace its elements declare.
    #[must_use]
    pub const fn namespace(mut self, prefix: &'static str, uri: &'static str) -> Self {
        self.namespace = Some(Namespace { prefix, uri });
        self
    }

    /// Sets the root element of a body that is this shape.
    #[must_use]
    pub const fn root(mut self, name: &'static str) -> Self {
        self.root = name;
        self
    }

    /// Makes the union an event stream.
    #[must_use]
    pub const fn event_stream(mut self) -> Self {
        self.event_stream = true;
        self
    }

    /// Sets the least length or number.
    #[must_use]
    pub const fn min(mut self, min: i64) -> Self {
        self.min = Some(min);
        self
    }

    /// Sets the greatest length or number.
    #[must_use]
    pub const fn max(mut self, max: i64) -> Self {
        self.max = Some(max);
        self
    }

    /// Sets the pattern.
    #[must_use]
    pub const fn pattern(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Sets the allowed texts.
    #[must_use]
    pub const fn values(mut self, values: &'static [&'static str]) -> Self {
        self.values = values;
        self
    }

    /// Marks it as secret.
    #[must_use]
    pub const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Sets the timestamp's format.
    #[must_use]
    pub const fn format(mut self, format: TimestampFormat) -> Self {
        self.timestamp = Some(format);
        self
    }

    /// The members of a structure or union; none for every other kind.
    pub const fn members(&self) -> &'static [Member] {
        match self.kind {
            Kind::Structure(members) | Kind::Union(members) => members,
            _ => &[],
        }
    }

    /// The root element of a body that is this shape.
    pub const fn root_name(&self) -> &'static str {
        if self.root.is_empty() { self.name } else { self.root }
    }

    /// The shape of a list's items or a map's values; itself for every other kind.
    pub fn element(&'static self) -> &'static Self {
        match self.kind {
            Kind::List(item) => item.shape,
            Kind::Map(_, value) => value.shape,
            _ => self,
        }
    }
}

impl Member {
    /// Whether it travels in the encoded body of an answer or event: what belongs to requests alone says nothing there.
    pub(crate) const fn in_answer(&self) -> bool {
        let place = matches!(self.location, Location::Body | Location::Query | Location::Uri | Location::UriGreedy);
        place && self.event.is_none()
    }

    /// A member in the body, optional, with the same name on the wire.
    pub const fn new(name: &'static str, shape: &'static Shape) -> Self {
        Self {
            name,
            wire: name,
            shape,
            location: Location::Body,
            required: false,
            flattened: false,
            attribute: false,
            idempotency_token: false,
            streaming: false,
            timestamp: None,
            namespace: None,
            query: "",
            event: None,
            json: false,
        }
    }

    /// Sets the XML namespace its element declares.
    #[must_use]
    pub const fn namespace(mut self, prefix: &'static str, uri: &'static str) -> Self {
        self.namespace = Some(Namespace { prefix, uri });
        self
    }

    /// Sets the name in query protocols.
    #[must_use]
    pub const fn query(mut self, name: &'static str) -> Self {
        self.query = name;
        self
    }

    /// Sets where it travels in an event's message.
    #[must_use]
    pub const fn event(mut self, part: EventPart) -> Self {
        self.event = Some(part);
        self
    }

    /// Marks its text as JSON.
    #[must_use]
    pub const fn json(mut self) -> Self {
        self.json = true;
        self
    }

    /// Sets the wire name.
    #[must_use]
    pub const fn wire(mut self, wire: &'static str) -> Self {
        self.wire = wire;
        self
    }

    /// Sets where it travels.
    #[must_use]
    pub const fn at(mut self, location: Location) -> Self {
        self.location = location;
        self
    }

    /// Makes it required.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Removes the wrapping element.
    #[must_use]
    pub const fn flattened(mut self) -> Self {
        self.flattened = true;
        self
    }

    /// Makes it an XML attribute.
    #[must_use]
    pub const fn attribute(mut self) -> Self {
        self.attribute = true;
        self
    }

    /// Marks it as an idempotency token.
    #[must_use]
    pub const fn token(mut self) -> Self {
        self.idempotency_token = true;
        self
    }

    /// Marks the body as streamed.
    #[must_use]
    pub const fn streaming(mut self) -> Self {
        self.streaming = true;
        self
    }

    /// Sets the timestamp's format here.
    #[must_use]
    pub const fn format(mut self, format: TimestampFormat) -> Self {
        self.timestamp = Some(format);
        self
    }
}
