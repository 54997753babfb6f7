//! Compiles a schema in its normal form into a graph of shapes.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::contract::assertion::Assertion;
use crate::contract::keyword_value;
use crate::contract::member_map::MemberMap;
use crate::contract::pattern::{PatternMistake, PatternPool};
use crate::contract::pointer;
use crate::contract::schema_mistake::ContractMistake;
use crate::contract::shape::{Branch, Choice, ChoiceKind, Contains, Id, Shape, Shapes};

/// Where definitions stand.
const DEFINITIONS: &str = "#/$defs/";

/// What asserts something in some dialect and has no place in the normal form.
const STRANGERS: [&str; 4] = ["dependencies", "additionalItems", "$dynamicRef", "$recursiveRef"];

impl Shapes {
    /// Compiles a schema that stands alone.
    ///
    /// # Errors
    ///
    /// The contract's author has to change the schema.
    pub(super) fn of(schema: &Value) -> Result<Self, ContractMistake> {
        let mut builder = Builder {
            schema,
            shapes: Vec::new(),
            definitions: HashMap::new(),
            waiting: Vec::new(),
            patterns: PatternPool::default(),
        };
        builder.build(schema, "", ShapeStanding::Value)?;
        while let Some((id, name, definition, standing)) = builder.waiting.pop() {
            builder.fill(id, definition, &pointer::join("/$defs", name), standing)?;
        }
        Ok(Self::new(builder.shapes))
    }
}

/// Whether a schema stands for a value of its own or adds to one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ShapeStanding {
    Value,
    Added,
}

struct Builder<'a> {
    schema: &'a Value,
    shapes: Vec<Shape>,
    definitions: HashMap<(&'a str, bool), Id>,
    /// Definitions whose shape is promised; a long chain of references must not become a deep stack.
    waiting: Vec<(Id, &'a str, &'a Value, ShapeStanding)>,
    patterns: PatternPool,
}

impl<'a> Builder<'a> {
    /// A shape for a schema that stands where a value does.
    fn value(&mut self, schema: &'a Value, at: &str) -> Result<Id, ContractMistake> {
        self.build(schema, at, ShapeStanding::Value)
    }

    /// A shape for a schema that says more about a value.
    fn added(&mut self, schema: &'a Value, at: &str) -> Result<Id, ContractMistake> {
        self.build(schema, at, ShapeStanding::Added)
    }

    fn build(
        &mut self,
        schema: &'a Value,
        at: &str,
        standing: ShapeStanding,
    ) -> Result<Id, ContractMistake> {
        let id = self.shapes.len();
        self.shapes.push(Shape::default());
        self.fill(id, schema, at, standing)?;
        Ok(id)
    }

    fn fill(
        &mut self,
        id: Id,
        schema: &'a Value,
        at: &str,
        standing: ShapeStanding,
    ) -> Result<(), ContractMistake> {
        let mut shape = Shape::default();
        match schema {
            Value::Bool(true) => shape.anything = standing == ShapeStanding::Value,
            Value::Bool(false) => shape.nothing = true,
            Value::Object(object) => {
                for (keyword, value) in object {
                    let at = pointer::join(at, keyword);
                    self.keyword(&mut shape, keyword, value, &at, standing)?;
                }
                require_named(&mut shape);
                self.contains(&mut shape, object, at)?;
                self.condition(&mut shape, object, at)?;
            }
            _ => {
                let problem = "a schema is an object, `true` or `false`";
                return Err(ContractMistake::new(at, problem));
            }
        }
        if let Some(place) = self.shapes.get_mut(id) {
            *place = shape;
        }
        Ok(())
    }

    fn keyword(
        &mut self,
        shape: &mut Shape,
        keyword: &str,
        value: &'a Value,
        at: &str,
        standing: ShapeStanding,
    ) -> Result<(), ContractMistake> {
        match keyword {
            "properties" | "patternProperties" | "dependentSchemas" => {
                self.named(shape, keyword, value, at)
            }
            "prefixItems" | "allOf" | "anyOf" | "oneOf" => self.listed(shape, keyword, value, at),
            "$ref" => {
                shape.all.push(self.definition(value, at, standing)?);
                Ok(())
            }
            "not" => {
                shape.not = Some(self.added(value, at)?);
                Ok(())
            }
            "propertyNames" => {
                shape.names = Some(self.added(value, at)?);
                Ok(())
            }
            "additionalProperties" | "unevaluatedProperties" | "items" | "unevaluatedItems" => {
                let id = Some(self.value(value, at)?);
                match keyword {
                    "additionalProperties" => shape.additional = id,
                    "unevaluatedProperties" => shape.unevaluated_members = id,
                    "items" => shape.other_items = id,
                    _ => shape.unevaluated_items = id,
                }
                Ok(())
            }
            _ => self.assertion(shape, keyword, value, at),
        }
    }

    /// Keywords that hold no schema.
    fn assertion(
        &mut self,
        shape: &mut Shape,
        keyword: &str,
        value: &'a Value,
        at: &str,
    ) -> Result<(), ContractMistake> {
        let wrong = |problem: String| ContractMistake::new(at, problem);
        match keyword {
            "type" => shape.types = keyword_value::types(value).map_err(wrong)?,
            "pattern" => {
                let text = keyword_value::text(keyword, value).map_err(wrong)?;
                let pattern = self.patterns.get(text).map_err(|cause| unfit(&cause, at))?;
                shape.assertions.push(Assertion::Pattern(pattern));
            }
            _ if STRANGERS.contains(&keyword) => {
                let problem = format!("`{keyword}` has no place in a schema that stands alone");
                return Err(wrong(problem));
            }
            _ => shape.assertions.extend(Assertion::read(keyword, value).map_err(wrong)?),
        }
        Ok(())
    }

