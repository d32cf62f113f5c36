//! Rust source taken apart into code and comments, so that a rule about code is not fooled by a comment
//! or a string, nor a rule about comments by code.

/// The lines of a Rust file, once with only its code, once with only its comments. What is left out is
/// blank, so that columns and line numbers stay.
pub struct Source {
    code: Vec<String>,
    comments: Vec<String>,
    tests: Vec<bool>,
    test_modules: Vec<String>,
}

impl Source {
    pub fn new(text: &str) -> Self {
        let (code, comments) = Scanner::new(text).run();
        let (tests, test_modules) = find_tests(&code);
        let lines = |text: &str| text.lines().map(str::to_string).collect();
        Self { code: lines(&code), comments: lines(&comments), tests, test_modules }
    }

    /// All lines, comments and the insides of literals blank.
    pub fn code(&self) -> &[String] {
        &self.code
    }

    /// All lines, everything but comments blank.
    pub fn comments(&self) -> &[String] {
        &self.comments
    }

    /// Lines of code with their number, from 1.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().enumerate().map(|(index, line)| (index + 1, line.as_str()))
    }

    /// Whether line `number` belongs to an item that only tests compile.
    pub fn is_test(&self, number: usize) -> bool {
        self.tests.get(number - 1).copied().unwrap_or(false)
    }

    /// Names of modules with a file of their own that only tests compile.
    pub fn test_modules(&self) -> &[String] {
        &self.test_modules
    }
}

/// Whether `line` has `word` as a whole word; a word may end in `!`, `(` and the like.
pub fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let ends_open = word.ends_with(|c| !part_of_word(c));
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && (ends_open || !after.is_some_and(part_of_word))
    })
}

/// Reads a file once, writing each character to the code, to the comments, or to neither.
struct Scanner {
    text: Vec<char>,
    at: usize,
    code: String,
    comments: String,
}

#[derive(Clone, Copy)]
enum Part {
    Code,
    Comment,
    Literal,
}

impl Scanner {
    fn new(text: &str) -> Self {
        Self { text: text.chars().collect(), at: 0, code: String::new(), comments: String::new() }
    }

    fn run(mut self) -> (String, String) {
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.take_until_end_of_line(),
                ('/', Some('*')) => self.take_block_comment(),
                ('"', _) => self.take_string(),
                ('r', Some('"' | '#')) if !self.inside_word() => self.take_raw_string(),
                ('\'', Some('\\')) => self.take_escaped_char(),
                ('\'', Some(_)) if self.peek(2) == Some('\'') => self.take(Part::Literal, 3),
                _ => self.take(Part::Code, 1),
            }
        }
        (self.code, self.comments)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    /// Whether the character before belongs to the same word; `b` and `c` may stand before a raw string.
    fn inside_word(&self) -> bool {
        let before = |n: usize| self.at.checked_sub(n).map(|at| self.text[at]);
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        match before(1) {
            Some('b' | 'c') => word(before(2)),
            other => word(other),
        }
    }

    fn take(&mut self, part: Part, count: usize) {
        for _ in 0..count {
            let Some(c) = self.peek(0) else { return };
            let blank = if c == '\n' { '\n' } else { ' ' };
            self.code.push(if let Part::Code = part { c } else { blank });
            self.comments.push(if let Part::Comment = part { c } else { blank });
            self.at += 1;
        }
    }

    fn take_until_end_of_line(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.take(Part::Comment, 1);
        }
    }

    fn take_block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (Some(_), _) => {
                    self.take(Part::Comment, 1);
                    continue;
                }
                (None, _) => return,
            }
            self.take(Part::Comment, 2);
            if depth == 0 {
                return;
            }
        }
    }

    /// The quotes stay in the code, so that a string is still seen to be one.
    fn take_string(&mut self) {
        self.take(Part::Code, 1);
        while let Some(c) = self.peek(0) {
            match c {
                '"' => return self.take(Part::Code, 1),
                '\\' => self.take(Part::Literal, 2),
                _ => self.take(Part::Literal, 1),
            }
        }
    }

    fn take_raw_string(&mut self) {
        let hashes = self.text[self.at + 1..].iter().take_while(|&&c| c == '#').count();
        if self.peek(1 + hashes) != Some('"') {
            return self.take(Part::Code, 1 + hashes); // a raw identifier
        }
        self.take(Part::Code, 2 + hashes);
        while let Some(c) = self.peek(0) {
            if c == '"' && (1..=hashes).all(|n| self.peek(n) == Some('#')) {
                return self.take(Part::Code, 1 + hashes);
            }
            self.take(Part::Literal, 1);
        }
    }

    fn take_escaped_char(&mut self) {
        self.take(Part::Literal, 3);
        while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
            self.take(Part::Literal, 1);
        }
        self.take(Part::Literal, 1);
    }
}

