//! Noticing that nobody reads what is printed any more.
//!
//! A command that follows something prints when something happens, which may be in a week. `serin journal --follow | head -1`
//! should end with its reader all the same, and not with the first line that nobody takes. So the end of the pipe is
//! waited for, beside what is followed. Where standard output is no pipe, nobody can go away from it.

use std::{
    future::pending,
    os::fd::{AsFd, OwnedFd},
};

use tokio::{io::Interest, net::unix::pipe::Sender};

/// Ends when the reader of standard output has gone; never, where it is no pipe.
pub(in crate::commands) async fn gone() {
    match std::io::stdout().as_fd().try_clone_to_owned() {
        Ok(output) => closed(output).await,
        Err(_) => pending().await,
    }
}

/// Nothing is written through it, so it may block whoever writes to it as ever.
async fn closed(output: OwnedFd) {
    // A file can't be waited for.
    let Ok(output) = Sender::from_owned_fd_unchecked(output) else { return pending().await };
    if output.ready(Interest::ERROR).await.is_err() {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_pipe_whose_reader_has_gone_is_noticed_without_a_word_more_and_not_before() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        let mut closed = Box::pin(closed(writer.into()));
        assert!(timeout(Duration::from_millis(50), &mut closed).await.is_err(), "not read yet");
        reader.read_exact(&mut [0]).unwrap();
        assert!(timeout(Duration::from_millis(50), &mut closed).await.is_err(), "somebody may read on");
        drop(reader);
        timeout(Duration::from_secs(30), closed).await.expect("noticed");
    }

    #[tokio::test]
    async fn what_is_no_pipe_has_no_reader_that_goes() {
        let file = tempfile::tempfile().unwrap();
        assert!(timeout(Duration::from_millis(50), closed(file.into())).await.is_err());
    }
}
