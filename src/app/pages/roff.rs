//! A page of the guide as a manual page of section 7.

use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::app::pages::markdown::{Block, Inlines, Style, parse, plain_text};
use crate::app::pages::text::render_table;

/// Terminal columns: a terminal has 80, and `man` indents text by 7 and keeps a margin.
const TABLE_WIDTH: usize = 70;
/// What `man` indents code, and the items of an inner list, by.
const INDENT: &str = "4";

/// The page after its title line (`.TH`).
pub(crate) fn render(name: &str, page: &str) -> Roff {
    let mut roff = Roff::new();
    let blocks = parse(page);
    let (title, blocks) = match &blocks[..] {
        [Block::Heading { level: 1, text }, rest @ ..] => (plain_text(text), rest),
        all => (name.to_owned(), all),
    };
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {title}"))]);
    roff.control("SH", ["DESCRIPTION"]);
    for block in blocks {
        render_block(&mut roff, block);
    }
    roff
}

fn render_block(roff: &mut Roff, block: &Block) {
    match block {
        Block::Heading { text, .. } => {
            // An argument ends at a quotation mark.
            let heading = plain_text(text).to_uppercase().replace(['"', '`'], "");
            roff.control("SH", [&*heading]);
        }
        Block::Paragraph(text) => {
            roff.control("PP", []);
            roff.text(inlines(text));
        }
        Block::Code(code) => render_verbatim(roff, code, true),
        Block::Item { marker, depth, text } => {
            for _ in 0..*depth {
                roff.control("RS", [INDENT]);
            }
            roff.control("IP", [if marker == "-" { r"\(bu" } else { marker }, INDENT]);
            roff.text(inlines(text));
            for _ in 0..*depth {
                roff.control("RE", []);
            }
        }
        Block::Table(rows) => render_verbatim(roff, &render_table(rows, TABLE_WIDTH), false),
    }
}

/// Lines that stay as they are. Tables are among them: `tbl` cannot measure Chinese text.
fn render_verbatim(roff: &mut Roff, lines: &str, is_indented: bool) {
    roff.control("PP", []);
    if is_indented {
        roff.control("RS", [INDENT]);
    }
    roff.control("nf", []);
    for line in lines.lines() {
        // An empty line of the source is an error to some formatters.
        if line.is_empty() {
            roff.control("sp", []);
        } else {
            roff.text([roman(line)]);
        }
    }
    roff.control("fi", []);
    if is_indented {
        roff.control("RE", []);
    }
}

fn inlines(text: &Inlines) -> Vec<Inline> {
    let inline = |(style, piece): &(Style, String)| match style {
        Style::Plain => roman(piece.clone()),
        Style::Strong | Style::Code => bold(piece.clone()),
    };
    text.iter().map(inline).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_a_manual_page() {
        let page = "# Files\n\nWith `-o`, **not** else.\n\n- a\n\n## \"Rows\"\n\n\
                    ```text\n$ run\n\n.x\n```\n\n| a |\n|---|\n| 1 |\n";
        assert_eq!(
            render("dingmap-files", page).to_roff(),
            ".SH NAME\ndingmap\\-files \\- Files\n.SH DESCRIPTION\n\
             .PP\nWith \\fB\\-o\\fR, \\fBnot\\fR else.\n.IP \\(bu 4\na\n.SH ROWS\n\
             .PP\n.RS 4\n.nf\n$ run\n.sp\n\\&.x\n.fi\n.RE\n.PP\n.nf\na\n\\-\n1\n.fi\n"
        );
    }
}
