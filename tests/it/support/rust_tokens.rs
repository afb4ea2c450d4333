//! Owns the reading of sources for `tidy` and `languages`: the map's files in their order, and of any file its tokens and
//! the paths that they spell. What is allowed is decided there.

use std::str::FromStr;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use syn::{Attribute, Item, LitStr};

/// The files that the map declares, as `src/room/file.rs`, in declared order.
pub(crate) struct ModuleMap {
    pub(crate) files: Vec<DeclaredFile>,
}

/// One file of the map.
pub(crate) struct DeclaredFile {
    pub(crate) path: String,
    /// Whether it is compiled for tests alone.
    pub(crate) is_test: bool,
}

impl ModuleMap {
    /// Reads `lib.rs`; the error says what stands there and is no module.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let file = syn::parse_file(text).map_err(|error| format!("it is no Rust: {error}"))?;
        let mut map = Self { files: Vec::new() };
        map.add_modules("src", &file.items, false)?;
        Ok(map)
    }

    fn add_modules(&mut self, under: &str, items: &[Item], test: bool) -> Result<(), String> {
        for item in items {
            let Item::Mod(module) = item else {
                return Err(format!("{under} has an item that is no module"));
            };
            let (name, test) = (&module.ident, test || module.attrs.iter().any(is_for_tests));
            if module.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
                return Err(format!("module {name} has a path of its own"));
            }
            match &module.content {
                Some((_, items)) => self.add_modules(&format!("{under}/{name}"), items, test)?,
                None => self
                    .files
                    .push(DeclaredFile { path: format!("{under}/{name}.rs"), is_test: test }),
            }
        }
        Ok(())
    }

    /// Where `crate::room::file` stands in the order; nothing for what the map does not have.
    pub(crate) fn position_of(&self, segments: &[String]) -> Option<usize> {
        let [room, file, ..] = segments else { return None };
        self.position_of_path(&format!("src/{room}/{file}.rs"))
    }

    pub(crate) fn position_of_path(&self, path: &str) -> Option<usize> {
        self.files.iter().position(|declared| declared.path == path)
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test")
}

/// A token: groups are taken apart into their brackets, `::` is one token, and a literal is only its quote,
/// so that what a text or a comment says is never taken for code.
pub(crate) struct Token {
    pub(crate) text: String,
    /// What a literal that is a string says, with its escapes resolved.
    pub(crate) literal: Option<String>,
    pub(crate) location: Location,
}

/// Where in a file something stands.
#[derive(Clone, Copy)]
pub(crate) struct Location {
    pub(crate) line: usize,
    /// Whether it is in an item under `#[cfg(test)]`.
    pub(crate) is_test: bool,
    /// In how many modules inside the file it is.
    pub(crate) depth: usize,
}

impl Token {
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// The tokens of a file; `test` says that all of it is for tests.
pub(crate) fn tokens(code: &str, test: bool) -> Result<Vec<Token>, String> {
    let stream = TokenStream::from_str(code).map_err(|error| format!("it is no Rust: {error}"))?;
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

/// A path as code spells it, with groups resolved: `a::{b, c::d}` gives `a::b` and `a::c::d`.
pub(crate) struct CodePath {
    pub(crate) segments: Vec<String>,
    pub(crate) location: Location,
}

impl CodePath {
    /// Whether `names` (`std::fs`) stands in it, wherever.
    pub(crate) fn contains(&self, names: &str) -> bool {
        let names: Vec<&str> = names.split("::").collect();
        self.segments.windows(names.len()).any(|window| window == names)
    }
}

/// Every path in these tokens; a lone word is a path too.
pub(crate) fn paths(tokens: &[Token]) -> Vec<CodePath> {
    let mut paths = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let goes_on = at >= 2 && tokens[at - 1].text == "::" && {
            let before = &tokens[at - 2];
            before.text == ">" || (before.is_word() && before.text != "use")
        };
        if token.is_word() && !goes_on {
            collect_paths(tokens, at, &[], &mut paths);
        }
    }
    paths
}

/// Spells the path that goes on at `at`; gives the place behind it.
fn collect_paths(tokens: &[Token], at: usize, before: &[String], to: &mut Vec<CodePath>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    if text(at) == "{" {
        let mut at = at + 1;
        while at < tokens.len() && text(at) != "}" {
            at = collect_paths(tokens, at, before, to).max(at + 1);
            // `as another_name`, and the comma.
            while at < tokens.len() && text(at - 1) != "," && text(at) != "}" {
                at += 1;
            }
        }
        return at + 1;
    }
    let mut segments = before.to_vec();
    segments.push(text(at).to_owned());
    let goes_on = text(at + 1) == "::"
        && tokens
            .get(at + 2)
            .is_some_and(|next| next.is_word() || matches!(next.text.as_str(), "{" | "*"));
    if goes_on {
        return collect_paths(tokens, at + 2, &segments, to);
    }
    to.push(CodePath { segments, location: tokens[at].location });
    at + 1
}
