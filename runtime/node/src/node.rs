//! A node: its threads and what they share.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use crate::clock::Time;
use crate::config::{Callers, Config};
use crate::find::{self, Sources};
use crate::log::{self, Often};
use crate::metrics::Metrics;
use crate::network::tls::{self, SetupError, open_keys};
use crate::queue::{OpenError, Queue};
use crate::receive::{Listener, Slots};
use crate::send;
use crate::space::Space;
use crate::status::HttpServer;
use crate::stop::Stop;
use crate::work::{self, Predict};

/// Threads that send results at most: one for each destination of each service, so that one that does not answer holds up
/// no other.
const SENDERS_MAX: usize = 64;

/// What failures of the disk are noted under.
pub const STORAGE: &str = "storage";

/// Pause between looks whether jobs are complete.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// Pause between looks for what is too old.
const TIDY_PAUSE: Duration = Duration::from_secs(30);

/// What the threads of a node share.
pub struct Shared {
    /// The settings.
    pub config: Config,
    /// The jobs.
    pub queue: Queue,
    /// Room on the disk.
    pub space: Space,
    /// Counters.
    pub metrics: Metrics,
    /// The end.
    pub stop: Arc<Stop>,
    /// Connections.
    pub slots: Slots,
    /// How destinations do.
    pub destinations: Failures,
    /// How receiving does, by what it needs: `storage`.
    pub receiving: Failures,
    /// Who can be asked how many instances there are.
    pub sources: Sources,
    /// Warnings about connections that are not served.
    pub rejected: Often,
}

/// Failures in a row of what may work again.
#[derive(Debug, Default)]
pub struct Failures(Mutex<BTreeMap<String, Failing>>);

/// Something whose last try failed.
#[derive(Debug, Clone)]
pub struct Failing {
    /// Since when.
    pub since: Time,
    /// Tries in a row.
    pub failures: u32,
    /// Why the last one.
    pub reason: String,
}

impl Failures {
    /// Notes how a try went.
    pub fn note(&self, name: &str, failure: Option<String>) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            None => {
                failing.remove(name);
            }
            Some(reason) => {
                let entry = failing.entry(name.to_owned()).or_insert(Failing {
                    since: Time::now(),
                    failures: 0,
                    reason: String::new(),
                });
                entry.failures += 1;
                entry.reason = reason;
            }
        }
    }

    /// Those whose last try failed.
    pub fn failing(&self) -> BTreeMap<String, Failing> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Why a node cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The queue cannot be opened.
    #[error(transparent)]
    Queue(#[from] OpenError),
    /// An address cannot be had.
    #[error("cannot listen at {address} port {port}: {reason}")]
    Listen {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
        /// What the system answered.
        reason: io::Error,
    },
    /// Certificates or keys cannot be used.
    #[error("cannot speak TLS")]
    Tls(#[from] SetupError),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl StartError {
    /// What the reader can do about it.
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

/// A node that runs.
pub struct Node {
    shared: Arc<Shared>,
    listener: Listener,
    tls_listener: Option<Listener>,
    http: Option<HttpServer>,
    threads: Vec<JoinHandle<()>>,
}

impl Node {
    /// Opens the queue, goes on where the last node was, and listens.
    ///
    /// **Errors**: [`StartError`].
    pub fn start(config: Config, predict: Arc<dyn Predict>) -> Result<Self, StartError> {
        let tls = check_tls(&config)?;
        let shared = Arc::new(Shared {
            queue: Queue::open(&config)?,
            space: Space::new(&config.limits),
            metrics: Metrics::default(),
            stop: Arc::default(),
            slots: Slots::new(&config),
            destinations: Failures::default(),
            receiving: Failures::default(),
            sources: Sources::default(),
            rejected: Often::default(),
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
        // A port of its own, or the only one.
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

    /// Says where it listens, and to whom.
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
                    "anybody in the network may read health, queue and metrics: `http.bind` is not this machine alone",
                );
            }
        }
        for key in open_keys(config) {
            log::warning(format_args!(
                "others than its owner may read the key `{}`",
                key.display()
            ));
        }
    }

    fn spawn(
        &mut self,
        name: &str,
        work: impl Fn(&Shared) + Send + 'static,
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

    /// Where it listens for associations.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Where it listens for associations with TLS, if that is a port of its own.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_listener.as_ref().map(Listener::address)
    }

    /// Where it tells health, queue and metrics.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(HttpServer::address)
    }

    /// What its threads share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Ends: takes no new associations, gives those that are open and the predictions their time, and waits.
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

/// Reads every certificate and key of the settings; gives what is listened with.
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

/// Does the work of a thread again if it ends by a mistake, which must not end the node's work for good.
fn guard(shared: &Shared, name: &str, work: impl Fn(&Shared)) {
    loop {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(shared)));
        if caught.is_ok() {
            return;
        }
        log::error(format_args!(
            "thread `{name}` ended by a mistake in vesal itself, and begins again"
        ));
        if !shared.stop.pause(Duration::from_secs(1)) {
            return;
        }
    }
}

/// Looks after the jobs.
fn keep(shared: &Shared) {
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
