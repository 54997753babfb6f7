//! Which members a schema declares, as a graph that data can be walked along.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::contract::pointer;
use crate::contract::rules::{ContractMistake, Rules};

/// Alternatives of one payload that need a schema of their own to be told apart.
const MAX_ALTERNATIVES: usize = 256;

/// Index of a shape in its [`Shapes`].
pub(super) type Id = usize;

/// What one schema object says about members, items and further schemas for the same value.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The literal `true` where a value stands: anything may be there.
    pub(super) anything: bool,
    /// `properties`.
    pub(super) named: BTreeMap<String, Id>,
    /// `patternProperties`: a rule that the name keeps, as text, and the member's shape.
    pub(super) patterned: Vec<(Rules, Id)>,
    /// `additionalProperties`, when it is not `false`.
    pub(super) additional: Option<Id>,
    /// `items` for single items, by index.
    pub(super) first_items: Vec<Id>,
    /// `items` as one schema, or `additionalItems` after a list.
    pub(super) other_items: Option<Id>,
    /// `$ref` and `allOf`: always apply.
    pub(super) all: Vec<Id>,
    /// `anyOf`, `oneOf` and `if`: those apply that accept the value.
    pub(super) choices: Vec<Choice>,
    /// Schemas of `dependencies`, each applying when its member is there.
    pub(super) dependent: Vec<(String, Id)>,
    /// `not`, `propertyNames`, `contains`: they cost time and declare nothing.
    pub(super) silent: Vec<Id>,
}

/// Schemas of which some apply.
#[derive(Debug)]
pub(super) enum Choice {
    /// `anyOf` or `oneOf`: the branches that accept the value.
    Branches(Vec<(Rules, Id)>),
    /// `if`, with `then` and `else`.
    Condition { test: Rules, when: Id, then: Option<Id>, otherwise: Option<Id> },
}

impl Choice {
    fn shapes(&self) -> impl Iterator<Item = Id> {
        let (branches, condition) = match self {
            Self::Branches(branches) => (branches.as_slice(), [None; 3]),
            Self::Condition { when, then, otherwise, .. } => {
                (&[][..], [Some(*when), *then, *otherwise])
            }
        };
        branches.iter().map(|(_, id)| *id).chain(condition.into_iter().flatten())
    }
}

impl Shape {
    /// Further shapes for the same value, whether they apply or not.
    pub(super) fn in_place(&self) -> impl Iterator<Item = Id> {
        let chosen = self.choices.iter().flat_map(Choice::shapes);
        let dependent = self.dependent.iter().map(|(_, id)| *id);
        self.all.iter().chain(&self.silent).copied().chain(chosen).chain(dependent)
    }

    /// Shapes for members and items whose name or index this shape does not single out.
    pub(super) fn wild(&self) -> impl Iterator<Item = Id> {
        let patterned = self.patterned.iter().map(|(_, id)| *id);
        patterned
            .chain(self.additional)
            .chain(self.first_items.iter().copied())
            .chain(self.other_items)
    }
}

/// All shapes of one payload; the first is the payload itself.
#[derive(Debug)]
pub(super) struct Shapes(Vec<Shape>);

impl Shapes {
    /// Lays out the shapes of a schema that stands alone.
    pub(super) fn of(schema: &Value) -> Result<Self, ContractMistake> {
        let mut builder = Builder {
            schema,
            shapes: Vec::new(),
            definitions: HashMap::new(),
            waiting: Vec::new(),
            alternatives: 0,
        };
        builder.build(schema, "", ShapeStanding::Value)?;
        while let Some((id, name, definition, standing)) = builder.waiting.pop() {
            builder.fill(id, definition, &pointer::join("/$defs", name), standing)?;
        }
        let mut shapes = Self(builder.shapes);
        shapes.silence();
        Ok(shapes)
    }

    /// Takes choices away whose branches declare nothing, such as `anyOf` over `required`: asking
    /// which branch applies is the dear part of a walk.
    fn silence(&mut self) {
        let speaks: Vec<bool> = (0..self.0.len()).map(|id| self.speaks(id)).collect();
        let speaks = |id: Id| speaks.get(id).copied().unwrap_or(true);
        for shape in &mut self.0 {
            let (kept, silent) = std::mem::take(&mut shape.choices)
                .into_iter()
                .partition(|choice| choice.shapes().any(speaks));
            shape.choices = kept;
            shape.silent.extend(silent.iter().flat_map(Choice::shapes));
        }
    }

    /// Tells whether a shape, or one that may apply with it, declares anything.
    fn speaks(&self, id: Id) -> bool {
        let mut seen = vec![id];
        let mut next = 0;
        while let Some(shape) = seen.get(next).and_then(|id| self.get(*id)) {
            next += 1;
            if shape.anything || !shape.named.is_empty() || shape.wild().next().is_some() {
                return true;
            }
            let chosen = shape.choices.iter().flat_map(Choice::shapes);
            let dependent = shape.dependent.iter().map(|(_, id)| *id);
            for id in shape.all.iter().copied().chain(chosen).chain(dependent) {
                if !seen.contains(&id) {
                    seen.push(id);
                }
            }
        }
        false
    }

