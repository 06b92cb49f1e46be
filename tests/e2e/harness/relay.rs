//! TCP relays: what a test puts between two processes, so that the way between them can be cut or go silent while both
//! are well.
//!
//! A relay knows whose connection it carries where it was told names to look for: whoever speaks first says its name in
//! clear. So the way of one among many can be stalled, though all of them come to one address. A stalled way is not
//! closed: it says nothing, as a cable does that was pulled.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::{Builder, Runtime},
    sync::watch,
};

/// Bytes from the beginning of a connection in which a name is looked for.
const NAMED_WITHIN: usize = 64 * 1024;

/// What a relay does now.
#[derive(Debug, Clone, Default)]
struct Rules {
    target: Option<SocketAddr>,
    /// Whose bytes are held back.
    stalled: BTreeSet<&'static str>,
    stalled_all: bool,
    /// How often all connections were cut.
    cuts: u64,
}

impl Rules {
    fn stall(&self, name: Option<&&'static str>) -> bool {
        self.stalled_all || name.is_some_and(|name| self.stalled.contains(name))
    }
}

/// A relay; it ends with the [`Relays`] that it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    rules: Arc<watch::Sender<Rules>>,
}

impl Relay {
    /// Where connections go from now on; before it is told, they are closed.
    pub(crate) fn leads_to(&self, target: SocketAddr) {
        self.rules.send_modify(|rules| rules.target = Some(target));
    }

    /// Breaks all connections that there are.
    pub(crate) fn cut(&self) {
        self.rules.send_modify(|rules| rules.cuts += 1);
    }

    /// Holds everything back, or lets it go on.
    pub(crate) fn stall_all(&self, stall: bool) {
        self.rules.send_modify(|rules| rules.stalled_all = stall);
    }

    /// Holds back what belongs to one of the names, or lets it go on.
    pub(crate) fn stall(&self, name: &'static str, stall: bool) {
        self.rules.send_modify(|rules| {
            match stall {
                true => rules.stalled.insert(name),
                false => rules.stalled.remove(name),
            };
        });
    }
}

/// A place for relays to run.
pub(crate) struct Relays(Runtime);

impl Relays {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self(runtime.expect("a thread for the relays"))
    }

    /// A relay on a free port. `names` are those to look for.
    pub(crate) fn relay(&self, names: &'static [&'static str]) -> Relay {
        let listener = self.0.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let rules = Arc::new(watch::Sender::new(Rules::default()));
        let shown = rules.subscribe();
        self.0.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, shown.clone(), names));
            }
        });
        Relay { address, rules }
    }
}

/// Carries one connection to its end.
async fn carry(client: TcpStream, mut rules: watch::Receiver<Rules>, names: &'static [&'static str]) {
    let Rules { target: Some(target), cuts, .. } = rules.borrow_and_update().clone() else { return };
    // Who is closed at once has found nobody there.
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let name = Arc::new(OnceLock::new());
    tokio::select! {
        () = pump(from_client, to_server, rules.clone(), &name, names) => {}
        () = pump(from_server, to_client, rules.clone(), &name, &[]) => {}
        _ = rules.wait_for(|rules| rules.cuts > cuts) => {}
    }
}

/// Carries one direction, until one side of it ends.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut rules: watch::Receiver<Rules>,
    name: &OnceLock<&'static str>,
    names: &'static [&'static str],
) {
    let mut piece = vec![0; 16 * 1024];
    let mut begin = Vec::new();
    loop {
        let Ok(bytes) = from.read(&mut piece).await else { return };
        if bytes == 0 {
            return;
        }
        if name.get().is_none() && !names.is_empty() && begin.len() < NAMED_WITHIN {
            begin.extend_from_slice(&piece[..bytes]);
            let found = names.iter().find(|name| holds(&begin, name.as_bytes()));
            if let Some(found) = found {
                let _ = name.set(found);
            }
        }
        if rules.wait_for(|rules| !rules.stall(name.get())).await.is_err() {
            return;
        }
        if to.write_all(&piece[..bytes]).await.is_err() {
            return;
        }
    }
}

fn holds(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len()).any(|part| part == name)
}

#[test]
fn a_relay_carries_stalls_by_name_and_cuts() {
    use std::{
        io::{Read, Write},
        time::Duration,
    };
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let relays = Relays::new();
    let relay = relays.relay(&["ann", "bob"]);
    relay.leads_to(server.local_addr().unwrap());
    let open = |name: &str| {
        let mut client = std::net::TcpStream::connect(relay.address).unwrap();
        client.write_all(name.as_bytes()).unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        let mut heard = vec![0; name.len()];
        accepted.read_exact(&mut heard).unwrap();
        assert_eq!(heard, name.as_bytes());
        accepted.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        (client, accepted)
    };
    let (mut ann, mut anns) = open("i am ann");
    let (mut bob, mut bobs) = open("i am bob");
    relay.stall("ann", true);
    let mut one = [0; 1];
    ann.write_all(b"x").unwrap();
    bob.write_all(b"x").unwrap();
    bobs.read_exact(&mut one).unwrap();
    assert!(anns.read_exact(&mut one).is_err(), "it is held back");
    relay.stall("ann", false);
    anns.set_read_timeout(Some(super::SOON)).unwrap();
    anns.read_exact(&mut one).unwrap();
    relay.cut();
    // Closed or reset, as the system likes.
    assert!(matches!(anns.read(&mut one), Ok(0) | Err(_)));
}
