use std::net::IpAddr;

/// What the connection says of a caller. Empty for calls within the platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The access key that signed, and was verified.
    pub key_id: Option<String>,
    /// The peer's address: `aws:SourceIp`. None from inside a sandbox, whose address says nothing.
    pub source_ip: Option<IpAddr>,
    /// `User-Agent` as sent.
    pub user_agent: Option<String>,
    /// Whether nobody can read along on the way: TLS, or a way that does not leave the machine. `aws:SecureTransport`.
    pub secure: bool,
    /// Whether it came over TLS: what a client's own address says.
    pub tls: bool,
    /// It came as a form that a page posted.
    pub form: bool,
}
