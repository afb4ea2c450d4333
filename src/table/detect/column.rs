//! Chooses the number columns: the requested ones, or the one that header names and cells indicate.

use regex::Regex;
use tr::tr;

use crate::domain::redact;
use crate::domain::row_location::RowLocation;
use crate::table::detect::column_error::{COLUMN_FLAG, ColumnError, ColumnList};
use crate::table::detect::columns::{Column, ColumnChoice, is_same_name};
use crate::table::detect::header_row::has_number;
use crate::table::detect::header_words::{
    HeaderMatch, is_other_persons, match_header, normalize_name,
};
use crate::table::detect::suggest::suggest;

/// What the column is detected from.
#[derive(Clone, Copy)]
pub(crate) struct ColumnDetector<'a> {
    /// The cells of the first row: the column names, if `has_headers`.
    pub first_row: &'a [String],
    /// Whether the first row is a header.
    pub has_headers: bool,
    /// Where the first row is.
    pub row: &'a RowLocation,
    /// The rows of data in the sample.
    pub sample_rows: &'a [Vec<String>],
    /// The positions, from 0, of the answer columns, which cannot be the number column.
    pub answer_columns: &'a [usize],
    /// Whether a cell looks like a mobile number.
    pub looks_like_mobile: &'a dyn Fn(&str) -> bool,
}

/// The maximum number of cells of a column that are checked.
const SAMPLE_CELLS: usize = 100;

