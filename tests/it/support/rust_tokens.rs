//! Reads Rust sources as tokens with line numbers, and the paths that they spell.

use std::str::FromStr;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use syn::LitStr;

/// A token. A group becomes its two brackets, `::` is one token, and the text of a literal is only
/// its quote, so that the contents of strings and comments are never read as code.
pub(crate) struct Token {
    pub(crate) text: String,
    /// The value of a string literal, with its escapes resolved.
    pub(crate) literal: Option<String>,
    pub(crate) location: Location,
}

/// The position of a token.
#[derive(Clone, Copy)]
pub(crate) struct Location {
    pub(crate) line: usize,
    /// Whether it is in an item under `#[cfg(test)]`.
    pub(crate) is_test: bool,
    /// The number of inline modules around it.
    pub(crate) depth: usize,
}

impl Token {
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// The tokens of a file; `test` marks all of it as code for tests.
pub(crate) fn tokens(code: &str, test: bool) -> Result<Vec<Token>, String> {
    let stream = TokenStream::from_str(code).map_err(|error| format!("invalid Rust: {error}"))?;
    let mut tokens = Vec::new();
    flatten(stream, Location { line: 1, is_test: test, depth: 0 }, &mut tokens);
    Ok(tokens)
}

fn flatten(stream: TokenStream, outside: Location, to: &mut Vec<Token>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    // An item for tests lasts from its attribute to its body or its semicolon.
    let mut item_for_tests = false;
    let mut at = 0;
    while let Some(tree) = trees.get(at) {
        at += 1;
        item_for_tests |= opens_item_for_tests(&trees[at - 1..]);
        let line = tree.span().start().line;
        let place = Location { line, is_test: outside.is_test || item_for_tests, ..outside };
        let mut push = |text: String| to.push(Token { text, literal: None, location: place });
        match tree {
            TokenTree::Ident(word) => push(word.to_string()),
            TokenTree::Literal(literal) => {
                let says =
                    syn::parse_str::<LitStr>(&literal.to_string()).ok().map(|text| text.value());
                to.push(Token { text: "\"".to_owned(), literal: says, location: place });
            }
            TokenTree::Punct(sign) => match trees.get(at) {
                Some(TokenTree::Punct(next))
                    if (sign.as_char(), next.as_char(), sign.spacing())
                        == (':', ':', Spacing::Joint) =>
                {
                    at += 1;
                    push("::".to_owned());
                }
                _ => {
                    push(sign.to_string());
                    item_for_tests &= sign.as_char() != ';';
                }
            },
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.to_owned());
                let module =
                    at >= 3 && matches!(&trees[at - 3], TokenTree::Ident(word) if word == "mod");
                let depth = outside.depth + usize::from(module);
                flatten(group.stream(), Location { depth, ..place }, to);
                to.push(Token { text: close.to_owned(), literal: None, location: place });
                item_for_tests &= group.delimiter() != Delimiter::Brace;
            }
        }
    }
}

fn opens_item_for_tests(trees: &[TokenTree]) -> bool {
    let [TokenTree::Punct(sign), TokenTree::Group(attribute), ..] = trees else { return false };
    let text: String = attribute.stream().into_iter().map(|tree| tree.to_string()).collect();
    sign.as_char() == '#'
        && attribute.delimiter() == Delimiter::Bracket
        && text.starts_with("cfg(test)")
}

/// A path as the code spells it, with groups resolved: `a::{b, c::d}` gives `a::b` and `a::c::d`.
pub(crate) struct CodePath {
    pub(crate) segments: Vec<String>,
    pub(crate) is_test: bool,
}

/// Every path in these tokens; a single word is a path too. A leading `self` is dropped, and so is
/// each `super` that only leads out of an inline module.
pub(crate) fn paths(tokens: &[Token]) -> Vec<CodePath> {
    let mut paths = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let continues = at >= 2 && tokens[at - 1].text == "::" && {
            let before = &tokens[at - 2];
            before.text == ">" || (before.is_word() && before.text != "use")
        };
        if token.is_word() && !continues {
            collect_paths(tokens, at, &[], &mut paths);
        }
    }
    paths
}

/// Collects the paths that continue at `at`; returns the position after them.
fn collect_paths(
    tokens: &[Token],
    at: usize,
    before: &[String],
    paths: &mut Vec<CodePath>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    if text(at) == "{" {
        let mut at = at + 1;
        while at < tokens.len() && text(at) != "}" {
            at = collect_paths(tokens, at, before, paths).max(at + 1);
            // `as OTHER_NAME`, and the comma.
            while at < tokens.len() && text(at - 1) != "," && text(at) != "}" {
                at += 1;
            }
        }
        return at + 1;
    }
    let mut segments = before.to_vec();
    segments.push(text(at).to_owned());
    let continues = text(at + 1) == "::"
        && tokens
            .get(at + 2)
            .is_some_and(|next| next.is_word() || ["{", "*"].contains(&&*next.text));
    if continues {
        return collect_paths(tokens, at + 2, &segments, paths);
    }
    let Location { is_test, depth, .. } = tokens[at].location;
    let inner = segments.iter().take_while(|segment| *segment == "super").count().min(depth);
    let own = usize::from(segments[0] == "self" && segments.len() > 1);
    paths.push(CodePath { segments: segments.split_off(inner + own), is_test });
    at + 1
}
