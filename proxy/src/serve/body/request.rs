//! A request's body on its way to the endpoint.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::ClientSide;
use crate::serve::{
    replay::{Kept, Reader},
    story::Story,
    watch::Activity,
};

/// A request's body on its way to the endpoint. Most requests have none, and cost nothing here.
#[derive(Debug)]
pub(crate) struct RequestBody {
    client: Option<(Source, Rc<ClientSide>)>,
    /// What is there already, of a request that is not the client's own.
    whole: Option<Bytes>,
}

/// Where a request's body is read.
#[derive(Debug)]
enum Source {
    /// From the client, once.
    Once(Incoming),
    /// From what is kept of it, then from the client.
    Kept(Reader),
}

impl Source {
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Once(incoming) => incoming.is_end_stream(),
            Self::Kept(reader) => reader.is_end_stream(),
        }
    }
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, activity: Rc<Activity>, story: Option<&Rc<Story>>) -> Self {
        let story = || story.map(Rc::downgrade).unwrap_or_default();
        let client = |incoming| (Source::Once(incoming), Rc::new(ClientSide::new(activity, story())));
        Self { client: (!incoming.is_end_stream()).then(|| client(incoming)), whole: None }
    }

    /// Keeps up to `most` bytes of the body, so that it can be sent again; none if there is no body.
    pub(crate) fn keep(&mut self, most: usize) -> Option<Rc<Kept>> {
        let (source, client) = self.client.take()?;
        let (source, kept) = match source {
            Source::Once(incoming) => {
                let kept = Kept::new(incoming, most);
                (Source::Kept(kept.reader()), Some(kept))
            }
            kept @ Source::Kept(_) => (kept, None),
        };
        self.client = Some((source, client));
        kept
    }

    /// A kept body from its beginning.
    pub(crate) fn again(kept: &Rc<Kept>, client: Rc<ClientSide>) -> Self {
        Self { client: Some((Source::Kept(kept.reader()), client)), whole: None }
    }

    /// No body.
    pub(crate) fn none() -> Self {
        Self { client: None, whole: None }
    }

    /// A body that is there already.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { client: None, whole: Some(bytes).filter(|bytes| !bytes.is_empty()) }
    }

    /// What the body will tell of its client; none if there is no body.
    pub(crate) fn client_side(&self) -> Option<Rc<ClientSide>> {
        self.client.as_ref().map(|(_, client)| client.clone())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some((source, client)) = &mut this.client else {
            return Poll::Ready(this.whole.take().map(|bytes| Ok(Frame::data(bytes))));
        };
        if client.is_too_long() {
            // Not one byte more, and no end: a body cut short must not look whole.
            return Poll::Pending;
        }
        let polled = match &mut *source {
            Source::Once(incoming) => Pin::new(incoming).poll_frame(cx),
            Source::Kept(reader) => Pin::new(reader).poll_frame(cx),
        };
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && !client.admits(frame.data_ref().map_or(0, Bytes::len))
        {
            // The wait for the answer ends at once, and the exchange with it.
            return Poll::Pending;
        }
        match &polled {
            Poll::Pending => client.set_awaited(!client.answered.get()),
            Poll::Ready(Some(Err(_))) => client.failed.set(true),
            Poll::Ready(Some(Ok(frame))) => client.moved(frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(None) => client.moved(0),
        }
        if let Poll::Ready(piece) = &polled {
            client.pass(piece.as_ref(), source.is_end_stream());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.client {
            Some((source, _)) => source.is_end_stream(),
            None => self.whole.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.client {
            Some((Source::Once(incoming), _)) => incoming.size_hint(),
            Some((Source::Kept(reader), _)) => reader.size_hint(),
            None => SizeHint::with_exact(self.whole.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}
