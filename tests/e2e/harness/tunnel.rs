//! A connection that has changed its protocol: both ends in the hands of a test.

use super::{
    endpoint::Endpoint,
    serin::Serin,
    wire::{Head, Wire},
};

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// What the key above has to be answered with (RFC 6455, 1.3).
const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// Bytes of each message.
const MESSAGE: usize = 8;

/// An endpoint that grants every upgrade and then sends back what it gets; it answers all else with `served`.
pub(crate) fn echoing() -> Endpoint {
    Endpoint::scripted(|wire, _| {
        while let Some(head) = wire.head()? {
            if head.one("upgrade").is_none() {
                wire.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nserved")?;
                continue;
            }
            wire.send(GRANT)?;
            loop {
                let message = wire.exactly(MESSAGE)?;
                wire.send(message)?;
            }
        }
        Ok(())
    })
}

/// The client's end.
pub(crate) struct Tunnel(Wire);

impl Tunnel {
    /// Asks for one through Serin, and gets it.
    pub(crate) fn open(serin: &Serin) -> Self {
        let mut wire = Wire::connect(serin.web);
        wire.send(ASK).unwrap();
        let head: Head = wire.head().unwrap().expect("an answer");
        assert_eq!(head.word(), "101", "{head:?}");
        let mut tunnel = Self(wire);
        tunnel.assert_open();
        tunnel
    }

    /// A message comes back.
    pub(crate) fn assert_open(&mut self) {
        self.0.send(&"a message".as_bytes()[..MESSAGE]).unwrap();
        assert_eq!(self.0.exactly(MESSAGE).unwrap(), b"a messag");
    }

    /// Waits for the other side's end.
    pub(crate) fn wait_for_close(&mut self) {
        self.0.wait_for_close();
    }
}
