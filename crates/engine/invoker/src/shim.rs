use runtime::{Event, InitOutcome, Outcome};
use std::sync::{Arc, Mutex};
use tokio::io::*;
use tokio::sync::{mpsc, oneshot, watch, Mutex as AMutex};
pub(crate) struct Session { tx: mpsc::UnboundedSender<(Event, oneshot::Sender<Outcome>)>, rx: AMutex<mpsc::UnboundedReceiver<(Event, oneshot::Sender<Outcome>)>>, init: watch::Sender<Option<InitOutcome>>, pending: Mutex<Option<oneshot::Sender<Outcome>>>, closed: watch::Sender<bool> }
pub(crate) struct Gone;
impl Session {
    pub(crate) fn new() -> Arc<Self> { let (tx, rx) = mpsc::unbounded_channel(); Arc::new(Self { tx, rx: AMutex::new(rx), init: watch::Sender::new(None), pending: Mutex::new(None), closed: watch::Sender::new(false) }) }
    pub(crate) async fn serve(self: Arc<Self>, l: tokio::net::TcpListener) {
        while let Ok((s, _)) = l.accept().await { let _ = s.set_nodelay(true); let _ = self.conn(s).await; }
    }
    async fn conn(&self, s: tokio::net::TcpStream) -> std::io::Result<()> {
        let mut s = BufReader::new(s);
        loop {
            let mut first = String::new();
            if s.read_line(&mut first).await? == 0 { return Ok(()); }
            let (mut len, mut kind) = (0usize, String::new());
            loop { let mut h = String::new(); s.read_line(&mut h).await?; let h = h.trim_end(); if h.is_empty() { break }
                let (n, v) = h.split_once(':').unwrap();
                if n.eq_ignore_ascii_case("content-length") { len = v.trim().parse().unwrap() }
                if n.eq_ignore_ascii_case("lambda-runtime-function-error-type") { kind = v.trim().into() } }
            let mut body = vec![0; len]; s.read_exact(&mut body).await?;
            let path = first.split(' ').nth(1).unwrap().to_owned();
            let mut out = Vec::new();
            if path.ends_with("/next") {
                self.init.send_if_modified(|i| { let n = i.is_none(); i.get_or_insert(InitOutcome::Ready); n });
                let (e, tx) = self.rx.lock().await.recv().await.unwrap();
                *self.pending.lock().unwrap() = Some(tx);
                out.extend_from_slice(format!("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {}\r\nContent-Length: {}\r\n\r\n", e.request_id, e.payload.len()).as_bytes());
                out.extend_from_slice(&e.payload);
                s.write_all(&out).await?; continue;
            }
            if path.ends_with("init/error") { self.init.send_replace(Some(InitOutcome::Failed { error_type: kind, payload: body.into() })); }
            else if let Some(tx) = self.pending.lock().unwrap().take() {
                let _ = tx.send(if path.ends_with("/response") { Outcome::Response { payload: body.into() } } else { Outcome::Error { error_type: kind, payload: body.into() } });
            }
            s.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await?;
        }
    }
    pub(crate) async fn initialised(&self) -> InitOutcome { let mut r = self.init.subscribe(); let x = r.wait_for(Option::is_some).await.unwrap().clone().unwrap(); x }
    pub(crate) async fn invoke(&self, e: Event) -> std::result::Result<Outcome, Gone> {
        let (tx, rx) = oneshot::channel(); let _ = self.tx.send((e, tx));
        let mut c = self.closed.subscribe();
        tokio::select! { biased; o = rx => o.map_err(|_| Gone), _ = c.wait_for(|c| *c) => Err(Gone) }
    }
    pub(crate) fn close(&self) { self.closed.send_replace(true); }
}
