//! Number formats: whether a cell is a date, and what a format displays beside the digits.
//!
//! A format has up to four sections: for positive and negative numbers, zero and text, or with
//! conditions of their own.

/// The fewest digits of a phone number with its country code.
const MIN_PHONE_DIGITS: usize = 7;
/// A format has no more sections in Excel.
const MAX_SECTIONS: usize = 4;
/// The names of the format `General`. Workbooks should have the English one, but programs write the
/// one of the user's language too.
const GENERAL_NAMES: &[&str] = &[
    "General",
    "G/通用格式",
    "G/標準格式",
    "G/標準",
    "G/标准",
    "G/표준",
    "標準",
    "Standaard",
    "Standard",
    "Estándar",
    "Padrão",
    "Geral",
    "Genel",
    "Основной",
];

/// How the number of a cell is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberKind {
    Number,
    Date,
    Duration,
}

/// What Excel displays in place of the bare digits or text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Displayed {
    /// Nothing that could be part of a phone number.
    Plain,
    /// This text.
    Text(String),
    /// Digits that are not those of the cell, since the format scales, inserts or replaces some,
    /// or of which it cannot be told. The text names the format, so that it does not pass for a
    /// number.
    ChangedDigits(String),
}

/// A number format.
#[derive(Clone, Debug)]
pub(crate) struct NumberFormat {
    code: String,
    kind: NumberKind,
    /// The format that other versions of Excel use in its place.
    alternative: Option<Box<NumberFormat>>,
    /// Empty if no section displays anything that could be part of a phone number.
    sections: Vec<Section>,
}

#[derive(Clone, Debug, Default)]
struct Section {
    condition: Option<Condition>,
    /// The text before the digits, and the text after them.
    prefix: String,
    suffix: String,
    /// Text between digits.
    inner: String,
    /// How many digits are displayed at least.
    zeros: usize,
    /// Whether the digits are not those of the number: a percentage, a fraction, an exponent.
    is_scaled: bool,
    /// Whether a comma is the last of the digits, which divides by a thousand.
    ends_with_comma: bool,
    /// Whether digits are grouped, or decimals displayed, as in amounts.
    is_amount: bool,
    has_value: bool,
    is_text: bool,
}

#[derive(Clone, Copy, Debug)]
struct Condition {
    less: bool,
    equal: bool,
    greater: bool,
    limit: f64,
}

impl Condition {
    /// Parses what is between the brackets of `[>=100]`.
    fn parse(text: &str) -> Option<Self> {
        let limit_start = text.find(|c| !matches!(c, '<' | '>' | '='))?;
        let (operator, limit) = text.split_at(limit_start);
        let (less, equal, greater) = match operator {
            "<" => (true, false, false),
            "<=" => (true, true, false),
            "=" => (false, true, false),
            ">=" => (false, true, true),
            ">" => (false, false, true),
            "<>" => (true, false, true),
            _ => return None,
        };
        Some(Self { less, equal, greater, limit: limit.trim().parse().ok()? })
    }

    fn holds(self, number: f64) -> bool {
        match number.partial_cmp(&self.limit) {
            Some(std::cmp::Ordering::Less) => self.less,
            Some(std::cmp::Ordering::Equal) => self.equal,
            Some(std::cmp::Ordering::Greater) => self.greater,
            None => false,
        }
    }
}

