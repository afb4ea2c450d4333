//! What the output must say, worked out from the sandbox's directory alone, by nothing that the
//! executable is made of; and tables whose input and output are written side by side.

use dingmap::testing::sandbox::{DirectoryEntry, exclusive_ids_for, userid_for};

/// The five appended cells of a row.
pub(crate) type AnswerCells = [String; 5];

/// The names of the appended columns.
pub(crate) const ANSWER_COLUMNS: [&str; 5] =
    ["userid", "exclusive_userids", "status", "errcode", "errmsg"];

/// The cells of a row whose number is sent as `number`, once every retry is done.
pub(crate) fn expected_answer(number: &str, exclusive: bool) -> AnswerCells {
    let rule = DirectoryEntry::for_number(number);
    let userid = match rule {
        DirectoryEntry::Found | DirectoryEntry::FoundLater | DirectoryEntry::Both => {
            userid_for(number)
        }
        _ => String::new(),
    };
    let others = match rule {
        DirectoryEntry::OnlyExclusive | DirectoryEntry::Both if exclusive => {
            exclusive_ids_for(number).join(";")
        }
        _ => String::new(),
    };
    let (status, message) = match rule {
        DirectoryEntry::OnlyExclusive if !exclusive => ("not_found", "找不到该用户"),
        DirectoryEntry::Found
        | DirectoryEntry::FoundLater
        | DirectoryEntry::Both
        | DirectoryEntry::OnlyExclusive => ("found", "ok"),
        DirectoryEntry::NotFound | DirectoryEntry::NotFoundWrapped => ("not_found", "找不到该用户"),
        DirectoryEntry::Empty => ("not_found", "the API answered ok and named no user"),
        DirectoryEntry::BadNumber => ("bad_number", "无效手机号"),
        DirectoryEntry::Malformed => ("bad_number", "参数错误: mobile"),
        DirectoryEntry::OutOfScope => ("out_of_scope", "请求的员工userid不在授权范围内"),
        DirectoryEntry::Busy => ("failed", "系统繁忙"),
        DirectoryEntry::UnknownCode => ("failed", "未知错误"),
    };
    [userid, others, status.to_owned(), rule.code(exclusive).to_string(), message.to_owned()]
}

/// The cells of a row that is refused before any call.
pub(crate) fn invalid_answer(reason: &str) -> AnswerCells {
    ["", "", "invalid", "", reason].map(str::to_owned)
}

/// A table as text: each row as it is in the input, and the cells that the output has behind
/// it.
pub(crate) struct ExpectedTable {
    pub(crate) bom: bool,
    pub(crate) delimiter: char,
    pub(crate) line_end: &'static str,
    /// Whether the last row has a line end.
    pub(crate) ends_with_newline: bool,
    pub(crate) header: Option<&'static str>,
    pub(crate) rows: Vec<(String, AnswerCells)>,
}

impl Default for ExpectedTable {
    fn default() -> Self {
        Self {
            bom: false,
            delimiter: ',',
            line_end: "\n",
            ends_with_newline: true,
            header: Some("phone"),
            rows: Vec::new(),
        }
    }
}

impl ExpectedTable {
    /// Adds a row that is a mainland number as it is sent.
    pub(crate) fn push_number(&mut self, number: &str) {
        self.push_row(number, expected_answer(number, true));
    }

    pub(crate) fn push_row(&mut self, line: &str, cells: AnswerCells) {
        self.rows.push((line.to_owned(), cells));
    }

    pub(crate) fn input_text(&self) -> String {
        self.render(|line, _| line.to_owned())
    }

    pub(crate) fn output_text(&self) -> String {
        self.render(|line, cells| {
            let cells = cells.each_ref().map(|cell| self.delimiter.to_string() + &self.quote(cell));
            line.to_owned() + &cells.concat()
        })
    }

    fn render(&self, write: impl Fn(&str, &AnswerCells) -> String) -> String {
        let header = self.header.map(|header| write(header, &ANSWER_COLUMNS.map(str::to_owned)));
        let lines =
            header.into_iter().chain(self.rows.iter().map(|(line, cells)| write(line, cells)));
        let text = lines.collect::<Vec<_>>().join(self.line_end);
        let bom = if self.bom { "\u{feff}" } else { "" };
        let end = if self.ends_with_newline { self.line_end } else { "" };
        format!("{bom}{text}{end}")
    }

    /// A cell in quotes where a reader of CSV would take it for something else without them.
    fn quote(&self, cell: &str) -> String {
        if cell.contains([self.delimiter, '"', '\r', '\n']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    }
}
