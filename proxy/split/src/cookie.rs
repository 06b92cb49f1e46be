//! Cookies of a request. HTTP/2 may spread them over several header fields (RFC 9113, 8.2.3).

use http::{HeaderMap, header::COOKIE};

/// The values of all cookies of that name, without the quotes around them, in their order.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(COOKIE).iter().flat_map(move |field| {
        field.as_bytes().split(|b| *b == b';').filter_map(move |pair| {
            let value = pair.trim_ascii_start().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            let value = value.trim_ascii_end();
            let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
            Some(quoted.unwrap_or(value))
        })
    })
}

/// The first value of a cookie that is not empty.
pub fn value<'a>(headers: &'a HeaderMap, name: &'a str) -> Option<&'a [u8]> {
    values(headers, name).find(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_wherever_it_stands() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; uidx=no; uid=".parse().unwrap());
        headers.append(COOKIE, "b=2;  uid=\"ann\" ".parse().unwrap());
        assert_eq!(value(&headers, "uid"), Some(&b"ann"[..]));
        assert_eq!(values(&headers, "uid").count(), 2);
        assert_eq!(value(&headers, "b"), Some(&b"2"[..]));
        assert_eq!(value(&headers, "c"), None);
    }
}
