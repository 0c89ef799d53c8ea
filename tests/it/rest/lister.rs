//! A REST interface of which the test says what it answers, whatever it is asked.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Listens until the test is over.
pub(super) struct Lister {
    port: u16,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    answer: Vec<u8>,
    asked: usize,
    /// Clients that get no answer.
    hung: Option<Vec<TcpStream>>,
}

impl Lister {
    pub(super) fn start(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared { answer: answer(status, body), asked: 0, hung: None }));
        let own = shared.clone();
        std::thread::spawn(move || listener.incoming().for_each(|client| serve(client.unwrap(), &own)));
        Self { port, shared }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What is answered from here on.
    pub(super) fn answer(&self, status: u16, body: &str) {
        self.shared.lock().unwrap().answer = answer(status, body);
    }

    /// Nothing is answered from here on.
    pub(super) fn hang(&self) {
        self.shared.lock().unwrap().hung = Some(Vec::new());
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.shared.lock().unwrap().asked
    }
}

fn answer(status: u16, body: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body.as_bytes()].concat()
}

fn serve(mut client: TcpStream, shared: &Mutex<Shared>) {
    let _ = client.read(&mut [0; 4096]);
    let mut shared = shared.lock().unwrap();
    shared.asked += 1;
    let Shared { answer, hung, .. } = &mut *shared;
    match hung {
        Some(hung) => hung.push(client),
        // A client that is gone needs no answer.
        None => _ = client.write_all(answer),
    }
}
