//! What the output must say, worked out from the sandbox's directory alone, by nothing that the executable is
//! made of; and tables whose input and output are written side by side.

use dingmap::testing::sandbox::{Rule, exclusive_ids_of, userid_of};

/// The five appended cells of a row.
pub(crate) type Cells = [String; 5];

/// The names of the appended columns.
pub(crate) const NAMES: [&str; 5] = ["userid", "exclusive_userids", "status", "errcode", "errmsg"];

/// The cells of a row whose number is sent as `number`, once every retry is done.
pub(crate) fn answer(number: &str, exclusive: bool) -> Cells {
    let rule = Rule::of(number);
    let userid = match rule {
        Rule::Found | Rule::FoundLater | Rule::Both => userid_of(number),
        _ => String::new(),
    };
    let others = match rule {
        Rule::OnlyExclusive | Rule::Both if exclusive => exclusive_ids_of(number).join(";"),
        _ => String::new(),
    };
    let (status, message) = match rule {
        Rule::OnlyExclusive if !exclusive => ("not_found", "找不到该用户"),
        Rule::Found | Rule::FoundLater | Rule::Both | Rule::OnlyExclusive => ("found", "ok"),
        Rule::NotFound | Rule::NotFoundWrapped => ("not_found", "找不到该用户"),
        Rule::Empty => ("not_found", "the API answered ok and named no user"),
        Rule::BadNumber => ("bad_number", "无效手机号"),
        Rule::Malformed => ("bad_number", "参数错误: mobile"),
        Rule::OutOfScope => ("out_of_scope", "请求的员工userid不在授权范围内"),
        Rule::Busy => ("failed", "系统繁忙"),
        Rule::Unknown => ("failed", "未知错误"),
    };
    [userid, others, status.to_owned(), rule.code(exclusive).to_string(), message.to_owned()]
}

/// The cells of a row that is refused before any call.
pub(crate) fn invalid(reason: &str) -> Cells {
    ["", "", "invalid", "", reason].map(str::to_owned)
}

/// A table as text: each row as it stands in the input, and the cells that the output has behind it.
pub(crate) struct Table {
    pub(crate) bom: bool,
    pub(crate) delimiter: char,
    pub(crate) end: &'static str,
    /// Whether the last row has a line end.
    pub(crate) ends: bool,
    pub(crate) header: Option<&'static str>,
    pub(crate) rows: Vec<(String, Cells)>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            bom: false,
            delimiter: ',',
            end: "\n",
            ends: true,
            header: Some("phone"),
            rows: Vec::new(),
        }
    }
}

impl Table {
    /// Adds a row that is a mainland number as it is sent.
    pub(crate) fn number(&mut self, number: &str) {
        self.row(number, answer(number, true));
    }

    pub(crate) fn row(&mut self, line: &str, cells: Cells) {
        self.rows.push((line.to_owned(), cells));
    }

    pub(crate) fn input(&self) -> String {
        self.text(|line, _| line.to_owned())
    }

    pub(crate) fn output(&self) -> String {
        self.text(|line, cells| {
            let cells =
                cells.each_ref().map(|cell| self.delimiter.to_string() + &self.quoted(cell));
            line.to_owned() + &cells.concat()
        })
    }

    fn text(&self, write: impl Fn(&str, &Cells) -> String) -> String {
        let header = self.header.map(|header| write(header, &NAMES.map(str::to_owned)));
        let lines =
            header.into_iter().chain(self.rows.iter().map(|(line, cells)| write(line, cells)));
        let text = lines.collect::<Vec<_>>().join(self.end);
        let bom = if self.bom { "\u{feff}" } else { "" };
        let end = if self.ends { self.end } else { "" };
        format!("{bom}{text}{end}")
    }

    /// A cell in quotes where a reader of CSV would take it for something else without them.
    fn quoted(&self, cell: &str) -> String {
        if cell.contains([self.delimiter, '"', '\r', '\n']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    }
}
