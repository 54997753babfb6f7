//! Reads the alternatives of a field: literals and operator objects.

use crate::event::NumericValue;
use crate::event::number::crossing_text;
use crate::route::PatternError;
use crate::route::block::Block;
use crate::route::caseless::Caseless;
use crate::route::predicate::{Bound, Excluded, Predicate, Range};
use crate::route::reader::{Kind, Member, Node};
use crate::route::wildcard::{MAX_SCORE, Wildcard};

type ReadOutcome<T> = Result<T, PatternError>;

const CIDR_EXAMPLE: &str = "cidr takes a text, for example 10.0.0.0/8 or 2001:db8::/32";
const ANYTHING_BUT: &str = "Value of anything-but must be an array or single string/number value.";
/// A limit in the words of EventBridge.
const TOO_COMPLEX: &str = "Rule is too complex - try using fewer wildcard characters or fewer repeating \
                           character sequences after a wildcard character";
const OPERATORS: &str = "use prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, \
                         cidr or exists";

/// Reads what stands in the array of a field; `text` is the whole pattern, for places.
#[derive(Clone, Copy)]
pub(super) struct Operators<'t> {
    pub(super) text: &'t str,
}

impl Operators<'_> {
    pub(super) fn alternative(self, node: Node) -> ReadOutcome<Predicate> {
        match node.kind {
            Kind::Null => Ok(Predicate::Null),
            Kind::Bool(value) => Ok(Predicate::Bool(value)),
            Kind::Number(ref spelled) => self.number(&node, spelled).map(Predicate::Number),
            Kind::Text(text) => {
                Ok(text.parse().map_or_else(|_| Predicate::Text(text.into()), Predicate::Address))
            }
            Kind::Array(_) => Err(self
                .mistake(node.at, "Match value must be String, number, true, false, or null")
                .with_help("arrays cannot be nested; list the alternatives side by side")),
            Kind::Object(members) => {
                let member =
                    self.only_member(node.at, members, "Match expression name not found")?;
                self.operator(member)
            }
        }
    }

    fn mistake(self, at: usize, message: impl Into<String>) -> PatternError {
        PatternError::at(self.text, at, message)
    }

    fn only_member(self, at: usize, members: Vec<Member>, none: &str) -> ReadOutcome<Member> {
        let mut members = members.into_iter();
        let first = members.next().ok_or_else(|| self.mistake(at, none).with_help(OPERATORS))?;
        match members.next() {
            None => Ok(first),
            Some(second) => Err(self
                .mistake(second.at, "Only one key allowed in match expression")
                .with_help("write one object for each operator")),
        }
    }

    fn operator(self, member: Member) -> ReadOutcome<Predicate> {
        let Member { at, name, value } = member;
        match name.as_str() {
            "exactly" => self.text(value, "exact match").map(|(text, _)| Predicate::Text(text)),
            "prefix" => {
                self.affix(value, "prefix", Predicate::Prefix, Predicate::PrefixIgnoringCase)
            }
            "suffix" => {
                self.affix(value, "suffix", Predicate::Suffix, Predicate::SuffixIgnoringCase)
            }
            "equals-ignore-case" => self
                .text(value, "equals-ignore-case match")
                .map(|(text, _)| Predicate::EqualsIgnoringCase(Caseless::new(&text))),
            "wildcard" => self.wildcard_within_limits(value),
            "numeric" => self.numeric(value),
            "anything-but" => self.anything_but(value).map(Predicate::AnythingBut),
            "exists" => {
                match value.kind {
                    Kind::Bool(true) => Ok(Predicate::Exists),
                    Kind::Bool(false) => Ok(Predicate::Absent),
                    _ => Err(self
                        .mistake(value.at, "exists match pattern must be either true or false.")),
                }
            }
            "cidr" => {
                // EventBridge's own words speak of a prefix here.
                let (text, at) = self
                    .text(value, "prefix match")
                    .map_err(|mistake| mistake.with_help(CIDR_EXAMPLE))?;
                Block::parse(&text)
                    .map(Predicate::Block)
                    .map_err(|reason| self.mistake(at, reason).with_help(CIDR_EXAMPLE))
            }
            other => Err(self
                .mistake(at, format!("Unrecognized match type {other}"))
                .with_help(OPERATORS)),
        }
    }

    fn text(self, node: Node, what: &str) -> ReadOutcome<(Box<str>, usize)> {
        match node.kind {
            Kind::Text(text) => Ok((text.into(), node.at)),
            other => Err(self
                .mistake(node.at, format!("{what} pattern must be a string"))
                .with_help(format!("found {}", other.name()))),
        }
    }

    fn number(self, node: &Node, spelled: &str) -> ReadOutcome<NumericValue> {
        let number = crossing_text(spelled).ok().and_then(|text| NumericValue::of(&text));
        number.ok_or_else(|| {
            self.mistake(node.at, "The number is too long, too large or too small").with_help(
                "a number has at most 128 significant digits and lies within 1e-400 and 1e400",
            )
        })
    }

    fn affix(
        self,
        node: Node,
        operator: &str,
        plain: fn(Box<str>) -> Predicate,
        ignoring_case: fn(Caseless) -> Predicate,
    ) -> ReadOutcome<Predicate> {
        let Kind::Object(members) = node.kind else {
            return self.text(node, &format!("{operator} match")).map(|(text, _)| plain(text));
        };
        let none = format!("{operator} expression name not found");
        let member = self.only_member(node.at, members, &none)?;
        if member.name != "equals-ignore-case" {
            let message = format!("Unsupported {operator} pattern: {}", member.name);
            return Err(self
                .mistake(member.at, message)
                .with_help("only equals-ignore-case is allowed here"));
        }
        let (text, _) = self.text(member.value, "equals-ignore-case match")?;
        Ok(ignoring_case(Caseless::new(&text)))
    }

    fn wildcard(self, text: &str, at: usize) -> ReadOutcome<Wildcard> {
        Wildcard::parse(text).map_err(|(character, reason)| {
            // EventBridge counts from 1.
            self.mistake(at, format!("{reason} at pos {}", character + 1)).with_help(
                r"write a single * for any run of characters, \* for a star, \\ for a backslash",
            )
        })
    }

    fn wildcard_within_limits(self, node: Node) -> ReadOutcome<Predicate> {
        let (text, at) = self.text(node, "wildcard match")?;
        let wildcard = self.wildcard(&text, at)?;
        if wildcard.score() > MAX_SCORE {
            return Err(self.mistake(at, TOO_COMPLEX));
        }
        Ok(Predicate::Wildcard(wildcard))
    }

    fn numeric(self, node: Node) -> ReadOutcome<Predicate> {
        let Kind::Array(items) = node.kind else {
            return Err(self.mistake(node.at, "Value of numeric must be an array."));
        };
        let mut terms = items.into_iter();
        let (operator, first) = self.comparison(node.at, &mut terms)?;
        let bound = |inclusive| Some(Bound { at: first.clone(), inclusive });
        let range = match operator {
            "=" => {
                self.end_of_terms(terms)?;
                return Ok(Predicate::Number(first));
            }
            "<" => Range { low: None, high: bound(false) },
            "<=" => Range { low: None, high: bound(true) },
            lower => {
                let low = bound(lower == ">=");
                let Some(second) = terms.next() else {
                    return Ok(Predicate::Range(Range { low, high: None }));
                };
                let at = second.at;
                let mut rest = std::iter::once(second).chain(terms.by_ref());
                let (operator, top) = self.comparison(at, &mut rest)?;
                if !matches!(operator, "<" | "<=") {
                    let message = format!("Bad numeric range operator: {operator}");
                    return Err(self.mistake(at, message).with_help("end the range with < or <="));
                }
                if first >= top {
                    return Err(self.mistake(at, "Bottom must be less than top"));
                }
                Range { low, high: Some(Bound { at: top, inclusive: operator == "<=" }) }
            }
        };
        self.end_of_terms(terms)?;
        Ok(Predicate::Range(range))
    }

    fn comparison(
        self,
        place: usize,
        terms: &mut impl Iterator<Item = Node>,
    ) -> ReadOutcome<(&'static str, NumericValue)> {
        const EXAMPLE: &str = r#"write for example [">", 0, "<=", 5]"#;
        let Some(Node { at, kind: Kind::Text(operator) }) = terms.next() else {
            return Err(self.mistake(place, "Invalid member in numeric match").with_help(EXAMPLE));
        };
        let known = ["=", "<", "<=", ">", ">="].into_iter().find(|known| *known == operator);
        let operator = known.ok_or_else(|| {
            self.mistake(at, format!("Unrecognized numeric range operator: {operator}"))
                .with_help("use =, <, <=, > or >=")
        })?;
        match terms.next() {
            Some(node) => match &node.kind {
                Kind::Number(spelled) => Ok((operator, self.number(&node, spelled)?)),
                _ => Err(self.mistake(node.at, format!("Value of {operator} must be numeric"))),
            },
            None => Err(self.mistake(at, format!("Value of {operator} must be numeric"))),
        }
    }

    fn end_of_terms(self, mut terms: impl Iterator<Item = Node>) -> ReadOutcome<()> {
        terms.next().map_or(Ok(()), |extra| {
            Err(self
                .mistake(extra.at, "Too many elements in numeric expression")
                .with_help("give one bound, or a lower bound and then an upper bound"))
        })
    }

    fn anything_but(self, node: Node) -> ReadOutcome<Excluded> {
        match node.kind {
            Kind::Object(members) => {
                let none = "Anything-But expression name not found";
                let member = self.only_member(node.at, members, none)?;
                self.anything_but_operator(member)
            }
            Kind::Array(items) => self.anything_but_list(node.at, items),
            Kind::Text(_) | Kind::Number(_) => self.anything_but_list(node.at, vec![node]),
            _ => Err(self.mistake(node.at, ANYTHING_BUT)),
        }
    }

    fn anything_but_list(self, at: usize, items: Vec<Node>) -> ReadOutcome<Excluded> {
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        for item in items {
            match item.kind {
                Kind::Text(text) => texts.push(text.into_boxed_str()),
                Kind::Number(ref spelled) => numbers.push(self.number(&item, spelled)?),
                _ => {
                    return Err(self.mistake(
                        item.at,
                        "Inside anything but list, start|null|boolean is not supported.",
                    ));
                }
            }
        }
        match (texts.is_empty(), numbers.is_empty()) {
            (false, true) => Ok(Excluded::Texts(texts)),
            (true, false) => Ok(Excluded::Numbers(numbers)),
            _ => Err(self.mistake(
                at,
                "Inside anything but list, either all values are number or string, mixed type is \
                 not supported",
            )),
        }
    }

    fn anything_but_operator(self, member: Member) -> ReadOutcome<Excluded> {
        let Member { at, name, value } = member;
        if !matches!(name.as_str(), "prefix" | "suffix" | "equals-ignore-case" | "wildcard") {
            return Err(self
                .mistake(at, format!("Unsupported anything-but pattern: {name}"))
                .with_help("use prefix, suffix, equals-ignore-case or wildcard"));
        }
        let operands = match value.kind {
            Kind::Array(items) if items.is_empty() => {
                return Err(self.mistake(value.at, "Empty arrays are not allowed"));
            }
            Kind::Array(items) => items,
            Kind::Object(_) => return Err(self.mistake(value.at, ANYTHING_BUT)),
            kind => vec![Node { at: value.at, kind }],
        };
        let no_text = match name.as_str() {
            "equals-ignore-case" => {
                "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not \
                 supported."
            }
            "wildcard" => "wildcard match pattern must be a string",
            _ => "prefix/suffix match pattern must be a string",
        };
        let text = |node: Node| match node.kind {
            Kind::Text(text) => Ok((Box::from(text), node.at)),
            _ => Err(self.mistake(node.at, no_text)),
        };
        let operands: Vec<(Box<str>, usize)> =
            operands.into_iter().map(text).collect::<ReadOutcome<_>>()?;
        let texts = || operands.iter().map(|(text, _)| text.clone()).collect();
        match name.as_str() {
            "equals-ignore-case" => Ok(Excluded::IgnoringCase(
                operands.iter().map(|(text, _)| Caseless::new(text)).collect(),
            )),
            "wildcard" => operands
                .iter()
                .map(|(text, at)| self.wildcard(text, *at))
                .collect::<ReadOutcome<_>>()
                .map(Excluded::Wildcards),
            affix => {
                if let Some((_, at)) = operands.iter().find(|(text, _)| text.is_empty()) {
                    return Err(self.mistake(*at, "Null prefix/suffix not allowed"));
                }
                Ok(if affix == "prefix" {
                    Excluded::Prefixes(texts())
                } else {
                    Excluded::Suffixes(texts())
                })
            }
        }
    }
}
