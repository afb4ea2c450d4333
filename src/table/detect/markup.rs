//! Recognizes a web page, a part of one, and other XML by the beginning of its text.

use crate::table::detect::dialect::DELIMITERS;
use crate::table::detect::file_type::{FileType, Recognized};
use crate::table::detect::number_lines::{has_number_row, type_or_table};

/// The elements of a whole web page.
const PAGE_ELEMENTS: &[&str] = &["body", "frameset", "head", "html"];
/// The other elements with which only web pages begin.
const HTML_ELEMENTS: &[&str] = &["iframe", "meta", "noscript", "script", "style"];
/// The other elements of HTML, with which parts of web pages begin. The name of a column may be
/// such a word in angle brackets, so an attribute or another tag must follow.
#[rustfmt::skip]
const HTML_PART_ELEMENTS: &[&str] = &[
    "a", "abbr", "acronym", "address", "area", "article", "aside", "audio", "b", "base", "bdi",
    "bdo", "big", "blockquote", "br", "button", "canvas", "caption", "center", "cite", "code",
    "col", "colgroup", "data", "datalist", "dd", "del", "details", "dfn", "dialog", "dir", "div",
    "dl", "dt", "em", "embed", "fieldset", "figcaption", "figure", "font", "footer", "form", "h1",
    "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "i", "img", "input", "ins", "kbd",
    "label", "legend", "li", "link", "main", "map", "mark", "marquee", "menu", "meter", "nav",
    "nobr", "object", "ol", "optgroup", "option", "output", "p", "param", "picture", "pre",
    "progress", "q", "s", "samp", "search", "section", "select", "slot", "small", "source", "span",
    "strike", "strong", "sub", "summary", "sup", "svg", "table", "tbody", "td", "template",
    "textarea", "tfoot", "th", "thead", "time", "title", "tr", "track", "tt", "u", "ul", "var",
    "video", "wbr",
];
/// The elements without an end tag.
#[rustfmt::skip]
const VOID_ELEMENTS: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "param", "source", "track",
    "wbr",
];
/// The elements of tables, and those around them.
const TABLE_ELEMENTS: &[&str] =
    &["body", "html", "table", "tbody", "td", "tfoot", "th", "thead", "tr"];

/// Recognizes a web page and other XML. `text` is in lower case and begins with `<`. `is_cut` means
/// that more of it follows.
pub(crate) fn recognize_markup(text: &str, is_cut: bool) -> Recognized {
    let mut rest = text;
    // Comments, and what the server of the page should have replaced.
    while let Some((inner, end)) = [("<!--", "-->"), ("<%", "%>")]
        .iter()
        .find_map(|(start, end)| Some((rest.strip_prefix(start)?, end)))
    {
        match inner.split_once(end) {
            Some((_, after)) => rest = after.trim_start(),
            None if is_cut => return Recognized::NeedsMore,
            None => return type_or_table(FileType::WebPage, text, is_cut),
        }
    }
    if rest.is_empty() && is_cut {
        return Recognized::NeedsMore;
    }
    if let Some(document_type) = rest.strip_prefix("<!doctype") {
        let is_html = document_type.trim_start().starts_with("html");
        return Recognized::Type(if is_html { FileType::WebPage } else { FileType::Xml });
    }
    // The root element says which XML it is.
    if let Some(declaration) = ["<?", "<!"].iter().find_map(|start| rest.strip_prefix(start))
        && declaration.starts_with(|c: char| c == '[' || c.is_ascii_alphabetic())
    {
        return if is_cut && !has_start_tag(declaration) {
            Recognized::NeedsMore
        } else {
            type_or_table(xml_type(rest), text, is_cut)
        };
    }
    FirstTag::parse(rest).map_or(Recognized::Other, |first| first.recognize(rest, is_cut))
}

/// Whether a line begins with a tag of an HTML table, and no line is a row with a number. A page
/// may begin with text, and a quoted cell of a table may hold a part of a page.
pub(crate) fn has_markup_lines(text: &str) -> bool {
    let is_tag = |line: &str| {
        let line = line.trim_start().to_ascii_lowercase();
        let tag = line.strip_prefix('<').unwrap_or_default();
        TABLE_ELEMENTS.contains(&tag_name(tag.strip_prefix('/').unwrap_or(tag)))
    };
    let mut is_quoted = false;
    let mut is_outside_quotes = |line: &&str| {
        let began_in_quotes = is_quoted;
        is_quoted = ends_in_quotes(line, is_quoted);
        !began_in_quotes
    };
    text.contains('<')
        && text.lines().filter(|line| is_outside_quotes(line)).any(is_tag)
        && !has_number_row(text)
}

