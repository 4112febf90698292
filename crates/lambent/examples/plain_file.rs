//! A plain file over hyper: what reading a large object is compared with. `plain_file PATH PORT`

use std::convert::Infallible;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// Bytes read at a time.
const PIECE_BYTES: u64 = 512 * 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which file?")?;
    let port: u16 = arguments.next().ok_or("which port?")?.parse()?;
    #[allow(clippy::disallowed_methods, reason = "a yardstick, no part of the platform")]
    let file = Arc::new(File::open(path)?);
    let size = file.metadata()?.len();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let file = Arc::clone(&file);
        tokio::spawn(async move {
            let service = service_fn(|_| {
                let file = Arc::clone(&file);
                async move {
                    let pieces = stream::iter((0..size).step_by(PIECE_BYTES as usize)).then(move |from| {
                        let file = Arc::clone(&file);
                        async move {
                            let read = tokio::task::spawn_blocking(move || {
                                let mut bytes = vec![0; PIECE_BYTES.min(size - from) as usize];
                                file.read_exact_at(&mut bytes, from).map(|()| Bytes::from(bytes))
                            });
                            read.await.map_err(std::io::Error::other)?.map(Frame::data)
                        }
                    });
                    let mut response = hyper::Response::new(StreamBody::new(Box::pin(pieces)));
                    response.headers_mut().insert("content-length", size.into());
                    Ok::<_, Infallible>(response)
                }
            });
            http1::Builder::new().serve_connection(TokioIo::new(socket), service).await.ok();
        });
    }
}
