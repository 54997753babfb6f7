//! Reads the structure of a pattern: which fields there are, and how `$or` multiplies them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::route::PatternError;
use crate::route::field::{Field, Path};
use crate::route::operators::Operators;
use crate::route::part::Conjunction;
use crate::route::ranks::MOST_RANKS;
use crate::route::reader::{Kind, Member, Node};

/// The most fields that a pattern may name.
const MAX_FIELDS: usize = MOST_RANKS;
/// The most conjunctions that its `$or` lists may multiply to.
const MAX_COMBINATIONS: usize = 1000;

/// Words that cannot be field names below `$or`, because they are operators or may become some.
const RESERVED: [&str; 24] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];

/// The fields that one conjunction asks for so far.
type Fields = BTreeMap<Path, Arc<Field>>;

/// An object of a pattern without its `$or` lists, which are kept aside until all fields are known.
#[derive(Default)]
struct SyntaxScope {
    fields: Fields,
    choices: Vec<(usize, Vec<SyntaxScope>)>,
}

/// Turns the tree of a pattern into the conjunctions of which one must hold, which may have so many
/// fields together at the most.
pub(super) fn conjunctions(
    text: &str,
    root: Node,
    most: usize,
) -> Result<Vec<Conjunction>, PatternError> {
    let Kind::Object(members) = root.kind else {
        return Err(PatternError::at(text, root.at, "Filter is not an object")
            .with_help(r#"write for example {"type": ["Payment.Authorised"]}"#));
    };
    let mut compiler = Compiler { text, fields: 0, path: Vec::new(), below_or: false };
    let mut scope = SyntaxScope::default();
    compiler.object(&mut scope, root.at, members)?;
    let expanded = compiler.expand(&scope)?;
    let price: usize = expanded.iter().map(Fields::len).sum();
    if price > most {
        let message = format!("Fields times combinations of $or are {price}, and may be {most}");
        return Err(PatternError::at(text, 0, message)
            .with_help("use fewer or shorter $or lists, or split the pattern"));
    }
    let lists: Vec<Vec<Arc<Field>>> =
        expanded.into_iter().map(|fields| fields.into_values().collect()).collect();
    Ok(Conjunction::all_of(&lists))
}

struct Compiler<'t> {
    text: &'t str,
    fields: usize,
    path: Vec<String>,
    below_or: bool,
}

impl Compiler<'_> {
    fn mistake(&self, at: usize, message: impl Into<String>) -> PatternError {
        PatternError::at(self.text, at, message).in_field(self.path.join("."))
    }

    fn object(
        &mut self,
        scope: &mut SyntaxScope,
        at: usize,
        members: Vec<Member>,
    ) -> Result<(), PatternError> {
        if members.is_empty() {
            return Err(self
                .mistake(at, "Empty objects are not allowed")
                .with_help("name a field, or leave the object out"));
        }
        for Member { at, name, value } in members {
            if name == "$or" {
                let branches = self.or(value)?;
                scope.choices.push((at, branches));
                continue;
            }
            if self.below_or && RESERVED.contains(&name.as_str()) {
                let message =
                    format!("{name} is Ruler reserved fieldName which cannot be used inside $or.");
                return Err(self.mistake(at, message).with_help("rename the field"));
            }
            self.path.push(name);
            self.member(scope, at, value)?;
            self.path.pop();
        }
        Ok(())
    }

    fn member(
        &mut self,
        scope: &mut SyntaxScope,
        at: usize,
        value: Node,
    ) -> Result<(), PatternError> {
        match value.kind {
            Kind::Object(members) => self.object(scope, value.at, members),
            Kind::Array(items) => self.field(scope, at, value.at, items),
            _ => {
                let name = self.path.last().map_or("", |name| name);
                let message = format!("\"{name}\" must be an object or an array");
                Err(self.mistake(value.at, message).with_help("put the value into an array"))
            }
        }
    }

    fn field(
        &mut self,
        scope: &mut SyntaxScope,
        name_at: usize,
        at: usize,
        items: Vec<Node>,
    ) -> Result<(), PatternError> {
        if items.is_empty() {
            return Err(self
                .mistake(at, "Empty arrays are not allowed")
                .with_help("list the values to match; any value is [{\"exists\": true}]"));
        }
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            let message = format!("More than {MAX_FIELDS} fields");
            return Err(self.mistake(name_at, message).with_help("split the pattern"));
        }
        let operators = Operators { text: self.text };
        let alternatives = items
            .into_iter()
            .map(|item| operators.alternative(item))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.in_field(self.path.join(".")))?;
        let field = Arc::new(Field::new(&self.path.join("."), alternatives));
        let path = Arc::clone(&field.path);
        if scope.fields.insert(path, field).is_some() {
            return Err(self
                .mistake(name_at, "The field is named twice")
                .with_help("\"a.b\" and {\"a\": {\"b\": …}} are one field; join the two"));
        }
        Ok(())
    }

    fn or(&mut self, list: Node) -> Result<Vec<SyntaxScope>, PatternError> {
        let Kind::Array(items) = list.kind else {
            return Err(self.mistake(list.at, "It must be an Array followed with $or."));
        };
        if items.len() < 2 {
            return Err(self
                .mistake(list.at, "There must have at least 2 Objects in $or relationship.")
                .with_help("a single object needs no $or"));
        }
        let outer = std::mem::replace(&mut self.below_or, true);
        let branches = items
            .into_iter()
            .map(|item| match item.kind {
                Kind::Object(members) => {
                    let mut scope = SyntaxScope::default();
                    self.object(&mut scope, item.at, members)?;
                    Ok(scope)
                }
                _ => Err(self
                    .mistake(item.at, "Only JSON object is allowed in array of $or relationship.")),
            })
            .collect();
        self.below_or = outer;
        branches
    }

    /// Multiplies a scope out. A field of a branch replaces the same field outside of it.
    fn expand(&self, scope: &SyntaxScope) -> Result<Vec<Fields>, PatternError> {
        // What the lists of this scope have chosen so far, without its own fields.
        let mut chosen = vec![Fields::new()];
        for (at, branches) in &scope.choices {
            let mut alternatives = Vec::new();
            for branch in branches {
                alternatives.extend(self.expand(branch)?);
                self.bounded(*at, alternatives.len())?;
            }
            self.bounded(*at, chosen.len().saturating_mul(alternatives.len()))?;
            let mut product = Vec::with_capacity(chosen.len() * alternatives.len());
            for left in &chosen {
                for right in &alternatives {
                    if left.keys().any(|path| right.contains_key(path)) {
                        return Err(self
                            .mistake(*at, "Two $or lists of one object name the same field")
                            .with_help(
                                "which of the two would hold is not defined; use one list",
                            ));
                    }
                    product.push(
                        left.iter()
                            .chain(right)
                            .map(|(p, f)| (Arc::clone(p), Arc::clone(f)))
                            .collect(),
                    );
                }
            }
            chosen = product;
        }
        for fields in &mut chosen {
            for (path, field) in &scope.fields {
                fields.entry(Arc::clone(path)).or_insert_with(|| Arc::clone(field));
            }
        }
        Ok(chosen)
    }

    fn bounded(&self, at: usize, combinations: usize) -> Result<(), PatternError> {
        if combinations <= MAX_COMBINATIONS {
            return Ok(());
        }
        let message = format!("The $or lists make more than {MAX_COMBINATIONS} combinations");
        Err(self.mistake(at, message).with_help("use fewer or shorter $or lists"))
    }
}
