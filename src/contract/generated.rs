//! Small schemas in the normal form and data for them, from a seed, for property tests.

use serde_json::{Map, Value, json};

use crate::contract::sample::Dice;

/// Cases of a property test: 16 for each that proptest would try, so 4,096 unless `PROPTEST_CASES` says
/// otherwise.
pub(super) fn cases() -> u64 {
    u64::from(proptest::test_runner::Config::default().cases) * 16
}

/// A schema of any keywords, and data that has some of its names and values.
pub(super) fn any_pair(seed: u64) -> (Value, Value) {
    let mut dice = PairMaker::of(seed);
    let mut schema = dice.any_schema(3);
    if let Value::Object(root) = &mut schema {
        // What a definition refers to comes after it, so that none comes back to itself.
        let definitions = json!({ "d0": dice.any_schema(2), "d1": dice.any_schema(1) });
        let mut definitions = definitions;
        forget_references(&mut definitions["d1"], &["#/$defs/d0", "#/$defs/d1"]);
        forget_references(&mut definitions["d0"], &["#/$defs/d0"]);
        root.insert("$defs".to_owned(), definitions);
    } else {
        forget_references(&mut schema, &["#/$defs/d0", "#/$defs/d1"]);
    }
    let data = dice.data(3);
    (schema, data)
}

/// An ordinary schema of objects, the same with every object closed by `unevaluatedProperties`, and
/// data. Each name is declared once for each object, so that both mean the same.
pub(super) fn ordinary_pair(seed: u64) -> (Value, Value, Value) {
    let mut dice = PairMaker::of(seed);
    let schema = dice.ordinary_value(3);
    let closed = closed(&schema);
    let data = if dice.chance(4) { dice.data(3) } else { dice.like(&schema, 0) };
    (schema, closed, data)
}

fn forget_references(schema: &mut Value, names: &[&str]) {
    match schema {
        Value::Object(object) => {
            let leads = |target: &Value| names.iter().any(|name| target == name);
            if object.get("$ref").is_some_and(leads) {
                object.remove("$ref");
            }
            object.values_mut().for_each(|value| forget_references(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| forget_references(item, names)),
        _ => {}
    }
}

/// Closes a schema that stands where a value does, in the words of 2020-12.
fn closed(schema: &Value) -> Value {
    let mut closed_schema = parts_closed(schema);
    let is_object = schema["type"] == "object";
    if let (true, Value::Object(object)) = (is_object, &mut closed_schema) {
        object.entry("unevaluatedProperties").or_insert(json!(false));
    }
    closed_schema
}

/// Closes what stands in the members and items of a schema, and leaves its own members open.
fn parts_closed(schema: &Value) -> Value {
    let Value::Object(object) = schema else { return schema.clone() };
    let each = |value: &Value, close: fn(&Value) -> Value| match value {
        Value::Array(items) => Value::Array(items.iter().map(close).collect()),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), close(member))).collect()
        }
        other => other.clone(),
    };
    let close = |(keyword, value): (&String, &Value)| {
        let value = match keyword.as_str() {
            "properties" | "patternProperties" | "prefixItems" => each(value, closed),
            "allOf" | "anyOf" | "oneOf" | "dependentSchemas" => each(value, parts_closed),
            "then" | "else" => parts_closed(value),
            "items" | "additionalProperties" | "unevaluatedItems" => closed(value),
            _ => value.clone(),
        };
        (keyword.clone(), value)
    };
    object.iter().map(close).collect()
}

/// Makes schemas and data by chance.
struct PairMaker(Dice);

impl PairMaker {
    const fn of(seed: u64) -> Self {
        Self(Dice::new(seed))
    }

    const fn roll(&mut self, sides: u64) -> u64 {
        self.0.number() % sides
    }

    fn chance(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        let at = usize::try_from(self.roll(from.len() as u64)).unwrap();
        from[at]
    }

