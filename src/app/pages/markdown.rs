//! A page of the guide as a list of blocks: what both renderers need of Markdown.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use tr::tr;

/// A part of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// 1 is the title of the page.
    Heading {
        level: usize,
        text: Inlines,
    },
    Paragraph(Inlines),
    /// The lines of a fenced block.
    Code(String),
    Item {
        /// `-`, or the number with its dot.
        marker: String,
        /// 0 for the outermost list.
        depth: usize,
        text: Inlines,
    },
    /// The first row is the header.
    Table(Vec<Vec<Inlines>>),
}

/// Text and how each piece of it is set.
pub(crate) type Inlines = Vec<(Style, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Strong,
    Code,
}

/// The text without its styles; code keeps its backticks, so that it differs from prose.
pub(crate) fn plain_text(text: &Inlines) -> String {
    text.iter()
        .map(|(style, piece)| match style {
            Style::Code => format!("`{piece}`"),
            Style::Plain | Style::Strong => piece.clone(),
        })
        .collect()
}

/// Reads a page. Elements that no page uses (images, quotes, HTML) are left out.
pub(crate) fn parse(page: &str) -> Vec<Block> {
    let mut reader = Reader::default();
    Parser::new_ext(page, Options::ENABLE_TABLES).for_each(|event| reader.on_event(event));
    reader.blocks
}

/// Replaces the marker of trycmd for an exit status, a line such as `? 4`.
fn explain_exit_statuses(transcript: &str) -> String {
    let explain = |line: &str| match line.strip_prefix("? ") {
        Some(status) => format!("# {}\n", tr!("exit status {status}", status)),
        None => format!("{line}\n"),
    };
    transcript.lines().map(explain).collect()
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    text: Inlines,
    is_strong: bool,
    /// The address of the link that is being read.
    link: String,
    /// Where the text of that link begins.
    link_start: usize,
    /// The next number of each list around the current place; `None` for a list without numbers.
    lists: Vec<Option<u64>>,
    /// The marker of an item whose text has not come yet.
    marker: Option<String>,
    rows: Vec<Vec<Inlines>>,
    /// Whether a block of commands with their output is being read.
    is_transcript: bool,
}

