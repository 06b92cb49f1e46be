//! A request's body that may be sent a second time.
//!
//! What was sent is kept as it streams, up to a bound; nothing waits for it. Beyond the bound it is let go, and
//! the body can be sent once only. The pieces are shared with those on their way, so keeping them costs no
//! copy.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A body and what was read of it.
#[derive(Debug)]
pub(crate) struct Kept<B = Incoming> {
    source: RefCell<B>,
    /// What its framing said when nothing was read yet.
    hint: SizeHint,
    pieces: RefCell<Vec<Piece>>,
    bytes: Cell<usize>,
    most: Cell<usize>,
    /// More was read than is kept.
    lost: Cell<bool>,
    /// The reader that reads now; those before it are of attempts that were given up.
    turn: Cell<u32>,
}

#[derive(Debug, Clone)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Piece {
    fn frame(self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data),
            Self::Trailers(trailers) => Frame::trailers(trailers),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Kept<B> {
    /// Keeps up to `most` bytes of `source`.
    pub(crate) fn new(source: B, most: usize) -> Rc<Self> {
        Rc::new(Self {
            hint: source.size_hint(),
            source: RefCell::new(source),
            pieces: RefCell::default(),
            bytes: Cell::new(0),
            most: Cell::new(most),
            lost: Cell::new(false),
            turn: Cell::new(0),
        })
    }

    /// Whether all of it can be read from its beginning.
    pub(crate) fn is_whole(&self) -> bool {
        !self.lost.get()
    }

    /// A reader from the beginning. Readers before it come to a halt.
    pub(crate) fn reader(self: &Rc<Self>) -> Reader<B> {
        self.turn.set(self.turn.get().wrapping_add(1));
        Reader { kept: self.clone(), turn: self.turn.get(), at: 0 }
    }

    /// It will not be sent again: what is read from now on is not kept.
    pub(crate) fn let_go(&self) {
        self.most.set(0);
    }

    fn keep(&self, frame: &Frame<Bytes>) {
        if self.lost.get() {
            return;
        }
        let (piece, bytes) = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => (Piece::Data(data.clone()), data.len()),
            (None, Some(trailers)) => (Piece::Trailers(trailers.clone()), 0),
            (None, None) => return,
        };
        let total = self.bytes.get() + bytes;
        if total > self.most.get() || self.most.get() == 0 {
            self.lost.set(true);
            return;
        }
        self.bytes.set(total);
        self.pieces.borrow_mut().push(piece);
    }
}

/// Reads a kept body from its beginning: what was kept, then what comes.
#[derive(Debug)]
pub(crate) struct Reader<B = Incoming> {
    kept: Rc<Kept<B>>,
    turn: u32,
    at: usize,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Reader<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let kept = self.kept.clone();
        if kept.turn.get() != self.turn {
            // An end here would look like that of the body to an endpoint that still listens.
            return Poll::Pending;
        }
        if let Some(piece) = kept.pieces.borrow().get(self.at).cloned() {
            self.at += 1;
            return Poll::Ready(Some(Ok(piece.frame())));
        }
        let polled = Pin::new(&mut *kept.source.borrow_mut()).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            kept.keep(frame);
            if kept.lost.get() {
                // All of it has been passed on by this reader, and no other will come.
                kept.pieces.borrow_mut().clear();
                self.at = 0;
            } else {
                self.at += 1;
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.kept.pieces.borrow().len() && self.kept.source.borrow().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.at == 0 && self.kept.is_whole() { self.kept.hint } else { SizeHint::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, convert::Infallible};

    use http_body_util::BodyExt;

    use super::*;

    #[derive(Debug)]
    struct Source(VecDeque<Frame<Bytes>>);

    impl Body for Source {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }
        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0.iter().filter_map(Frame::data_ref).map(|d| d.len() as u64).sum())
        }
    }

    fn kept(pieces: &[&'static str], most: usize) -> Rc<Kept<Source>> {
        let frames = pieces.iter().map(|text| Frame::data(Bytes::from_static(text.as_bytes())));
        Kept::new(Source(frames.collect()), most)
    }

    async fn next(reader: &mut Reader<Source>) -> Option<String> {
        let frame = reader.frame().await?.unwrap();
        Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
    }

    async fn all(mut reader: Reader<Source>) -> String {
        let mut text = String::new();
        while let Some(piece) = next(&mut reader).await {
            text += &piece;
        }
        text
    }

    #[tokio::test]
    async fn what_was_read_is_read_again_and_then_goes_on() {
        let kept = kept(&["ab", "cd", "ef"], 100);
        let mut first = kept.reader();
        assert_eq!(next(&mut first).await.as_deref(), Some("ab"));
        assert_eq!(next(&mut first).await.as_deref(), Some("cd"));
        assert!(kept.is_whole());
        let second = kept.reader();
        assert_eq!(second.size_hint().exact(), Some(6));
        assert_eq!(all(second).await, "abcdef");
        let third = kept.reader();
        assert!(!third.is_end_stream());
        assert_eq!(all(third).await, "abcdef");
    }

    #[tokio::test]
    async fn a_longer_body_passes_but_can_not_be_sent_again() {
        let kept = kept(&["ab", "cd", "ef"], 5);
        assert_eq!(all(kept.reader()).await, "abcdef");
        assert!(!kept.is_whole());
        assert!(kept.pieces.borrow().is_empty(), "nothing is held for nothing");
    }

    #[tokio::test]
    async fn what_is_let_go_is_not_kept_any_more() {
        let kept = kept(&["ab", "cd"], 100);
        let mut reader = kept.reader();
        next(&mut reader).await;
        kept.let_go();
        assert_eq!(next(&mut reader).await.as_deref(), Some("cd"));
        assert!(!kept.is_whole() && next(&mut reader).await.is_none());
    }

    #[tokio::test]
    async fn a_reader_that_was_given_up_never_ends() {
        let kept = kept(&["ab"], 100);
        let mut first = kept.reader();
        let second = kept.reader();
        let waited = tokio::time::timeout(std::time::Duration::from_millis(1), first.frame()).await;
        assert!(waited.is_err(), "an end would look like the end of the body");
        assert_eq!(all(second).await, "ab");
    }
}
