//! One end of a connection whose every byte a test decides: blocking, HTTP/1 only, and as lenient as it can
//! be, since it is the other side that is under test.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
};

use rustls::{ClientConnection, StreamOwned};

use super::SOON;

/// A socket of either kind, or TLS on one.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

macro_rules! either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => $call,
            Socket::Unix($stream) => $call,
            Socket::Tls($stream) => $call,
        }
    };
}

impl Socket {
    fn set_timeouts(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => set_timeouts(stream),
            Self::Tls(stream) => set_timeouts(&stream.sock),
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(SOON))?;
                stream.set_write_timeout(Some(SOON))
            }
        }
    }
}

fn set_timeouts(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(SOON))?;
    stream.set_write_timeout(Some(SOON))
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => stream.read(into))
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, stream => stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        either!(self, stream => stream.flush())
    }
}

/// The head of a request or response.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    /// The first line.
    pub(crate) line: String,
    /// Names in lower case, in the order in which they came.
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.trim_end().lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let field = |line: &str| {
            let (name, value) = line.split_once(':').expect("a field has a colon");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self { line, fields: lines.map(field).collect() }
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.fields.iter().filter(|(own, _)| own == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// The one value of a field.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} stands {} times: {self:?}", all.len());
        all.first().copied()
    }

    /// The second word of the first line: a response's status, a request's target.
    pub(crate) fn word(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// Fields after the last chunk.
    pub(crate) trailers: Head,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.word().parse().unwrap_or_else(|_| panic!("no status: {:?}", self.head))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Wire(BufReader<Socket>);

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the listener is there");
        stream.set_nodelay(true).expect("a TCP socket");
        Self::new(Socket::Tcp(stream))
    }

    pub(crate) fn connect_unix(path: &Path) -> Self {
        Self::new(Socket::Unix(UnixStream::connect(path).expect("the listener is there")))
    }

    /// A read or write that takes longer than [`SOON`] fails.
    pub(crate) fn new(socket: Socket) -> Self {
        socket.set_timeouts().expect("a timeout above zero");
        Self(BufReader::with_capacity(64 * 1024, socket))
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())?;
        self.0.get_mut().flush()
    }

    /// Sends as much as the peer takes at once.
    pub(crate) fn send_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    /// No more will be sent; the peer's bytes can still be read.
    pub(crate) fn finish(&self) {
        // The peer may have gone already.
        let _ = match self.0.get_ref() {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
            Socket::Tls(stream) => stream.sock.shutdown(Shutdown::Write),
        };
    }

    /// The next head; none if the peer closed the connection instead.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            if self.0.read_until(b'\n', &mut bytes)? == 0 {
                return match bytes.len() {
                    0 => Ok(None),
                    _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "cut within a head")),
                };
            }
        }
        Ok(Some(Head::parse(&bytes)))
    }

    pub(crate) fn exactly(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        self.0.read_exact(&mut read)?;
        Ok(read)
    }

    /// What comes next, however little; none at the end.
    pub(crate) fn some(&mut self) -> io::Result<Option<Vec<u8>>> {
        let bytes = self.0.fill_buf()?.to_vec();
        self.0.consume(bytes.len());
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// The next chunk of a chunked body; empty for the last.
    pub(crate) fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let wrong = |_| io::Error::new(io::ErrorKind::UnexpectedEof, format!("no chunk: {line:?}"));
        let length = usize::from_str_radix(line.trim_end(), 16).map_err(wrong)?;
        let bytes = self.exactly(length)?;
        if length > 0 {
            self.exactly(2)?;
        }
        Ok(bytes)
    }

    /// A chunked body and its trailers.
    pub(crate) fn chunks(&mut self) -> io::Result<(Vec<u8>, Head)> {
        let mut all = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                break;
            }
            all.extend_from_slice(&chunk);
        }
        let mut trailers = b"\r\n".to_vec();
        let begin = trailers.len();
        loop {
            let line = trailers.len();
            if self.0.read_until(b'\n', &mut trailers)? <= 2 && trailers.ends_with(b"\r\n") {
                trailers.truncate(line);
                break;
            }
        }
        let fields = String::from_utf8_lossy(&trailers[begin..]).into_owned();
        Ok((all, Head::parse(format!("trailers\r\n{fields}").as_bytes())))
    }

    /// The body of a request.
    pub(crate) fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        match (head.one("transfer-encoding"), head.one("content-length")) {
            (Some(_), _) => Ok(self.chunks()?.0),
            (None, Some(length)) => self.exactly(length.parse().map_err(io::Error::other)?),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// A response to a request of this method.
    pub(crate) fn answer_to(&mut self, method: &str) -> io::Result<Answer> {
        let head = self.head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let none = method == "HEAD" || matches!(head.word(), "204" | "304");
        let (body, trailers) = match (head.one("transfer-encoding"), head.one("content-length")) {
            _ if none => (Vec::new(), Head::default()),
            (Some(_), _) => self.chunks()?,
            (None, Some(length)) => {
                (self.exactly(length.parse().map_err(io::Error::other)?)?, Head::default())
            }
            (None, None) => (self.rest()?, Head::default()),
        };
        Ok(Answer { head, body, trailers })
    }

    /// Sends one request and reads its response.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        let request = request.as_ref();
        let method = String::from_utf8_lossy(request).split(' ').next().unwrap_or_default().to_owned();
        self.send(request).expect("the proxy reads");
        self.answer_to(&method).unwrap_or_else(|error| {
            panic!("{error} after {:?}", String::from_utf8_lossy(&request[..request.len().min(200)]))
        })
    }

    /// Everything until the peer ends its side well; an error if it breaks off.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        self.0.read_to_end(&mut all)?;
        Ok(all)
    }

    /// Waits until the peer has closed the connection, well or not; fails if it stays open.
    pub(crate) fn wait_for_close(&mut self) {
        match self.rest() {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("the connection stayed open for {SOON:?}")
            }
            _ => {}
        }
    }
}
