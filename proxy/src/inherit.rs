//! Listening sockets that another process opened: the Serin that ran before (a hand-over), or systemd (socket
//! activation). The one before also says which canaries it has taken out.
//!
//! The sockets themselves are passed on, not only their addresses. A connection waits in the queue of the socket
//! that the kernel chose for it; binding the address anew would leave whoever waits in the old queues to be reset.
//! For the same reason every socket that was handed over is served, however many workers there are now.
//!
//! A socket belongs to the listener with its address, or with its name where whoever opened it gave it one.

use std::{collections::BTreeMap, io, os::fd::OwnedFd};

use serin_config::Address;
use socket2::{Socket, Type};

use crate::{
    legacy::LeftWire,
    serve::listen::{Bound, sibling},
};

/// Sockets on which somebody listens already.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Given>,
    /// What the process before held against canaries.
    pub(crate) wires: Vec<LeftWire>,
}

#[derive(Debug)]
struct Given {
    name: Option<String>,
    address: Address,
    socket: Socket,
}

/// Why a socket can't be taken over.
#[derive(Debug, thiserror::Error)]
pub enum NotListening {
    /// It is a datagram socket, or one that does not listen.
    #[error("it is not a listening stream socket; in a .socket unit write ListenStream=")]
    Kind,
    /// Its address has no name in the file: abstract or unnamed.
    #[error("its address is neither IP nor a path")]
    Address,
    /// The system does not say.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Inherited {
    /// Nothing: every listener is bound anew.
    pub fn none() -> Self {
        Self::default()
    }

    /// Canaries that the process before has taken out are out from the first request.
    pub fn hold(&mut self, wires: Vec<LeftWire>) {
        self.wires = wires;
    }

    /// Takes one in. A name, where there is one, says which listener it is for.
    pub fn add(&mut self, name: Option<String>, socket: OwnedFd) -> Result<(), NotListening> {
        let socket = Socket::from(socket);
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            return Err(NotListening::Kind);
        }
        let local = socket.local_addr()?;
        let address = match (local.as_socket(), local.as_pathname()) {
            (Some(address), _) => Address::Tcp(address),
            (None, Some(path)) => Address::Unix(path.into()),
            (None, None) => return Err(NotListening::Address),
        };
        self.sockets.push(Given { name, address, socket });
        Ok(())
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// What is left once every listener has taken its own: addresses, each once.
    pub fn addresses(&self) -> Vec<String> {
        let left: BTreeMap<_, ()> =
            self.sockets.iter().map(|given| (given.address.to_string(), ())).collect();
        left.into_keys().collect()
    }

    /// The sockets of one listener, dealt out to the workers; none if it has to be bound.
    pub(crate) fn take(
        &mut self,
        name: &str,
        wanted: &Address,
        workers: usize,
    ) -> io::Result<Option<(Address, Vec<Vec<Bound>>)>> {
        let belongs = |given: &Given| match &given.name {
            Some(own) if own == name => true,
            _ => given.address == *wanted,
        };
        let (own, others) = std::mem::take(&mut self.sockets).into_iter().partition(belongs);
        self.sockets = others;
        let own: Vec<Given> = own;
        let Some(address) = own.first().map(|given| given.address.clone()) else { return Ok(None) };
        let mut bound = Vec::with_capacity(own.len());
        let mut all_share = true;
        for Given { address, socket, .. } in own {
            socket.set_nonblocking(true)?;
            all_share &= socket.reuse_port().unwrap_or(false) && matches!(address, Address::Tcp(_));
            bound.push(match address {
                Address::Tcp(_) => Bound::Tcp(socket.into()),
                Address::Unix(_) => Bound::Unix(socket.into()),
            });
        }
        // What one process shared out over several sockets, another may share out over more; systemd's one
        // socket outlives us, and its queue with it, so it stays the only one.
        let siblings = all_share && bound.len() > 1;
        let missing = workers.saturating_sub(bound.len());
        for number in 0..missing {
            let more = match (&address, siblings) {
                (Address::Tcp(address), true) => sibling(*address)?,
                _ => bound[number].duplicate()?,
            };
            bound.push(more);
        }
        Ok(Some((address, deal(bound, workers))))
    }
}