/// Whether a quoted cell goes on after the line. `is_quoted` is whether the line begins in one. A
/// quote opens a cell only where the cell begins: in a text, it is one for inches.
fn ends_in_quotes(line: &str, mut is_quoted: bool) -> bool {
    let mut may_open = true;
    for c in line.chars() {
        let is_change = c == '"' && (is_quoted || may_open);
        is_quoted ^= is_change;
        // The second of two quotes in a cell opens it again.
        may_open = is_change || DELIMITERS.contains(&c);
    }
    is_quoted
}

/// The first tag of a text, and what follows it.
struct FirstTag<'a> {
    name: &'a str,
    has_attributes: bool,
    /// Whether it is an empty element, `<name/>`.
    is_empty: bool,
    body: &'a str,
}

impl<'a> FirstTag<'a> {
    /// Splits `<name …>body`.
    fn parse(text: &'a str) -> Option<Self> {
        let tag = text.strip_prefix('<')?;
        let name = tag_name(tag);
        let (attributes, body) = tag[name.len()..].split_once('>')?;
        let is_tag = name.starts_with(char::is_alphabetic)
            && (attributes.is_empty() || attributes.starts_with([' ', '\t', '\r', '\n', '/']));
        is_tag.then(|| Self {
            name,
            has_attributes: attributes.contains('='),
            is_empty: attributes.ends_with('/'),
            body,
        })
    }

    fn recognize(&self, text: &str, is_cut: bool) -> Recognized {
        let Self { name, has_attributes, is_empty, body } = *self;
        // `<name>,<mobile>` is the header of a table.
        if body.starts_with(DELIMITERS) {
            return Recognized::Other;
        }
        if PAGE_ELEMENTS.contains(&name) {
            return Recognized::Type(FileType::WebPage);
        }
        if HTML_ELEMENTS.contains(&name) {
            return type_or_table(FileType::WebPage, text, is_cut);
        }
        // So is `<b>name</b>,<b>mobile</b>`.
        if has_delimiter_between_elements(text.lines().next().unwrap_or_default()) {
            return Recognized::Other;
        }
        let (has_child, has_end) = (body.trim_start().starts_with('<'), body.contains("</"));
        let is_element = has_attributes
            || is_empty
            || (has_child && has_end)
            || body.contains(&format!("</{name}"));
        let is_part = HTML_PART_ELEMENTS.contains(&name);
        if is_part && (is_element || has_child || has_end || has_start_tag(body)) {
            type_or_table(FileType::WebPage, text, is_cut)
        } else if is_element {
            type_or_table(xml_type(text), text, is_cut)
        } else if is_cut && (is_part || has_child || body.trim().is_empty()) {
            Recognized::NeedsMore
        } else {
            Recognized::Other
        }
    }
}

/// The name at the beginning of a tag.
fn tag_name(tag: &str) -> &str {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, ':' | '_' | '-' | '.');
    &tag[..tag.find(|c| !is_name(c)).unwrap_or(tag.len())]
}

fn has_start_tag(text: &str) -> bool {
    text.match_indices('<').any(|(at, _)| text[at + 1..].starts_with(char::is_alphabetic))
}

/// Whether a line has a delimiter that is in no element.
fn has_delimiter_between_elements(line: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = line;
    while let Some(at) = rest.find(|c| c == '<' || (depth == 0 && DELIMITERS.contains(&c))) {
        let Some(tag) = rest[at..].strip_prefix('<') else { return true };
        let (inner, after) = tag.split_once('>').unwrap_or((tag, ""));
        if inner.starts_with('/') {
            depth = depth.saturating_sub(1);
        } else if !inner.ends_with('/') && !VOID_ELEMENTS.contains(&tag_name(inner)) {
            depth += 1;
        }
        rest = after;
    }
    false
}

