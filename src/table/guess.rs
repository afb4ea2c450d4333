//! Owns which encoding an input has: asked for, marked, or told by its first lines. Never guesses where nothing
//! speaks for an encoding; what the text holds is for others.

use std::iter;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};

use crate::table::encoding::{Encoding, EncodingError, check, is_text};

/// What is known of an input's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess {
    /// The encoding.
    pub encoding: Encoding,
    /// How many bytes the byte order mark at the start takes; 0 without one.
    pub mark: usize,
    /// Why it was chosen, as words for a person.
    pub why: &'static str,
}

/// The encodings that are told apart by what is usual in them.
const BY_CONTENT: [Encoding; 4] =
    [Encoding::Gb18030, Encoding::Big5, Encoding::ShiftJis, Encoding::Windows1252];
/// The fewest bytes by which a file's kind can be told.
const LONGEST_SIGNATURE: usize = 4;
/// How many bytes without a clear answer are enough to give up.
const ENOUGH: usize = 64 << 10;
/// How many bytes beyond ASCII are enough to go by how often they occur, where more can be had.
const TELLING: usize = 16;
/// Words of a staff list, which are proof of the encoding in which they can be read.
const WORDS: [&str; 21] = [
    "手机",
    "电话",
    "姓名",
    "工号",
    "部门",
    "号码",
    "联系方式",
    "手機",
    "電話",
    "號碼",
    "工號",
    "部門",
    "聯絡方式",
    "携帯",
    "氏名",
    "番号",
    "社員",
    "フリガナ",
    "メール",
    "Straße",
    "Téléphone",
];

/// Tells the encoding by the first bytes of an input, or says that more of them are needed. `asked` is what the user
/// named, and `complete` says that nothing follows the bytes.
///
/// # Errors
/// [`EncodingError`] for a file that is no text, and where no encoding fits well.
pub fn guess(bytes: &[u8], complete: bool, asked: Option<Encoding>) -> Result<Option<Guess>, EncodingError> {
    is_text(bytes)?;
    if bytes.len() < LONGEST_SIGNATURE && !complete {
        return Ok(None);
    }
    let marked = [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be, Encoding::Gb18030]
        .into_iter()
        .find(|encoding| bytes.starts_with(encoding.mark()));
    if let Some(asked) = asked {
        // U+FFFE is no character: UTF-16 that begins with it has its bytes the other way round.
        let encoding = marked.filter(|marked| marked.unit() == 2 && asked.unit() == 2).unwrap_or(asked);
        let mark = if marked == Some(encoding) { encoding.mark().len() } else { 0 };
        return Ok(Some(Guess { encoding, mark, why: "as asked for" }));
    }
    if let Some(encoding) = marked {
        return Ok(Some(Guess { encoding, mark: encoding.mark().len(), why: "told by its mark" }));
    }
    by_content(bytes, complete)
}

fn by_content(bytes: &[u8], complete: bool) -> Result<Option<Guess>, EncodingError> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n' || *byte == b'\r');
    let lines = match whole {
        Some(end) if !complete => bytes.get(..=end).unwrap_or_default(),
        _ => bytes,
    };
    let found = |encoding, why| Ok(Some(Guess { encoding, mark: 0, why }));
    if let Some(encoding) = wide(bytes) {
        return found(encoding, "told by the zero bytes of its Latin characters");
    }
    let wrong = match str::from_utf8(lines) {
        Ok(text) if text.is_ascii() => return found(Encoding::Utf8, "nothing but ASCII so far"),
        Ok(_) => return found(Encoding::Utf8, "valid throughout its first lines"),
        // A character at the end of what is known may be whole when more of it is.
        Err(error) if error.error_len().is_none() && whole.is_none() && !complete => return Ok(None),
        Err(_) => check(lines, 1, 0),
    };
    if mostly_utf8(lines) {
        return found(Encoding::Utf8, "nearly all of its first lines are valid");
    }
    let usual: Vec<Encoding> =
        BY_CONTENT.into_iter().filter(|encoding| reads_well(*encoding, lines)).collect();
    let worded = |encoding: &&Encoding| {
        let text = encoding.decode(lines);
        WORDS.iter().any(|word| text.contains(word))
    };
    if let (Some(encoding), 1) = (usual.iter().find(worded), usual.iter().filter(worded).count()) {
        return found(*encoding, "told by words that it holds");
    }
    // A single name can be read in several encodings.
    if !complete && lines.iter().filter(|byte| !byte.is_ascii()).take(TELLING).count() < TELLING {
        return Ok(None);
    }
    let detected: Vec<Encoding> =
        usual.into_iter().filter(|encoding| detector_says(*encoding, lines)).collect();
    match (detected.as_slice(), wrong) {
        (&[encoding], _) => found(encoding, "told by how often its characters occur"),
        (_, Err(EncodingError::Invalid { line, offset, byte, .. })) if complete || bytes.len() >= ENOUGH => {
            Err(EncodingError::Unknown { line, offset, byte })
        }
        _ => Ok(None),
    }
}

