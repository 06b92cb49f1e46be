//! Over real sockets, with servers of the test's own: whose certificate is believed, and how an e-mail is handed over.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serin_config::{
    mail::{Mail, MailAddress, MailSecurity},
    notification::Url,
    secret::Secret,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use super::*;

const WAIT: Duration = Duration::from_secs(20);

/// An authority in a file, and a server's certificate for 127.0.0.1 that it has signed.
struct Authority {
    _directory: tempfile::TempDir,
    file: PathBuf,
    acceptor: TlsAcceptor,
}

fn authority() -> Authority {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let mut own = CertificateParams::new(vec![]).unwrap();
    own.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateDer::from(own.signed_by(&key, &issuer).unwrap());
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.crt");
    std::fs::write(&file, pem).unwrap();
    Authority { _directory: directory, file, acceptor: TlsAcceptor::from(Arc::new(config)) }
}

/// A server over TLS that answers every request with 204.
async fn https(authority: &Authority) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = authority.acceptor.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that refuses the certificate breaks off.
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap() > 2 {
                line.clear();
            }
            stream.write_all(b"HTTP/1.1 204 x\r\n\r\n").await.unwrap();
            stream.flush().await.unwrap();
        }
    });
    port
}

async fn post(url: &str, ca: Option<&PathBuf>) -> Result<(), Failure> {
    let url = Url::try_new(url).unwrap();
    let ca = ca.map(PathBuf::as_path);
    let post = Post { url: &url, ca, headers: vec![], body: vec![], wait: WAIT, answer: None };
    Client::default().post(post).await.map(drop)
}

#[tokio::test]
async fn a_server_is_told_over_tls_if_the_authority_that_was_given_has_signed_its_certificate() {
    let (own, other) = (authority(), authority());
    let port = https(&own).await;
    let url = format!("https://127.0.0.1:{port}/hunter2");
    post(&url, Some(&own.file)).await.unwrap();
    for (what, url, ca) in [
        ("of another authority", &url, Some(&other.file)),
        ("of none that the system knows", &url, None),
        ("for another name", &format!("https://localhost:{port}/hunter2"), Some(&own.file)),
        ("by a file that is not there", &url, Some(&PathBuf::from("/nowhere/ca.crt"))),
    ] {
        let refused = post(url, ca).await.expect_err(what);
        assert!(matches!(&refused, Failure::Unproven(_)), "{what}: {refused}");
        assert!(refused.passes() && !refused.to_string().contains("hunter2"), "{what}: {refused}");
    }
}

/// What an SMTP server does.
#[derive(Clone)]
struct Smtp {
    /// What stands in its answer to EHLO before and after TLS.
    offers: [&'static [&'static str]; 2],
    security: MailSecurity,
    /// The answer to a recipient whose name begins with `no`.
    refuses: &'static str,
    /// What it says in one breath with its consent to STARTTLS.
    injects: &'static str,
}

const PLAIN: Smtp =
    Smtp { offers: [&["8BITMIME"], &[]], security: MailSecurity::None, refuses: "550 nobody", injects: "" };

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Serves one client after the other; tells each line that it hears, `TLS` where the connection was secured.
async fn smtp(does: Smtp, acceptor: TlsAcceptor) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client may break off at any moment; what it said until then is told.
            let _ = converse(&does, &acceptor, Box::new(stream), &tell).await;
        }
    });
    (port, heard)
}

