//! A page of the guide as plain text for a terminal, with aligned tables.

use unicode_width::UnicodeWidthStr;

use crate::app::i18n::clap_help::wrap;
use crate::app::pages::markdown::{Block, Inlines, parse, plain_text};

/// Spaces before the lines of a code block, and before the items of an inner list.
const INDENT: usize = 4;
/// Spaces between the columns of a table.
pub(crate) const COLUMN_GAP: usize = 2;
/// The narrowest that a column becomes, in terminal columns.
const MIN_COLUMN_WIDTH: usize = 8;

/// Lines of at most `width` columns, except lines of code and words that are longer.
pub(crate) fn render(page: &str, width: usize) -> String {
    let blocks = parse(page);
    let mut text = String::new();
    let mut after_item = false;
    for block in &blocks {
        let is_item = matches!(block, Block::Item { .. });
        let same_list = is_item && after_item;
        if !text.is_empty() && !same_list {
            text.push('\n');
        }
        after_item = is_item;
        render_block(&mut text, block, width);
    }
    text
}

fn render_block(text: &mut String, block: &Block, width: usize) {
    match block {
        Block::Heading { level, text: heading } => {
            let heading = plain_text(heading);
            let rule = if *level == 1 { "=" } else { "-" };
            push_lines(text, &heading, "");
            push_lines(text, &rule.repeat(heading.width()), "");
        }
        Block::Paragraph(paragraph) => push_lines(text, &wrap(&plain_text(paragraph), width), ""),
        Block::Code(code) => push_lines(text, code, &" ".repeat(INDENT)),
        Block::Item { marker, depth, text: item } => {
            let indent = " ".repeat(depth * INDENT);
            let hanging = indent.len() + marker.len() + 1;
            let item = wrap(&plain_text(item), width.saturating_sub(hanging));
            let mut lines = item.lines();
            push_lines(text, &format!("{marker} {}", lines.next().unwrap_or_default()), &indent);
            for line in lines {
                push_lines(text, line, &" ".repeat(hanging));
            }
        }
        Block::Table(rows) => text.push_str(&render_table(rows, width)),
    }
}

fn push_lines(text: &mut String, lines: &str, indent: &str) {
    for line in lines.lines() {
        if !line.is_empty() {
            text.push_str(indent);
            text.push_str(line);
        }
        text.push('\n');
    }
}

/// A table in aligned columns, the header underlined. Cells that do not fit are wrapped.
fn render_table(rows: &[Vec<Inlines>], width: usize) -> String {
    let mut text = String::new();
    for line in lay_out_table(rows, width).into_iter().flatten() {
        let mut row = String::new();
        for cell in line {
            row.push_str(&cell.text);
            row.push_str(&" ".repeat(cell.padding + COLUMN_GAP));
        }
        push_lines(&mut text, row.trim_end(), "");
    }
    text
}

/// One line of a cell of a table.
pub(crate) struct TableCell {
    /// Code is in backticks.
    pub text: String,
    /// The spaces that fill the column, except the gap.
    pub padding: usize,
}

/// The lines of each row of a table; the line below the header belongs to the header.
pub(crate) fn lay_out_table(rows: &[Vec<Inlines>], width: usize) -> Vec<Vec<Vec<TableCell>>> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(plain_text).collect()).collect();
    let widths = column_widths(&rows, width);
    let cell = |text: &str, width: usize| TableCell {
        text: text.to_owned(),
        padding: width.saturating_sub(text.width()),
    };
    let lay_out_row = |(index, row): (usize, &Vec<String>)| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| wrap(cell, *width)).collect();
        let height = cells.iter().map(|cell| cell.lines().count()).max().unwrap_or_default();
        let line = |line: usize| -> Vec<TableCell> {
            let pieces = cells.iter().map(|cell| cell.lines().nth(line).unwrap_or(""));
            pieces.zip(&widths).map(|(piece, width)| cell(piece, *width)).collect()
        };
        let mut lines: Vec<_> = (0..height).map(line).collect();
        if index == 0 {
            lines.push(widths.iter().map(|width| cell(&"-".repeat(*width), *width)).collect());
        }
        lines
    };
    rows.iter().enumerate().map(lay_out_row).collect()
}

/// As wide as the widest cells; where that is too wide, the widest columns give way.
fn column_widths(rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let mut widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let available = width.saturating_sub(columns.saturating_sub(1) * COLUMN_GAP);
    while widths.iter().sum::<usize>() > available {
        match widths.iter_mut().max() {
            Some(widest) if *widest > MIN_COLUMN_WIDTH => *widest -= 1,
            _ => break,
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guide::TOPICS;

    #[test]
    fn a_page_is_laid_out_for_the_width() {
        let page = "# Files\n\nOne two three four five six.\n\n- a **b** `c`\n  d\n\n\
                    ```text\n$ run\n```\n\n\
                    | name | what |\n|---|---|\n| a | some words |\n| 中文 | x |\n";
        assert_eq!(
            render(page, 20),
            "Files\n=====\n\nOne two three four\nfive six.\n\n- a b `c` d\n\n    $ run\n\n\
             name  what\n----  ----------\na     some words\n中文  x\n"
        );
    }

    #[test]
    fn a_cell_that_does_not_fit_is_wrapped_in_its_column() {
        let page = "| a | b |\n|---|---|\n| one | two three four five |\n";
        assert_eq!(render(page, 16), "a    b\n---  -----------\none  two three\n     four five\n");
    }

    #[test]
    fn every_page_fits_80_columns() {
        for topic in TOPICS {
            for page in [Some(topic.english), topic.chinese].into_iter().flatten() {
                let text = render(page, 80);
                for line in text.lines().filter(|line| !line.starts_with("    ")) {
                    assert!(line.width() <= 80, "{}: {line}", topic.name);
                }
            }
        }
    }
}