    fn name(&mut self) -> &'static str {
        self.pick(&["a", "b", "c", "ab", "x-1"])
    }

    fn scalar(&mut self) -> Value {
        let numbers =
            ["0", "1", "2", "3", "-1", "1.5", "2.0", "1e1", "9007199254740993", "0.1", "1e30"];
        match self.roll(8) {
            0 => Value::Null,
            1 => json!(self.chance(2)),
            2..=4 => serde_json::from_str(self.pick(&numbers)).unwrap(),
            _ => json!(self.pick(&["", "a", "b", "ab", "é1", "2026-11-29", "A-1"])),
        }
    }

    fn data(&mut self, depth: u64) -> Value {
        if depth == 0 || self.chance(4) {
            return self.scalar();
        }
        if self.chance(3) {
            let items = self.roll(4);
            return (0..items).map(|_| self.data(depth - 1)).collect();
        }
        let members = self.roll(5);
        (0..members).map(|_| (self.name().to_owned(), self.data(depth - 1))).collect()
    }

    fn type_of(&mut self) -> Value {
        let names = ["null", "boolean", "integer", "number", "string", "array", "object", "object"];
        if self.chance(4) {
            json!([self.pick(&names[..4]), self.pick(&names[4..7])])
        } else {
            json!(self.pick(&names))
        }
    }

    fn pattern(&mut self) -> &'static str {
        self.pick(&["^a", "b$", "^[a-c]{1,2}$", "^x-", "^.{1,3}$", "\\d", "^\\w*$", "a|b", "(ab)+"])
    }

    fn any_schema(&mut self, depth: u64) -> Value {
        if self.chance(12) {
            return json!(!self.chance(3));
        }
        let mut schema = Map::new();
        for _ in 0..=self.roll(4) {
            let (keyword, value) =
                if depth == 0 { self.any_assertion() } else { self.any_keyword(depth) };
            schema.insert(keyword.to_owned(), value);
        }
        // `minContains` and its like say something only beside others.
        if schema.contains_key("contains") && self.chance(2) {
            schema.insert("minContains".to_owned(), json!(self.roll(3)));
        }
        if schema.contains_key("contains") && self.chance(3) {
            schema.insert("maxContains".to_owned(), json!(self.roll(3)));
        }
        if schema.contains_key("if") {
            schema.insert("then".to_owned(), self.any_schema(depth - 1));
            schema.insert("else".to_owned(), self.any_schema(depth - 1));
        }
        schema.into()
    }

    fn any_assertion(&mut self) -> (&'static str, Value) {
        match self.roll(15) {
            0..=2 => ("type", self.type_of()),
            3 => ("const", self.data(1)),
            4 => ("enum", json!([self.scalar(), self.data(1)])),
            5 => (self.pick(&["minimum", "exclusiveMinimum"]), json!(self.roll(3))),
            6 => (self.pick(&["maximum", "exclusiveMaximum"]), json!(self.roll(4))),
            7 => {
                ("multipleOf", serde_json::from_str(self.pick(&["2", "0.5", "0.1", "3"])).unwrap())
            }
            8 => (self.pick(&["minLength", "minItems", "minProperties"]), json!(self.roll(3))),
            9 => (self.pick(&["maxLength", "maxItems", "maxProperties"]), json!(self.roll(3))),
            10 => ("pattern", json!(self.pattern())),
            11 => ("uniqueItems", json!(self.chance(2))),
            12 => ("required", json!([self.name()])),
            13 => ("dependentRequired", json!({ self.name(): [self.name()] })),
            _ => ("minContains", json!(self.roll(2))),
        }
    }

    fn any_keyword(&mut self, depth: u64) -> (&'static str, Value) {
        let below = depth - 1;
        let list = |dice: &mut Self| -> Value {
            let count = 1 + dice.roll(3);
            (0..count).map(|_| dice.any_schema(below)).collect()
        };
        match self.roll(24) {
            0..=2 => {
                let count = 1 + self.roll(3);
                let member = |dice: &mut Self| (dice.name().to_owned(), dice.any_schema(below));
                ("properties", (0..count).map(|_| member(self)).collect())
            }
            3 => ("patternProperties", json!({ self.pattern(): self.any_schema(below) })),
            4 => ("additionalProperties", self.any_schema(below)),
            5 => ("propertyNames", self.any_schema(below)),
            6 | 7 => ("unevaluatedProperties", self.rest(below)),
            8 => ("unevaluatedItems", self.rest(below)),
            9 => ("prefixItems", list(self)),
            10 => ("items", self.any_schema(below)),
            11 => ("contains", self.any_schema(below)),
            12 => ("allOf", list(self)),
            13 => ("anyOf", list(self)),
            14 => ("oneOf", list(self)),
            15 => ("not", self.any_schema(below)),
            16 => ("if", self.any_schema(below)),
            17 => ("dependentSchemas", json!({ self.name(): self.any_schema(below) })),
            18 | 19 => ("$ref", json!(self.pick(&["#/$defs/d0", "#/$defs/d1"]))),
            _ => self.any_assertion(),
        }
    }

    fn rest(&mut self, depth: u64) -> Value {
        if self.chance(2) { json!(false) } else { self.any_schema(depth) }
    }

    /// A schema that stands where a value does.
    fn ordinary_value(&mut self, depth: u64) -> Value {
        if depth == 0 || self.chance(3) {
            let simple = ["string", "integer", "boolean", "null"];
            return json!({ "type": self.pick(&simple) });
        }
        if self.chance(4) {
            let item = self.ordinary_value(depth - 1);
            return if self.chance(3) {
                json!({"type": "array", "prefixItems": [self.ordinary_value(depth - 1)],
                    "unevaluatedItems": item})
            } else {
                json!({"type": "array", "items": item})
            };
        }
        let mut names = vec!["f", "e", "d", "c", "b", "a"];
        let mut schema = self.ordinary_part(depth, &mut names);
        schema["type"] = json!("object");
        for _ in 0..self.roll(3) {
            self.add_parts(depth, &mut schema, &mut names);
        }
        if self.chance(8) {
            schema["additionalProperties"] = json!({"type": "integer"});
        }
        schema
    }

    /// Declares some of the names that nothing has declared yet.
    fn ordinary_part(&mut self, depth: u64, names: &mut Vec<&str>) -> Value {
        let mut members = Map::new();
        let mut required = Vec::new();
        for _ in 0..self.roll(3) {
            let Some(name) = names.pop() else { break };
            members.insert(name.to_owned(), self.ordinary_value(depth - 1));
            if self.chance(3) {
                required.push(name.to_owned());
            }
        }
        json!({"properties": members, "required": required})
    }

    fn add_parts(&mut self, depth: u64, schema: &mut Value, names: &mut Vec<&str>) {
        let part = |dice: &mut Self, names: &mut Vec<&str>| dice.ordinary_part(depth, names);
        match self.roll(6) {
            0 => schema["allOf"] = json!([part(self, names), part(self, names)]),
            1 => schema["anyOf"] = json!([part(self, names), part(self, names)]),
            2 => {
                let (mut card, mut cash) = (part(self, names), part(self, names));
                for (branch, kind) in [(&mut card, "card"), (&mut cash, "cash")] {
                    branch["properties"]["kind"] = json!({ "const": kind });
                    branch["required"] = json!(["kind"]);
                }
                schema["oneOf"] = json!([card, cash]);
            }
            3 => {
                schema["if"] = json!({ "required": [self.pick(&["a", "b"])] });
                schema["then"] = part(self, names);
                schema["else"] = part(self, names);
            }
            4 => {
                let given = self.pick(&["a", "b"]);
                schema["dependentSchemas"] = json!({ given: part(self, names) });
                schema["dependentRequired"] = json!({ given: [self.pick(&["a", "b"])] });
            }
            _ => {
                let value = self.ordinary_value(depth - 1);
                schema["patternProperties"] = json!({ "^x-": value });
            }
        }
    }

    /// Data that mostly keeps an ordinary schema.
    fn like(&mut self, schema: &Value, depth: u64) -> Value {
        if depth > 6 || self.chance(24) {
            return self.data(1);
        }
        match schema["type"].as_str() {
            Some("string") => json!(self.pick(&["a", "b"])),
            Some("integer") => json!(self.roll(3)),
            Some("boolean") => json!(self.chance(2)),
            Some("array") => {
                let item = schema.get("items").unwrap_or(&schema["unevaluatedItems"]);
                let first = schema["prefixItems"].as_array().into_iter().flatten();
                let mut items: Vec<Value> =
                    first.map(|schema| self.like(schema, depth + 1)).collect();
                for _ in 0..self.roll(3) {
                    items.push(self.like(item, depth + 1));
                }
                items.into()
            }
            Some("object") => {
                let mut members = Map::new();
                self.fill(schema, &mut members, depth);
                if self.chance(8) {
                    members.insert(self.name().to_owned(), self.scalar());
                }
                members.into()
            }
            _ => Value::Null,
        }
    }

    /// Adds most of what a part of a schema declares.
    fn fill(&mut self, part: &Value, members: &mut Map<String, Value>, depth: u64) {
        for (name, schema) in part["properties"].as_object().into_iter().flatten() {
            if schema.get("const").is_some() {
                members.entry(name.clone()).or_insert(schema["const"].clone());
            } else if !self.chance(4) {
                members.insert(name.clone(), self.like(schema, depth + 1));
            }
        }
        if let Some(schema) = part["patternProperties"].get("^x-") {
            members.insert("x-1".to_owned(), self.like(schema, depth + 1));
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for part in part[keyword].as_array().into_iter().flatten() {
                if keyword == "allOf" || self.chance(2) {
                    self.fill(part, members, depth);
                }
            }
        }
        for keyword in ["then", "else"] {
            if part.get(keyword).is_some() && self.chance(2) {
                self.fill(&part[keyword], members, depth);
            }
        }
        for (_, part) in part["dependentSchemas"].as_object().into_iter().flatten() {
            if self.chance(2) {
                self.fill(part, members, depth);
            }
        }
    }
}
