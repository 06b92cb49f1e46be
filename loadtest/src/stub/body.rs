//! The body of a stub's answer: whole, or cut in the middle.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A body of known length; a cut one announces all of it, sends half, and breaks the connection.
pub(super) struct Reply {
    left: Bytes,
    cut: Option<Cut>,
}

enum Cut {
    /// Nothing was sent yet.
    First,
    /// Half was sent; the connection is given one turn to write it out.
    Flush,
    Break,
}

impl Reply {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { left: bytes, cut: None }
    }

    pub(super) fn cut(bytes: Bytes) -> Self {
        Self { left: bytes, cut: Some(Cut::First) }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.cut {
            None if self.left.is_empty() => Poll::Ready(None),
            None => Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.left))))),
            Some(Cut::First) => {
                self.cut = Some(Cut::Flush);
                let half = self.left.len() / 2;
                Poll::Ready(Some(Ok(Frame::data(self.left.split_to(half)))))
            }
            Some(Cut::Flush) => {
                self.cut = Some(Cut::Break);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Cut::Break) => Poll::Ready(Some(Err(io::Error::other("cut on purpose")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.cut.is_none() && self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
