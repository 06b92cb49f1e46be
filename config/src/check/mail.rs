//! Recipients by e-mail.

use super::{
    Surroundings, all,
    etcd::{host_and_port, is_local, user},
    tls,
};
use crate::{
    limits::MAIL_RECIPIENTS_MAX,
    mail::{Mail, MailSecurity},
    problem::{Place, Problems, Reported, shown},
    raw::{
        self,
        decode::{Field, List, Spanned},
    },
};

const SERVER_RIGHT: &str = "write the SMTP server, such as \"server: smtp.example.org:587\"";

pub(super) fn check(
    Spanned { place, value }: Spanned<raw::Mail>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Mail, Reported> {
    let security = value.tls.or(MailSecurity::default());
    let server = server(value.server, &place, problems);
    if let (Ok((at, host, _)), Ok(MailSecurity::None), Ok(false)) =
        (&server, &security, value.danger_plain.or(false))
        && !is_local(host)
    {
        let wrong = format!("{} is spoken to over the network in clear", shown(host));
        problems.add(at, wrong, "write tls: starttls or tls: implicit, or set danger_plain: true");
    }
    let ca = match value.ca.optional() {
        Ok(Some(given)) if security == Ok(MailSecurity::None) => {
            let right = "leave \"ca\" out, or write tls: starttls";
            Err(problems.add(
                &given.place,
                "without TLS there is no certificate that could be checked",
                right,
            ))
        }
        Ok(given) => given.map(|ca| tls::authorities(&ca, around, problems)).transpose(),
        Err(reported) => Err(reported),
    };
    let user = user(value.user, value.password, "the server", around, problems);
    let right = "write who the messages are from, such as \"from: serin@example.org\"";
    let from = value.from.required("from", &place, problems, right);
    let to = recipients(value.to, &place, problems);
    let (_, host, port) = server?;
    Ok(Mail { host, port, security: security?, ca: ca?, user: user?, from: from?.value, to: to? })
}

fn server(
    field: Field<String>,
    place: &Place,
    problems: &mut Problems,
) -> Result<(Place, String, u16), Reported> {
    let Spanned { place, value } = field.required("server", place, problems, SERVER_RIGHT)?;
    match host_and_port(&value) {
        Some((host, port)) => Ok((place, host.to_owned(), port)),
        None => {
            let wrong = format!("\"{}\" is not a server", shown(&value));
            Err(problems.add(&place, wrong, "write HOST:PORT such as smtp.example.org:587"))
        }
    }
}

fn recipients(
    field: Field<List<crate::mail::MailAddress>>,
    place: &Place,
    problems: &mut Problems,
) -> Result<Vec<crate::mail::MailAddress>, Reported> {
    const RIGHT: &str = "write to whom, such as \"to: [oncall@example.org]\"";
    let Spanned { place, value: List(items) } = field.required("to", place, problems, RIGHT)?;
    if items.is_empty() {
        return Err(problems.add(&place, "there is nobody to write to", RIGHT));
    }
    if items.len() > MAIL_RECIPIENTS_MAX {
        let wrong = format!("there are {} addresses", items.len());
        let right = format!("write at most {MAIL_RECIPIENTS_MAX}; a mailing list has no bound");
        return Err(problems.add(&place, wrong, right));
    }
    all(items.into_iter().map(|item| item.map(|item| item.value)).collect())
}