/// A part of a format code.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    /// Displayed as it is.
    Literal(&'a str),
    /// What is between brackets.
    Bracket(&'a str),
    /// Displays as many digits as the number has: `General`.
    General,
    /// `E+` or `E-`.
    Exponent,
    /// A character with a meaning, or displayed as it is.
    Plain(char),
}

impl Default for NumberFormat {
    fn default() -> Self {
        Self::parse("General")
    }
}

impl NumberFormat {
    #[must_use]
    pub(crate) fn parse(code: &str) -> Self {
        let mut sections = vec![Section::default()];
        let mut kind = None;
        for token in tokenize(code) {
            if token == Token::Plain(';') {
                if sections.len() == MAX_SECTIONS {
                    break;
                }
                // The first section says what the cell is.
                kind.get_or_insert(NumberKind::Number);
                sections.push(Section::default());
                continue;
            }
            kind = kind.or_else(|| kind_of(token));
            if let Some(section) = sections.last_mut() {
                section.push(token);
            }
        }
        if sections.iter().all(|section| !section.has_added_text()) {
            sections.clear();
        }
        let kind = kind.unwrap_or(NumberKind::Number);
        Self { code: code.to_owned(), kind, alternative: None, sections }
    }

    /// Parses the codes that a workbook has for one format, of which programs use different ones.
    #[must_use]
    pub(crate) fn parse_all(codes: &[String]) -> Self {
        match codes {
            [] => Self::default(),
            [code] => Self::parse(code),
            [code, others @ ..] => {
                Self { alternative: Some(Box::new(Self::parse_all(others))), ..Self::parse(code) }
            }
        }
    }

    /// Whether a section displays anything that could be part of a phone number.
    pub(crate) fn adds_text(&self) -> bool {
        !self.sections.is_empty() || self.alternative.as_ref().is_some_and(|it| it.adds_text())
    }

    /// The text for a cell that Excel may display with this format: it names the format, so that it
    /// does not pass for a number.
    pub(crate) fn unclear(&self, value: &str) -> String {
        format!("{value} [{}]", self.code)
    }

    /// The format as it is written in the workbook.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn kind(&self) -> NumberKind {
        self.kind
    }

    /// What Excel displays for a number of a cell.
    pub(crate) fn display_number(&self, number: f64) -> Displayed {
        if self.alternative.is_none() {
            return self.display_number_alone(number);
        }
        self.or_alternative(&number.to_string(), |format| format.display_number_alone(number))
    }

    /// What Excel displays for a text of a cell that may be a number.
    pub(crate) fn display_text(&self, text: &str) -> Displayed {
        self.or_alternative(text, |format| format.display_text_alone(text))
    }

    fn or_alternative(&self, value: &str, display: impl Fn(&Self) -> Displayed) -> Displayed {
        let alternatives =
            std::iter::successors(self.alternative.as_deref(), |it| it.alternative.as_deref());
        display_any(self, alternatives, display)
            .unwrap_or_else(|other| Displayed::ChangedDigits(other.unclear(value)))
    }

    fn display_number_alone(&self, number: f64) -> Displayed {
        // Numbers of 16 and more digits are not exact.
        if self.sections.is_empty() || number.fract() != 0.0 || number.abs() >= 1e15 {
            return Displayed::Plain;
        }
        let display = |section: &Section| {
            let digits = format!("{:0>width$}", number.abs(), width = section.zeros);
            section.display(&digits, &self.code)
        };
        match self.section_for(number) {
            Ok((Some(section), sign)) => match display(section) {
                Displayed::Text(text) => Displayed::Text(format!("{sign}{text}")),
                displayed => displayed,
            },
            Ok((None, _)) => Displayed::Plain,
            Err(Unclear) => {
                if self.sections.iter().all(|section| display(section) == Displayed::Plain) {
                    Displayed::Plain
                } else {
                    Displayed::ChangedDigits(self.unclear(&number.to_string()))
                }
            }
        }
    }

    fn display_text_alone(&self, text: &str) -> Displayed {
        let is_number = text.chars().all(|c| {
            c.is_numeric() || c.is_whitespace() || matches!(c, '+' | '-' | '(' | ')' | '.')
        });
        match self.sections.last() {
            Some(section) if section.is_text && is_number => section.display(text, &self.code),
            _ => Displayed::Plain,
        }
    }

    /// The section that displays `number`, and the sign before it: the second section, of negative
    /// numbers, has its own.
    fn section_for(&self, number: f64) -> Result<(Option<&Section>, &'static str), Unclear> {
        let numeric = match self.sections.as_slice() {
            [first @ .., last] if !first.is_empty() && last.is_text => first,
            all => all.get(..3).unwrap_or(all),
        };
        let is_negative = number < 0.0;
        if numeric.iter().any(|section| section.condition.is_some()) {
            // The conditions of the other sections then depend on each other, and so does the sign.
            if is_negative || numeric.first().is_none_or(|first| first.condition.is_none()) {
                return Err(Unclear);
            }
            let found = numeric
                .iter()
                .find(|section| section.condition.is_none_or(|condition| condition.holds(number)));
            return Ok((found, ""));
        }
        Ok(match (numeric, is_negative) {
            ([_, negative, ..], true) => (Some(negative), ""),
            ([only], true) => (Some(only), "-"),
            ([_, _, zero], false) if number == 0.0 => (Some(zero), ""),
            _ => (numeric.first(), ""),
        })
    }
}

/// Which section of a format displays a number cannot be told.
struct Unclear;

