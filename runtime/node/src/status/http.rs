//! A small HTTP server: three addresses to GET, requests of bounded size and time, one answer per connection.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::log;
use crate::node::Shared;
use crate::queue::JobView;
use crate::receive::wake;
use crate::status::health::{Health, metrics};

/// Connections at once; more are closed.
const CONNECTIONS_MAX: usize = 8;

/// Bytes of a request's head.
const REQUEST_BYTES_MAX: usize = 8192;

/// Time for a request, and for its answer.
const TIME: Duration = Duration::from_secs(5);

/// Jobs that are told at most.
const JOBS_MAX: usize = 1000;

/// Tells health, queue and metrics.
pub struct HttpServer {
    address: SocketAddr,
    thread: JoinHandle<()>,
}

/// The queue as it is told.
#[derive(Serialize)]
struct Jobs {
    version: u32,
    jobs: Vec<JobView>,
}

impl HttpServer {
    /// Begins to listen.
    ///
    /// **Errors**: the address cannot be had.
    pub fn start(shared: &Arc<Shared>, bind: IpAddr, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((bind, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || listen(&shared, &listener))?;
        Ok(Self { address, thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends, after the node was asked to stop.
    pub fn join(self) {
        wake(self.address);
        let _ = self.thread.join();
    }
}

fn listen(shared: &Arc<Shared>, listener: &TcpListener) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let accepted = listener.accept();
        if shared.stop.is_over() {
            return;
        }
        let Ok((stream, _)) = accepted else {
            thread::sleep(Duration::from_millis(200));
            continue;
        };
        if open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (shared, counter) = (Arc::clone(shared), Arc::clone(&open));
        let thread = thread::Builder::new()
            .name("answer".to_owned())
            .stack_size(512 << 10)
            .spawn(move || {
                let _slot = Slot(counter);
                let _ = serve(&shared, stream);
            });
        if let Err(reason) = thread {
            open.fetch_sub(1, Ordering::AcqRel);
            log::error(format_args!("no thread for a connection: {reason}"));
        }
    }
}

struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn serve(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    let end = Instant::now() + TIME;
    let request = read(&mut stream, end)?;
    let method = request.as_ref().map(|request| request.method.as_str());
    let (status, kind, body) = match (&request, method) {
        (Some(request), Some("GET" | "HEAD")) => answer(shared, &request.path),
        (None, _) => (400, TEXT, "the request is too long or no HTTP\n".to_owned()),
        _ => (405, TEXT, "only GET is known here\n".to_owned()),
    };
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    let allow = if status == 405 {
        "Allow: GET, HEAD\r\n"
    } else {
        ""
    };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.set_write_timeout(Some(TIME))?;
    stream.write_all(head.as_bytes())?;
    if method != Some("HEAD") {
        stream.write_all(body.as_bytes())?;
    }
    stream.shutdown(Shutdown::Both)
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

fn answer(shared: &Shared, path: &str) -> (u16, &'static str, String) {
    let json = |status, document: serde_json::Result<String>| match document {
        Ok(text) => (status, JSON, text + "\n"),
        Err(_) => (500, TEXT, "the answer cannot be put into JSON\n".to_owned()),
    };
    match path {
        "/health" => {
            let health = Health::of(shared);
            let status = if health.problems.is_empty() { 200 } else { 503 };
            json(status, serde_json::to_string_pretty(&health))
        }
        "/queue" => {
            let jobs = Jobs {
                version: 1,
                jobs: shared.queue.jobs(JOBS_MAX),
            };
            json(200, serde_json::to_string_pretty(&jobs))
        }
        "/metrics" => (
            200,
            "text/plain; version=0.0.4; charset=utf-8",
            metrics(shared),
        ),
        _ => (
            404,
            TEXT,
            "/health, /queue and /metrics are here\n".to_owned(),
        ),
    }
}

/// What is asked for.
struct Request {
    method: String,
    path: String,
}

/// Reads the head of a request; `None` where it is none.
fn read(stream: &mut TcpStream, end: Instant) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend(&buffer[..count]);
        if bytes.len() > REQUEST_BYTES_MAX {
            return Ok(None);
        }
    }
    let line = bytes.split(|&byte| byte == b'\r').next().unwrap_or(&[]);
    let mut words = std::str::from_utf8(line).unwrap_or("").split(' ');
    let (Some(method), Some(path), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Ok(None);
    };
    if !version.starts_with("HTTP/1.") {
        return Ok(None);
    }
    let path = path.split('?').next().unwrap_or(path);
    Ok(Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
    }))
}
