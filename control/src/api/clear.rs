//! Whoever speaks HTTP in clear where TLS is asked for: told so in the words that they speak, and nothing else.
//!
//! The first byte tells: a TLS client begins with 22, an HTTP/1.1 client with a letter of a method. Nothing of the request is
//! looked into. What came with it was sent in clear, a token included, and the answer says that, too.

use http::StatusCode;
use serin_config::limits::{API_BODY_BYTES_MAX, API_REFUSED_BODY_WAIT};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::TcpStream,
    time::timeout,
};

use super::problem::Problem;

/// Whether the other end begins with a letter. Waits for its first byte, and leaves it there.
pub(super) async fn speaks(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_uppercase()
}

/// Says what would be right, and ends.
pub(super) async fn refuse(mut stream: TcpStream) {
    let detail = "this address speaks TLS: ask with https://. What came with this request was sent in clear: a token that was among \
                  it should be taken back";
    let body = Problem::new(StatusCode::BAD_REQUEST, "not-tls", detail).text();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // What is not read when the socket is closed would take the answer back.
        copy(&mut (&mut stream).take(API_BODY_BYTES_MAX as u64), &mut sink()).await
    };
    // Who does not listen is told nothing.
    let _ = timeout(API_REFUSED_BODY_WAIT, told).await;
}
