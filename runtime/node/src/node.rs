//! A node and its threads.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use crate::config::{Callers, Config};
use crate::failures::Failures;
use crate::find::{self, SourceTracker};
use crate::log::{self, RateLimitedLog};
use crate::metrics::NodeMetrics;
use crate::network::tls::{self, SetupError, open_keys};
use crate::node_state::NodeState;
use crate::queue::{JobQueue, OpenError};
use crate::receive::{ConnectionSlots, Listener};
use crate::send;
use crate::space::StorageSpace;
use crate::status::HttpServer;
use crate::work::{self, Predict};

/// Most threads that send results: one for each destination of each service, so that one that does not answer delays
/// no other.
const SENDERS_MAX: usize = 64;

/// Interval of checks for complete jobs.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// Interval of checks for files and entries past their retention.
const TIDY_PAUSE: Duration = Duration::from_secs(30);

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The queue cannot be opened.
    #[error(transparent)]
    Queue(#[from] OpenError),
    /// An address is not available.
    #[error("cannot listen at {address} port {port}: {reason}")]
    Listen {
        address: IpAddr,
        port: u16,
        reason: io::Error,
    },
    /// Certificates or keys cannot be used.
    #[error("cannot set up TLS")]
    Tls(#[from] SetupError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl StartError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Queue(error) => error.hint(),
            Self::Listen { .. } => Some(
                "`bind` and `port` in the settings say where to listen; is another program there?",
            ),
            Self::Tls(error) => Some(error.hint()),
            Self::Thread(_) => None,
        }
    }
}

pub struct Node {
    shared: Arc<NodeState>,
    listener: Listener,
    tls_listener: Option<Listener>,
    http: Option<HttpServer>,
    threads: Vec<JoinHandle<()>>,
}

impl Node {
    /// Opens the queue, resumes the jobs of the last node, and listens.
    ///
    /// **Errors**: [`StartError`].
    pub fn start(config: Config, predict: Arc<dyn Predict>) -> Result<Self, StartError> {
        let tls = check_tls(&config)?;
        let shared = Arc::new(NodeState {
            queue: JobQueue::open(&config)?,
            space: StorageSpace::new(&config.limits),
            metrics: NodeMetrics::default(),
            stop: Arc::default(),
            slots: Arc::new(ConnectionSlots::new(&config)),
            destinations: Failures::default(),
            receiving: Failures::default(),
            sources: SourceTracker::default(),
            rejected: RateLimitedLog::default(),
            config,
        });
        let config = &shared.config;
        let listen_error = |address, port| {
            move |reason| StartError::Listen {
                address,
                port,
                reason,
            }
        };
        let http = config
            .http
            .as_ref()
            .map(|http| {
                HttpServer::start(&shared, http).map_err(listen_error(http.bind, http.port))
            })
            .transpose()?;
        let listen = |port, tls| {
            Listener::start(&shared, port, tls).map_err(listen_error(config.bind, port))
        };
        // TLS has a port of its own, or the only one.
        let (main, second) = match config.tls.as_ref().and_then(|settings| settings.port) {
            Some(port) => (None, Some(listen(port, tls)?)),
            None => (tls, None),
        };
        let mut node = Self {
            listener: listen(config.port, main)?,
            shared: Arc::clone(&shared),
            tls_listener: second,
            http,
            threads: Vec::new(),
        };
        node.spawn("keep", keep)?;
        let services = shared.config.services.iter();
        let ways: usize = services.map(|service| service.destinations.len()).sum();
        for _ in 0..ways.clamp(1, SENDERS_MAX) {
            node.spawn("send", send::send)?;
        }
        if !shared.config.sources.is_empty() {
            node.spawn("ask", find::ask)?;
        }
        for _ in 0..shared.config.workers {
            let predict = Arc::clone(&predict);
            node.spawn("predict", move |shared| work::work(shared, &predict))?;
        }
        node.tell();
        Ok(node)
    }