    fn named(
        &mut self,
        shape: &mut Shape,
        keyword: &str,
        value: &'a Value,
        at: &str,
    ) -> Result<(), ContractMistake> {
        let schemas = keyword_value::map(keyword, value)
            .map_err(|problem| ContractMistake::new(at, problem))?;
        let mut members = Vec::new();
        for (name, schema) in schemas {
            let at = pointer::join(at, name);
            match keyword {
                "properties" => members.push((name.clone(), self.value(schema, &at)?)),
                "patternProperties" => {
                    let pattern = self.patterns.get(name).map_err(|cause| unfit(&cause, &at))?;
                    shape.patterned.push((pattern, self.value(schema, &at)?));
                }
                _ => shape.dependent.push((name.clone(), self.added(schema, &at)?)),
            }
        }
        if keyword == "properties" {
            shape.named = MemberMap::of(members);
        }
        Ok(())
    }

    fn listed(
        &mut self,
        shape: &mut Shape,
        keyword: &str,
        value: &'a Value,
        at: &str,
    ) -> Result<(), ContractMistake> {
        let schemas = keyword_value::schemas(keyword, value)
            .map_err(|problem| ContractMistake::new(at, problem))?;
        let mut branches = Vec::new();
        for (index, schema) in schemas.iter().enumerate() {
            let at = pointer::join(at, &index.to_string());
            match keyword {
                "prefixItems" => shape.first_items.push(self.value(schema, &at)?),
                "allOf" => shape.all.push(self.added(schema, &at)?),
                _ => {
                    let label = self.label(schema);
                    branches.push(Branch { id: self.added(schema, &at)?, label });
                }
            }
        }
        let kind = match keyword {
            "anyOf" => ChoiceKind::Any(branches),
            "oneOf" => ChoiceKind::One(branches),
            _ => return Ok(()),
        };
        shape.choices.push(Choice { kind, declares: true });
        Ok(())
    }

    /// What the contract calls a branch: its title, or the name that it is referred to by.
    fn label(&self, schema: &Value) -> Option<String> {
        let title = |schema: &Value| schema.get("title")?.as_str().map(str::to_owned);
        let parts = schema.get("allOf").and_then(Value::as_array);
        let name = std::iter::once(schema)
            .chain(parts.into_iter().flatten())
            .find_map(|part| part.get("$ref")?.as_str()?.strip_prefix(DEFINITIONS));
        let definition = name.and_then(|name| self.schema.get("$defs")?.get(name));
        title(schema).or_else(|| title(definition?)).or_else(|| name.map(str::to_owned))
    }

    fn contains(
        &mut self,
        shape: &mut Shape,
        object: &'a Map<String, Value>,
        at: &str,
    ) -> Result<(), ContractMistake> {
        let count = |keyword: &str| {
            let read = |value| keyword_value::count(keyword, value);
            let wrong = |problem| ContractMistake::new(pointer::join(at, keyword), problem);
            object.get(keyword).map(read).transpose().map_err(wrong)
        };
        let (least, most) = (count("minContains")?.unwrap_or(1), count("maxContains")?);
        // Without `contains` they say nothing (2020-12, sections 6.4.4 and 6.4.5).
        if let Some(schema) = object.get("contains") {
            let id = self.added(schema, &pointer::join(at, "contains"))?;
            shape.contains = Some(Contains { id, least, most });
        }
        Ok(())
    }

    fn condition(
        &mut self,
        shape: &mut Shape,
        object: &'a Map<String, Value>,
        at: &str,
    ) -> Result<(), ContractMistake> {
        let mut part = |keyword: &str| match object.get(keyword) {
            Some(part) => self.added(part, &pointer::join(at, keyword)).map(Some),
            None => Ok(None),
        };
        // `then` and `else` without `if` are ignored (2020-12, section 10.2.2.1).
        let Some(test) = part("if")? else { return Ok(()) };
        let (then, otherwise) = (part("then")?, part("else")?);
        let kind = ChoiceKind::Condition { test, then, otherwise };
        shape.choices.push(Choice { kind, declares: true });
        Ok(())
    }

    fn definition(
        &mut self,
        reference: &Value,
        at: &str,
        standing: ShapeStanding,
    ) -> Result<Id, ContractMistake> {
        let text = reference.as_str().unwrap_or_default();
        let schema = self.schema;
        let found = text
            .strip_prefix(DEFINITIONS)
            .and_then(|name| schema.get("$defs")?.as_object()?.get_key_value(name));
        let Some((name, definition)) = found else {
            return Err(ContractMistake::new(at, "a `$ref` that leads nowhere"));
        };
        let key = (name.as_str(), standing == ShapeStanding::Value);
        if let Some(id) = self.definitions.get(&key) {
            return Ok(*id);
        }
        let id = self.shapes.len();
        self.shapes.push(Shape::default());
        self.definitions.insert(key, id);
        self.waiting.push((id, name, definition, standing));
        Ok(id)
    }
}

/// Has those required members that `properties` names counted with them.
fn require_named(shape: &mut Shape) {
    let named = &mut shape.named;
    for assertion in &mut shape.assertions {
        if let Assertion::Required(names) = assertion {
            names.retain(|name| !named.require(name));
        }
    }
    shape.assertions.retain(|one| !matches!(one, Assertion::Required(names) if names.is_empty()));
}

fn unfit(cause: &PatternMistake, at: &str) -> ContractMistake {
    ContractMistake { pointer: at.to_owned(), problem: cause.problem(), help: Some(cause.help()) }
}
