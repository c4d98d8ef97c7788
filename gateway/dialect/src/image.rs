//! Converts images between the dialects: data URLs, base64 with a media type, base64 without.

use std::borrow::Cow;

use super::chat::Image;

/// Reads an image's URL. A data URL becomes an inline image.
pub(super) fn from_url(url: Cow<'_, str>) -> Image {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => {
            Image::Base64 { media_type: (!media_type.is_empty()).then(|| media_type.to_owned()), data: data.to_owned() }
        }
        None => Image::Url(url.into_owned()),
    }
}

/// The media type: the client's, else the one that the first bytes show. Ollama's dialect never gives it; the other
/// dialects require it.
pub(super) fn media_type<'a>(said: Option<&'a str>, data: &str) -> Option<&'a str> {
    // The signatures, in base64, of the formats that all providers accept.
    const SIGNATURES: [(&str, &str); 4] =
        [("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")];
    said.or_else(|| SIGNATURES.iter().find(|(start, _)| data.starts_with(start)).map(|(_, media_type)| *media_type))
}

/// An inline image as a data URL.
pub(super) fn data_url(said: Option<&str>, data: &str) -> String {
    let media_type = media_type(said, data).unwrap_or_default();
    format!("data:{media_type};base64,{data}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_inline_images_are_told_apart() {
        let inline = |media_type: Option<&str>, data: &str| Image::Base64 {
            media_type: media_type.map(ToOwned::to_owned),
            data: data.to_owned(),
        };
        for (url, image) in [
            ("https://x.test/a.png", Image::Url("https://x.test/a.png".to_owned())),
            ("data:image/png;base64,AAAA", inline(Some("image/png"), "AAAA")),
            ("data:;base64,AAAA", inline(None, "AAAA")),
            ("data:text/plain,hello", Image::Url("data:text/plain,hello".to_owned())),
        ] {
            assert_eq!(from_url(url.into()), image);
        }
    }

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        assert_eq!(media_type(None, "iVBORw0KGgoAAAA"), Some("image/png"));
        assert_eq!(media_type(Some("image/x"), "/9j/4AAQ"), Some("image/x"));
        assert_eq!(media_type(None, "AAAA"), None);
    }
}
