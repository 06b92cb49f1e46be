//! Injected faults, carried out. They stand in for the version, so they are charged to it.

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Frame;
use serin_config::Outcome;
use serin_split::{
    classify,
    resilience::{inject::Effect, retry::Failed},
};

use super::{body::ResponseBody, fault, record::Exchange, timer::LazyTimer};
use crate::{clock, observe::metrics};

/// Lets a fault hit an attempt. The error is how the attempt ends: by the status of an abort, by a timeout
/// that a delay outlasts, just as it would end if the endpoint took so long, or without a connection.
#[cold]
pub(crate) async fn strike(
    exchange: &mut Exchange,
    effect: Effect,
    header: Option<Duration>,
    total: Option<Instant>,
) -> Result<(), (Failed, Outcome)> {
    let key = exchange.lane().backend.rules.key.clone();
    if let Some(delay) = effect.delay {
        metrics::injected(&key, "delay");
        wait(delay, header, total).await.map_err(|late| (Failed::Without(late), late))?;
    }
    if effect.down {
        metrics::injected(&key, "down");
        return Err((Failed::Without(Outcome::ConnectFail), Outcome::ConnectFail));
    }
    if effect.throttle.is_some() {
        metrics::injected(&key, "throttle");
    }
    let Some(status) = effect.abort else { return Ok(()) };
    metrics::injected(&key, "abort");
    exchange.headers_came(&answer_of(status), clock::now());
    Err((Failed::Status(status), outcome(status)))
}

async fn wait(delay: Duration, header: Option<Duration>, total: Option<Instant>) -> Result<(), Outcome> {
    let now = clock::now();
    let header = header.map(|header| (now + header, Outcome::HeaderTimeout));
    let total = total.map(|total| (total, Outcome::TotalTimeout));
    let limit = header.into_iter().chain(total).min_by_key(|(at, _)| *at);
    let ends = now + delay;
    match limit {
        Some((at, late)) if at < ends => {
            tokio::time::sleep_until(at.into()).await;
            Err(late)
        }
        _ => {
            tokio::time::sleep_until(ends.into()).await;
            Ok(())
        }
    }
}

fn outcome(status: u16) -> Outcome {
    StatusCode::from_u16(status).map_or(Outcome::Http5xx, classify::status)
}

/// The answer of an abort.
pub(crate) fn answer(exchange: Exchange, outcome: Outcome, status: u16) -> Response<ResponseBody> {
    exchange.finish(outcome, clock::now());
    fault::local(answer_of(status).status(), "injected", "a fault was injected into this request")
}

fn answer_of(status: u16) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    response
}

/// Paces a body: so many bytes a second, from when its first piece was wanted.
#[derive(Debug)]
pub(crate) struct Throttle {
    bytes_per_second: u32,
    began: Option<Instant>,
    sent: u64,
    /// What came and is still too much.
    rest: Bytes,
    timer: LazyTimer,
}

impl Throttle {
    pub(crate) fn new(bytes_per_second: u32) -> Self {
        let (rest, timer) = (Bytes::new(), LazyTimer::default());
        Self { bytes_per_second: bytes_per_second.max(1), began: None, sent: 0, rest, timer }
    }

    /// Whether nothing waits here.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next piece when its time has come: of what waits here, or of what `next` brings.
    pub(crate) fn poll<E>(
        &mut self,
        cx: &mut Context<'_>,
        next: impl FnOnce(&mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        let now = clock::now();
        let due = self.due(now);
        if due > now && self.timer.poll(due, cx).is_pending() {
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match next(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(self.piece()));
        self.sent = self.sent.saturating_add(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    /// The most bytes that one piece may have: a tenth of a second's worth.
    fn piece(&self) -> usize {
        (self.bytes_per_second / 10).max(1) as usize
    }

    /// When the next piece may be passed on, asked at `now`.
    fn due(&mut self, now: Instant) -> Instant {
        let began = *self.began.get_or_insert(now);
        let rate = u128::from(self.bytes_per_second);
        let micros = u128::from(self.sent) * 1_000_000 / rate;
        began + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn a_throttled_body_comes_at_its_rate() {
        let mut throttle = Throttle::new(1_000);
        let now = clock::now();
        assert_eq!((throttle.piece(), throttle.due(now)), (100, now));
        throttle.sent = 2_000;
        assert_eq!(throttle.due(now + Duration::from_secs(9)), now + Duration::from_secs(2));
        assert_eq!(Throttle::new(1).piece(), 1);
    }

    #[tokio::test]
    async fn a_throttled_body_loses_nothing() {
        let mut throttle = Throttle::new(1_000);
        let mut pieces = vec![Bytes::from_static(&[7; 150]), Bytes::from_static(&[8; 30])];
        let mut lengths = Vec::new();
        let began = clock::now();
        loop {
            let frame = std::future::poll_fn(|cx| {
                throttle.poll(cx, |_| {
                    Poll::Ready(pieces.pop().map(|data| Ok::<_, Infallible>(Frame::data(data))))
                })
            });
            let Some(Ok(frame)) = frame.await else { break };
            lengths.push(frame.into_data().unwrap().len());
        }
        assert_eq!(lengths, [30, 100, 50]);
        assert!(throttle.is_empty() && began.elapsed() >= Duration::from_millis(130));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_ends_at_the_first_timeout() {
        let start = tokio::time::Instant::now();
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(wait(Duration::from_secs(1), seconds(2), None).await, Ok(()));
        assert_eq!(wait(Duration::from_secs(9), seconds(2), None).await, Err(Outcome::HeaderTimeout));
        let total = Some(clock::now() + Duration::from_secs(1));
        assert_eq!(wait(Duration::from_secs(9), seconds(2), total).await, Err(Outcome::TotalTimeout));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