/// UTF-16 without a mark: digits, delimiters and line ends have a zero on the same side of each pair of bytes. A few
/// characters have one on the other side, the commonest of them 一.
fn wide(bytes: &[u8]) -> Option<Encoding> {
    let (pairs, _) = bytes.as_chunks::<2>();
    let zeros = |side: usize| pairs.iter().filter(|pair| pair.get(side) == Some(&0)).count();
    let many =
        |zeros: usize, others: usize| zeros * 10 >= pairs.len() * 4 && zeros > 2 && zeros >= others * 8;
    let encoding = match (zeros(0), zeros(1)) {
        (first, second) if many(second, first) => Encoding::Utf16Le,
        (first, second) if many(first, second) => Encoding::Utf16Be,
        _ => return None,
    };
    encoding.first_wrong(pairs.as_flattened()).is_none().then_some(encoding)
}

/// Whether the text is UTF-8 with a few bytes that are none: other encodings' characters are hardly ever valid in it.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let (valid, wrong) = bytes.utf8_chunks().fold((0, 0), |(valid, wrong), chunk| {
        let more = chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        (valid + more, wrong + usize::from(!chunk.invalid().is_empty()))
    });
    valid > 0 && valid >= wrong * 2
}

/// Whether nearly everything in the text is valid and three quarters of it are usual in this encoding.
fn reads_well(encoding: Encoding, bytes: &[u8]) -> bool {
    let (all, usual) =
        if encoding == Encoding::Windows1252 { western(bytes) } else { eastern(encoding, bytes) };
    let text = encoding.decode(bytes);
    let wrong = text.chars().filter(|letter| *letter == char::REPLACEMENT_CHARACTER).count();
    usual * 4 >= all * 3 && wrong * 20 <= all
}

/// How many characters beyond ASCII there are in a text of one and two bytes each, and how many of them are among those
/// that its standard holds for the usual ones.
fn eastern(encoding: Encoding, bytes: &[u8]) -> (usize, usize) {
    let mut rest = bytes.iter().copied();
    let pairs = iter::from_fn(|| {
        let lead = rest.find(|byte| !byte.is_ascii())?;
        Some((lead, rest.next().unwrap_or_default()))
    });
    pairs.fold((0, 0), |(all, usual), pair| {
        let is_usual = match encoding {
            // Signs, and all that GB2312 has: many given names are of its second level.
            Encoding::Gb18030 => matches!(pair, (0xA1..=0xA3 | 0xB0..=0xF7, 0xA1..=0xFE)),
            // Signs, and the characters of the first level.
            Encoding::Big5 => matches!(pair, (0xA1..=0xC6, 0x40..=0x7E | 0xA1..=0xFE)),
            // The same, and kana of full width.
            _ => matches!(pair, (0x81..=0x83 | 0x88..=0x97, 0x40..=0x7E | 0x80..=0xFC)),
        };
        (all + 1, usual + usize::from(is_usual))
    })
}

/// The same for Western text: letters as its languages have them, no capital behind a small letter, no controls.
fn western(bytes: &[u8]) -> (usize, usize) {
    let text = Encoding::Windows1252.decode(bytes);
    let mut before = ' ';
    text.chars().fold((0, 0), |(all, usual), letter| {
        let is_usual = match letter {
            'ÿ' | '÷' | '×' | 'ð' | 'þ' | 'Ð' | 'Þ' | 'ý' | 'Ý' => false,
            'À'..='Þ' => !before.is_lowercase(),
            'ß'..='ü' | 'œ' | 'Œ' | 'š' | 'Š' | 'ž' | 'Ž' => true,
            _ => "’‘“”„–—…•€£§°«»¿¡ºª®™©·´\u{a0}".contains(letter),
        };
        before = letter;
        if letter.is_ascii() { (all, usual) } else { (all + 1, usual + usize::from(is_usual)) }
    })
}

