//! One e-mail by SMTP (RFC 5321), with bounds on all of it.
//!
//! As much of the protocol as it takes to hand one message to the server that the file names: greeting, `EHLO`, `STARTTLS` or
//! TLS from the start, `AUTH`, one envelope, the message. Connections are not kept, and nothing is sent ahead of an
//! answer. With `starttls` nothing but the wish for TLS is said in clear, a server that offers none is not told, and
//! whatever it said in clear behind its consent ends the connection: it could be anybody's.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serin_config::{
    limits::{SMTP_LINE_BYTES_MAX, SMTP_LINES_MAX},
    mail::{Mail, MailSecurity},
    secret::Secret,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::{Client, Failure};
use crate::command::plain;

/// Characters of a server's own words that an error repeats.
const WORDS_MAX: usize = 200;

/// Hands a message over. Done if the server takes it for at least one of its recipients.
pub(crate) async fn send(client: &Client, mail: &Mail, message: &str, wait: Duration) -> Result<(), Failure> {
    timeout(wait, exchange(client, mail, message)).await.map_err(|_| Failure::Late(wait))?
}

async fn exchange(client: &Client, mail: &Mail, message: &str) -> Result<(), Failure> {
    let unreachable = |error: std::io::Error| Failure::Unreachable(error.to_string());
    let secured = async |stream| {
        let secured = client.secured(stream, &mail.host, mail.ca.as_deref()).await;
        secured.map_err(Failure::Unproven)
    };
    let stream = TcpStream::connect((mail.host.as_str(), mail.port)).await.map_err(unreachable)?;
    match mail.security {
        MailSecurity::None => {
            let mut session = Session::greeted(stream).await?;
            let offers = session.hello(mail).await?;
            session.deliver(mail, &offers, message).await
        }
        MailSecurity::Implicit => {
            let mut session = Session::greeted(secured(stream).await?).await?;
            let offers = session.hello(mail).await?;
            session.deliver(mail, &offers, message).await
        }
        MailSecurity::Starttls => {
            let mut session = Session::greeted(stream).await?;
            let offers = session.hello(mail).await?;
            if !offers.iter().any(|offer| offer.eq_ignore_ascii_case("STARTTLS")) {
                return Err(Failure::Settings("the server does not offer STARTTLS".into()));
            }
            session.say("STARTTLS").await?.is(220)?;
            if !session.stream.buffer().is_empty() {
                let why = "something was said in clear behind the consent to STARTTLS";
                return Err(Failure::Unproven(why.into()));
            }
            let stream = secured(session.stream.into_inner()).await?;
            let mut session = Session { stream: BufReader::new(stream) };
            let offers = session.hello(mail).await?;
            session.deliver(mail, &offers, message).await
        }
    }
}

/// What the server answered.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    /// An answer with another code is a failure; from 500 on it is one for good.
    fn is(self, code: u16) -> Result<Self, Failure> {
        if self.code == code { Ok(self) } else { Err(self.refused()) }
    }

    fn refused(&self) -> Failure {
        let words = plain(&self.lines.join(" "), WORDS_MAX);
        let said = format!("the server answered {} {words}", self.code);
        if self.code >= 500 { Failure::Undeliverable(said) } else { Failure::NotNow(said) }
    }
}

/// What stands against a user and a password is mended by whoever set them, and the messages that wait are then said.
fn not_let_in(failure: Failure) -> Failure {
    match failure {
        Failure::Undeliverable(said) => Failure::Settings(format!("{said} (to \"user\" and its password)")),
        other => other,
    }
}

