//! A page of the guide as a manual page of section 7.

use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::app::pages::markdown::{Block, Inlines, Style, parse, plain_text};
use crate::app::pages::text::{COLUMN_GAP, TableCell, lay_out_table};

/// Terminal columns: a terminal has 80, and `man` indents text by 7 and keeps a margin.
const TABLE_WIDTH: usize = 70;
/// What `man` indents code, and the items of an inner list, by.
const INDENT: &str = "4";

/// The page after its title line (`.TH`). `about` describes it in a few words.
pub(crate) fn render(name: &str, about: &str, page: &str) -> Roff {
    let mut roff = Roff::new();
    let blocks = parse(page);
    let blocks = match &blocks[..] {
        [Block::Heading { level: 1, .. }, rest @ ..] => rest,
        all => all,
    };
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {}", about.replace('`', "")))]);
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
        Block::Code(code) => render_code(roff, code),
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
        Block::Table(rows) => render_table(roff, rows),
    }
}

/// Lines that stay as they are.
fn render_code(roff: &mut Roff, code: &str) {
    roff.control("PP", []);
    roff.control("RS", [INDENT]);
    roff.control("nf", []);
    for line in code.lines() {
        // An empty line of the source is an error to some formatters.
        if line.is_empty() {
            roff.control("sp", []);
        } else {
            roff.text([roman(line)]);
        }
    }
    roff.control("fi", []);
    roff.control("RE", []);
}

/// Lines that stay as they are: `tbl` cannot measure Chinese text.
fn render_table(roff: &mut Roff, rows: &[Vec<Inlines>]) {
    roff.control("PP", []);
    roff.control("nf", []);
    for lines in lay_out_table(rows, TABLE_WIDTH) {
        // A piece of code may continue on the next line of its cell.
        let mut is_code = vec![false; lines.first().map_or(0, Vec::len)];
        for line in lines {
            let mut text = Vec::new();
            let mut gap = 0;
            for (cell, is_code) in line.iter().zip(&mut is_code) {
                if !cell.text.is_empty() {
                    if gap > 0 {
                        text.push(roman(" ".repeat(gap)));
                    }
                    gap = 0;
                }
                gap += COLUMN_GAP + push_cell(&mut text, cell, is_code);
            }
            roff.text(text);
        }
    }
    roff.control("fi", []);
}

/// Appends the text of a cell with code in bold, and returns the spaces that fill the cell.
fn push_cell(text: &mut Vec<Inline>, cell: &TableCell, is_code: &mut bool) -> usize {
    let mut removed = 0;
    for (index, piece) in cell.text.split('`').enumerate() {
        if index > 0 {
            *is_code = !*is_code;
            removed += 1;
        }
        if !piece.is_empty() {
            text.push(if *is_code { bold(piece) } else { roman(piece) });
        }
    }
    cell.padding + removed
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
                    ```text\n$ run\n\n.x\n```\n\n\
                    | a | bc |\n|---|---|\n| `1` | 2 `x y` |\n";
        assert_eq!(
            render("dingmap-files", "how `plan` reads", page).to_roff(),
            ".SH NAME\ndingmap\\-files \\- how plan reads\n.SH DESCRIPTION\n\
             .PP\nWith \\fB\\-o\\fR, \\fBnot\\fR else.\n.IP \\(bu 4\na\n.SH ROWS\n\
             .PP\n.RS 4\n.nf\n$ run\n.sp\n\\&.x\n.fi\n.RE\n.PP\n.nf\n\
             a    bc\n\\-\\-\\-  \\-\\-\\-\\-\\-\\-\\-\n\
             \\fB1\\fR    2 \\fBx y\\fR\n.fi\n"
        );
    }
}