/// Which lines belong to items under `#[cfg(test)]`, and the names of such modules in other files.
fn find_tests(code: &str) -> (Vec<bool>, Vec<String>) {
    let mut tests = vec![false; code.lines().count()];
    let mut modules = Vec::new();
    let mut from = 0;
    while let Some(start) = next_test_attribute(code, from) {
        let (length, ends_in_block) = item(&code[start..]);
        let text = &code[start..start + length];
        let first = code[..start].matches('\n').count();
        let last = (first + text.matches('\n').count()).min(tests.len() - 1);
        tests[first..=last].fill(true);
        if !ends_in_block && let Some((_, name)) = text.rsplit_once("mod ") {
            modules.push(name.trim_end_matches(';').trim().to_string());
        }
        from = start + length;
    }
    (tests, modules)
}

fn next_test_attribute(code: &str, from: usize) -> Option<usize> {
    let starts = ["#[cfg(test)]", "#[cfg(all(test,"].map(|attribute| code[from..].find(attribute));
    starts.into_iter().flatten().min().map(|at| from + at)
}

/// Length of the item that begins here with an attribute, and whether it ends in a block.
fn item(code: &str) -> (usize, bool) {
    let mut open = 0;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open -= 1,
            _ => {}
        }
        if open == 0 && matches!(c, ';' | '}') {
            return (at + 1, c == '}');
        }
    }
    (code.len(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str, comments: &str) {
        let source = Source::new(text);
        let join = |lines: &[String]| {
            lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(join(source.code()), code);
        assert_eq!(join(source.comments()), comments);
    }

    #[test]
    fn comments_and_code_are_told_apart() {
        check("a // b", "a", "  // b");
        check("a /* b /* c */ d */ e", "a                   e", "  /* b /* c */ d */");
        check("/// doc\nfn f() {}", "\nfn f() {}", "/// doc\n");
    }

    #[test]
    fn literals_are_neither() {
        check(r#"f("// \" x", 1)"#, r#"f("       ", 1)"#, "");
        check(r##"r#"a "b" // c"# + d"##, r##"r#"          "# + d"##, "");
        check("br\"// a\\\" b", "br\"     \" b", "");
        check("'\"' // c", "", "    // c");
        check(r"'\'' + '\u{1F600}' // c", r"     +", "                   // c");
    }

    #[test]
    fn lifetimes_and_raw_names_are_code() {
        check(
            "fn f<'a>(x: &'a str) {} // c",
            "fn f<'a>(x: &'a str) {}",
            "                        // c",
        );
        check("let r#type = 1; // c", "let r#type = 1;", "                // c");
    }

    #[test]
    fn strings_go_on_over_lines() {
        check("let a = \"x\n  // y\n\"; b", "let a = \"\n\n\"; b", "\n\n");
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("x = print!(1)", "print!"));
        assert!(!has_word("eprint!(1)", "print!"));
        assert!(!has_word("unsafe_op_in_unsafe_fn", "unsafe"));
        assert!(has_word("{ unsafe{ f() } }", "unsafe"));
    }

    #[test]
    fn items_for_tests_are_found() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n\
                    #[cfg(test)]\n#[path = \"x.rs\"]\nmod more;\nfn d() {}\n\
                    #[cfg(test)]\nfn e(x: [u8; 2]) {\n}\nfn f() {}\n";
        let source = Source::new(text);
        let tests: Vec<_> = (1..=14).filter(|&line| source.is_test(line)).collect();
        assert_eq!(tests, [2, 3, 4, 5, 7, 8, 9, 11, 12, 13]);
        assert_eq!(source.test_modules(), ["more"]);
    }
}
