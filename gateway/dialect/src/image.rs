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

/// The media type: the one that the first bytes show, since providers refuse an image of another type than was said, else
/// the client's, without parameters. Ollama's dialect never gives it; the other dialects require it.
pub(super) fn media_type<'a>(said: Option<&'a str>, data: &str) -> Option<&'a str> {
    // The signatures, in base64, of the formats that all providers accept.
    const SIGNATURES: [(&str, &str); 4] =
        [("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")];
    // The names of those formats, and names that other programs have for them.
    const NAMES: [(&str, &str); 7] = [
        ("image/jpeg", "image/jpeg"),
        ("image/jpg", "image/jpeg"),
        ("image/pjpeg", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/x-png", "image/png"),
        ("image/gif", "image/gif"),
        ("image/webp", "image/webp"),
    ];
    if let Some((_, shown)) = SIGNATURES.iter().find(|(start, _)| data.starts_with(start)) {
        return Some(shown);
    }
    let said = said?.split(';').next().unwrap_or_default().trim();
    let known = NAMES.iter().find(|(name, _)| said.eq_ignore_ascii_case(name));
    Some(known.map_or(said, |(_, media_type)| media_type)).filter(|said| !said.is_empty())
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
        assert_eq!(media_type(Some("image/png"), "/9j/4AAQ"), Some("image/jpeg"));
        assert_eq!(media_type(None, "AAAA"), None);
        assert_eq!(media_type(Some(" ; q=1"), "AAAA"), None);
    }

    #[test]
    fn types_have_the_names_that_providers_take() {
        for (said, name) in [
            ("image/jpg", "image/jpeg"),
            ("IMAGE/JPG", "image/jpeg"),
            ("image/pjpeg", "image/jpeg"),
            ("image/png;charset=utf-8", "image/png"),
            ("image/webp; q=1", "image/webp"),
            ("image/x", "image/x"),
        ] {
            assert_eq!(media_type(Some(said), "AAAA"), Some(name));
            assert_eq!(data_url(Some(said), "AAAA"), format!("data:{name};base64,AAAA"));
        }
    }
}
