//! A response's body on its way to the client, whoever made it.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{BoxError, Streaming};
use crate::serve::{mirror::Pair, story::Story, streams::Note, watch::Activity};

/// A response's body on its way to the client.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    kind: Kind,
    activity: Option<Rc<Activity>>,
    /// The stream of HTTP/2 that it goes over.
    note: Option<Rc<Note>>,
    /// The request's story; it goes on as long as this body does.
    story: Option<Rc<Story>>,
    /// A copy of the request, whose answer is to be compared with this, and how much of this has passed.
    pair: Option<(Rc<Pair>, u64)>,
    /// A piece was handed out, and the next was not asked for: the client has to make room first.
    unread: bool,
}

#[derive(Debug)]
enum Kind {
    Local(Option<Bytes>),
    Streaming(Box<Streaming>),
}

impl ResponseBody {
    /// A short text by Serin itself.
    pub(crate) fn local(text: String) -> Self {
        Self {
            kind: Kind::Local(Some(text.into())),
            activity: None,
            note: None,
            story: None,
            pair: None,
            unread: false,
        }
    }

    /// The text, if it is one by Serin itself.
    pub(crate) fn local_text(&self) -> Option<&Bytes> {
        match &self.kind {
            Kind::Local(text) => text.as_ref(),
            Kind::Streaming(_) => None,
        }
    }

    /// An answer that was ready before.
    pub(crate) fn ready(bytes: Bytes) -> Self {
        let kind = Kind::Local(Some(bytes).filter(|bytes| !bytes.is_empty()));
        Self { kind, activity: None, note: None, story: None, pair: None, unread: false }
    }

    /// No body.
    pub(crate) fn none() -> Self {
        Self { kind: Kind::Local(None), activity: None, note: None, story: None, pair: None, unread: false }
    }

    /// An endpoint's body.
    pub(crate) fn streaming(body: Streaming) -> Self {
        Self {
            kind: Kind::Streaming(Box::new(body)),
            activity: None,
            note: None,
            story: None,
            pair: None,
            unread: false,
        }
    }

    /// Notes the end of the response in the client's activity, and what goes out in the request's story.
    pub(crate) fn noting(mut self, activity: Rc<Activity>, story: Option<Rc<Story>>) -> Self {
        self.note = activity.streams.current();
        (self.activity, self.story) = (Some(activity), story);
        self
    }

    /// Tells the request's copy of its end and length.
    pub(crate) fn heard_by(mut self, pair: Rc<Pair>) -> Self {
        self.pair = Some((pair, 0));
        self
    }

    /// A piece passes, or the end. Who sends it on may not ask for the end where the length is known.
    fn tell_pair(&mut self, piece: Option<&Result<Frame<Bytes>, BoxError>>) {
        let Some((pair, length)) = self.pair.take() else { return };
        match piece {
            None => pair.ended(length),
            Some(Ok(frame)) if frame.is_trailers() => pair.ended(length),
            Some(Ok(frame)) => {
                self.pair = Some((pair, length + frame.data_ref().map_or(0, |data| data.len() as u64)));
            }
            Some(Err(_)) => {}
        }
    }

    fn set_unread(&mut self, unread: bool) {
        if let (true, Some(activity)) = (self.unread != unread, &self.activity) {
            self.unread = unread;
            activity.await_reader(unread);
            if let Some(note) = &self.note {
                note.owe(unread);
            }
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some((pair, length)) = self.pair.take()
            && self.is_end_stream()
        {
            pair.ended(length);
        }
        self.set_unread(false);
        if let Some(activity) = &self.activity {
            activity.end();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        this.set_unread(false);
        let polled = match &mut this.kind {
            Kind::Local(text) => Poll::Ready(text.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Streaming(body) => body.poll_frame(cx),
        };
        if let (Some(story), Poll::Ready(Some(Ok(frame)))) = (&this.story, &polled) {
            story.received(frame.data_ref().map_or(0, Bytes::len));
        }
        if let (Some(_), Poll::Ready(piece)) = (&this.pair, &polled) {
            this.tell_pair(piece.as_ref());
        }
        this.set_unread(matches!(polled, Poll::Ready(Some(Ok(_)))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Local(text) => text.is_none(),
            Kind::Streaming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Local(text) => SizeHint::with_exact(text.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Streaming(body) => body.incoming.size_hint(),
        }
    }
}
