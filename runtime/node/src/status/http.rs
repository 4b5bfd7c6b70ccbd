//! A small HTTP server: three paths for GET, requests of bounded size and time, one answer per connection.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::config::Http;
use crate::network::pool::{ConnectionPool, PoolLimits};
use crate::network::wake_listener;
use crate::node_state::NodeState;
use crate::queue::JobView;
use crate::status::health::{Health, metrics};

/// Concurrent connections; the oldest gives way to a new one.
const CONNECTIONS: PoolLimits = PoolLimits {
    waiting: 8,
    served: 0,
    per_address: 4,
};

/// Most threads of connections, including those that gave way and are about to end.
const THREADS_MAX: usize = 40;

/// Longest head of a request in bytes.
const REQUEST_BYTES_MAX: usize = 8192;

/// Time limits for the first byte of a request, for all of it, and for its answer.
const FIRST_TIME: Duration = Duration::from_secs(1);
const REQUEST_TIME: Duration = Duration::from_secs(3);
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Most jobs in an answer.
const JOBS_MAX: usize = 1000;

/// Serves health, queue and metrics.
pub struct HttpServer {
    address: SocketAddr,
    thread: JoinHandle<()>,
}

/// The jobs of the queue, as JSON.
#[derive(Serialize)]
struct JobList {
    version: u32,
    jobs: Vec<JobView>,
}

impl HttpServer {
    /// Starts to listen.
    ///
    /// **Errors**: the address is not available.
    pub fn start(shared: &Arc<NodeState>, settings: &Http) -> io::Result<Self> {
        let listener = TcpListener::bind((settings.bind, settings.port))?;
        let address = listener.local_addr()?;
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || listen(&shared, &listener))?;
        Ok(Self { address, thread })
    }

    /// Address that it listens at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for its end, after the node was asked to stop.
    pub fn join(self) {
        wake_listener(self.address);
        let _ = self.thread.join();
    }
}

fn listen(shared: &Arc<NodeState>, listener: &TcpListener) {
    let pool = ConnectionPool::new(CONNECTIONS);
    loop {
        let accepted = listener.accept();
        if shared.stop.is_over() {
            return;
        }
        let Ok((stream, peer)) = accepted else {
            thread::sleep(Duration::from_millis(200));
            continue;
        };
        let from = peer.ip().to_canonical();
        if pool.connections() >= THREADS_MAX {
            continue;
        }
        let Ok((place, _)) = pool.enter(&stream, from) else {
            continue;
        };
        let served = Arc::clone(shared);
        let thread = thread::Builder::new()
            .name("answer".to_owned())
            .stack_size(512 << 10)
            .spawn(move || {
                let _place = place;
                let _ = serve(&served, stream);
            });
        if let Err(reason) = thread {
            let line = format_args!("no thread for a connection: {reason}");
            shared.rejected.warning(from, line);
        }
    }
}

fn serve(shared: &NodeState, mut stream: TcpStream) -> io::Result<()> {
    let request = read(&mut stream)?;
    let method = request.as_ref().map(|request| request.method.as_str());
    let host = request.as_ref().and_then(|request| request.host.as_deref());
    let here = stream.local_addr()?.ip().to_canonical();
    let (status, kind, body) = match (&request, method) {
        _ if !host.is_none_or(|host| is_ours(shared, host, here)) => (
            421,
            TEXT,
            "this host does not have that name: see `http.host_names` in the settings\n".to_owned(),
        ),
        (Some(request), Some("GET" | "HEAD")) => answer(shared, &request.path),
        (None, _) => (400, TEXT, "the request is too long or no HTTP\n".to_owned()),
        _ => (405, TEXT, "only GET is known here\n".to_owned()),
    };
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        421 => "Misdirected Request",
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
    let body = if method == Some("HEAD") { "" } else { &body };
    write(&mut stream, &(head + body))?;
    stream.shutdown(Shutdown::Both)
}

/// Sends a text, within a time in all.
fn write(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    let end = Instant::now() + ANSWER_TIME;
    let mut bytes = text.as_bytes();
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(end)?))?;
        match stream.write(bytes)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
    }
    Ok(())
}

fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(io::ErrorKind::TimedOut.into())
    } else {
        Ok(left)
    }
}

/// Whether a `Host` header (RFC 9110 7.2) names this host: by the address that was connected to, as `localhost`, or by
/// a name of the settings. A foreign page whose host name resolves to this address (DNS rebinding) has another.
fn is_ours(shared: &NodeState, host: &str, here: IpAddr) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default().trim_end_matches('.');
    let address = name.parse::<IpAddr>();
    let mut names = shared.config.http.iter().flat_map(|http| &http.host_names);
    address.is_ok_and(|address| address.to_canonical() == here)
        || name.eq_ignore_ascii_case("localhost")
        || names.any(|known| known.eq_ignore_ascii_case(name))
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

fn answer(shared: &NodeState, path: &str) -> (u16, &'static str, String) {
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
            let jobs = JobList {
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

struct HttpRequest {
    method: String,
    path: String,
    host: Option<String>,
}

/// Reads the head of a request; `None` where it is none.
fn read(stream: &mut TcpStream) -> io::Result<Option<HttpRequest>> {
    let start = Instant::now();
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let time = if bytes.is_empty() {
            FIRST_TIME
        } else {
            REQUEST_TIME
        };
        stream.set_read_timeout(Some(left(start + time)?))?;
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend(&buffer[..count]);
        if bytes.len() > REQUEST_BYTES_MAX {
            return Ok(None);
        }
    }
    let head = String::from_utf8_lossy(&bytes);
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Ok(None);
    };
    let mut hosts = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        // Names must not contain spaces, nor begin with one, which once continued the previous line (RFC 9112 5.1,
        // 5.2).
        let Some((name, value)) = line.split_once(':') else {
            return Ok(None);
        };
        if name.is_empty() || name.contains(|c: char| c.is_ascii_whitespace()) {
            return Ok(None);
        }
        if name.eq_ignore_ascii_case("host") {
            hosts.push(value.trim());
        }
    }
    let is_whole = |host: &&str| !host.starts_with('[') || host.contains(']');
    if !version.starts_with("HTTP/1.") || hosts.len() > 1 || !hosts.iter().all(is_whole) {
        return Ok(None);
    }
    let path = path.split('?').next().unwrap_or(path);
    Ok(Some(HttpRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        host: hosts.first().map(|&host| host.to_owned()),
    }))
}