async fn converse(
    does: &Smtp,
    acceptor: &TlsAcceptor,
    stream: Box<dyn Stream>,
    tell: &mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(stream);
    let mut secured = false;
    if does.security == MailSecurity::Implicit {
        stream = BufReader::new(Box::new(acceptor.accept(stream.into_inner()).await?));
        secured = true;
    }
    stream.write_all(b"220 ready\r\n").await?;
    let mut data = false;
    loop {
        stream.flush().await?;
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_owned();
        let _ = tell.send(line.clone());
        let answer = match line.as_str() {
            "." if data => {
                data = false;
                "250 taken".to_owned()
            }
            _ if data => continue,
            "DATA" => {
                data = true;
                "354 go on".into()
            }
            "QUIT" => return Ok(()),
            "STARTTLS" => {
                stream.write_all(format!("220 go\r\n{}", does.injects).as_bytes()).await?;
                stream.flush().await?;
                stream = BufReader::new(Box::new(acceptor.accept(stream.into_inner()).await?));
                let _ = tell.send("TLS".into());
                secured = true;
                continue;
            }
            _ if line.starts_with("EHLO ") => {
                let offers = does.offers[usize::from(secured)];
                let lines = offers.iter().map(|offer| format!("250-{offer}\r\n")).collect::<String>();
                format!("250-hello\r\n{lines}250 SIZE")
            }
            _ if line.starts_with("AUTH PLAIN AHNlcmluAGh1bnRlcjI=") => "235 welcome".into(),
            _ if line.starts_with("AUTH LOGIN") => "334 VXNlcm5hbWU6".into(),
            "c2VyaW4=" => "334 UGFzc3dvcmQ6".into(),
            "aHVudGVyMg==" => "235 welcome".into(),
            _ if line.starts_with("AUTH") => "535 who?".into(),
            _ if line.starts_with("RCPT TO:<no") => does.refuses.into(),
            _ => "250 fine".into(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

fn mail(port: u16, security: MailSecurity, to: &[&str]) -> Mail {
    let address = |text: &&str| MailAddress::try_new(text).unwrap();
    Mail {
        host: "127.0.0.1".into(),
        port,
        security,
        ca: None,
        user: None,
        from: address(&"serin@example.org"),
        to: to.iter().map(address).collect(),
    }
}

async fn send(mail: &Mail) -> Result<(), Failure> {
    super::mail::send(&Client::default(), mail, "Subject: x\r\n\r\n.\r\nbody\r\n", WAIT).await
}

fn all(heard: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| heard.try_recv().ok()).collect()
}

#[tokio::test]
async fn a_message_is_handed_over_in_clear_on_this_machine() {
    let (port, mut heard) = smtp(PLAIN, authority().acceptor).await;
    send(&mail(port, MailSecurity::None, &["a@example.org", "no@example.org"])).await.unwrap();
    let said = [
        "EHLO example.org",
        "MAIL FROM:<serin@example.org>",
        "RCPT TO:<a@example.org>",
        "RCPT TO:<no@example.org>",
        "DATA",
        "Subject: x",
        "",
        "..",
        "body",
        ".",
    ];
    assert_eq!(all(&mut heard)[..said.len()], said, "one who takes it is enough");
}

#[tokio::test]
async fn a_message_that_nobody_takes_is_tried_again_only_if_somebody_may_take_it_later() {
    for (refuses, passes) in [("550 nobody", false), ("450 later", true)] {
        let (port, _heard) = smtp(Smtp { refuses, ..PLAIN }, authority().acceptor).await;
        let refused = send(&mail(port, MailSecurity::None, &["no@example.org", "none@example.org"])).await;
        assert_eq!(refused.unwrap_err().passes(), passes, "{refuses}");
    }
}

#[tokio::test]
async fn nothing_but_the_wish_for_tls_is_said_in_clear() {
    let authority = authority();
    for (way, login) in
        [(&["AUTH PLAIN LOGIN"], "AUTH PLAIN AHNlcmluAGh1bnRlcjI="), (&["AUTH LOGIN"], "AUTH LOGIN")]
    {
        let does = Smtp { offers: [&["STARTTLS"], way], security: MailSecurity::Starttls, ..PLAIN };
        let (port, mut heard) = smtp(does, authority.acceptor.clone()).await;
        let mut mail = mail(port, MailSecurity::Starttls, &["a@example.org"]);
        mail.ca = Some(authority.file.clone());
        mail.user = Some(("serin".into(), Secret::new("hunter2".into())));
        send(&mail).await.unwrap();
        let said = all(&mut heard);
        assert_eq!(said[..5], ["EHLO example.org", "STARTTLS", "TLS", "EHLO example.org", login]);
        assert!(said.contains(&"DATA".into()), "{said:?}");
    }
}

#[tokio::test]
async fn a_server_over_tls_from_the_start_is_told_and_one_with_another_certificate_is_not() {
    let (own, other) = (authority(), authority());
    let does = Smtp { security: MailSecurity::Implicit, ..PLAIN };
    let (port, mut heard) = smtp(does, own.acceptor.clone()).await;
    let with = |ca: &Authority| Mail {
        ca: Some(ca.file.clone()),
        ..mail(port, MailSecurity::Implicit, &["a@example.org"])
    };
    let refused = send(&with(&other)).await.unwrap_err();
    assert!(refused.passes() && refused.to_string().starts_with("no TLS with it: "), "{refused}");
    assert!(all(&mut heard).is_empty());
    send(&with(&own)).await.unwrap();
    assert!(all(&mut heard).contains(&"DATA".into()));
}

#[tokio::test]
async fn whoever_offers_no_tls_or_speaks_ahead_of_it_is_told_nothing() {
    let with = |offers, injects| Smtp { offers, injects, security: MailSecurity::Starttls, ..PLAIN };
    let offered: [&'static [&'static str]; 2] = [&["STARTTLS"], &["AUTH PLAIN"]];
    for (does, why) in [
        (with([&["AUTH PLAIN"], &[]], ""), "does not offer STARTTLS"),
        (with(offered, "250 AUTH PLAIN\r\n"), "said in clear"),
    ] {
        let authority = authority();
        let (port, mut heard) = smtp(does, authority.acceptor.clone()).await;
        let mut mail = mail(port, MailSecurity::Starttls, &["a@example.org"]);
        mail.ca = Some(authority.file.clone());
        mail.user = Some(("serin".into(), Secret::new("hunter2".into())));
        let refused = send(&mail).await.unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
        let said = all(&mut heard);
        assert!(said.iter().all(|line| line.starts_with("EHLO") || line == "STARTTLS"), "{said:?}");
    }
}

#[tokio::test]
async fn a_password_that_is_refused_is_not_in_the_error() {
    let does = Smtp { offers: [&["AUTH PLAIN"], &[]], ..PLAIN };
    let (port, _heard) = smtp(does, authority().acceptor).await;
    let mut mail = mail(port, MailSecurity::None, &["a@example.org"]);
    mail.user = Some(("serin".into(), Secret::new("wrong".into())));
    let refused = send(&mail).await.unwrap_err();
    // Whoever set it mends it; what waits is said then.
    assert!(refused.passes(), "{refused}");
    assert_eq!(refused.to_string(), "the server answered 535 who? (to \"user\" and its password)");
}

#[tokio::test]
async fn a_server_that_says_something_else_is_given_up() {
    for says in ["hello\r\n", "250-a\r\n", "2"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(says.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let refused = send(&mail(port, MailSecurity::None, &["a@example.org"])).await.unwrap_err();
        assert!(refused.to_string().contains("does not speak SMTP"), "{says:?}: {refused}");
    }
}