/// What Excel displays for a cell with `format`, or the one of `others` that displays something
/// else, and may apply to the cell.
pub(crate) fn display_any<'a>(
    format: &NumberFormat,
    others: impl Iterator<Item = &'a NumberFormat>,
    display: impl Fn(&NumberFormat) -> Displayed,
) -> Result<Displayed, &'a NumberFormat> {
    let displayed = display(format);
    for other in others {
        let alternative = display(other);
        if alternative != Displayed::Plain && alternative != displayed {
            return Err(other);
        }
    }
    Ok(displayed)
}

impl Section {
    fn push(&mut self, token: Token<'_>) {
        let mut buffer = [0; 4];
        let text = match token {
            Token::Literal(text) => text,
            Token::General | Token::Plain('0' | '#' | '?' | '@') => {
                self.zeros += usize::from(token == Token::Plain('0') && !self.is_amount);
                self.is_text |= token == Token::Plain('@');
                (self.has_value, self.ends_with_comma) = (true, false);
                let between = std::mem::take(&mut self.suffix);
                self.inner.push_str(&between);
                return;
            }
            Token::Plain('.') if self.has_value => {
                self.is_amount = true;
                return;
            }
            Token::Plain(',') if self.has_value => {
                (self.is_amount, self.ends_with_comma) = (true, true);
                return;
            }
            Token::Exponent | Token::Plain('%' | '/') if self.has_value => {
                self.is_scaled = true;
                return;
            }
            // `[$+86-804]` displays `+86`.
            Token::Bracket(text) => match (text.strip_prefix('$'), Condition::parse(text)) {
                (Some(currency), _) => {
                    let shown = currency.split('-').next().unwrap_or_default();
                    if !shown.contains(is_phone_character) {
                        return;
                    }
                    shown
                }
                (None, condition) => {
                    self.condition = self.condition.or(condition);
                    return;
                }
            },
            Token::Exponent => "E",
            Token::Plain(character) => character.encode_utf8(&mut buffer),
        };
        if self.has_value {
            self.suffix.push_str(text);
        } else {
            self.prefix.push_str(text);
        }
    }

    /// Whether the section displays text that may be part of a phone number or say whose it is.
    fn has_added_text(&self) -> bool {
        let texts = [&self.prefix, &self.inner, &self.suffix];
        texts.iter().any(|text| text.contains(is_phone_character))
            || (self.has_value
                && !self.is_amount
                && texts.iter().any(|text| text.contains(char::is_alphabetic)))
    }

    fn display(&self, value: &str, code: &str) -> Displayed {
        let digits = |text: &str| text.chars().filter(|c| c.is_numeric()).count();
        if !self.has_added_text()
            || digits(&self.prefix) + digits(value) + digits(&self.suffix) < MIN_PHONE_DIGITS
        {
            return Displayed::Plain;
        }
        let is_inner_clear =
            !self.inner.contains(is_phone_character) && !self.inner.contains(char::is_alphabetic);
        // Without a value that is known here, the format displays other digits, or the name of a
        // value that is not known.
        if !self.has_value || self.is_scaled || self.ends_with_comma || !is_inner_clear {
            return Displayed::ChangedDigits(format!("{value} [{code}]"));
        }
        Displayed::Text(format!("{}{value}{}", self.prefix.trim_start(), self.suffix.trim_end()))
    }
}

fn is_phone_character(c: char) -> bool {
    matches!(c, '+' | '＋') || c.is_numeric()
}

/// What a token of the first section says about the cell.
fn kind_of(token: Token<'_>) -> Option<NumberKind> {
    match token {
        Token::Plain('d' | 'm' | 'h' | 'y' | 's' | 'D' | 'M' | 'H' | 'Y' | 'S') => {
            Some(NumberKind::Date)
        }
        Token::Bracket(text) => {
            let unit = text.chars().next()?.to_ascii_lowercase();
            (matches!(unit, 'h' | 'm' | 's')
                && text.chars().all(|c| c.to_ascii_lowercase() == unit))
            .then_some(NumberKind::Duration)
        }
        _ => None,
    }
}

/// The length of the name of the format `General` at the beginning of `text`.
fn general_name_len(text: &str) -> Option<usize> {
    let begins_with = |name: &&str| {
        text.get(..name.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(name))
    };
    GENERAL_NAMES.iter().find(|name| begins_with(name)).map(|name| name.len())
}

