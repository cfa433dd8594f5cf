//! Values of TLA+, in the notation of TLC and in canonical text.
//!
//! TLA+ has several notations for one value. A sequence is a function from 1..n, and a record is a function
//! from strings. So [`Value`] knows only functions, and equal values of TLA+ are equal here. `Display` writes
//! the canonical text, which is the same for equal values, and `FromStr` reads whatever TLC prints.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// A value of TLA+.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// TRUE or FALSE.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    Str(String),
    /// A finite set.
    Set(BTreeSet<Value>),
    /// A function, which may be a sequence or a record.
    Function(BTreeMap<Value, Value>),
}

/// A state of a specification: the value of each variable. `Display` writes it as one line of canonical text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assignment(pub BTreeMap<String, Value>);

impl Value {
    /// The sequence of these values.
    pub fn seq(values: impl IntoIterator<Item = Self>) -> Self {
        Self::Function((1..).map(Self::Int).zip(values).collect())
    }

    /// The record with these fields.
    pub fn record<'a>(fields: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (Self::from(name), value));
        Self::Function(fields.collect())
    }

    /// The set of these values.
    pub fn set(values: impl IntoIterator<Item = Self>) -> Self {
        Self::Set(values.into_iter().collect())
    }

    fn write(&self, out: &mut String) {
        use fmt::Write;
        match self {
            Self::Bool(true) => out.push_str("TRUE"),
            Self::Bool(false) => out.push_str("FALSE"),
            Self::Int(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Str(text) => quote(text, out),
            Self::Set(elements) => {
                out.push_str(&set_text(elements.iter().map(|it| Cow::Owned(it.to_string()))));
            }
            Self::Function(function) => {
                let pairs =
                    function.iter().map(|(key, value)| (key, Cow::Owned(value.to_string())));
                out.push_str(&function_text(&pairs.collect::<Vec<_>>()));
            }
        }
    }
}

/// The text of a set of values with these texts, which are all different.
pub(super) fn set_text<'a>(elements: impl Iterator<Item = Cow<'a, str>>) -> String {
    let mut elements: Vec<_> = elements.collect();
    elements.sort_unstable();
    format!("{{{}}}", elements.join(", "))
}

/// The text of a function: its keys in their order, and the texts of its values.
pub(super) fn function_text(pairs: &[(&Value, Cow<'_, str>)]) -> String {
    let is_seq = (1..).map(Value::Int).zip(pairs).all(|(expected, (key, _))| expected == **key);
    if is_seq {
        let values: Vec<_> = pairs.iter().map(|(_, value)| value.as_ref()).collect();
        return format!("<<{}>>", values.join(", "));
    }
    let named = pairs.iter().map(|(key, value)| match key {
        Value::Str(name) if is_name(name) => Some(format!("{name} |-> {value}")),
        _ => None,
    });
    if let Some(mut fields) = named.collect::<Option<Vec<_>>>() {
        fields.sort_unstable();
        return format!("[{}]", fields.join(", "));
    }
    let pairs = pairs.iter().map(|(key, value)| format!("{key} :> {value}"));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    format!("({})", pairs.join(" @@ "))
}

impl Assignment {
    /// The state of these variables.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The parts of the state that differ in `other`, a line for each: `server[0].currentTerm: 0 ⇨ 1`, or
    /// `messages: + [...]` for a new element of a set.
    pub fn changes(&self, other: &Self) -> Vec<String> {
        let variables = |state: &Self| {
            let named =
                state.0.iter().map(|(name, value)| (Value::from(name.as_str()), value.clone()));
            named.collect::<BTreeMap<_, _>>()
        };
        let mut lines = Vec::new();
        function_changes("", &variables(self), &variables(other), &mut lines);
        lines
    }
}

fn value_changes(path: &str, before: &Value, after: &Value, lines: &mut Vec<String>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Set(old), Value::Set(new)) => {
            lines.extend(old.difference(new).map(|gone| format!("{path}: - {gone}")));
            lines.extend(new.difference(old).map(|added| format!("{path}: + {added}")));
        }
        // An empty function is the empty sequence, whose change is clearer as a whole.
        (Value::Function(old), Value::Function(new)) if !old.is_empty() && !new.is_empty() => {
            function_changes(path, old, new, lines);
        }
        _ => lines.push(format!("{path}: {before} ⇨ {after}")),
    }
}

fn function_changes(
    path: &str,
    before: &BTreeMap<Value, Value>,
    after: &BTreeMap<Value, Value>,
    lines: &mut Vec<String>,
) {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let path = match key {
            Value::Str(name) if is_name(name) && path.is_empty() => name.clone(),
            Value::Str(name) if is_name(name) => format!("{path}.{name}"),
            _ => format!("{path}[{key}]"),
        };
        match (before.get(key), after.get(key)) {
            (Some(before), Some(after)) => value_changes(&path, before, after, lines),
            (Some(gone), None) => lines.push(format!("{path}: - {gone}")),
            (None, Some(added)) => lines.push(format!("{path}: + {added}")),
            (None, None) => {}
        }
    }
}

