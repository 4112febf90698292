//! How long a warm invocation takes, from `Session::invoke` to its answer. Not asserted: `cargo test -p lambent-runtime
//! --release --test it speed -- --ignored --nocapture`.

use std::path::Path;
use std::time::Duration;

use base::{Clocks, SystemClocks};

use crate::environment::{Code, Environment, event};

/// Measured within a task, as the invoker calls it: on the thread that drives a runtime there is one wake-up more.
async fn measure(name: &'static str, environment: Environment) {
    tokio::spawn(measured(name, environment)).await.unwrap();
}

async fn measured(name: &str, environment: Environment) {
    environment.initialised().await;
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..3000 {
        let given = event(r#"{"name":"lambent"}"#);
        let begun = SystemClocks.monotonic();
        environment.invoke(given).await;
        took.push(SystemClocks.monotonic().duration_since(begun));
    }
    took.drain(..1000);
    took.sort_unstable();
    println!("{name}: p50 {:?} p90 {:?} p99 {:?}", took[1000], took[1800], took[1980]);
}

const MINIMAL: &str = r#"
import os,socket,json
host,port=os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')
s=socket.create_connection((host,int(port)));s.setsockopt(6,1,1)
def rd():
    b=s.recv(65536)
    while b'\r\n\r\n' not in b: b+=s.recv(65536)
    h,r=b.split(b'\r\n\r\n',1);L=int(h.lower().split(b'content-length:')[1].split(b'\r\n')[0])
    while len(r)<L:r+=s.recv(65536)
    return h,r
while True:
    s.sendall(b'GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n');h,b=rd();rid=h.split(b'Request-Id: ')[1].split(b'\r\n')[0]
    o=json.dumps(json.loads(b)).encode()
    s.sendall(b'POST /2018-06-01/runtime/invocation/'+rid+b'/response HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n'%len(o)+o);rd()
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_a_warm_invocation() {
    let code = Code::new(&[
        ("minimal.py", MINIMAL),
        ("app.py", "def handler(event, context): return event\n"),
        ("app.js", "exports.handler = async (event) => event;"),
    ]);
    let python = Path::new("/usr/bin/python3");
    let minimal = code.task().join("minimal.py");
    measure("minimal client", Environment::start(&code, &[python, &minimal], "", &[]).await).await;
    let ours = code.bootstrap("python/bootstrap.py");
    let program = [python, Path::new("-S"), Path::new("-s"), &ours];
    measure("python", Environment::start(&code, &program, "app.handler", &[]).await).await;
    let ours = code.bootstrap("node/bootstrap.cjs");
    measure("node", Environment::start(&code, &[Path::new("/usr/bin/node"), &ours], "app.handler", &[]).await).await;
}