fn tokenize(code: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = code;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let after = rest.get(first.len_utf8()..)?;
        let next_len = after.chars().next().map_or(0, char::len_utf8);
        let until = |end: char| after.split_once(end).unwrap_or((after, ""));
        let (token, remaining) = match first {
            '"' => {
                let (text, remaining) = until('"');
                (Token::Literal(text), remaining)
            }
            '[' => {
                let (text, remaining) = until(']');
                (Token::Bracket(text), remaining)
            }
            // `*` repeats the next character, which is displayed at least once.
            '\\' | '!' | '*' => {
                let (text, remaining) = after.split_at_checked(next_len)?;
                (Token::Literal(text), remaining)
            }
            'E' | 'e' if after.starts_with(['+', '-']) => (Token::Exponent, after.get(1..)?),
            // A space as wide as the next character.
            '_' => (Token::Literal(" "), after.get(next_len..)?),
            _ => match general_name_len(rest) {
                Some(len) => (Token::General, rest.get(len..)?),
                None => (Token::Plain(first), after),
            },
        };
        rest = remaining;
        Some(token)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: &str, number: f64) -> String {
        match NumberFormat::parse(code).display_number(number) {
            Displayed::Plain => "plain".to_owned(),
            Displayed::Text(text) => text,
            Displayed::ChangedDigits(_) => "changed".to_owned(),
        }
    }

    #[test]
    fn a_country_code_of_the_format_is_displayed() {
        for (code, number, expected) in [
            (r"\+0", 13_108_207_129.0, "+13108207129"),
            (r#""+"0"#, 85_251_234_567.0, "+85251234567"),
            (r#""+86 "0"#, 13_800_138_000.0, "+86 13800138000"),
            ("+0", 13_108_207_129.0, "+13108207129"),
            ("+#", 13_108_207_129.0, "+13108207129"),
            ("+General", 13_108_207_129.0, "+13108207129"),
            (r#""+"G/通用格式"#, 13_108_207_129.0, "+13108207129"),
            (r#""+"Standard"#, 13_108_207_129.0, "+13108207129"),
            ("+G/標準格式", 13_108_207_129.0, "+13108207129"),
            ("+estándar", 13_108_207_129.0, "+13108207129"),
            ("!+0", 13_108_207_129.0, "+13108207129"),
            ("*+0", 13_108_207_129.0, "+13108207129"),
            (r#""00"0"#, 85_251_234_567.0, "0085251234567"),
            (r#""86"0"#, 13_800_138_000.0, "8613800138000"),
            (r#""+852"\ 0000\ 0000"#, 51_234_567.0, "+852 51234567"),
            (r#""+44 "00000000000"#, 7_911_123_456.0, "+44 07911123456"),
            ("[$+86-804]0", 13_800_138_000.0, "+8613800138000"),
            ("[Red]+0;[Blue]-0", 13_108_207_129.0, "+13108207129"),
            (r#""(+1) "000\-000\-0000"#, 3_108_207_129.0, "(+1) 3108207129"),
            (r#"[>99999999999]"+"0;0"#, 852_512_345_678.0, "+852512345678"),
            (r#"[>99999999999]"+"0;0"#, 13_800_138_000.0, "plain"),
            (r#"[<=99999999]"+852 "0;"+86 "0"#, 51_234_567.0, "+852 51234567"),
            (r#"[<=99999999]"+852 "0;"+86 "0"#, 13_800_138_000.0, "+86 13800138000"),
            (r#""美国 "0"#, 13_108_207_129.0, "美国 13108207129"),
            (r#"0"（美国）""#, 13_108_207_129.0, "13108207129（美国）"),
            (r#""+290 "0"#, 51_234.0, "+290 51234"),
            ("+#,##0.00", 13_108_207_129.0, "+13108207129"),
        ] {
            assert_eq!(shown(code, number), expected, "{code} {number}");
        }
    }

    #[test]
    fn a_format_that_changes_the_digits_is_named() {
        for code in [
            r"\+0,",
            r"\+0%",
            r"\+0.00E+00",
            r"\+# ?/?",
            r#"0"+"0"#,
            r#"000"1"0000"#,
            r#""+86""#,
            r#""+"Općenito"#,
            r#""13800138000""#,
        ] {
            assert_eq!(shown(code, 13_108_207_129.0), "changed", "{code}");
        }
        let changed = NumberFormat::parse(r"\+0%").display_number(13_108_207_129.0);
        assert_eq!(changed, Displayed::ChangedDigits(r"13108207129 [\+0%]".to_owned()));
    }

    #[test]
    fn other_formats_leave_the_digits_as_they_are() {
        for code in [
            "General",
            "0",
            "0.00",
            "#,##0",
            "000 0000 0000",
            "000-0000-0000",
            "[<=9999999]###-####;000 0000 0000",
            "0.00E+00",
            "##0.0E+0",
            "0%",
            "#,##0,",
            "# ?/?",
            "G/通用格式",
            "Standard",
            "Općenito",
            ";;;",
            r#""无""#,
            "￥#,##0.00",
            "[$USD] #,##0.00",
            r#"#,##0.00"元""#,
            r#"_ "¥"* #,##0_ ;_ "¥"* -#,##0_ ;_ "¥"* "-"_ ;_ @_ "#,
            "_+0",
            r#"0;"+"0"#,
            "@",
            "",
        ] {
            assert_eq!(shown(code, 13_108_207_129.0), "plain", "{code}");
        }
        assert_eq!(shown("+0;-0;0", 12.0), "plain");
        assert_eq!(shown("+0", 13_108_207_129.5), "plain");
    }

    #[test]
    fn negative_numbers_are_displayed_by_their_own_section() {
        let number = -13_108_207_129.0;
        for (code, expected) in [
            (r"0;\+0", "+13108207129"),
            (r"0;\+0;0", "+13108207129"),
            (r#"0;"+86 "0;0;@"#, "+86 13108207129"),
            (r"\+0", "-+13108207129"),
            (r"\+0;0", "plain"),
            (r"[>0]0;\+0", "changed"),
            (r"[<0]\+0;0", "changed"),
            (r"\+0;[<0]0", "changed"),
            ("0", "plain"),
        ] {
            assert_eq!(shown(code, number), expected, "{code}");
        }
        // The condition of the first section is not stated here.
        assert_eq!(shown(r"0;[>9]\+0", 13_108_207_129.0), "changed");
        assert_eq!(shown(r"0;[>9]0", 13_108_207_129.0), "plain");
        assert_eq!(shown(r"[>9]\+0;0", -5.0), "plain");
    }

    #[test]
    fn sections_beyond_those_of_excel_are_ignored() {
        let code = format!("0;0;0;{}", "+0;".repeat(1000));
        assert_eq!(NumberFormat::parse(&code).sections.len(), MAX_SECTIONS);
    }

    #[test]
    fn the_section_of_text_is_displayed() {
        let shown = |code: &str, text: &str| NumberFormat::parse(code).display_text(text);
        for code in [r#""+"@"#, r#"0;0;0;"+"@"#, r"\+@"] {
            assert_eq!(shown(code, "13108207129"), Displayed::Text("+13108207129".to_owned()));
            assert_eq!(shown(code, "张三"), Displayed::Plain);
            assert_eq!(shown(code, "12"), Displayed::Plain);
        }
        assert_eq!(shown("@", "13108207129"), Displayed::Plain);
        assert_eq!(shown(r"\+0", "13108207129"), Displayed::Plain);
    }

    #[test]
    fn dates_and_durations_are_distinguished_from_numbers() {
        for (code, kind) in [
            ("DD/MM/YY", NumberKind::Date),
            ("H:MM:SS;@", NumberKind::Date),
            ("m\"M\"d\"D\";@", NumberKind::Date),
            ("[$-404]e\"年\"m\"月\"d\"日\"", NumberKind::Date),
            ("*-yyyy-mm-dd", NumberKind::Date),
            ("[h]:mm:ss", NumberKind::Duration),
            ("[ss].00", NumberKind::Duration),
            ("[Blue]\\+[h]:mm;[Red]\\-[h]:mm", NumberKind::Duration),
            ("#,##0\\ [$₽-46D]", NumberKind::Number),
            ("\"Y: \"0.00\"m\";\"Y: \"-0.00\"m\"", NumberKind::Number),
            ("\\Y000000", NumberKind::Number),
            ("#,##0*y", NumberKind::Number),
            ("0_d", NumberKind::Number),
            ("[Magenta]General", NumberKind::Number),
            ("0;yyyy", NumberKind::Number),
            ("[Red]\"open", NumberKind::Number),
            ("\\", NumberKind::Number),
        ] {
            assert_eq!(NumberFormat::parse(code).kind(), kind, "{code}");
        }
    }
}
