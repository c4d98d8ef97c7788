//! Gzip for long pages. Answers of models are never coded: they are short, or streams.
//!
//! This module must not know: what a page says.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;

use crate::offload;

/// Whether the client names gzip among the codings that it accepts, other than with the weight 0.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let is_refused = weight.is_some_and(|weight| weight.trim().parse() == Ok(0.0));
        ["gzip", "x-gzip"].iter().any(|gzip| name.eq_ignore_ascii_case(gzip)) && !is_refused
    })
}

/// The page in gzip, off the workers if it is large. `None` if there is no turn for it: the page is then sent as it is.
pub(super) async fn coded(page: Bytes) -> Option<Bytes> {
    let bytes = page.len();
    let work = move || {
        // The fastest level: text that repeats itself as much as metrics shrinks well with any.
        let mut encoder = GzEncoder::new(Vec::with_capacity(page.len() / 8), Compression::fast());
        encoder.write_all(&page).and_then(|()| encoder.finish()).ok().map(Bytes::from)
    };
    offload::run(bytes, work).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn gzip_is_accepted_where_it_is_named_and_not_refused() {
        for (value, expected) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.8", true),
            ("x-gzip", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("identity", false),
            ("", false),
            ("gzipped", false),
            ("*", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(is_accepted(&headers), expected, "{value:?}");
        }
        assert!(!is_accepted(&HeaderMap::new()));
    }
}
