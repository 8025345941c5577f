//! A registry for one test: HTTP on a loopback port, schemas in memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value as Json, json};

/// The registry; it serves until the test's process ends.
pub(crate) struct Server {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Schemas by subject; a schema's id is its place here, from 1.
    schemas: Vec<(String, Json)>,
    requests: Vec<String>,
    authorization: Option<String>,
    failures: usize,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let state = Arc::<Mutex<State>>::default();
        let served = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = served.clone();
                std::thread::spawn(move || serve(&stream, &state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Only who says this is answered.
    pub(crate) fn require(&self, authorization: &str) {
        self.state().authorization = Some(authorization.to_owned());
    }

    /// The next requests are answered with 503.
    pub(crate) fn fail(&self, times: usize) {
        self.state().failures = times;
    }

    /// Registers a schema as someone else would; its id.
    pub(crate) fn register(&self, subject: &str, schema: Json) -> i32 {
        self.state().register(subject, schema)
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no request panics")
    }
}

impl State {
    fn register(&mut self, subject: &str, schema: Json) -> i32 {
        let known = self.find(subject, &schema);
        known.unwrap_or_else(|| {
            self.schemas.push((subject.to_owned(), schema));
            self.schemas.len() as i32
        })
    }

    fn find(&self, subject: &str, schema: &Json) -> Option<i32> {
        let at = self
            .schemas
            .iter()
            .position(|(known, text)| known == subject && text == schema)?;
        Some(at as i32 + 1)
    }

    /// The answer to a request: a status and a body.
    fn answer(&mut self, request: &str, body: &str) -> (u16, Json) {
        let missing = |code: u32| (404, json!({"error_code": code, "message": "not found"}));
        let body = serde_json::from_str::<Json>(body).unwrap_or_default();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (request.split(' ').next().unwrap_or_default(), parts.as_slice()) {
            ("GET", ["schemas", "ids", id]) => {
                let at = id.parse::<usize>().unwrap_or_default().wrapping_sub(1);
                self.schemas
                    .get(at)
                    .map_or_else(|| missing(40403), |(_, schema)| (200, schema.clone()))
            }
            ("GET", ["subjects", subject, "versions", version]) => {
                let at = version.parse::<usize>().unwrap_or_default().wrapping_sub(1);
                let mut versions = self.schemas.iter().filter(|(known, _)| known == subject);
                versions
                    .nth(at)
                    .map_or_else(|| missing(40402), |(_, schema)| (200, schema.clone()))
            }
            ("POST", ["subjects", subject, "versions"]) => (200, json!({"id": self.register(subject, body)})),
            ("POST", ["subjects", subject]) => self
                .find(subject, &body)
                .map_or_else(|| missing(40403), |id| (200, json!({"id": id}))),
            _ => missing(404),
        }
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let header = |name: &str| {
            lines.iter().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let length = header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut state = state.lock().expect("no request panics");
        let request = lines.first()?.trim_end_matches(" HTTP/1.1").to_owned();
        state.requests.push(request.clone());
        let (status, answer) = if state.failures > 0 {
            state.failures -= 1;
            (503, json!({"error_code": 50301, "message": "not now"}))
        } else if state.authorization.is_some() && state.authorization != header("authorization") {
            (401, json!({"error_code": 40101, "message": "who are you?"}))
        } else {
            state.answer(&request, &String::from_utf8_lossy(&body))
        };
        drop(state);
        let answer = answer.to_string();
        write!(
            &mut &*stream,
            "HTTP/1.1 {status} .\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        )
        .ok()?;
    }
}
