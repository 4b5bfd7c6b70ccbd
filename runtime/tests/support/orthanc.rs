//! Orthanc and dcmtk as peers.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Path of a program; `None` with a message where it is absent, which fails in CI.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        let required = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!required, "`{name}` is not installed");
        eprintln!("skipped: `{name}` is not installed");
    }
    found
}

/// A free port.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

/// A process that is killed at the end of the test.
pub struct Running(pub Child);

impl Running {
    /// Starts a program whose output is discarded.
    pub fn start(command: &mut Command) -> Self {
        let silent = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(silent.spawn().expect("starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Orthanc {
    process: Running,
    http: u16,
    pub dicom: u16,
}

impl Orthanc {
    /// Starts one that can send to a node at this port.
    pub fn start(program: &Path, folder: &Path, node: u16) -> Self {
        Self::start_with(program, folder, node, "", "")
    }

    /// The same with further settings, of its own and of the node: `, "NAME": VALUE`.
    pub fn start_with(program: &Path, folder: &Path, node: u16, own: &str, of: &str) -> Self {
        // A port that was free before may be in use by now.
        (0..5)
            .find_map(|_| Self::try_start(program, folder, node, own, of))
            .expect("Orthanc finds ports")
    }

    /// `None` where it ended before it answered.
    fn try_start(program: &Path, folder: &Path, node: u16, own: &str, of: &str) -> Option<Self> {
        fs::create_dir_all(folder).expect("made");
        let (http, dicom) = (free_port(), free_port());
        let settings = format!(
            r#"{{
                "Name": "archive", "StorageDirectory": "{0}/files", "IndexDirectory": "{0}/files",
                "HttpPort": {http}, "DicomPort": {dicom}, "DicomAet": "ARCHIVE",
                "RemoteAccessAllowed": false, "AuthenticationEnabled": false, "Plugins": [],
                "DicomCheckCalledAet": true, "DicomAlwaysAllowStore": true, "DicomScuTimeout": 5,
                "DicomAssociationCloseDelay": 0, "OverwriteInstances": false,
                "DicomModalities": {{
                    "node": {{ "AET": "VESAL", "Host": "127.0.0.1", "Port": {node}{of} }}
                }}{own}
            }}"#,
            folder.display()
        );
        let path = folder.join("orthanc.json");
        fs::write(&path, settings).expect("written");
        let mut orthanc = Self {
            process: Running::start(Command::new(program).arg(&path)),
            http,
            dicom,
        };
        let end = Instant::now() + Duration::from_secs(30);
        while orthanc.get("/system").0 != 200 {
            if orthanc.process.0.try_wait().expect("a process").is_some() {
                return None;
            }
            assert!(Instant::now() < end, "Orthanc does not answer");
            thread::sleep(Duration::from_millis(50));
        }
        Some(orthanc)
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        http(self.http, "GET", path, b"")
    }

    pub fn post(&self, path: &str, body: &[u8]) -> (u16, String) {
        http(self.http, "POST", path, body)
    }

    /// Its content as JSON.
    pub fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.get(path).1).expect("JSON")
    }

    /// Number of its instances.
    pub fn instances(&self) -> u64 {
        self.json("/statistics")["CountInstances"]
            .as_u64()
            .expect("a number")
    }
}

/// Asks a server at a port of this machine: status and body; 0 where it does not answer.
pub fn http(port: u16, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return (0, String::new());
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or("0");
    (status.parse().unwrap_or(0), body.to_owned())
}

/// Waits until a condition holds.
pub fn wait_for(what: &str, time: Duration, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while !so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