/// Whether the detector takes those lines for this encoding that are valid in it. It knows a good many other encodings,
/// and a text in one of those is not ours to guess.
fn detector_says(encoding: Encoding, bytes: &[u8]) -> bool {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if encoding.first_wrong(line).is_none() {
            detector.feed(line, false);
        }
    }
    detector.feed(b"", true);
    let name = detector.guess(None, Utf8Detection::Deny).name();
    name.parse() == Ok(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(encoding: Encoding, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        encoding.encode(text, &mut bytes);
        bytes
    }

    fn told(bytes: &[u8]) -> Option<(Encoding, usize)> {
        guess(bytes, true, None).unwrap().map(|guess| (guess.encoding, guess.mark))
    }

    const TEXTS: [(Encoding, &str); 6] = [
        (
            Encoding::Gb18030,
            "name,phone\r\n王伟,13800138000\r\n欧阳娜娜,13800138001\r\n李秀英,1\r\n赵敏,2\r\n",
        ),
        (Encoding::Big5, "name,phone\r\n陳志明,13800138000\r\n林怡君,13800138001\r\n張雅婷,1\r\n"),
        (Encoding::ShiftJis, "name,phone\n佐藤太郎,09012345678\nすずき 花子,1\n渡辺ケン,2\n"),
        (Encoding::Windows1252, "name;phone\nMüller;0151\nJosé Núñez;1\nBjørn;2\nFrançois d’Été;3\n"),
        (Encoding::Utf16Le, "姓名\t手机号\r\n王伟\t13800138000\r\n"),
        (Encoding::Utf16Be, "姓名\t手机号\r\n王伟\t13800138000\r\n"),
    ];

    #[test]
    fn every_encoding_is_told_by_its_content() {
        for (encoding, text) in TEXTS {
            assert_eq!(told(&encoded(encoding, text)), Some((encoding, 0)), "{text}");
        }
        let headers = [
            (Encoding::Gb18030, "姓名,手机号\r\n"),
            (Encoding::Big5, "姓名,手機號碼\r\n"),
            (Encoding::ShiftJis, "氏名,携帯電話\r\n"),
        ];
        for (encoding, text) in headers {
            let found = guess(&encoded(encoding, text), false, None).unwrap();
            assert_eq!(found.map(|guess| guess.encoding), Some(encoding));
        }
        for encoding in [Encoding::Utf16Le, Encoding::Utf16Be] {
            let bytes = encoded(encoding, "姓名\t手机号\r\n王一\t13800138000\r\n");
            assert_eq!(told(&bytes), Some((encoding, 0)), "a zero byte on the other side");
        }
        assert_eq!(told("姓名,手机号\n".as_bytes()), Some((Encoding::Utf8, 0)));
        for ascii in [&b"a\0,b\n"[..], b"a\0\0\0,\0\0\0b\0\0\0\n\0\0\0"] {
            assert_eq!(told(ascii), Some((Encoding::Utf8, 0)));
        }
        assert_eq!(told(b""), Some((Encoding::Utf8, 0)));
    }

    #[test]
    fn marks_speak_first_and_the_user_before_them() {
        assert_eq!(told(b"\xEF\xBB\xBFa\xFF"), Some((Encoding::Utf8, 3)));
        assert_eq!(told(b"\xFF\xFEa\0"), Some((Encoding::Utf16Le, 2)));
        assert_eq!(told(b"\xFE\xFF\0a"), Some((Encoding::Utf16Be, 2)));
        assert_eq!(told(b"\x84\x31\x95\x33a"), Some((Encoding::Gb18030, 4)));
        let asked = |bytes: &[u8], encoding| {
            guess(bytes, true, Some(encoding)).unwrap().map(|guess| (guess.encoding, guess.mark))
        };
        assert_eq!(asked(b"abcd", Encoding::Big5), Some((Encoding::Big5, 0)));
        assert_eq!(asked(b"\xEF\xBB\xBFa", Encoding::Utf8), Some((Encoding::Utf8, 3)));
        assert_eq!(asked(b"\xEF\xBB\xBFa", Encoding::Gb18030), Some((Encoding::Gb18030, 0)));
        assert_eq!(asked(b"\xFE\xFF\0a", Encoding::Utf16Le), Some((Encoding::Utf16Be, 2)));
        assert_eq!(guess(b"\xEF\xBB\xBF", false, None), Ok(None));
    }

    #[test]
    fn a_few_wrong_bytes_do_not_hide_an_encoding() {
        for (encoding, text) in TEXTS.iter().filter(|(encoding, _)| encoding.unit() == 1) {
            let mut bytes = encoded(*encoding, &text.repeat(20));
            bytes.extend_from_slice(b"x\xFF,1\n");
            assert_eq!(told(&bytes).map(|(found, _)| found), Some(*encoding), "{text}");
        }
        assert_eq!(
            told(b"\xE6\x89\x8B\xE6\x9C\xBA\xE5\x8F\xB7\xE7\xA0\x81,\xFF\n"),
            Some((Encoding::Utf8, 0))
        );
    }

    #[test]
    fn what_fits_no_candidate_is_not_guessed() {
        let unknown: [&[u8]; 5] = [
            // Korean, Cyrillic, and bytes that are nothing.
            b"\xC0\xCC\xB8\xA7,phone\n\xB1\xE8\xB9\xCE\xC1\xD8,1\n\xC0\xCC\xBC\xAD\xBF\xAC,2\n",
            b"name\n\xC8\xE2\xE0\xED\xEE\xE2\n\xCF\xE5\xF2\xF0\xEE\xE2\n",
            b"name\xFF,phone\na,1\n",
            b"a,b\n\x81\x8D\x8F\x90\x9D,1\n",
            b"name,phone\n\"a\nb\xC3\",1\n",
        ];
        for bytes in unknown {
            assert!(matches!(guess(bytes, true, None), Err(EncodingError::Unknown { .. })), "{bytes:?}");
            // A pipe that has more may yet tell.
            assert_eq!(guess(bytes, false, None), Ok(None));
        }
        let error = guess(b"name,phone\na\xFF,1\n", true, None).unwrap_err();
        assert_eq!(error, EncodingError::Unknown { line: 2, offset: 12, byte: 0xFF });
    }
}