impl ColumnDetector<'_> {
    /// Returns the columns of `choices`, in their order and without duplicates, or detects the
    /// column if there are no choices.
    ///
    /// # Errors
    /// [`ColumnError`] if a choice matches no column or several, or if none or several could be
    /// detected.
    pub(crate) fn choose(&self, choices: &[ColumnChoice]) -> Result<Vec<Column>, ColumnError> {
        if choices.is_empty() {
            return Ok(vec![self.detect()?]);
        }
        let mut columns: Vec<Column> = Vec::with_capacity(choices.len());
        for choice in choices {
            let column = self.find(choice, COLUMN_FLAG)?;
            if columns.iter().all(|other| other.index != column.index) {
                columns.push(column);
            }
        }
        Ok(columns)
    }

    /// Finds the column that `flag` requests.
    fn find(&self, choice: &ColumnChoice, flag: &'static str) -> Result<Column, ColumnError> {
        match choice {
            ColumnChoice::Name(name) => self.find_by_name(name, flag),
            &ColumnChoice::Position(position) => self.find_by_position(position, flag),
            ColumnChoice::Pattern(pattern) => self.find_by_pattern(pattern, flag),
        }
    }

    fn find_by_name(&self, name: &str, flag: &'static str) -> Result<Column, ColumnError> {
        if !self.has_headers {
            return Err(self.no_headers(name.to_owned(), flag));
        }
        let alike = self.columns_matching(|header| is_same_name(header, name));
        let exact = self.columns_matching(|header| header == name);
        match (alike.as_slice(), exact.as_slice()) {
            (&[index], _) | (_, &[index]) => Ok(self.detected(index, tr!("requested by name"))),
            ([], _) => {
                let near = suggest(name, self.first_row.iter().map(String::as_str))
                    .and_then(redact::column_name);
                Err(ColumnError::NoSuchName {
                    name: name.to_owned(),
                    flag,
                    suggestion: near,
                    row: self.row.clone(),
                    columns: self.list_all(),
                })
            }
            (several, _) => {
                let columns = self.list_with_samples(several);
                let (name, row) = (name.to_owned(), self.row.clone());
                Err(ColumnError::DuplicateName { name, flag, row, columns })
            }
        }
    }

    fn no_headers(&self, name: String, flag: &'static str) -> ColumnError {
        let number =
            self.first_row.iter().position(|cell| has_number(cell, self.looks_like_mobile));
        let number = number.map(|index| index + 1);
        let width = self.first_row.len();
        ColumnError::NoHeaders { name, flag, row: self.row.clone(), number, width }
    }

    fn find_by_pattern(&self, pattern: &Regex, flag: &'static str) -> Result<Column, ColumnError> {
        if !self.has_headers {
            return Err(self.no_headers(format!("/{pattern}/"), flag));
        }
        let found = self.columns_matching(|header| {
            pattern.is_match(header) || pattern.is_match(&normalize_name(header))
        });
        let failed = |columns| ColumnError::PatternMismatch {
            pattern: pattern.to_string(),
            flag,
            several: !found.is_empty(),
            row: self.row.clone(),
            columns,
        };
        match found.as_slice() {
            &[index] => Ok(self.detected(index, tr!("requested by pattern"))),
            [] => Err(failed(self.list_all())),
            several => Err(failed(self.list_with_samples(several))),
        }
    }

    fn find_by_position(&self, position: usize, flag: &'static str) -> Result<Column, ColumnError> {
        if self.has_headers
            && self.columns_matching(|header| header.trim() == position.to_string()).len() == 1
        {
            return self.find_by_name(&position.to_string(), flag);
        }
        match position.checked_sub(1).filter(|&index| index < self.first_row.len()) {
            Some(index) => Ok(self.detected(index, tr!("requested by position"))),
            None => Err(ColumnError::NoSuchPosition {
                position,
                flag,
                width: self.first_row.len(),
                columns: self.list_all(),
            }),
        }
    }

    /// Detects the column if header name and cells agree, or if one of them indicates a column and
    /// the other none. If a clear name and the cells indicate different columns, this is an error
    /// and never a guess: a spreadsheet may have damaged the named column, and the other one may
    /// have other people's numbers. Nor is a column detected whose name says that it has those
    /// (`紧急联系人电话`). In a table with answers, which may be overwritten, a column
    /// with cells of which none looks like a number is not detected either.
    fn detect(&self) -> Result<Column, ColumnError> {
        let candidates: Vec<usize> = (0..self.first_row.len())
            .filter(|index| !self.answer_columns.contains(index))
            .collect();
        let matches: Vec<HeaderMatch> = self
            .first_row
            .iter()
            .map(|name| if self.has_headers { match_header(name) } else { HeaderMatch::NoMatch })
            .collect();
        let best =
            candidates.iter().map(|&index| matches[index]).max().unwrap_or(HeaderMatch::NoMatch);
        let named: Vec<usize> = candidates
            .iter()
            .copied()
            .filter(|&index| best > HeaderMatch::NoMatch && matches[index] == best)
            .collect();
        let mobile: Vec<usize> =
            candidates.iter().copied().filter(|index| self.is_mostly_mobile(*index)).collect();
        let both: Vec<usize> =
            named.iter().copied().filter(|index| mobile.contains(index)).collect();
        let winners = if !both.is_empty() {
            both
        } else if mobile.is_empty() {
            named
        } else if best <= HeaderMatch::ContainsPhone {
            mobile
        } else {
            [named, mobile].concat()
        };
        let is_doubtful = |index| {
            !self.answer_columns.is_empty() && matches!(self.count_mobiles(index), (0, 1..))
        };
        let is_other_persons = |index| self.name(index).is_some_and(|name| is_other_persons(&name));
        match (winners.as_slice(), candidates.as_slice()) {
            (&[index], _) if is_other_persons(index) => {
                Err(ColumnError::OtherPersons { columns: self.list_with_samples(&[index]) })
            }
            (&[index], _) if !is_doubtful(index) => {
                Ok(self.detected(index, self.detection_reason(index, matches[index])))
            }
            ([], &[index]) if !is_doubtful(index) => {
                Ok(self.detected(index, tr!("the only column")))
            }
            ([] | [_], _) if !self.answer_columns.is_empty() => {
                Err(ColumnError::NoMobileToRetry { columns: self.list(&candidates) })
            }
            ([] | [_], _) => Err(ColumnError::NoMobileColumn { columns: self.list_all() }),
            (several, _) => {
                Err(ColumnError::Ambiguous { columns: self.list_with_samples(several) })
            }
        }
    }

    /// The first column, in a table without a cell.
    #[must_use]
    pub(crate) fn first_column(&self) -> Column {
        self.detected(0, tr!("the input has no rows"))
    }

    fn detected(&self, index: usize, reason: String) -> Column {
        Column { index, name: self.name(index), reason }
    }

    /// The name of a column, if the table has a header row.
    #[must_use]
    pub(crate) fn name(&self, index: usize) -> Option<String> {
        self.first_row.get(index).filter(|_| self.has_headers).cloned()
    }

    /// The position of the column that another flag than `--column` requests, counted from 0.
    pub(crate) fn find_requested(
        &self,
        choice: &ColumnChoice,
        flag: &'static str,
    ) -> Result<usize, ColumnError> {
        self.find(choice, flag).map(|column| column.index)
    }

    /// The columns for whose header `matches` returns true.
    pub(crate) fn columns_matching(&self, matches: impl Fn(&str) -> bool) -> Vec<usize> {
        self.first_row
            .iter()
            .enumerate()
            .filter(|(_, header)| matches(header))
            .map(|(index, _)| index)
            .collect()
    }

    /// How many of the checked cells look like mobile numbers, and how many were checked.
    fn count_mobiles(&self, index: usize) -> (usize, usize) {
        let cells = self
            .sample_rows
            .iter()
            .filter_map(|row| row.get(index))
            .filter(|cell| !cell.trim().is_empty());
        cells.take(SAMPLE_CELLS).fold((0, 0), |(mobile, all), cell| {
            (mobile + usize::from((self.looks_like_mobile)(cell)), all + 1)
        })
    }

    pub(crate) fn is_mostly_mobile(&self, index: usize) -> bool {
        let (mobile, all) = self.count_mobiles(index);
        all > 0 && mobile * 2 >= all
    }

    fn detection_reason(&self, index: usize, header_match: HeaderMatch) -> String {
        let header = match self.sanitized_name(index) {
            Some(name) if header_match != HeaderMatch::NoMatch => tr!("header {name}; ", name),
            _ => String::new(),
        };
        match self.count_mobiles(index) {
            (_, 0) => tr!("{header}no cells to check", header),
            (mobile, all) => {
                tr!(
                    "{header}{mobile} of {all} sampled cells look like mobile numbers",
                    header,
                    mobile,
                    all
                )
            }
        }
    }

    /// Lists all columns for an error message.
    #[must_use]
    pub(crate) fn list_all(&self) -> ColumnList {
        self.list(&(0..self.first_row.len()).collect::<Vec<_>>())
    }

    /// Lists some columns for an error message.
    #[must_use]
    pub(crate) fn list(&self, indices: &[usize]) -> ColumnList {
        ColumnList::new(&self.with_names(indices), &[])
    }

    /// Lists columns with sample cells, so that a person can choose one.
    fn list_with_samples(&self, indices: &[usize]) -> ColumnList {
        ColumnList::new(&self.with_names(indices), self.sample_rows)
    }

    fn with_names(&self, indices: &[usize]) -> Vec<(usize, Option<&str>)> {
        let name =
            |index| self.first_row.get(index).filter(|_| self.has_headers).map(String::as_str);
        indices.iter().map(|&index| (index, name(index))).collect()
    }

    fn sanitized_name(&self, index: usize) -> Option<String> {
        redact::column_name(self.first_row.get(index).filter(|_| self.has_headers)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Vec<Vec<String>> {
        text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }

    fn mobile(cell: &str) -> bool {
        cell.len() == 11 && cell.starts_with('1')
    }

    fn choose(text: &str, headers: bool, choice: Option<&str>) -> Result<Column, ColumnError> {
        let rows = table(text);
        let choices: Vec<ColumnChoice> = choice.iter().map(|text| text.parse().unwrap()).collect();
        detector(&rows, headers).choose(&choices).map(|mut columns| columns.remove(0))
    }

    fn detector(rows: &[Vec<String>], has_headers: bool) -> ColumnDetector<'_> {
        ColumnDetector {
            first_row: &rows[0],
            has_headers,
            row: &RowLocation::Line(1),
            sample_rows: &rows[usize::from(has_headers)..],
            answer_columns: &[],
            looks_like_mobile: &mobile,
        }
    }

    fn found(text: &str, headers: bool, choice: Option<&str>) -> (usize, String) {
        choose(text, headers, choice).map(|column| (column.index, column.reason)).unwrap()
    }

    fn refused(text: &str, headers: bool, choice: Option<&str>) -> String {
        choose(text, headers, choice).unwrap_err().to_string()
    }

    #[test]
    fn a_requested_column_is_selected() {
        let text = "姓名, Phone ,2,phone,Code\nA,B,C,D,E";
        for (choice, index) in
            [("姓名", 0), (" CODE", 4), ("phone", 3), (" Phone ", 1), ("2", 2), ("4", 3)]
        {
            assert_eq!(found(text, true, Some(choice)).0, index, "{choice}");
        }
        assert_eq!(found(text, false, Some("2")).0, 1);
        assert_eq!(choose(text, true, Some("5")).unwrap().name.as_deref(), Some("Code"));
        assert_eq!(choose(text, false, Some("5")).unwrap().name, None);
    }

    #[test]
    fn a_missing_column_error_lists_the_existing_ones() {
        let text = "姓名,phone,Phone\nA,B,C";
        assert!(
            refused(text, true, Some("nmae"))
                .ends_with("\"nmae\"; name one of these with --column: 1 姓名, 2 phone, 3 Phone")
        );
        assert!(
            refused(text, true, Some("PHONE")).ends_with("with --column: 2 phone (*), 3 Phone (*)")
        );
        assert!(
            refused(text, true, Some("4")).contains("no column 4: the file has 3, counted from 1")
        );
        assert!(refused(text, true, Some("0")).contains("no column 0"));
        assert!(refused(text, true, Some("007")).contains("no column \"007\""));
        assert!(refused(text, false, Some("phone")).contains("no header row"));
        let number = refused("张三,13800138000", false, Some("phone"));
        assert!(number.contains("as line 1 has a number in column 2"), "{number}");
        let wide = refused(&vec!["x"; 50].join(","), true, Some("y"));
        assert!(wide.ends_with("40 x and 10 more"), "{wide}");
    }

    #[test]
    fn header_and_cells_decide_the_column_together() {
        let reason = |header: &str, share: &str| {
            format!("{header}{share} sampled cells look like mobile numbers")
        };
        let two = found("编号,手机号,电话\n1,13800138000,010-1\n2,oops,010-2\n", true, None);
        assert_eq!(two, (1, reason("header 手机号; ", "1 of 2")));
        assert_eq!(found("电话,手机号\n13800138000,13800138001", true, None).0, 1);
        assert_eq!(found("手机,手机号\n华为,13800138001", true, None).0, 1);
        assert_eq!(found("号码,办公电话\n13800138000,010-1", true, None).0, 0);
        assert_eq!(found("A,13800138000\nB,13800138001", false, None), (1, reason("", "2 of 2")));
        assert_eq!(
            found("手机号,x\n1.38E+10,y", true, None),
            (0, reason("header 手机号; ", "0 of 1"))
        );
        assert_eq!(
            found("姓名,电话", true, None),
            (1, "header 电话; no cells to check".to_owned())
        );
        assert_eq!(found("电话,手机\n,", true, None).0, 1);
        assert_eq!(found("whatever\nx", true, None), (0, "the only column".to_owned()));
    }

    #[test]
    fn answer_columns_are_no_evidence_and_a_doubtful_column_is_not_selected() {
        let found = |text: &str, answers: &[usize]| {
            let rows = table(text);
            let evidence = ColumnDetector { answer_columns: answers, ..detector(&rows, true) };
            evidence.choose(&[]).map(|columns| (columns[0].index, columns[0].reason.clone())).ok()
        };
        let sampled =
            |name: &str| format!("header {name}; 1 of 1 sampled cells look like mobile numbers");
        // The `mobile_sent` column of an earlier output is no evidence, at any position.
        let sent = "mobile_sent,userid,tel\n13800138000,u1,13800138000";
        assert_eq!(found(sent, &[1]), Some((0, sampled("mobile_sent"))));
        assert_eq!(found(sent, &[0, 1]), Some((2, sampled("tel"))));
        assert_eq!(
            found("name,userid,mobile\nA,u1,13800138000", &[1]),
            Some((2, sampled("mobile")))
        );
        // If no cell is a number, neither the name of a column nor being the only one is enough.
        for text in ["tel,userid\n010-1,u1", "name,userid\nA,u1", "tel,userid,a\n010-1,u1,b"] {
            assert_eq!(found(text, &[1]), None, "{text}");
        }
        assert_eq!(found("name,userid\n,u1", &[1]), Some((0, "the only column".to_owned())));
        assert_eq!(found("tel,userid,a\n,u1,b", &[1]).map(|(index, _)| index), Some(0));
    }

    #[test]
    fn a_pattern_must_match_one_column() {
        let text = "姓名,手机１,手机２,ＰＨＯＮＥ\nA,13800138000,B,C";
        for (pattern, index) in [("/手机1/", 1), ("/手机２/", 2), ("/^phone$/", 3), ("/姓/", 0)]
        {
            assert_eq!(
                found(text, true, Some(pattern)),
                (index, "requested by pattern".to_owned()),
                "{pattern}"
            );
        }
        let several = refused(text, true, Some("/手机/"));
        assert!(
            several.starts_with("line 1: the pattern /手机/ fits more than one column's name"),
            "{several}"
        );
        assert!(several.ends_with(": 2 手机１ (138****8000), 3 手机２ (*)"), "{several}");
        let none = refused(text, true, Some("/mail/"));
        assert!(
            none.contains("fits no column's name")
                && none.ends_with("1 姓名, 2 手机１, 3 手机２, 4 ＰＨＯＮＥ"),
            "{none}"
        );
        assert!(
            refused(text, false, Some("/mail/"))
                .contains("no header row, so there is no column \"/mail/\"")
        );
    }

    #[test]
    fn an_error_names_the_flag_that_requests_the_column() {
        let rows = table("国家--column,b,b\n1,2,3");
        let with_headers = detector(&rows, true);
        let error = |detector: ColumnDetector<'_>, choice: &str, flag| {
            detector.find(&choice.parse().unwrap(), flag).unwrap_err().to_string()
        };
        let all = "1 国家--column, 2 b, 3 b";
        let none = error(with_headers, "/zz/", "--country-column");
        assert!(none.ends_with(&format!("the right one with --country-column: {all}")), "{none}");
        let several = error(with_headers, "/b/", "--key");
        assert!(several.contains("the right one with --key: 2 b"), "{several}");
        let several = error(with_headers, "/b/", COLUMN_FLAG);
        assert!(several.contains("with --column, or several with one --column each: 2 b"));
        for (choice, has_headers) in [("x", true), ("b", true), ("9", true), ("x", false)] {
            let detector = ColumnDetector { has_headers, ..with_headers };
            let message = error(detector, choice, "--expect");
            assert!(message.contains(" with --expect"), "{message}");
            assert!(!message.replace("国家--column", "").contains("--column"), "{message}");
        }
    }

    #[test]
    fn several_columns_keep_the_requested_order() {
        let rows = table("a,b,c\n1,2,3");
        let evidence = detector(&rows, true);
        let choices = ["c", "1", "/A/", "C"].map(|text| text.parse::<ColumnChoice>().unwrap());
        let columns = evidence.choose(&choices).unwrap();
        assert_eq!(columns.iter().map(|column| column.index).collect::<Vec<_>>(), [2, 0]);
        assert!(evidence.choose(&["c", "x"].map(|text| text.parse().unwrap())).is_err());
    }

    #[test]
    fn an_ambiguous_column_error_lists_masked_cells() {
        let two = "13800138000,13800138001\n13800138002,13800138003";
        let cells = |cells: [&str; 2]| format!("--column: 1 ({}), 2 ({})", cells[0], cells[1]);
        let both = cells(["138****8000, 138****8002", "138****8001, 138****8003"]);
        assert!(refused(two, false, None).ends_with(&both));
        assert!(refused(two, true, None).ends_with(&cells(["138****8002", "138****8003"])));
        assert!(
            refused("手机号,x\n1.38E+10,13800138000", true, None)
                .ends_with("--column: 1 手机号 (*.***+**), 2 x (138****8000)")
        );
        assert!(refused("手机,手机号", true, None).starts_with("several columns"));
        assert!(refused("a,b\n1,2", true, None).starts_with("no column looks"));
    }
}
