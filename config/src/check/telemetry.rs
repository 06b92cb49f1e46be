//! Traces, spans and the access log.

use std::time::Duration;

use super::{
    Surroundings, all,
    range::{within, within_or},
    secret, section,
};
use crate::{
    limits::{OTLP_QUEUE_MAX, TIMEOUT_MAX},
    name::ServiceName,
    problem::{Place, Problems, Reported, shown},
    raw::{
        self,
        decode::{Field, Leaf, Named, Spanned},
        leaf::{OrNone, SecretSource},
    },
    secret::Secret,
    telemetry::{
        AccessLog, LogTarget, OTLP_HTTP_PATH, OTLP_QUEUE_DEFAULT, OTLP_TIMEOUT_DEFAULT, Otlp, OtlpProtocol,
        SERVICE_NAME_DEFAULT, Telemetry,
    },
    weight::Weight,
};

const SHORTEST: Duration = Duration::from_millis(1);
const ENDPOINT_RIGHT: &str = "write http://HOST:PORT, such as http://127.0.0.1:4317";

/// The whole section.
pub(super) fn check(
    field: Field<raw::Telemetry>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Telemetry, Reported> {
    let (raw, default) = (section(field)?, Telemetry::default());
    let instance = instance(raw.instance, default.instance, problems);
    let trace_sampling = raw.trace_sampling.or(default.trace_sampling);
    let canary_trace_sampling =
        raw.canary_trace_sampling.optional().map(|given| given.map(|share| share.value));
    let b3 = raw.b3.or(default.b3);
    let keep_errors = raw.keep_errors.or(default.keep_errors);
    let keep_slower_than = match raw.keep_slower_than.optional() {
        Ok(None) => Ok(default.keep_slower_than),
        Ok(Some(Spanned { value: OrNone(None), .. })) => Ok(None),
        Ok(Some(Spanned { place, value: OrNone(Some(value)) })) => {
            within(&Spanned { place, value }, SHORTEST..=TIMEOUT_MAX, problems).map(Some)
        }
        Err(reported) => Err(reported),
    };
    let record_query = raw.record_query.or(default.record_query);
    let otlp = some(raw.otlp, |raw, place| otlp(raw, place, around, problems));
    let access_log = some(raw.access_log, |raw, place| access_log(raw, place, around, problems));
    let debug_headers = raw.debug_headers.or(default.debug_headers);
    Ok(Telemetry {
        instance: instance?,
        trace_sampling: trace_sampling?,
        canary_trace_sampling: canary_trace_sampling?,
        b3: b3?,
        keep_errors: keep_errors?,
        keep_slower_than: keep_slower_than?,
        record_query: record_query?,
        otlp: otlp?,
        access_log: access_log?,
        debug_headers: debug_headers?,
    })
}

/// A part that is off where the file does not name it.
fn some<R, T>(
    field: Field<R>,
    check: impl FnOnce(R, &Place) -> Result<T, Reported>,
) -> Result<Option<T>, Reported> {
    match field.optional()? {
        Some(Spanned { place, value }) => check(value, &place).map(Some),
        None => Ok(None),
    }
}

/// It is a metric label and a key in the store, so the rules for names hold for it.
fn instance(field: Field<String>, default: String, problems: &mut Problems) -> Result<String, Reported> {
    match field.optional()? {
        Some(Spanned { place, value }) => match <ServiceName as Leaf>::read(&value) {
            Ok(_) => Ok(value),
            Err(fault) => Err(problems.add(&place, fault.wrong, fault.right)),
        },
        None => Ok(default),
    }
}

fn otlp(
    raw: raw::Otlp,
    place: &Place,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Otlp, Reported> {
    let protocol = raw.protocol.or(OtlpProtocol::default());
    let endpoint = raw
        .endpoint
        .required("endpoint", place, problems, ENDPOINT_RIGHT)
        .and_then(|given| endpoint(&given, protocol?, problems));
    let headers = match raw.headers.optional() {
        Ok(Some(Spanned { value: Named(entries), .. })) => all(entries
            .into_iter()
            .map(|entry| header(entry.name?, &entry.value?, around, problems))
            .collect()),
        Ok(None) => Ok(Vec::new()),
        Err(reported) => Err(reported),
    };
    let timeout = within_or(raw.timeout, SHORTEST..=TIMEOUT_MAX, OTLP_TIMEOUT_DEFAULT, problems);
    let queue = within_or(raw.queue, 1..=OTLP_QUEUE_MAX as u64, OTLP_QUEUE_DEFAULT as u64, problems);
    let service_name = raw.service_name.or(SERVICE_NAME_DEFAULT.into());
    let attributes = match raw.attributes.optional() {
        Ok(Some(Spanned { value: Named(entries), .. })) => {
            all(entries.into_iter().map(|entry| Ok((entry.name?.value, entry.value?.value))).collect())
        }
        Ok(None) => Ok(Vec::new()),
        Err(reported) => Err(reported),
    };
    Ok(Otlp {
        endpoint: endpoint?,
        protocol: protocol?,
        headers: headers?,
        timeout: timeout?,
        queue: usize::try_from(queue?).unwrap_or(OTLP_QUEUE_MAX),
        service_name: service_name?,
        attributes: attributes?,
    })
}

/// `http://HOST:PORT`, with a path for HTTP only.
fn endpoint(
    given: &Spanned<String>,
    protocol: OtlpProtocol,
    problems: &mut Problems,
) -> Result<String, Reported> {
    let text = given.value.trim_end_matches('/');
    let mut wrong = |what: String, right: &str| Err(problems.add(&given.place, what, right));
    if text.starts_with("https://") {
        let right = "write the http:// address of a collector on this machine, which can export by TLS";
        return wrong("spans can't be sent over TLS".into(), right);
    }
    let Some(rest) = text.strip_prefix("http://") else {
        return wrong(format!("\"{}\" is not the address of an OTLP receiver", shown(text)), ENDPOINT_RIGHT);
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let named = authority.rsplit_once(':').is_some_and(|(host, port)| {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':'))
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !named {
        let what = format!("\"{}\" does not name a host and a port", shown(authority));
        return wrong(what, ENDPOINT_RIGHT);
    }
    if !path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#')) {
        return wrong(format!("\"{}\" is not a path", shown(path)), "write a path such as /v1/traces");
    }
    match (protocol, path) {
        (OtlpProtocol::Http, "") => Ok(format!("{text}{OTLP_HTTP_PATH}")),
        (OtlpProtocol::Grpc, "") | (OtlpProtocol::Http, _) => Ok(text.into()),
        (OtlpProtocol::Grpc, _) => wrong(
            format!("gRPC has no path, and \"{}\" is one", shown(path)),
            "leave the path out, or write protocol: http",
        ),
    }
}

/// A header and its secret; no message shows the value.
fn header(
    name: Spanned<String>,
    source: &Spanned<SecretSource>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<(String, Secret), Reported> {
    let Spanned { place, value: name } = name;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let good = !name.is_empty() && name.bytes().all(token);
    let reserved = ["host", "content-length", "content-type", "te", "connection", "transfer-encoding"];
    let lower = name.to_ascii_lowercase();
    let name = if !good {
        let right = "write a header's name, such as authorization";
        Err(problems.add(&place, format!("\"{}\" is not the name of a header", shown(&name)), right))
    } else if reserved.contains(&&*lower) || lower.starts_with("grpc-") || lower.ends_with("-bin") {
        let right = "leave it out: it is the protocol's own";
        Err(problems.add(&place, format!("\"{lower}\" can't be set"), right))
    } else {
        Ok(lower)
    };
    let value = secret::text(source, around, problems).and_then(|(text, whence)| {
        let good = !text.is_empty() && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        let wrong = || format!("{whence} does not hold the value of a header");
        if good {
            Ok(Secret::new(text))
        } else {
            Err(problems.add(&source.place, wrong(), "use visible ASCII characters, on one line"))
        }
    });
    Ok((name?, value?))
}

fn access_log(
    raw: raw::AccessLog,
    place: &Place,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<AccessLog, Reported> {
    let right = "write where lines go, such as \"path: access.log\" or \"path: stdout\"";
    let to = raw.path.required("path", place, problems, right).and_then(|given| match &*given.value {
        "" => Err(problems.add(&given.place, "the path of the access log is empty", right)),
        "stdout" => Ok(LogTarget::Stdout),
        path => Ok(LogTarget::File(around.base_dir.join(path))),
    });
    let sample = raw.sample.or(Weight::WHOLE);
    let keep_errors = raw.keep_errors.or(true);
    Ok(AccessLog { to: to?, sample: sample?, keep_errors: keep_errors? })
}
