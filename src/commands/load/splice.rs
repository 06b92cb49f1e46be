//! `serin load splice`: passes bytes on as they come. What it costs is the kernel's share of every proxy's cost.

use std::{net::SocketAddr, process::ExitCode};

use clap::Args;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use super::super::{can_not, raise_descriptor_limit};

/// From where to where.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where it listens, such as 127.0.0.1:8080
    listen: SocketAddr,
    /// Where bytes go
    to: SocketAddr,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| runtime.block_on(serve(arguments.listen, arguments.to)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => can_not(format_args!("{}: {error}", arguments.listen)),
    }
}

async fn serve(listen: SocketAddr, to: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (mut client, _) = listener.accept().await?;
        tokio::spawn(async move {
            let Ok(mut server) = TcpStream::connect(to).await else { return };
            // Both ends see the end of the other.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let _ = copy_bidirectional(&mut client, &mut server).await;
        });
    }
}
