//! Client connections, spread evenly over the workers.
//!
//! The kernel deals connections out by a hash, that is at random: of 200 one of two workers has 58 % now and then, and of a
//! few long ones, which may carry many streams each, one worker may have them all while another idles. So whoever accepts
//! one looks who has the fewest, and passes it on there if that is worth its while. It is passed as it came, before its first
//! byte was read; a worker whose door is full or closed is passed nothing, and who accepted keeps it.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serin_config::limits::PASSED_CONNECTIONS_MAX;
use tokio::{
    net::{TcpStream, UnixStream},
    sync::mpsc,
};

use super::{arrive::Terms, stream::Stream};

/// What a worker has more than the least of all before it passes a connection on: this part of the least. Where there are
/// many it makes no difference who has one more, and short ones would only be sent about.
const SLACK: usize = 16;

/// How many connections each worker has, and the way there.
#[derive(Debug, Clone)]
pub(crate) struct Spread(Arc<[Share]>);

/// One worker's part, on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Share {
    open: AtomicUsize,
    door: mpsc::Sender<Passed>,
}

/// Where a worker hears of connections that others pass to it.
pub(crate) type Door = mpsc::Receiver<Passed>;

/// A connection on its way from the worker that accepted it.
#[derive(Debug)]
pub(crate) struct Passed {
    socket: Socket,
    pub(crate) address: Option<IpAddr>,
    pub(crate) terms: Terms,
    pub(crate) held: Held,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// One connection in the count of its worker, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    spread: Spread,
    worker: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.spread.0[self.worker].open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Spread {
    /// Over so many workers; each gets its door.
    pub(crate) fn over(workers: usize) -> (Self, Vec<Door>) {
        let (shares, doors): (Vec<_>, Vec<_>) = (0..workers)
            .map(|_| {
                let (door, behind) = mpsc::channel(PASSED_CONNECTIONS_MAX);
                (Share { open: AtomicUsize::new(0), door }, behind)
            })
            .unzip();
        (Self(shares.into()), doors)
    }

    /// How many connections each worker has.
    pub(crate) fn open(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|share| share.open.load(Ordering::Relaxed))
    }

    /// A connection that a worker keeps.
    pub(crate) fn keep(&self, worker: usize) -> Held {
        self.0[worker].open.fetch_add(1, Ordering::Relaxed);
        Held { spread: self.clone(), worker }
    }

    /// Passes a connection that `worker` has accepted to another, or gives it back to be kept. None: it has gone, to the
    /// other or, where the system refused to take it off this runtime, nowhere.
    pub(crate) fn pass(
        &self,
        worker: usize,
        stream: Stream,
        address: Option<IpAddr>,
        terms: &Terms,
    ) -> Option<Stream> {
        if self.0.len() == 1 {
            return Some(stream);
        }
        let Some(other) = elsewhere(self.open(), worker) else { return Some(stream) };
        let Ok(place) = self.0[other].door.try_reserve() else { return Some(stream) };
        let socket = match Socket::from(stream) {
            Ok(Ok(socket)) => socket,
            Ok(Err(stream)) => return Some(stream),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be passed to another worker and is closed");
                return None;
            }
        };
        place.send(Passed { socket, address, terms: terms.clone(), held: self.keep(other) });
        None
    }
}

impl Passed {
    /// The connection on the present worker's runtime, and what it is counted by.
    pub(crate) fn arrive(self) -> io::Result<(Stream, Option<IpAddr>, Terms, Held)> {
        let stream = match self.socket {
            Socket::Tcp(socket) => TcpStream::from_std(socket).map(Stream::Tcp)?,
            Socket::Unix(socket) => UnixStream::from_std(socket).map(Stream::Unix)?,
        };
        Ok((stream, self.address, self.terms, self.held))
    }
}

impl Socket {
    /// Takes a socket off the present runtime. What is no socket comes back.
    fn from(stream: Stream) -> io::Result<Result<Self, Stream>> {
        match stream {
            Stream::Tcp(stream) => stream.into_std().map(|socket| Ok(Self::Tcp(socket))),
            Stream::Unix(stream) => stream.into_std().map(|socket| Ok(Self::Unix(socket))),
            other => Ok(Err(other)),
        }
    }
}

/// The worker that a new connection had better go to than to `own`, by how many each has.
fn elsewhere(open: impl Iterator<Item = usize>, own: usize) -> Option<usize> {
    let (mut has, mut least) = (0, (usize::MAX, own));
    for (worker, open) in open.enumerate() {
        if worker == own {
            has = open;
        } else if open < least.0 {
            least = (open, worker);
        }
    }
    let (fewest, other) = least;
    (has > fewest.saturating_add(fewest / SLACK)).then_some(other)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    use super::*;

    fn to(open: &[usize], own: usize) -> Option<usize> {
        elsewhere(open.iter().copied(), own)
    }

    #[test]
    fn the_second_of_two_connections_goes_to_the_second_of_two_workers() {
        assert_eq!(to(&[0, 0], 0), None);
        assert_eq!(to(&[1, 0], 0), Some(1));
        assert_eq!(to(&[1, 1], 0), None);
        assert_eq!(to(&[0, 1], 0), None, "it has the fewest itself");
        assert_eq!(to(&[5], 0), None, "there is nobody else");
    }

    #[test]
    fn among_many_a_few_more_are_kept() {
        assert_eq!(to(&[99, 94], 0), None);
        assert_eq!(to(&[100, 94], 0), Some(1));
        assert_eq!(to(&[101, 97, 94], 0), Some(2), "to the one that has the fewest");
    }

    #[test]
    fn whoever_the_kernel_favours_no_worker_has_much_more_than_its_part() {
        let mut random = SmallRng::seed_from_u64(7);
        for _ in 0..200 {
            let mut open = vec![0; random.random_range(2..5)];
            let favoured = random.random_range(0..open.len());
            for _ in 0..random.random_range(1..600) {
                let own =
                    if random.random_range(0..3) > 0 { favoured } else { random.random_range(0..open.len()) };
                let worker = to(&open, own).unwrap_or(own);
                open[worker] += 1;
                let (most, least) = (open.iter().max().unwrap(), open.iter().min().unwrap());
                assert!(*most <= least + least / SLACK + 1, "{open:?}");
            }
        }
    }
}