impl Reader {
    fn on_event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.on_start(tag),
            Event::End(tag) => self.on_end(tag),
            Event::Text(text) => self.push(&text),
            Event::Code(code) => self.text.push((Style::Code, code.into_string())),
            Event::SoftBreak | Event::HardBreak => self.push_line_break(),
            _ => {}
        }
    }

    fn push(&mut self, text: &str) {
        let style = if self.is_strong { Style::Strong } else { Style::Plain };
        match self.text.last_mut() {
            Some((last, piece)) if *last == style => piece.push_str(text),
            _ => self.text.push((style, text.to_owned())),
        }
    }

    /// Joins two lines of the source. Between Chinese characters there is no space.
    fn push_line_break(&mut self) {
        let is_wide = self
            .text
            .last()
            .and_then(|(style, piece)| piece.chars().last().filter(|_| *style != Style::Code))
            .is_some_and(|last| !last.is_ascii());
        if !is_wide {
            self.push(" ");
        }
    }

    fn on_start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Strong => self.is_strong = true,
            Tag::CodeBlock(CodeBlockKind::Fenced(language)) => {
                self.is_transcript = &*language == "console";
            }
            Tag::Link { dest_url, .. } => {
                self.link = dest_url.into_string();
                self.link_start = self.text.len();
                // The text of the link is a separate piece.
                self.text.push((Style::Plain, String::new()));
            }
            Tag::List(first) => {
                self.end_item();
                self.lists.push(first);
            }
            Tag::Item => {
                self.marker = self.lists.last_mut().map(|list| match list {
                    Some(number) => {
                        *number += 1;
                        format!("{}.", *number - 1)
                    }
                    None => "-".to_owned(),
                });
            }
            Tag::TableHead | Tag::TableRow => self.rows.push(Vec::new()),
            _ => {}
        }
    }

    fn on_end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong => self.is_strong = false,
            TagEnd::Link => self.end_link(),
            TagEnd::Heading(level) => {
                let text = std::mem::take(&mut self.text);
                self.blocks.push(Block::Heading { level: level as usize, text });
            }
            TagEnd::Paragraph if self.marker.is_some() => self.end_item(),
            TagEnd::Paragraph => {
                let text = std::mem::take(&mut self.text);
                self.blocks.push(Block::Paragraph(text));
            }
            TagEnd::Item => self.end_item(),
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::CodeBlock => {
                let code = std::mem::take(&mut self.text);
                let code: String = code.into_iter().map(|(_, piece)| piece).collect();
                let is_transcript = std::mem::take(&mut self.is_transcript);
                let code = if is_transcript { explain_exit_statuses(&code) } else { code };
                self.blocks.push(Block::Code(code));
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.text);
                if let Some(row) = self.rows.last_mut() {
                    row.push(cell);
                }
            }
            TagEnd::Table => self.blocks.push(Block::Table(std::mem::take(&mut self.rows))),
            _ => {}
        }
    }

    fn end_item(&mut self) {
        if let Some(marker) = self.marker.take() {
            let depth = self.lists.len().saturating_sub(1);
            let text = std::mem::take(&mut self.text);
            self.blocks.push(Block::Item { marker, depth, text });
        }
    }

    /// Shows the address of a page on the web behind the text of its link.
    fn end_link(&mut self) {
        let address = std::mem::take(&mut self.link);
        let shown: String =
            self.text.iter().skip(self.link_start).map(|(_, piece)| &**piece).collect();
        if address.starts_with("http") && shown != address {
            self.push(&format!(" ({address})"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> (Style, String) {
        (Style::Plain, text.to_owned())
    }

    #[test]
    fn a_page_is_read_block_by_block() {
        let page = "# Title\n\nOne\n`two` **three**\n\n- a\n  - b\n- c\n\n1. x\n2. y\n\n\
                    ```text\n$ run\n```\n\n| a | b |\n|---|---|\n| `1\\|2` | 3 |\n";
        let item = |marker: &str, depth, text: &str| Block::Item {
            marker: marker.to_owned(),
            depth,
            text: vec![plain(text)],
        };
        assert_eq!(
            parse(page),
            [
                Block::Heading { level: 1, text: vec![plain("Title")] },
                Block::Paragraph(vec![
                    plain("One "),
                    (Style::Code, "two".to_owned()),
                    plain(" "),
                    (Style::Strong, "three".to_owned()),
                ]),
                item("-", 0, "a"),
                item("-", 1, "b"),
                item("-", 0, "c"),
                item("1.", 0, "x"),
                item("2.", 0, "y"),
                Block::Code("$ run\n".to_owned()),
                Block::Table(vec![
                    vec![vec![plain("a")], vec![plain("b")]],
                    vec![vec![(Style::Code, "1|2".to_owned())], vec![plain("3")]],
                ]),
            ]
        );
    }

    #[test]
    fn an_exit_status_of_a_transcript_is_explained() {
        let code = |page: &str| parse(page).pop();
        assert_eq!(
            code("```console\n$ run\n? 4\nout\n```\n"),
            Some(Block::Code("$ run\n# exit status 4\nout\n".to_owned()))
        );
        assert_eq!(code("```text\n? 4\n```\n"), Some(Block::Code("? 4\n".to_owned())));
    }

    #[test]
    fn a_web_address_follows_the_text_of_its_link() {
        let text = |page: &str| match &parse(page)[..] {
            [Block::Paragraph(text)] => plain_text(text),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            text("See [Docs](https://a.example/) and [below](#x)."),
            "See Docs (https://a.example/) and below."
        );
        assert_eq!(text("See <https://a.example/>."), "See https://a.example/.");
        assert_eq!(text("中文\n换行"), "中文换行");
    }
}
