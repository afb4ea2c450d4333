//! Detects the encoding of an input: requested, by byte order mark, or by its first lines.
//! If several encodings remain possible, this is an error and not a guess.

use std::fmt;

use tr::tr;

use crate::table::detect::text_model::{
    detector_agrees, has_known_header, has_known_words, is_mostly_utf8, is_plausible,
};
use crate::table::raw::encoding::{Encoding, EncodingError, check_is_text, check_utf8};

/// A detected encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DetectedEncoding {
    pub encoding: Encoding,
    /// The length of the byte order mark in bytes; 0 without one.
    pub bom_len: usize,
    pub reason: EncodingReason,
}

/// Why an encoding was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodingReason {
    /// The user named it.
    Requested,
    /// The byte order mark.
    Bom,
    /// Zero bytes on one side of each Latin character.
    ZeroBytes,
    /// The sample is ASCII only.
    Ascii,
    /// The first lines are valid UTF-8.
    Valid,
    /// The sample, which is part of the first line, is valid UTF-8.
    ValidPrefix,
    /// All but a few of the first lines are valid UTF-8.
    MostlyValid,
    /// Known words.
    KnownWords,
    /// The frequency of characters.
    CharacterStatistics,
}

impl fmt::Display for EncodingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Requested => tr!("as requested"),
            Self::Bom => tr!("byte order mark"),
            Self::ZeroBytes => tr!("zero bytes of Latin characters"),
            Self::Ascii => tr!("only ASCII so far"),
            Self::Valid => tr!("its first lines are valid"),
            Self::ValidPrefix => tr!("its beginning is valid"),
            Self::MostlyValid => tr!("nearly all of its first lines are valid"),
            Self::KnownWords => tr!("known words"),
            Self::CharacterStatistics => tr!("character statistics"),
        })
    }
}

/// The encodings that are detected by content.
const LEGACY_ENCODINGS: [Encoding; 4] =
    [Encoding::Gb18030, Encoding::Big5, Encoding::ShiftJis, Encoding::Windows1252];
/// The length of the longest file signature in bytes.
const SIGNATURE_BYTES: usize = 4;
/// The size of the sample in bytes. A full sample gives an encoding or an error.
const DETECTION_BYTES: usize = 64 << 10;
/// While more input can be read, character statistics need this many bytes outside ASCII.
const SUFFICIENT_NON_ASCII: usize = 16;
/// With fewer bytes outside ASCII and no known word, two plausible encodings cannot be
/// distinguished.
const MIN_NON_ASCII: usize = 8;

/// Detects the encoding from the first bytes of an input. Returns `None` if more of them are
/// needed. `asked` is the requested encoding, and `complete` means that nothing follows the bytes.
///
/// # Errors
/// [`EncodingError`] for a file that is not text, or if no encoding or several are plausible.
pub(crate) fn detect_encoding(
    bytes: &[u8],
    complete: bool,
    asked: Option<Encoding>,
) -> Result<Option<DetectedEncoding>, EncodingError> {
    check_is_text(bytes, asked)?;
    if bytes.len() < SIGNATURE_BYTES && !complete {
        return Ok(None);
    }
    let marked = [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be, Encoding::Gb18030]
        .into_iter()
        .find(|encoding| bytes.starts_with(encoding.bom()));
    if let Some(asked) = asked {
        // U+FFFE is not a character: UTF-16 that begins with it has the other byte order.
        let encoding = marked
            .filter(|marked| marked.code_unit_len() == 2 && asked.code_unit_len() == 2)
            .unwrap_or(asked);
        let bom_len = match marked {
            Some(marked) if marked != encoding => {
                return Err(EncodingError::BomConflict { marked, asked });
            }
            Some(_) => encoding.bom().len(),
            None => 0,
        };
        let reason = EncodingReason::Requested;
        return Ok(Some(DetectedEncoding { encoding, bom_len, reason }));
    }
    if let Some(encoding) = marked {
        return Ok(Some(DetectedEncoding {
            encoding,
            bom_len: encoding.bom().len(),
            reason: EncodingReason::Bom,
        }));
    }
    detect_by_content(bytes, complete)
}