/// Deals things out in turn, so that nobody has two more than another.
fn deal<T>(things: Vec<T>, hands: usize) -> Vec<Vec<T>> {
    let mut dealt: Vec<Vec<T>> = (0..hands).map(|_| Vec::new()).collect();
    for (number, thing) in things.into_iter().enumerate() {
        dealt[number % hands].push(thing);
    }
    dealt
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, UdpSocket},
        os::unix::net::UnixListener,
    };

    use super::*;
    use crate::serve::listen::bind;

    fn fd(bound: &Bound) -> OwnedFd {
        bound.descriptor().unwrap()
    }

    #[test]
    fn every_socket_that_is_handed_over_is_served_by_fewer_and_by_more_workers() {
        for workers in [1, 2, 4, 7] {
            let (address, four) = bind(&"127.0.0.1:0".parse().unwrap(), 4).unwrap();
            let mut inherited = Inherited::none();
            for socket in &four {
                inherited.add(None, fd(socket)).unwrap();
            }
            let (at, dealt) = inherited.take("web", &address, workers).unwrap().unwrap();
            assert_eq!(at, address);
            let counts: Vec<_> = dealt.iter().map(Vec::len).collect();
            assert_eq!(counts.len(), workers);
            assert_eq!(counts.iter().sum::<usize>(), workers.max(4), "{counts:?}");
            assert!(counts.iter().all(|count| *count >= 1), "{counts:?}");
            assert!(inherited.is_empty());
        }
    }

    #[test]
    fn a_connection_that_waits_in_the_queue_is_served_by_whoever_inherits_it() {
        let (address, sockets) = bind(&"127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let Address::Tcp(at) = address else { panic!("it was TCP") };
        let clients: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(at).unwrap()).collect();
        let mut inherited = Inherited::none();
        for socket in &sockets {
            inherited.add(None, fd(socket)).unwrap();
        }
        drop(sockets);
        let (_, dealt) = inherited.take("web", &Address::Tcp(at), 1).unwrap().unwrap();
        let mut served = 0;
        for socket in dealt.into_iter().flatten() {
            let Bound::Tcp(listener) = socket else { panic!("it was TCP") };
            while listener.accept().is_ok() {
                served += 1;
            }
        }
        assert_eq!(served, clients.len());
    }

    #[test]
    fn a_name_tells_whose_socket_it_is_where_the_address_does_not() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let mut inherited = Inherited::none();
        inherited.add(Some("web".into()), listener.into()).unwrap();
        let wanted: Address = "0.0.0.0:80".parse().unwrap();
        assert!(inherited.take("other", &wanted, 2).unwrap().is_none());
        let (_, dealt) = inherited.take("web", &wanted, 2).unwrap().unwrap();
        assert_eq!(dealt.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn a_unix_socket_is_shared_by_all_workers() {
        let directory = std::env::temp_dir().join(format!("serin-inherit-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("web.sock");
        let _ = std::fs::remove_file(&path);
        let mut inherited = Inherited::none();
        inherited.add(None, UnixListener::bind(&path).unwrap().into()).unwrap();
        let (at, dealt) = inherited.take("web", &Address::Unix(path.clone()), 3).unwrap().unwrap();
        assert_eq!((at, dealt.len()), (Address::Unix(path), 3));
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_nobody_listens_on_is_refused() {
        let mut inherited = Inherited::none();
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(matches!(inherited.add(None, datagrams.into()), Err(NotListening::Kind)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(matches!(inherited.add(None, client.into()), Err(NotListening::Kind)));
    }
}
