//! The page of metrics as OpenMetrics 1.0, for scrapers that ask for it: the same samples, with exemplars.
//!
//! The page is written once, in Prometheus' text format; what differs is rewritten line by line: a counter's
//! family is named without `_total`, there are no empty lines and no comments of other kinds, and the end is
//! marked. Every counter here ends in `_total`, which a test holds.

/// The content type of a page.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether an `accept` header asks for OpenMetrics before plain text.
pub(crate) fn is_wanted(accept: &str) -> bool {
    let quality = |kind: &str| {
        let ranges = accept.split(',').map(|range| range.split(';').map(str::trim));
        let of_kind = ranges.filter_map(|mut range| {
            let named = range.next().is_some_and(|name| name.eq_ignore_ascii_case(kind));
            let q = range.find_map(|parameter| parameter.strip_prefix("q=")).unwrap_or("1");
            named.then(|| q.parse::<f32>().unwrap_or(0.0))
        });
        of_kind.fold(0.0, f32::max)
    };
    let wanted = quality("application/openmetrics-text");
    wanted > 0.0 && wanted >= quality("text/plain")
}

/// Rewrites a page.
pub(crate) fn from_text(page: &str) -> String {
    let mut out = String::with_capacity(page.len() + 16);
    for line in page.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(comment) if comment.starts_with("HELP ") || comment.starts_with("TYPE ") => {
                let (kind, rest) = comment.split_at("HELP ".len());
                let (name, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
                out.push_str("# ");
                out.push_str(kind);
                out.push_str(name.strip_suffix("_total").unwrap_or(name));
                out.push_str(rest);
            }
            Some(_) => continue,
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out.push_str("# EOF\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counters_family_loses_its_suffix_and_its_samples_keep_it() {
        let page = "# HELP a_total All of them.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n\n# TYPE g gauge\ng 2\n";
        assert_eq!(
            from_text(page),
            "# HELP a All of them.\n# TYPE a counter\na_total{b=\"c\"} 1\n# TYPE g gauge\ng 2\n# EOF\n"
        );
    }

    #[test]
    fn openmetrics_is_served_to_those_who_prefer_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert!(is_wanted(prometheus));
        assert!(is_wanted("application/openmetrics-text"));
        for plain in [
            "",
            "*/*",
            "text/plain",
            "application/openmetrics-text;q=0.1, text/plain",
            "application/openmetrics-text;q=0",
        ] {
            assert!(!is_wanted(plain), "{plain}");
        }
    }
}
