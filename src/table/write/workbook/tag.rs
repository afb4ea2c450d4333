//! Changes attributes in the text of a tag. The rest of the tag keeps its bytes.

use std::ops::Range;

/// An attribute in the text of a tag.
struct AttributeSpan {
    name: Range<usize>,
    /// Without the quotes.
    value: Range<usize>,
    /// With the space before it.
    whole: Range<usize>,
}

/// The attributes of a tag such as `<c r="A1" s="3">`.
fn attribute_spans(tag: &str) -> Vec<AttributeSpan> {
    let bytes = tag.as_bytes();
    let skip = |mut at: usize, matches: &dyn Fn(u8) -> bool| {
        while bytes.get(at).is_some_and(|byte| matches(*byte)) {
            at += 1;
        }
        at
    };
    let is_space = |byte: u8| byte.is_ascii_whitespace();
    let mut spans = Vec::new();
    let mut at = skip(0, &|byte| !is_space(byte) && byte != b'>' && byte != b'/');
    loop {
        let whole_start = at;
        let name_start = skip(at, &is_space);
        let name_end =
            skip(name_start, &|byte| !is_space(byte) && !matches!(byte, b'=' | b'>' | b'/'));
        let equals = skip(name_end, &is_space);
        if name_end == name_start || bytes.get(equals) != Some(&b'=') {
            return spans;
        }
        let open = skip(equals + 1, &is_space);
        let Some(&quote) = bytes.get(open).filter(|byte| matches!(byte, b'"' | b'\'')) else {
            return spans;
        };
        let close = skip(open + 1, &|byte| byte != quote);
        at = (close + 1).min(bytes.len());
        spans.push(AttributeSpan {
            name: name_start..name_end,
            value: open + 1..close,
            whole: whole_start..at,
        });
    }
}

/// The text of an attribute of a tag, as it stands there. `name` is compared with its prefix.
#[must_use]
pub(crate) fn raw_attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let spans = attribute_spans(tag);
    let span = spans.iter().find(|span| &tag[span.name.clone()] == name)?;
    tag.get(span.value.clone())
}

/// The tag with another value of an attribute, which is added if it is missing. `value` has no
/// character that needs escaping.
#[must_use]
pub(crate) fn set_attribute(tag: &str, name: &str, value: &str) -> String {
    let spans = attribute_spans(tag);
    let found = spans.iter().find(|span| &tag[span.name.clone()] == name);
    if let Some(AttributeSpan { value: place, .. }) = found {
        return format!("{}{value}{}", &tag[..place.start], &tag[place.end..]);
    }
    let end = spans.last().map_or_else(|| name_end(tag), |span| span.whole.end);
    format!("{} {name}=\"{value}\"{}", &tag[..end], &tag[end..])
}

/// The end of the name of a tag.
fn name_end(tag: &str) -> usize {
    tag.find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/')).unwrap_or(tag.len())
}

/// The prefix of the names of a tag, with its colon; empty without one.
#[must_use]
pub(crate) fn prefix(tag: &str) -> &str {
    let name = tag.get(1..name_end(tag)).unwrap_or_default();
    name.split_once(':').map_or("", |(prefix, _)| &name[..=prefix.len()])
}

/// The start of an element, without the slash of an empty one.
#[must_use]
pub(crate) fn open_tag(tag: &str) -> String {
    match tag.strip_suffix("/>") {
        Some(start) => format!("{}>", start.trim_end()),
        None => tag.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_replaced_or_added_and_the_rest_kept() {
        for (tag, name, expected) in [
            (
                r#"<row r="1"  spans='1:6' x14:s="2">"#,
                "spans",
                r#"<row r="1"  spans='9' x14:s="2">"#,
            ),
            (r#"<x:row r = "1"/>"#, "r", r#"<x:row r = "9"/>"#),
            (r#"<row x:r="1" />"#, "r", r#"<row x:r="1" r="9" />"#),
            ("<row>", "r", "<row r=\"9\">"),
            ("<row/>", "r", "<row r=\"9\"/>"),
            ("<row\n\tht=\"a>b/c\"\n>", "r", "<row\n\tht=\"a>b/c\" r=\"9\"\n>"),
        ] {
            assert_eq!(set_attribute(tag, name, "9"), expected);
            assert_eq!(raw_attribute(expected, name), Some("9"));
        }
        assert_eq!(raw_attribute("<row>", "r"), None);
        assert_eq!(raw_attribute("<row r>", "r"), None);
    }

    #[test]
    fn a_tag_has_a_prefix_and_can_be_opened() {
        assert_eq!(
            (prefix("<x:c r=\"a:b\">"), prefix("<c r=\"a:b\">"), prefix("<c>")),
            ("x:", "", "")
        );
        assert_eq!(open_tag("<row r=\"1\" />"), "<row r=\"1\">");
        assert_eq!(open_tag("<row>"), "<row>");
    }
}