/// The first bytes of an input without byte order mark.
struct DetectionSample<'a> {
    /// At most [`DETECTION_BYTES`].
    bytes: &'a [u8],
    /// The complete lines of `bytes`; all of `bytes` if nothing follows, or without a line end.
    lines: &'a [u8],
    /// Whether more follows and the first line is not complete, so that the sample may end inside a
    /// character.
    is_cut: bool,
    /// Whether more bytes would not be read: the sample is full, or nothing follows.
    is_last: bool,
}

impl<'a> DetectionSample<'a> {
    fn new(all: &'a [u8], complete: bool) -> Self {
        let bytes = all.get(..DETECTION_BYTES).unwrap_or(all);
        let ends = complete && bytes.len() == all.len();
        let last_line_end = bytes.iter().rposition(|byte| *byte == b'\n' || *byte == b'\r');
        let lines = match last_line_end {
            Some(end) if !ends => &bytes[..=end],
            _ => bytes,
        };
        Self {
            bytes,
            lines,
            is_cut: last_line_end.is_none() && !ends,
            is_last: complete || all.len() >= DETECTION_BYTES,
        }
    }
}

fn detect_by_content(
    all: &[u8],
    complete: bool,
) -> Result<Option<DetectedEncoding>, EncodingError> {
    let sample = DetectionSample::new(all, complete);
    let found = |encoding, reason| Ok(Some(DetectedEncoding { encoding, bom_len: 0, reason }));
    let zeros = sample.bytes.split(|byte| *byte == 0).count() - 1;
    let letters = str::from_utf8(sample.lines)
        .map_or(0, |text| text.chars().filter(|letter| !letter.is_ascii()).count());
    // Valid multi-byte text is UTF-8, even if there are some zero bytes.
    if zeros > 2 && letters < zeros {
        if let Some(encoding) = detect_utf16(sample.bytes) {
            return found(encoding, EncodingReason::ZeroBytes);
        }
        if zeros * 10 >= sample.bytes.len() {
            // Probably unusual UTF-16 or UTF-32, which would be unreadable in any other encoding.
            return if sample.is_last { Err(EncodingError::ZeroBytes) } else { Ok(None) };
        }
    }
    match detect_utf8(&sample) {
        Some(EncodingReason::ValidPrefix) if !sample.is_last => return Ok(None),
        Some(reason) => return found(Encoding::Utf8, reason),
        None => {}
    }
    let lines = sample.lines;
    let has_header = |encoding| has_known_header(encoding, lines);
    if let Some(encoding) = only_match(&LEGACY_ENCODINGS, has_header) {
        return found(encoding, EncodingReason::KnownWords);
    }
    let plausible: Vec<Encoding> =
        LEGACY_ENCODINGS.into_iter().filter(|encoding| is_plausible(*encoding, lines)).collect();
    if let Some(encoding) = only_match(&plausible, |encoding| has_known_words(encoding, lines)) {
        return found(encoding, EncodingReason::KnownWords);
    }
    detect_by_statistics(&sample, &plausible)
}

/// Why the sample is UTF-8; `None` if it is not.
fn detect_utf8(sample: &DetectionSample<'_>) -> Option<EncodingReason> {
    match str::from_utf8(sample.lines) {
        Ok(text) if text.is_ascii() => Some(EncodingReason::Ascii),
        Ok(_) => Some(EncodingReason::Valid),
        Err(error) if error.error_len().is_none() && sample.is_cut => {
            Some(EncodingReason::ValidPrefix)
        }
        Err(_) => is_mostly_utf8(sample.lines).then_some(EncodingReason::MostlyValid),
    }
}

/// The encoding that matches, if no other does.
fn only_match(encodings: &[Encoding], matches: impl Fn(Encoding) -> bool) -> Option<Encoding> {
    let mut matching = encodings.iter().copied().filter(|encoding| matches(*encoding));
    matching.next().filter(|_| matching.next().is_none())
}