/// The type of an XML text in lower case.
fn xml_type(text: &str) -> FileType {
    if text.contains("<html") {
        FileType::WebPage
    } else if text.contains("urn:schemas-microsoft-com:office:spreadsheet")
        || text.contains("progid=\"excel.sheet\"")
    {
        FileType::SpreadsheetXml
    } else if text.contains("urn:oasis:names:tc:opendocument") {
        FileType::FlatOpenDocument
    } else {
        FileType::Xml
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_web_pages_are_recognized() {
        for text in [
            "<li>13800138000</li>",
            "<td>13800138000</td>",
            "<h4>请登录</h4>",
            "<strong>您好，请登录</strong>",
            "<p>hello, your session has expired</p>",
            "<input type=hidden>\n",
            "<ul>\n请登录\n<li>1",
            "<br>13800138000<br>13800138001",
            "<img src='a.png'>",
            "<%@ page language=\"java\" %>\n<html><table>",
            "<%-- x --%>\r\n<table>\n<tr><td>1</td></tr></table>",
        ] {
            assert_eq!(
                recognize_markup(text, false),
                Recognized::Type(FileType::WebPage),
                "{text}"
            );
        }
    }

    #[test]
    fn xml_is_recognized_by_attributes_and_end_tags_in_any_script() {
        for text in [
            "<员工>\n<手机>13800138000</手机>\n</员工>",
            "<员工表><员工 手机=\"13800138000\"/></员工表>",
            "<m>13800138000</m>\n<m>13900004011</m>\n",
            "<row mobile=\"13800138000\"/>\n<row mobile=\"13900004011\"/>\n",
            "<rows/>",
            "<![cdata[\n<table><tr><td>13800138000</td></tr>\n",
            "<!entity x \"y\">\n<a>",
        ] {
            assert_eq!(recognize_markup(text, false), Recognized::Type(FileType::Xml), "{text}");
        }
        let text = "<ss:workbook xmlns:ss=\"urn:schemas-microsoft-com:office:spreadsheet\"/>";
        let found = recognize_markup(text, false);
        assert_eq!(found, Recognized::Type(FileType::SpreadsheetXml));
    }

    #[test]
    fn a_page_that_begins_with_text_is_recognized_by_its_lines() {
        for (text, expected) in [
            ("员工列表<br>\n<table><tr><td>a</td></tr>\n</table>", true),
            ("&nbsp;<TABLE>\n  <TR><td>13800138000</td></TR>\n", true),
            ("姓名,手机号,简介\n张三,13800138000,\"<p>\n<table>\n<tr>\"\n", false),
            ("姓名,手机号\n<b>张三</b>,13800138000\n", false),
            ("姓名,手机号,简介\n张三,无,\"\n<table>\n<tr>\n\"\n", false),
            ("姓名,简介,手机号\n张三,\"x\n</table>\n\",Tel: 13800138000\n", false),
            ("员工<br>\n<table border=\"1\">\n<tr><td>\"a\"</td></tr>\n", true),
            ("17\" 显示器领用表<br>\n<table border=1>\n<tr><td>a</td></tr>\n", true),
            ("27\", 32\" 显示器<br>\n<table>\n<tr>\n", true),
            ("姓名,简介\n张三,\"17\"\" x\n</table>\n\"\n", false),
            ("简介,姓名\n\"x\n</table>\n\",张三\n", false),
            ("<name>\n<mobile>\n", false),
        ] {
            assert_eq!(has_markup_lines(text), expected, "{text}");
        }
    }

    #[test]
    fn a_table_with_markup_in_its_header_is_a_table() {
        for text in [
            "<b>姓名</b>,<b>手机号</b>\n张三,13800138000",
            "<th><b>姓名</b></th>\t<th>手机号</th>\n张三\t13800138000",
            "<font color=red>姓名</font>;手机号\n张三;13800138000",
            "<b>姓名</b>，手机号\n<p>张三</p>，13800138000",
            "<i><br/>姓名</i>|手机号\n",
            "<x>姓名</x>,<x>手机号</x>\n",
        ] {
            assert_eq!(recognize_markup(text, false), Recognized::Other, "{text}");
            assert_eq!(recognize_markup(text, true), Recognized::Other, "{text}");
        }
    }

    #[test]
    fn the_first_tag_alone_does_not_decide_while_more_follows() {
        for text in ["<table>\n", "<ul>\n请登录\n", "<mobile>\n", "<rows>\n<row>\n"] {
            assert_eq!(recognize_markup(text, true), Recognized::NeedsMore, "{text}");
        }
        for text in ["<mobile>\n13800138000\n", "<手机号>\n13800138000\n"] {
            assert_eq!(recognize_markup(text, true), Recognized::Other, "{text}");
        }
    }
}