    pub(super) fn get(&self, id: Id) -> Option<&Shape> {
        self.0.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
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
    alternatives: usize,
}

impl<'a> Builder<'a> {
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
        let mut shape = Shape {
            anything: schema == &Value::Bool(true) && standing == ShapeStanding::Value,
            ..Shape::default()
        };
        if let Some(object) = schema.as_object() {
            for (keyword, value) in object {
                self.keyword(&mut shape, keyword, value, &pointer::join(at, keyword), standing)?;
            }
            self.condition(&mut shape, schema, at)?;
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
        match (keyword, value) {
            ("properties", Value::Object(members)) => {
                for (name, member) in members {
                    let at = pointer::join(at, name);
                    shape
                        .named
                        .insert(name.clone(), self.build(member, &at, ShapeStanding::Value)?);
                }
            }
            ("patternProperties", Value::Object(members)) => {
                for (pattern, member) in members {
                    let at = pointer::join(at, pattern);
                    let rules = compile(&json!({ "pattern": pattern }), &at)?;
                    shape.patterned.push((rules, self.build(member, &at, ShapeStanding::Value)?));
                }
            }
            ("additionalProperties", Value::Bool(false)) => {}
            ("additionalProperties", rest) => {
                shape.additional = Some(self.build(rest, at, ShapeStanding::Value)?);
            }
            ("prefixItems", Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let at = pointer::join(at, &index.to_string());
                    shape.first_items.push(self.build(item, &at, ShapeStanding::Value)?);
                }
            }
            ("items", item) => {
                shape.other_items = Some(self.build(item, at, ShapeStanding::Value)?);
            }
            ("allOf", Value::Array(parts)) => {
                for (index, part) in parts.iter().enumerate() {
                    let at = pointer::join(at, &index.to_string());
                    shape.all.push(self.build(part, &at, ShapeStanding::Added)?);
                }
            }
            ("anyOf" | "oneOf", Value::Array(branches)) => {
                let mut built = Vec::new();
                for (index, branch) in branches.iter().enumerate() {
                    let at = pointer::join(at, &index.to_string());
                    let rules = self.alternative(branch, &at)?;
                    built.push((rules, self.build(branch, &at, ShapeStanding::Added)?));
                }
                shape.choices.push(Choice::Branches(built));
            }
            ("dependencies", Value::Object(members)) => {
                for (name, member) in members.iter().filter(|(_, member)| !member.is_array()) {
                    let at = pointer::join(at, name);
                    let id = self.build(member, &at, ShapeStanding::Added)?;
                    shape.dependent.push((name.clone(), id));
                }
            }
            ("not" | "propertyNames" | "contains", schema) => {
                shape.silent.push(self.build(schema, at, ShapeStanding::Added)?);
            }
            ("$ref", Value::String(reference)) => {
                shape.all.extend(self.definition(reference, standing));
            }
            _ => {}
        }
        Ok(())
    }

    fn condition(
        &mut self,
        shape: &mut Shape,
        schema: &'a Value,
        at: &str,
    ) -> Result<(), ContractMistake> {
        // `then` and `else` without `if` are ignored (draft-07, section 6.6).
        let Some(test) = schema.get("if") else { return Ok(()) };
        let rules = self.alternative(test, &pointer::join(at, "if"))?;
        let when = self.build(test, &pointer::join(at, "if"), ShapeStanding::Added)?;
        let mut part = |keyword: &str| match schema.get(keyword) {
            Some(part) => {
                self.build(part, &pointer::join(at, keyword), ShapeStanding::Added).map(Some)
            }
            None => Ok(None),
        };
        let (then, otherwise) = (part("then")?, part("else")?);
        shape.choices.push(Choice::Condition { test: rules, when, then, otherwise });
        Ok(())
    }

    fn definition(&mut self, reference: &str, standing: ShapeStanding) -> Option<Id> {
        let schema = self.schema;
        let found = reference
            .strip_prefix("#/$defs/")
            .and_then(|name| schema.get("$defs")?.as_object()?.get_key_value(name));
        let (name, definition) = found?;
        let key = (name.as_str(), standing == ShapeStanding::Value);
        if let Some(id) = self.definitions.get(&key) {
            return Some(*id);
        }
        let id = self.shapes.len();
        self.shapes.push(Shape::default());
        self.definitions.insert(key, id);
        self.waiting.push((id, name, definition, standing));
        Some(id)
    }

    /// Compiles a branch by itself, so that a walk can ask whether it applies.
    fn alternative(&mut self, branch: &Value, at: &str) -> Result<Rules, ContractMistake> {
        self.alternatives += 1;
        if self.alternatives > MAX_ALTERNATIVES {
            let problem = format!("more than {MAX_ALTERNATIVES} alternatives in one payload");
            return Err(ContractMistake { pointer: at.to_owned(), problem });
        }
        let mut alone = json!({ "allOf": [branch] });
        if let (Some(object), Some(definitions)) = (alone.as_object_mut(), self.schema.get("$defs"))
        {
            object.insert("$defs".to_owned(), definitions.clone());
        }
        compile(&alone, at)
    }
}

fn compile(schema: &Value, at: &str) -> Result<Rules, ContractMistake> {
    Rules::compile(schema)
        .map_err(|mistake| ContractMistake { pointer: at.to_owned(), problem: mistake.problem })
}