/// Chooses one of the plausible encodings by the frequency of characters.
fn detect_by_statistics(
    sample: &DetectionSample<'_>,
    plausible: &[Encoding],
) -> Result<Option<DetectedEncoding>, EncodingError> {
    let lines = sample.lines;
    let non_ascii = lines.iter().filter(|byte| !byte.is_ascii()).take(SUFFICIENT_NON_ASCII).count();
    // A single name is plausible in several encodings.
    if !sample.is_last && non_ascii < SUFFICIENT_NON_ASCII {
        return Ok(None);
    }
    let is_ambiguous = non_ascii < MIN_NON_ASCII && plausible.len() > 1;
    let agrees = |encoding| !is_ambiguous && detector_agrees(encoding, lines);
    if let Some(encoding) = only_match(plausible, agrees) {
        let reason = EncodingReason::CharacterStatistics;
        return Ok(Some(DetectedEncoding { encoding, bom_len: 0, reason }));
    }
    match check_utf8(lines, 1, 0) {
        Err(EncodingError::Invalid { line, offset, byte, .. }) if sample.is_last => {
            Err(EncodingError::Unknown { line, offset, byte })
        }
        _ => Ok(None),
    }
}

/// Detects UTF-16 without a byte order mark: digits, delimiters and line ends have a zero on the
/// same side of each pair of bytes. A few characters have it on the other side, most often 一, and
/// the sample may end inside a character.
fn detect_utf16(bytes: &[u8]) -> Option<Encoding> {
    let (pairs, _) = bytes.as_chunks::<2>();
    let zeros = |side: usize| pairs.iter().filter(|pair| pair.get(side) == Some(&0)).count();
    let many = |zeros: usize, others: usize| zeros * 10 >= pairs.len() * 3 && zeros >= others * 3;
    let encoding = match (zeros(0), zeros(1)) {
        (first, second) if many(second, first) => Encoding::Utf16Le,
        (first, second) if many(first, second) => Encoding::Utf16Be,
        _ => return None,
    };
    let text = encoding.decode(pairs.as_flattened());
    let wrong = text.chars().filter(|letter| *letter == char::REPLACEMENT_CHARACTER).count();
    (wrong <= 1 || wrong * 20 <= pairs.len()).then_some(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(encoding: Encoding, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        encoding.encode(text, &mut bytes);
        bytes
    }

    fn detected(bytes: &[u8]) -> Option<(Encoding, usize)> {
        detect_encoding(bytes, true, None).unwrap().map(|guess| (guess.encoding, guess.bom_len))
    }

    const TEXTS: [(Encoding, &str); 6] = [
        (
            Encoding::Gb18030,
            "name,phone\r\n王伟,13800138000\r\n欧阳娜娜,13800138001\r\n李秀英,1\r\n赵敏,2\r\n",
        ),
        (Encoding::Big5, "name,phone\r\n陳志明,13800138000\r\n林怡君,13800138001\r\n張雅婷,1\r\n"),
        (Encoding::ShiftJis, "name,phone\n佐藤太郎,09012345678\nすずき 花子,1\n渡辺ケン,2\n"),
        (
            Encoding::Windows1252,
            "name;phone\nMüller;0151\nJosé Núñez;1\nBjørn;2\nFrançois d’Été;3\n",
        ),
        (Encoding::Utf16Le, "姓名\t手机号\r\n王伟\t13800138000\r\n"),
        (Encoding::Utf16Be, "姓名\t手机号\r\n王伟\t13800138000\r\n"),
    ];

    #[test]
    fn every_encoding_is_detected_by_its_content() {
        for (encoding, text) in TEXTS {
            assert_eq!(detected(&encoded(encoding, text)), Some((encoding, 0)), "{text}");
        }
        let headers = [
            (Encoding::Gb18030, "姓名,手机号\r\n"),
            (Encoding::Big5, "姓名,手機號碼\r\n"),
            (Encoding::ShiftJis, "氏名,携帯電話\r\n"),
            (
                Encoding::ShiftJis,
                "社員番号,氏名,ﾌﾘｶﾞﾅ,携帯電話\r\n1,佐藤太郎,ｻﾄｳﾀﾛｳ,09012345678\r\n",
            ),
        ];
        for (encoding, text) in headers {
            let found = detect_encoding(&encoded(encoding, text), false, None).unwrap();
            assert_eq!(found.map(|guess| guess.encoding), Some(encoding));
        }
        for encoding in [Encoding::Utf16Le, Encoding::Utf16Be] {
            for list in [
                "姓名\t手机号\r\n王一\t13800138000\r\n",
                "name\tmobile\r\n张一\t13800138000\r\n李一\t1\r\n",
            ] {
                let bytes = encoded(encoding, &list.repeat(3));
                assert_eq!(detected(&bytes), Some((encoding, 0)), "a zero byte on the other side");
            }
            let department =
                "工号\t姓名\t手机号\t部门\r\n1001\t王一\t13800138000\t研发一部\r\n".repeat(20);
            assert_eq!(detected(&encoded(encoding, &department)), Some((encoding, 0)));
            let mut cut = encoded(encoding, "a,b,c,d\n😀");
            cut.pop();
            cut.pop();
            let found = detect_encoding(&cut, false, None).unwrap();
            assert_eq!(
                found.map(|guess| guess.encoding),
                Some(encoding),
                "a character that is cut"
            );
        }
        assert_eq!(detected("姓名,手机号\n".as_bytes()), Some((Encoding::Utf8, 0)));
        assert_eq!(detected(b"name,phone\na\0b,13800138000\n"), Some((Encoding::Utf8, 0)));
        assert_eq!(detected(b""), Some((Encoding::Utf8, 0)));
    }

    #[test]
    fn the_header_decides_when_names_are_rare() {
        for names in
            [["張偉", "陳國輝", "劉麗華"], ["喆喆", "珺珺", "㛃㛃"], ["李喆", "王珺", "镕基"]]
        {
            for header in ["工号,姓名,手机号", "工号,姓名,mobile", "id,\"姓名\",mobile"]
            {
                let rows = names.map(|name| format!("1001,{name},13800138000\r\n")).concat();
                let bytes = encoded(Encoding::Gb18030, &format!("{header}\r\n{rows}"));
                assert_eq!(detected(&bytes), Some((Encoding::Gb18030, 0)), "{header} {names:?}");
            }
        }
        let rare = "工號,姓名,手機號碼\r\n1,喆,13800138000\r\n2,珺,1\r\n3,瑨,1\r\n";
        assert_eq!(detected(&encoded(Encoding::Big5, rare)), Some((Encoding::Big5, 0)));
    }

    #[test]
    fn the_requested_encoding_overrides_the_byte_order_mark_which_overrides_detection() {
        assert_eq!(detected(b"\xEF\xBB\xBFa\xFF"), Some((Encoding::Utf8, 3)));
        assert_eq!(detected(b"\xFF\xFEa\0"), Some((Encoding::Utf16Le, 2)));
        assert_eq!(detected(b"\xFE\xFF\0a"), Some((Encoding::Utf16Be, 2)));
        assert_eq!(detected(b"\x84\x31\x95\x33a"), Some((Encoding::Gb18030, 4)));
        let asked = |bytes: &[u8], encoding| {
            detect_encoding(bytes, true, Some(encoding))
                .unwrap()
                .map(|guess| (guess.encoding, guess.bom_len))
        };
        assert_eq!(asked(b"abcd", Encoding::Big5), Some((Encoding::Big5, 0)));
        assert_eq!(asked(b"\xEF\xBB\xBFa", Encoding::Utf8), Some((Encoding::Utf8, 3)));
        let error = detect_encoding(b"\xEF\xBB\xBFa", true, Some(Encoding::Gb18030)).unwrap_err();
        assert_eq!(
            error,
            EncodingError::BomConflict { marked: Encoding::Utf8, asked: Encoding::Gb18030 }
        );
        assert_eq!(asked(b"\xFE\xFF\0a", Encoding::Utf16Le), Some((Encoding::Utf16Be, 2)));
        assert_eq!(detect_encoding(b"\xEF\xBB\xBF", false, None), Ok(None));
    }

    #[test]
    fn a_few_invalid_bytes_do_not_prevent_detection() {
        for (encoding, text) in TEXTS.iter().filter(|(encoding, _)| encoding.code_unit_len() == 1) {
            let mut bytes = encoded(*encoding, &text.repeat(20));
            bytes.extend_from_slice(b"x\xFF,1\n");
            assert_eq!(detected(&bytes).map(|(found, _)| found), Some(*encoding), "{text}");
        }
        assert_eq!(
            detected(b"\xE6\x89\x8B\xE6\x9C\xBA\xE5\x8F\xB7\xE7\xA0\x81,\xFF\n"),
            Some((Encoding::Utf8, 0))
        );
    }

    #[test]
    fn a_truncated_sample_is_enough_for_detection() {
        let few =
            [b"name,mobile\nM\xFCller,1\n".as_slice(), &b"a,13800138000\n".repeat(8000)].concat();
        assert_eq!(
            detect_encoding(&few, false, None).unwrap().map(|guess| guess.encoding),
            Some(Encoding::Windows1252)
        );
        let long = "手".repeat(40_000);
        assert_eq!(
            detect_encoding(long.as_bytes(), false, None).unwrap().map(|guess| guess.encoding),
            Some(Encoding::Utf8)
        );
        let later = [b"a,1\n".repeat(20_000).as_slice(), b"M\xFCller\n"].concat();
        assert_eq!(
            detect_encoding(&later, true, None).unwrap().map(|guess| guess.encoding),
            Some(Encoding::Utf8)
        );
    }

    #[test]
    fn an_encoding_without_candidate_is_not_guessed() {
        let unknown: [&[u8]; 5] = [
            // Korean, Cyrillic, and bytes that are nothing.
            b"\xC0\xCC\xB8\xA7,phone\n\xB1\xE8\xB9\xCE\xC1\xD8,1\n\xC0\xCC\xBC\xAD\xBF\xAC,2\n",
            b"name\n\xC8\xE2\xE0\xED\xEE\xE2\n\xCF\xE5\xF2\xF0\xEE\xE2\n",
            b"name\xFF,phone\na,1\n",
            b"a,b\n\x81\x8D\x8F\x90\x9D,1\n",
            b"name,phone\n\"a\nb\xC3\",1\n",
        ];
        for bytes in unknown {
            assert!(
                matches!(detect_encoding(bytes, true, None), Err(EncodingError::Unknown { .. })),
                "{bytes:?}"
            );
            // A pipe that has more may yet tell.
            assert_eq!(detect_encoding(bytes, false, None), Ok(None));
        }
        for zeros in [&b"a\0\0\0,\0\0\0b\0\0\0\n\0\0\0"[..], b"\0\0\0a\0\0\0,\0\0\0b\0\0\0\n"] {
            assert_eq!(detect_encoding(zeros, true, None), Err(EncodingError::ZeroBytes));
        }
        // Katakana make the same bytes in EUC-JP and in GB18030.
        let euc = b"\xBC\xD2\xB0\xF7\xC8\xD6\xB9\xE6,\xBB\xE1\xCC\xBE,\
                    \xA5\xD5\xA5\xEA\xA5\xAC\xA5\xCA\n\
                    1,\xBA\xB4\xC6\xA3\xC2\xC0\xCF\xBA,\xA5\xB5\xA5\xC8\xA5\xA6\n";
        assert!(matches!(detect_encoding(euc, true, None), Err(EncodingError::Unknown { .. })));
        // Surnames in Shift_JIS, and a German name as MS-DOS had it.
        for alien in [
            &b"name,mobile\n\x97\xE9\x96\xD8,1\n\x93c\x92\x86,2\n"[..],
            b"name,mobile\nM\x81ller,1\nGr\x94\xE1ler,2\n",
        ] {
            let found = detect_encoding(alien, true, None);
            assert!(
                !matches!(
                    found,
                    Ok(Some(DetectedEncoding { encoding: Encoding::Windows1252, .. }))
                ),
                "{found:?}"
            );
        }
        // Two bytes that are usual in several encodings.
        let few = b"name,phone\n\xB0\xA1,1\n";
        assert!(matches!(detect_encoding(few, true, None), Err(EncodingError::Unknown { .. })));
        let error = detect_encoding(b"name,phone\na\xFF,1\n", true, None).unwrap_err();
        assert_eq!(error, EncodingError::Unknown { line: 2, offset: 12, byte: 0xFF });
    }
}