struct Session<S> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    async fn greeted(stream: S) -> Result<Self, Failure> {
        let mut session = Self { stream: BufReader::new(stream) };
        session.reply().await?.is(220)?;
        Ok(session)
    }

    /// Says who calls, by the domain that the messages are from; gives what the server offers.
    async fn hello(&mut self, mail: &Mail) -> Result<Vec<String>, Failure> {
        let reply = self.say(&format!("EHLO {}", mail.from.domain())).await?.is(250)?;
        Ok(reply.lines)
    }

    async fn deliver(&mut self, mail: &Mail, offers: &[String], message: &str) -> Result<(), Failure> {
        if let Some((user, password)) = &mail.user {
            self.log_in(user, password, offers).await.map_err(not_let_in)?;
        }
        self.say(&format!("MAIL FROM:<{}>", mail.from)).await?.is(250)?;
        let mut refused = Vec::new();
        for to in &mail.to {
            match self.say(&format!("RCPT TO:<{to}>")).await? {
                Reply { code: 250 | 251, .. } => {}
                reply => refused.push((to, reply.refused())),
            }
        }
        if refused.len() == mail.to.len() {
            // One that may be taken later is worth another try.
            let later = refused.iter().position(|(_, failure)| failure.passes()).unwrap_or_default();
            if later < refused.len() {
                return Err(refused.swap_remove(later).1);
            }
        }
        // The others get it now, and these never.
        for (to, failure) in refused {
            tracing::warn!(%to, server = %mail.host, "an address was not taken: {failure}");
        }
        self.say("DATA").await?.is(354)?;
        self.say(&format!("{}\r\n.", stuffed(message))).await?.is(250)?;
        // It has the message; whether it says goodbye is of no interest.
        let _ = self.write("QUIT").await;
        Ok(())
    }

    async fn log_in(&mut self, user: &str, password: &Secret, offers: &[String]) -> Result<(), Failure> {
        let ways = offers.iter().filter_map(|offer| {
            let mut words = offer.split_ascii_whitespace();
            words.next().filter(|word| word.eq_ignore_ascii_case("AUTH")).map(|_| words)
        });
        let ways: Vec<String> = ways.flatten().map(str::to_ascii_uppercase).collect();
        let has = |way: &str| ways.iter().any(|offered| offered == way);
        if has("PLAIN") {
            let secret = STANDARD.encode(format!("\0{user}\0{}", password.expose()));
            self.say(&format!("AUTH PLAIN {secret}")).await?.is(235)?;
        } else if has("LOGIN") {
            self.say("AUTH LOGIN").await?.is(334)?;
            self.say(&STANDARD.encode(user)).await?.is(334)?;
            self.say(&STANDARD.encode(password.expose())).await?.is(235)?;
        } else {
            let why = "the server takes no password, neither by AUTH PLAIN nor by AUTH LOGIN";
            return Err(Failure::Settings(why.into()));
        }
        Ok(())
    }

    async fn say(&mut self, line: &str) -> Result<Reply, Failure> {
        self.write(line).await?;
        self.reply().await
    }

    async fn write(&mut self, line: &str) -> Result<(), Failure> {
        let unreachable = |error: std::io::Error| Failure::Unreachable(error.to_string());
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.map_err(unreachable)?;
        self.stream.flush().await.map_err(unreachable)
    }

    async fn reply(&mut self) -> Result<Reply, Failure> {
        let broken = |why: &str| Failure::NotNow(format!("the server does not speak SMTP: {why}"));
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let mut bounded = (&mut self.stream).take(SMTP_LINE_BYTES_MAX);
            let read = bounded.read_until(b'\n', &mut line).await;
            read.map_err(|error| Failure::Unreachable(error.to_string()))?;
            if line.last() != Some(&b'\n') {
                return Err(broken("a line breaks off, or is too long"));
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.ok_or_else(|| broken("a line has no code"))?;
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            match line.as_bytes().get(3) {
                None | Some(b' ') => return Ok(Reply { code, lines }),
                Some(b'-') if lines.len() < SMTP_LINES_MAX => {}
                _ => return Err(broken("an answer has too many lines, or none that is its last")),
            }
        }
    }
}

/// A message whose lines none is a lone dot, which would end it.
fn stuffed(message: &str) -> String {
    let lines = message.trim_end().split("\r\n");
    let lines = lines.map(|line| if line.starts_with('.') { format!(".{line}") } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_message_ends_it() {
        assert_eq!(stuffed("a\r\n.\r\n.b\r\nc.\r\n"), "a\r\n..\r\n..b\r\nc.");
    }

    #[test]
    fn an_answer_from_500_on_is_one_for_good() {
        let refused = |code| Reply { code, lines: vec!["no\u{1b}[2J".into()] }.is(250).err().unwrap();
        assert!(refused(451).passes() && !refused(550).passes());
        assert_eq!(refused(550).to_string(), "the server answered 550 no [2J");
    }
}