/// Whether a text is the name of a field or a variable.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Writes a string with the escapes of TLA+.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// Canonical text: no spaces but those of TLC, fields by name, elements and keys by their text.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (n, (name, value)) in self.0.iter().enumerate() {
            text.push_str(if n == 0 { "" } else { " /\\ " });
            text.push_str(name);
            text.push_str(" = ");
            value.write(&mut text);
        }
        f.write_str(&text)
    }
}

// ---- reading ----

impl FromStr for Value {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value()?;
        reader.end()?;
        Ok(value)
    }
}

/// Reads `/\ a = 1 /\ b = {}`; the first `/\` may be missing.
impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0 };
        let mut variables = BTreeMap::new();
        reader.takes("/\\");
        loop {
            let name = reader.name()?;
            reader.expect("=")?;
            let value = reader.value()?;
            if variables.insert(name.to_owned(), value).is_some() {
                return Err(format!("the variable `{name}` has two values"));
            }
            if !reader.takes("/\\") {
                break;
            }
        }
        reader.end()?;
        Ok(Self(variables))
    }
}

/// How deep values may be nested, so that no text exhausts the stack.
const DEEPEST: usize = 64;
/// The most elements of an interval.
const LONGEST: i64 = 1 << 20;

/// A place in a text.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Skips blanks and line ends.
    fn skip(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes this token, if it comes next.
    fn takes(&mut self, token: &str) -> bool {
        self.skip();
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.takes(token) { Ok(()) } else { Err(self.wrong(&format!("`{token}`"))) }
    }

    /// The error that something else comes next than what is wanted.
    fn wrong(&self, wanted: &str) -> String {
        let rest: String = self.rest().chars().take(24).collect();
        if rest.is_empty() {
            format!("{wanted} is missing at the end")
        } else {
            format!("{wanted} is missing before `{}`", rest.escape_debug())
        }
    }

    fn end(&mut self) -> Result<(), String> {
        self.skip();
        if self.rest().is_empty() { Ok(()) } else { Err(self.wrong("the end")) }
    }

    /// The letters, digits and underscores that come next.
    fn word(&mut self) -> &'a str {
        self.skip();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn name(&mut self) -> Result<&'a str, String> {
        let before = self.at;
        let word = self.word();
        if is_name(word) {
            return Ok(word);
        }
        self.at = before;
        Err(self.wrong("a name"))
    }

    fn value(&mut self) -> Result<Value, String> {
        self.nested(DEEPEST)
    }

    fn nested(&mut self, depth: usize) -> Result<Value, String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("values are nested more than {DEEPEST} deep"));
        };
        self.skip();
        match self.rest().chars().next() {
            Some('{') => self.set(depth),
            Some('<') => self.seq(depth),
            Some('[') => self.record(depth),
            Some('(') => self.function(depth),
            Some('"') => self.string().map(Value::Str),
            Some('-' | '0'..='9') => self.number_or_interval(),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => match self.word() {
                "TRUE" => Ok(Value::Bool(true)),
                "FALSE" => Ok(Value::Bool(false)),
                name => Err(format!("`{name}` is a model value; use a string or a number")),
            },
            _ => Err(self.wrong("a value")),
        }
    }

    /// The values between two tokens.
    fn list(&mut self, from: &str, to: &str, depth: usize) -> Result<Vec<Value>, String> {
        self.expect(from)?;
        let mut values = Vec::new();
        if self.takes(to) {
            return Ok(values);
        }
        loop {
            values.push(self.nested(depth)?);
            if self.takes(to) {
                return Ok(values);
            }
            self.expect(",")?;
        }
    }

    fn set(&mut self, depth: usize) -> Result<Value, String> {
        Ok(Value::set(self.list("{", "}", depth)?))
    }

    fn seq(&mut self, depth: usize) -> Result<Value, String> {
        Ok(Value::seq(self.list("<<", ">>", depth)?))
    }

    fn record(&mut self, depth: usize) -> Result<Value, String> {
        self.expect("[")?;
        let mut fields = BTreeMap::new();
        loop {
            let name = self.name()?;
            self.expect("|->")?;
            if fields.insert(Value::from(name), self.nested(depth)?).is_some() {
                return Err(format!("the field `{name}` has two values"));
            }
            if self.takes("]") {
                return Ok(Value::Function(fields));
            }
            self.expect(",")?;
        }
    }

    fn function(&mut self, depth: usize) -> Result<Value, String> {
        self.expect("(")?;
        let mut function = BTreeMap::new();
        loop {
            let key = self.nested(depth)?;
            self.expect(":>")?;
            let value = self.nested(depth)?;
            // The left operand of `@@` decides.
            function.entry(key).or_insert(value);
            if self.takes(")") {
                return Ok(Value::Function(function));
            }
            self.expect("@@")?;
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            let c = match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 't')) => '\t',
                    Some((_, c)) => c,
                    None => break,
                },
                c => c,
            };
            text.push(c);
        }
        Err("a string has no end".to_owned())
    }

    fn number(&mut self) -> Result<i64, String> {
        self.skip();
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let digits = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let text = &rest[..digits + usize::from(rest.starts_with('-'))];
        self.at += text.len();
        text.parse().map_err(|error| format!("`{text}`: {error}"))
    }

    /// A number, or the set that TLC writes as `1..3`.
    fn number_or_interval(&mut self) -> Result<Value, String> {
        let low = self.number()?;
        if !self.takes("..") {
            return Ok(Value::Int(low));
        }
        let high = self.number()?;
        if high.checked_sub(low).is_none_or(|length| length >= LONGEST) {
            return Err(format!("the interval {low}..{high} is too long"));
        }
        Ok(Value::set((low..=high).map(Value::Int)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        text.parse::<Value>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    #[test]
    fn whatever_tlc_prints_has_one_canonical_text() {
        for (printed, text) in [
            ("-12", "-12"),
            ("TRUE", "TRUE"),
            ("\"a\\\"b\\\\\"", "\"a\\\"b\\\\\""),
            ("{}", "{}"),
            ("{3,  1,\n 2, 1}", "{1, 2, 3}"),
            ("{10, 9}", "{10, 9}"),
            ("1 .. 3", "{1, 2, 3}"),
            ("3..2", "{}"),
            ("<< >>", "<<>>"),
            ("<<1, <<TRUE>>>>", "<<1, <<TRUE>>>>"),
            ("[b |-> 1, a |-> {}]", "[a |-> {}, b |-> 1]"),
            ("(\"b\" :> 1 @@ \"a\" :> 2)", "[a |-> 2, b |-> 1]"),
            ("(2 :> \"y\" @@ 1 :> \"x\")", "<<\"x\", \"y\">>"),
            ("(1 :> 5 @@ 0 :> 4)", "(0 :> 4 @@ 1 :> 5)"),
            ("(\"a b\" :> 1)", "(\"a b\" :> 1)"),
            ("(<<2, 1>> :> {} @@ <<1, 2>> :> {1})", "(<<1, 2>> :> {1} @@ <<2, 1>> :> {})"),
        ] {
            assert_eq!(canonical(printed), text);
            assert_eq!(canonical(text), text, "canonical text is read again as what it is");
        }
    }

    #[test]
    fn values_that_are_equal_in_tla_are_equal() {
        let value = |text: &str| text.parse::<Value>().unwrap();
        assert_eq!(value("<<7, 8>>"), value("(1 :> 7 @@ 2 :> 8)"));
        assert_eq!(value("[a |-> 1]"), value("(\"a\" :> 1)"));
        assert_eq!(value("1..2"), value("{2, 1}"));
        assert_ne!(value("<<7>>"), value("{7}"));
        assert_ne!(value("(0 :> 7)"), value("<<7>>"));
        assert_eq!(value("<<1>>"), Value::seq([Value::Int(1)]));
        assert_eq!(value("[a |-> TRUE]"), Value::record([("a", Value::from(true))]));
    }

    #[test]
    fn a_state_is_one_line_of_its_variables_by_name() {
        let state: Assignment = "/\\ x = 1\n/\\ log = <<>>\n/\\ a_1 = {\n  2 }".parse().unwrap();
        assert_eq!(state.to_string(), "a_1 = {2} /\\ log = <<>> /\\ x = 1");
        assert_eq!(state.to_string().parse(), Ok(state.clone()));
    }

    #[test]
    fn a_change_names_the_part_that_changed() {
        let state = |text: &str| text.parse::<Assignment>().unwrap();
        let before = state(
            "s = (0 :> [a |-> 1, b |-> <<>>] @@ 1 :> [a |-> 1, b |-> <<2>>]) /\\ m = {1} /\\ z = 1",
        );
        let after = state(
            "s = (0 :> [a |-> 3, b |-> <<2>>] @@ 1 :> [a |-> 1, b |-> <<2, 4>>]) /\\ m = {5}",
        );
        let changes = [
            "m: - 1",
            "m: + 5",
            "s[0].a: 1 ⇨ 3",
            "s[0].b: <<>> ⇨ <<2>>",
            "s[1].b[2]: + 4",
            "z: - 1",
        ];
        assert_eq!(before.changes(&after), changes);
        assert!(before.changes(&before).is_empty());
    }

    #[test]
    fn what_is_no_value_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "a value is missing at the end"),
            ("{1", "`,` is missing at the end"),
            ("{1 2}", "`,` is missing before `2}`"),
            ("[a |-> 1, a |-> 2]", "`a` has two values"),
            ("[1 |-> 1]", "a name is missing"),
            ("\"abc", "no end"),
            ("\"abc\\", "no end"),
            ("-", "`-`"),
            ("99999999999999999999", "too large"),
            ("Nil", "model value"),
            ("1 2", "the end is missing before `2`"),
            ("(1 :> 2 @@)", "a value is missing"),
            ("0..9999999999", "too long"),
            ("-9223372036854775808..9223372036854775807", "too long"),
            (&"{".repeat(1000), "nested"),
            ("é", "a value is missing"),
        ] {
            let error = text.parse::<Value>().expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        for text in ["x", "x = ", "/\\ x = 1 /\\ x = 2", "1 = 1", "x = 1 y = 2"] {
            assert!(text.parse::<Assignment>().is_err(), "{text}");
        }
    }
}