    /// Logs where it listens, for which services, and what is exposed.
    fn tell(&self) {
        let config = &self.shared.config;
        let services = config.services.iter();
        let services: Vec<_> = services.map(|service| service.ae_title.as_str()).collect();
        let listens = |address: SocketAddr, how: &str| {
            log::info(format_args!(
                "vesal {} listens at {address}{how} for {}",
                env!("CARGO_PKG_VERSION"),
                services.join(", ")
            ));
        };
        match (&self.tls_listener, &config.tls) {
            (None, Some(_)) => listens(self.address(), " with TLS"),
            _ => listens(self.address(), ""),
        }
        if let Some(listener) = &self.tls_listener {
            listens(listener.address(), " with TLS");
        }
        match &config.callers {
            Callers::Listed(callers) if callers.is_empty() => {
                log::warning("nobody may send: the settings list no `[[caller]]`");
            }
            Callers::Any if !config.bind.is_loopback() => {
                log::warning("anybody in the network may send: `callers.any` is true");
            }
            _ => {}
        }
        if let Some(http) = &self.http {
            let address = http.address();
            log::info(format_args!(
                "health, queue and metrics at http://{address}"
            ));
            if !address.ip().is_loopback() {
                log::warning(
                    "everyone in the network may read health, queue and metrics, because `http.bind` is not this machine alone",
                );
            }
        }
        for key in open_keys(config) {
            log::warning(format_args!(
                "users other than its owner may read the key `{}`",
                key.display()
            ));
        }
    }

    fn spawn(
        &mut self,
        name: &str,
        work: impl Fn(&NodeState) + Send + 'static,
    ) -> Result<(), StartError> {
        let shared = Arc::clone(&self.shared);
        let name = name.to_owned();
        let thread = thread::Builder::new()
            .name(name.clone())
            .spawn(move || guard(&shared, &name, work))
            .map_err(StartError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Address of the listener for associations.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Address of the listener for associations with TLS, if it has a port of its own.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_listener.as_ref().map(Listener::address)
    }

    /// Address of the HTTP server.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(HttpServer::address)
    }

    /// State that its threads share.
    pub fn shared(&self) -> &Arc<NodeState> {
        &self.shared
    }

    /// Stops: accepts no new associations, lets open ones and predictions finish within the limit, and waits.
    pub fn stop(self) {
        log::info("stopping");
        self.shared.stop.request(self.shared.config.limits.shutdown);
        self.listener.join(&self.shared);
        if let Some(listener) = self.tls_listener {
            listener.join(&self.shared);
        }
        for thread in self.threads {
            let _ = thread.join();
        }
        self.shared.stop.finish();
        if let Some(http) = self.http {
            http.join();
        }
        log::info("stopped");
    }
}

/// Reads every certificate and key of the settings; returns the configuration of the server.
///
/// **Errors**: one cannot be used.
pub fn check_tls(config: &Config) -> Result<Option<Arc<ServerConfig>>, SetupError> {
    let destinations = config.destinations.values();
    let sources = config.sources.iter().map(|source| &source.peer);
    for tls in destinations
        .chain(sources)
        .filter_map(|peer| peer.tls.as_ref())
    {
        tls::client(tls)?;
    }
    config.tls.as_ref().map(tls::server).transpose()
}

/// Runs the work of a thread, and again after a panic.
fn guard(shared: &NodeState, name: &str, work: impl Fn(&NodeState)) {
    loop {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(shared)));
        if caught.is_ok() {
            return;
        }
        log::error(format_args!(
            "thread `{name}` ended by an internal error of vesal, and is restarted"
        ));
        if !shared.stop.pause(Duration::from_secs(1)) {
            return;
        }
    }
}

/// Maintains the queue: completes jobs, and removes what is past its retention.
fn keep(shared: &NodeState) {
    let mut tidied: Option<Instant> = None;
    loop {
        shared.queue.settle();
        shared.rejected.sum_up();
        if tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY_PAUSE) {
            shared.queue.tidy();
            tidied = Some(Instant::now());
        }
        if !shared.stop.pause(SETTLE_PAUSE) {
            return;
        }
    }
}
