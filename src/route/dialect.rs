//! Reads types and filter dialects (CloudEvents Subscriptions API, section 3.2.4).

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::event::NumericValue;
use crate::route::clause::Clause;
use crate::route::error::FilterError;
use crate::route::field::Field;
use crate::route::part::Conjunction;
use crate::route::pattern::Pattern;
use crate::route::predicate::Predicate;

/// The deepest nesting of `all`, `any` and `not`.
const MAX_DEPTH: usize = 16;
/// The most dialect objects and types of one subscription.
const MAX_PARTS: usize = 256;
/// The most conjunctions that the patterns of one subscription may make together.
const MAX_COMBINATIONS: usize = 1000;

/// Reads the whole wish of a subscription.
///
/// Its patterns may cost so much together at the most.
pub(super) fn read(
    types: &[String],
    filters: &[Value],
    most: usize,
) -> Result<Clause, FilterError> {
    let mut reader = DialectReader { parts: 0, combinations: 0, most };
    let mut clauses = Vec::new();
    clauses.extend(reader.types(types)?);
    for (index, filter) in filters.iter().enumerate() {
        clauses.push(reader.filter(filter, &format!("filters[{index}]"), 0)?);
    }
    Ok(Clause::All(clauses))
}

struct DialectReader {
    parts: usize,
    combinations: usize,
    /// What further patterns may cost.
    most: usize,
}

impl DialectReader {
    fn count(&mut self, place: &str) -> Result<(), FilterError> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(mistake(
                place,
                format!("more than {MAX_PARTS} types and filters; use a pattern"),
            ));
        }
        Ok(())
    }

    fn types(&mut self, types: &[String]) -> Result<Option<Clause>, FilterError> {
        let mut alternatives = Vec::new();
        let mut every = types.is_empty();
        for (index, name) in types.iter().enumerate() {
            let place = format!("types[{index}]");
            self.count(&place)?;
            match read_type(name) {
                TypeName::Some(predicate) => alternatives.push(predicate),
                TypeName::Every => every = true,
                TypeName::Invalid => {
                    return Err(mistake(
                        &place,
                        "must be a type such as Payment.Authorised, all below one such as \
                         Payment.*, or *",
                    ));
                }
            }
        }
        Ok((!every).then(|| fields(vec![Field::of_name(alternatives)])))
    }

    fn filter(&mut self, filter: &Value, place: &str, depth: usize) -> Result<Clause, FilterError> {
        self.count(place)?;
        if depth > MAX_DEPTH {
            return Err(mistake(place, "nested too deeply; use a pattern"));
        }
        let mut members = filter.as_object().into_iter().flatten();
        let (Some((dialect, operand)), None) = (members.next(), members.next()) else {
            return Err(mistake(
                place,
                "must be an object with exactly one of exact, prefix, suffix, all, any, not, pattern",
            ));
        };
        let place = format!("{place}.{dialect}");
        match dialect.as_str() {
            "exact" => attributes(operand, &place, exact),
            "prefix" => attributes(operand, &place, |text| vec![Predicate::Prefix(text.into())]),
            "suffix" => attributes(operand, &place, |text| vec![Predicate::Suffix(text.into())]),
            "all" => self.list(operand, &place, depth).map(Clause::All),
            "any" => self.list(operand, &place, depth).map(Clause::Any),
            "not" => {
                let negated = self.filter(operand, &place, depth + 1)?;
                Ok(Clause::Not { place, negated: Box::new(negated) })
            }
            "pattern" => self.pattern(operand, &place),
            _ => Err(mistake(
                &place,
                "is not a dialect of this gateway; use exact, prefix, suffix, all, any, not or pattern",
            )),
        }
    }

    fn list(
        &mut self,
        operand: &Value,
        place: &str,
        depth: usize,
    ) -> Result<Vec<Clause>, FilterError> {
        let items = operand.as_array().filter(|items| !items.is_empty());
        let items = items.ok_or_else(|| mistake(place, "must be a non-empty array of filters"))?;
        let each = items.iter().enumerate();
        each.map(|(index, item)| self.filter(item, &format!("{place}[{index}]"), depth + 1))
            .collect()
    }

    fn pattern(&mut self, operand: &Value, place: &str) -> Result<Clause, FilterError> {
        let pattern = Pattern::within(&operand.to_string(), self.most).map_err(|error| {
            let separator = if error.field.is_empty() { "" } else { "." };
            let place = format!("{place}{separator}{}", error.field);
            let help = if error.help.is_empty() { "" } else { "; " };
            let message = format!("{}{help}{}", error.message, error.help);
            FilterError { place, message, pattern: Some(error) }
        })?;
        self.most -= pattern.price().min(self.most);
        self.combinations += pattern.conjunctions().len();
        if self.combinations > MAX_COMBINATIONS {
            let message =
                format!("the patterns make more than {MAX_COMBINATIONS} combinations of $or");
            return Err(mistake(place, message));
        }
        Ok(Clause::Pattern(pattern))
    }
}

/// What one of the `types` stands for.
enum TypeName {
    Every,
    Some(Predicate),
    Invalid,
}

fn read_type(name: &str) -> TypeName {
    let (prefix, below) = name.strip_suffix(".*").map_or((name, false), |prefix| (prefix, true));
    if name == "*" {
        TypeName::Every
    } else if prefix.is_empty() || prefix.contains(|c: char| c == '*' || c.is_control()) {
        TypeName::Invalid
    } else if below {
        TypeName::Some(Predicate::Below(format!("{prefix}.").into()))
    } else {
        TypeName::Some(Predicate::Text(prefix.into()))
    }
}

fn attributes(
    operand: &Value,
    place: &str,
    predicates: fn(&str) -> Vec<Predicate>,
) -> Result<Clause, FilterError> {
    let members = operand.as_object().filter(|members| !members.is_empty());
    let members: &Map<String, Value> =
        members.ok_or_else(|| mistake(place, "must be an object of attribute names and texts"))?;
    let each = members.iter().map(|(name, value)| {
        let place = format!("{place}.{name}");
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if name.is_empty() || !plain || name == "data" {
            return Err(mistake(
                &place,
                "is not a context attribute (lower-case letters and digits); filter data with a pattern",
            ));
        }
        match value {
            Value::String(text) if !text.is_empty() => {
                Ok(Field::new(name, predicates(text)))
            }
            _ => Err(mistake(&place, "must be a non-empty string")),
        }
    });
    each.collect::<Result<_, _>>().map(fields)
}

/// An attribute is compared by its canonical text, whatever its type (CloudEvents 1.0, section 3.1).
fn exact(text: &str) -> Vec<Predicate> {
    let mut alternatives = vec![Predicate::Text(text.into())];
    let integer = text.parse::<i32>().ok().filter(|number| number.to_string() == text);
    alternatives.extend(integer.and_then(|_| NumericValue::of(text)).map(Predicate::Number));
    alternatives.extend(text.parse().ok().map(Predicate::Bool));
    alternatives
}

fn fields(fields: Vec<Field>) -> Clause {
    Clause::Fields(Arc::new(Conjunction::new(fields.into_iter().map(Arc::new).collect())))
}

fn mistake(place: &str, message: impl Into<String>) -> FilterError {
    FilterError { place: place.to_owned(), message: message.into(), pattern: None }
}
