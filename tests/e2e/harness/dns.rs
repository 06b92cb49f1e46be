//! A resolver that knows one set of addresses and gives it for every name, with a TTL of one second.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

const A: u16 = 1;
const AAAA: u16 = 28;
const TTL: u32 = 1;

#[derive(Default)]
struct State {
    addresses: Mutex<Vec<IpAddr>>,
    silent: AtomicBool,
    stop: AtomicBool,
    asked: AtomicUsize,
}

pub(crate) struct Dns {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    /// Answers with no address until [`Self::set`].
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout above zero");
        let address = socket.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State::default());
        let theirs = Arc::clone(&state);
        let thread = std::thread::spawn(move || serve(&socket, &theirs));
        Self { address, state, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The addresses of every name from now on.
    pub(crate) fn set(&self, addresses: &[&str]) {
        *self.state.addresses.lock().unwrap() = addresses.iter().map(|text| text.parse().unwrap()).collect();
    }

    /// Whether questions are left without an answer.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.state.silent.store(silent, Ordering::Relaxed);
    }

    /// Questions so far.
    pub(crate) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, state: &State) {
    let mut packet = [0; 1500];
    while !state.stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
        state.asked.fetch_add(1, Ordering::Relaxed);
        if state.silent.load(Ordering::Relaxed) {
            continue;
        }
        let addresses = state.addresses.lock().unwrap().clone();
        if let Some(reply) = answer(&packet[..length], &addresses) {
            let _ = socket.send_to(&reply, from);
        }
    }
}

/// RFC 1035, 4.1: the question again, and a record for each address of the kind that was asked for.
fn answer(packet: &[u8], addresses: &[IpAddr]) -> Option<Vec<u8>> {
    let name_end = 12 + packet.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
    let question = packet.get(12..name_end + 4)?;
    let kind = u16::from_be_bytes([packet[name_end], packet[name_end + 1]]);
    let fit: Vec<_> = addresses
        .iter()
        .filter(|address| matches!((kind, address), (A, IpAddr::V4(_)) | (AAAA, IpAddr::V6(_))))
        .collect();
    let mut reply = packet[..2].to_vec();
    reply.extend([0x81, 0x80, 0, 1]);
    reply.extend(u16::try_from(fit.len()).ok()?.to_be_bytes());
    reply.extend([0, 0, 0, 0]);
    reply.extend(question);
    for address in fit {
        // The name of the question, the kind, the Internet.
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1]);
        reply.extend(TTL.to_be_bytes());
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        reply.extend(u16::try_from(octets.len()).ok()?.to_be_bytes());
        reply.extend(octets);
    }
    Some(reply)
}
