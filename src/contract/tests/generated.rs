//! Schemas in normal form that a dialect can say, and data near them.

use serde_json::{Map, Value, json};

use crate::contract::sample::Dice;
use crate::contract::tests::dialects::Words;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "kind", "x/~y"];
const STRANGERS: [&str; 4] = ["a", "ab", "z", "x-1"];
const DEFINITIONS: [&str; 3] = ["A", "B", "C.1"];
const PATTERNS: [&str; 4] = ["^a", "b$", "^x-", "^[ac]$"];
const TEXTS: [&str; 6] = ["", "a", "ab", "card", "2026-02-29", "2026-11-29"];
const TYPES: [&str; 7] = ["object", "array", "string", "integer", "number", "boolean", "null"];

/// A schema, with definitions that may lead to one another.
pub(super) fn schema(dice: &mut Dice, words: Words) -> Value {
    let mut maker = SchemaMaker { dice, words, first: 0 };
    let mut root = maker.schema(3, true);
    let mut definitions = Map::new();
    for (index, name) in DEFINITIONS.into_iter().enumerate() {
        // For the same value a definition leads to later ones only, so that nothing is endless.
        maker.first = index + 1;
        definitions.insert(name.to_owned(), Value::Object(maker.object(2)));
    }
    if root.is_boolean() && (!words.booleans || maker.dice.chance(95)) {
        root = json!({ "type": "object" });
    }
    if let Value::Object(root) = &mut root {
        root.insert("$defs".to_owned(), Value::Object(definitions));
    }
    root
}

struct SchemaMaker<'a> {
    dice: &'a mut Dice,
    words: Words,
    /// The first definition that may stand for the same value.
    first: usize,
}

impl SchemaMaker<'_> {
    /// A schema; `below`: for a part of the value, so that it may lead to any definition.
    fn schema(&mut self, depth: usize, below: bool) -> Value {
        let literal = self.dice.below(100);
        if self.words.booleans && literal < 7 {
            return Value::Bool(literal < 5);
        }
        let first = if below { 0 } else { self.first };
        if first < DEFINITIONS.len() && self.dice.chance(12) {
            let name = DEFINITIONS[first + self.dice.below(DEFINITIONS.len() - first)];
            let mut referring = Map::new();
            if self.dice.chance(30) && depth > 0 {
                referring = self.within(below, |maker| maker.object(depth - 1));
            }
            referring.insert("$ref".to_owned(), Value::from(format!("#/$defs/{name}")));
            return Value::Object(referring);
        }
        Value::Object(self.within(below, |maker| maker.object(depth)))
    }

    /// Below the value, every definition may be referred to.
    fn within<T>(&mut self, below: bool, make: impl FnOnce(&mut Self) -> T) -> T {
        let first = self.first;
        if below {
            self.first = 0;
        }
        let made = make(self);
        self.first = first;
        made
    }

    fn object(&mut self, depth: usize) -> Map<String, Value> {
        let mut schema = Map::new();
        let kind = if depth == 0 { 70 + self.dice.below(30) } else { self.dice.below(100) };
        let name = match kind {
            0..50 => "object",
            50..70 => "array",
            _ => self.dice.pick(&TYPES[2..]),
        };
        if self.dice.chance(60) {
            let nullable = self.dice.chance(10) && name != "null";
            schema.insert(
                "type".to_owned(),
                if nullable { json!([name, "null"]) } else { name.into() },
            );
        }
        match name {
            "object" => self.members(&mut schema, depth),
            "array" => self.items(&mut schema, depth),
            _ => self.scalar(&mut schema, name),
        }
        if depth > 0 {
            self.branches(&mut schema, depth - 1);
        }
        if self.dice.chance(4) {
            schema.insert("description".to_owned(), "for people".into());
            schema.insert("default".to_owned(), json!({"$ref": "#/nowhere", "minlength": 1}));
        }
        schema
    }

    fn sometimes(
        &mut self,
        percent: usize,
        schema: &mut Map<String, Value>,
        keyword: &str,
        make: impl FnOnce(&mut Self) -> Value,
    ) {
        if self.dice.chance(percent) {
            let value = make(self);
            schema.insert(keyword.to_owned(), value);
        }
    }

    fn members(&mut self, schema: &mut Map<String, Value>, depth: usize) {
        let words = self.words;
        self.sometimes(85, schema, "properties", |maker| maker.named(&NAMES, 4, depth - 1, true));
        self.sometimes(30, schema, "required", |maker| {
            let mut names = vec![maker.dice.pick(&NAMES)];
            names.extend(maker.dice.chance(30).then_some("z"));
            json!(names)
        });
        self.sometimes(25, schema, "additionalProperties", |maker| maker.rest(depth - 1, true));
        if words.patterns {
            self.sometimes(12, schema, "patternProperties", |maker| {
                maker.named(&PATTERNS, 2, depth - 1, true)
            });
            let split = self.dice.below(NAMES.len());
            self.sometimes(
                8,
                schema,
                "dependentRequired",
                |maker| json!({ NAMES[split]: [maker.dice.pick(&NAMES)] }),
            );
            self.sometimes(10, schema, "dependentSchemas", |maker| {
                let name = NAMES[(split + 1) % NAMES.len()];
                json!({ name: maker.schema(depth - 1, false) })
            });
        }
        if words.sixth {
            self.sometimes(4, schema, "propertyNames", |maker| {
                maker.dice.pick(&[
                    json!({"maxLength": 2}),
                    json!({"pattern": "^[a-d]"}),
                    json!({"enum": ["a", "b", "kind"]}),
                ])
            });
        }
        if words.later {
            self.sometimes(15, schema, "unevaluatedProperties", |maker| {
                maker.rest(depth - 1, words.booleans)
            });
        }
        self.sometimes(3, schema, "minProperties", |maker| maker.dice.pick(&[json!(1), json!(2)]));
        self.sometimes(3, schema, "maxProperties", |maker| maker.dice.pick(&[json!(2), json!(4)]));
    }

    fn items(&mut self, schema: &mut Map<String, Value>, depth: usize) {
        let words = self.words;
        let tuple = words.tuples && self.dice.chance(30);
        if tuple {
            let items = 1 + self.dice.below(2);
            let items: Vec<Value> = (0..items).map(|_| self.schema(depth - 1, true)).collect();
            schema.insert("prefixItems".to_owned(), Value::Array(items));
        }
        let percent = if tuple { 40 } else { 75 };
        let booleans = words.booleans || tuple;
        self.sometimes(percent, schema, "items", |maker| maker.rest_or_schema(depth - 1, booleans));
        // What `contains` evaluates is told otherwise before 2020-12.
        let unevaluated = words.later && self.dice.chance(12);
        if unevaluated {
            let rest = self.rest(depth - 1, words.booleans);
            schema.insert("unevaluatedItems".to_owned(), rest);
        }
        if words.sixth && (words.prefix || !words.later) {
            self.sometimes(12, schema, "contains", |maker| maker.schema(depth - 1, true));
            if words.later && schema.contains_key("contains") {
                self.sometimes(40, schema, "minContains", |maker| {
                    maker.dice.pick(&[json!(0), json!(2)])
                });
                self.sometimes(30, schema, "maxContains", |maker| {
                    maker.dice.pick(&[json!(1), json!(2)])
                });
            }
        }
        self.sometimes(4, schema, "minItems", |maker| maker.dice.pick(&[json!(1), json!(2)]));
        self.sometimes(4, schema, "maxItems", |maker| maker.dice.pick(&[json!(1), json!(3)]));
        self.sometimes(4, schema, "uniqueItems", |_| true.into());
    }

    fn scalar(&mut self, schema: &mut Map<String, Value>, name: &str) {
        match name {
            "string" => {
                self.sometimes(30, schema, "const", |maker| maker.dice.pick(&TEXTS).into());
                self.sometimes(15, schema, "enum", |maker| {
                    json!([maker.dice.pick(&TEXTS), "card", null])
                });
                self.sometimes(10, schema, "pattern", |maker| maker.dice.pick(&PATTERNS).into());
                self.sometimes(10, schema, "minLength", |_| 1.into());
                self.sometimes(10, schema, "maxLength", |_| 2.into());
                self.sometimes(5, schema, "format", |_| "date".into());
            }
            "integer" | "number" => {
                self.sometimes(15, schema, "const", SchemaMaker::number);
                self.sometimes(10, schema, "enum", |maker| {
                    json!([maker.number(), maker.number(), "a"])
                });
                let exclusive = self.dice.chance(40);
                let bounds = if exclusive {
                    ["exclusiveMinimum", "exclusiveMaximum"]
                } else {
                    ["minimum", "maximum"]
                };
                self.sometimes(20, schema, bounds[0], SchemaMaker::number);
                self.sometimes(20, schema, bounds[1], SchemaMaker::number);
                self.sometimes(10, schema, "multipleOf", |maker| {
                    maker.dice.pick(&[json!(2), json!(0.5), json!(3)])
                });
            }
            _ => {}
        }
        if !self.words.sixth && schema.contains_key("const") {
            // They become one keyword.
            schema.remove("enum");
        }
    }

    fn number(&mut self) -> Value {
        self.dice.pick(&[json!(0), json!(1), json!(2), json!(3), json!(-1), json!(0.5), json!(1.5)])
    }

    fn branches(&mut self, schema: &mut Map<String, Value>, depth: usize) {
        for keyword in ["allOf", "anyOf", "oneOf"] {
            self.sometimes(13, schema, keyword, |maker| {
                let parts = 1 + maker.dice.below(3);
                (0..parts).map(|_| maker.schema(depth, false)).collect()
            });
        }
        self.sometimes(5, schema, "not", |maker| maker.schema(depth, false));
        if self.words.conditions {
            self.sometimes(10, schema, "if", |maker| maker.schema(depth, false));
            self.sometimes(10, schema, "then", |maker| maker.schema(depth, false));
            self.sometimes(10, schema, "else", |maker| maker.schema(depth, false));
        }
    }

    fn named(&mut self, from: &[&str], most: usize, depth: usize, below: bool) -> Value {
        let count = 1 + self.dice.below(most);
        (0..count).map(|_| (self.dice.pick(from).to_owned(), self.schema(depth, below))).collect()
    }

    /// What may stand for the rest: a literal where that can be said, or a schema.
    fn rest(&mut self, depth: usize, literals: bool) -> Value {
        match self.dice.below(10) {
            0..4 if literals => Value::Bool(false),
            4..7 if literals => Value::Bool(true),
            _ => self.schema_object(depth),
        }
    }

    fn rest_or_schema(&mut self, depth: usize, literals: bool) -> Value {
        if self.dice.chance(20) { self.rest(depth, literals) } else { self.schema(depth, true) }
    }

    fn schema_object(&mut self, depth: usize) -> Value {
        Value::Object(self.within(true, |maker| maker.object(depth)))
    }
}

/// Data that often keeps the schema, and sometimes nearly.
pub(super) fn data(dice: &mut Dice, schema: &Value) -> Value {
    let mut maker = DataMaker { dice, definitions: &schema["$defs"] };
    let mut data = if maker.dice.chance(4) { maker.anything(3) } else { maker.sample(schema, 6) };
    let changes = maker.dice.pick(&[0, 0, 0, 1, 1, 2]);
    for _ in 0..changes {
        maker.change(&mut data);
    }
    data
}

struct DataMaker<'a> {
    dice: &'a mut Dice,
    definitions: &'a Value,
}

impl<'a> DataMaker<'a> {
    fn anything(&mut self, depth: usize) -> Value {
        match self.dice.below(if depth == 0 { 7 } else { 10 }) {
            0 => Value::Null,
            1 => self.dice.chance(50).into(),
            2..4 => self.dice.pick(&[json!(0), json!(1), json!(2), json!(3), json!(0.5), json!(7)]),
            4..7 => self.dice.pick(&TEXTS).into(),
            7..9 => {
                let count = self.dice.below(3);
                (0..count)
                    .map(|_| (self.dice.pick(&NAMES).to_owned(), self.anything(depth - 1)))
                    .collect()
            }
            _ => {
                let count = self.dice.below(3);
                (0..count).map(|_| self.anything(depth - 1)).collect()
            }
        }
    }

    /// The schemas that may apply to one value with this one.
    fn around(&mut self, schema: &'a Value, depth: usize, found: &mut Vec<&'a Map<String, Value>>) {
        let Value::Object(object) = schema else { return };
        found.push(object);
        if depth == 0 {
            return;
        }
        if let Some(Value::String(reference)) = object.get("$ref") {
            self.around(
                &self.definitions[reference.trim_start_matches("#/$defs/")],
                depth - 1,
                found,
            );
        }
        for (keyword, percent) in [("allOf", 100), ("anyOf", 50), ("oneOf", 30)] {
            for part in object.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                if self.dice.chance(percent) {
                    self.around(part, depth - 1, found);
                }
            }
        }
        for keyword in ["if", "then", "else"] {
            if let Some(part) = object.get(keyword).filter(|_| self.dice.chance(40)) {
                self.around(part, depth - 1, found);
            }
        }
        for part in object.get("dependentSchemas").and_then(Value::as_object).into_iter().flatten()
        {
            self.around(part.1, depth - 1, found);
        }
    }

    fn sample(&mut self, schema: &'a Value, depth: usize) -> Value {
        if depth == 0 {
            return self.anything(0);
        }
        let mut around = Vec::new();
        self.around(schema, 4, &mut around);
        if schema.is_boolean() || around.is_empty() {
            return self.anything(2);
        }
        if let Some(fixed) = self.fixed(&around) {
            return fixed;
        }
        match self.name(&around).as_str() {
            "object" => self.members(&around, depth),
            "array" => self.items(&around, depth),
            "string" => self.dice.pick(&TEXTS).into(),
            "integer" => self.dice.below(4).into(),
            "number" => self.dice.pick(&[json!(0.5), json!(1), json!(1.5), json!(2.5)]),
            "boolean" => self.dice.chance(50).into(),
            "null" => Value::Null,
            _ => self.anything(2),
        }
    }

    fn fixed(&mut self, around: &[&'a Map<String, Value>]) -> Option<Value> {
        let mut values: Vec<&Value> = around.iter().filter_map(|part| part.get("const")).collect();
        values.extend(around.iter().filter_map(|part| part.get("enum")?.as_array()).flatten());
        (!values.is_empty() && self.dice.chance(90)).then(|| self.dice.pick(&values).clone())
    }

    /// The type that one of the schemas asks for, or seems to be about.
    fn name(&mut self, around: &[&'a Map<String, Value>]) -> String {
        let mut names = Vec::new();
        for part in around {
            match part.get("type") {
                Some(Value::String(name)) => names.push(name.clone()),
                Some(Value::Array(several)) => {
                    names
                        .push(several[self.dice.below(several.len())].as_str().unwrap().to_owned());
                }
                _ if ["properties", "required", "additionalProperties"]
                    .iter()
                    .any(|word| part.contains_key(*word)) =>
                {
                    names.push("object".to_owned());
                }
                _ if ["items", "prefixItems", "contains"]
                    .iter()
                    .any(|word| part.contains_key(*word)) =>
                {
                    names.push("array".to_owned());
                }
                _ => {}
            }
        }
        if names.is_empty() { String::new() } else { self.dice.pick(&names) }
    }

    fn members(&mut self, around: &[&'a Map<String, Value>], depth: usize) -> Value {
        let mut members = Map::new();
        for part in around {
            let required: Vec<&str> = part
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            for (name, schema) in
                part.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                if (required.contains(&name.as_str()) || self.dice.chance(60))
                    && !(members.contains_key(name) && self.dice.chance(70))
                {
                    let value = self.sample(schema, depth - 1);
                    members.insert(name.clone(), value);
                }
            }
            for (pattern, schema) in
                part.get("patternProperties").and_then(Value::as_object).into_iter().flatten()
            {
                let name = match pattern.as_str() {
                    "^a" => "ab",
                    "b$" => "b",
                    "^x-" => "x-1",
                    _ => "c",
                };
                if self.dice.chance(50) {
                    let value = self.sample(schema, depth - 1);
                    members.insert(name.to_owned(), value);
                }
            }
            for keyword in ["additionalProperties", "unevaluatedProperties"] {
                let open = part.get(keyword).filter(|rest| **rest != Value::Bool(false));
                if let Some(rest) = open.filter(|_| self.dice.chance(50)) {
                    let value = self.sample(rest, depth - 1);
                    let name = self.dice.pick(&STRANGERS).to_owned();
                    members.entry(name).or_insert(value);
                }
            }
            for name in required {
                if !members.contains_key(name) && self.dice.chance(90) {
                    let value = self.anything(1);
                    members.insert(name.to_owned(), value);
                }
            }
        }
        Value::Object(members)
    }

    fn items(&mut self, around: &[&'a Map<String, Value>], depth: usize) -> Value {
        let mut items = Vec::new();
        for part in around {
            for schema in part.get("prefixItems").and_then(Value::as_array).into_iter().flatten() {
                if self.dice.chance(90) {
                    items.push(self.sample(schema, depth - 1));
                }
            }
            for keyword in ["items", "contains", "unevaluatedItems"] {
                if let Some(schema) =
                    part.get(keyword).filter(|schema| **schema != Value::Bool(false))
                {
                    for _ in 0..self.dice.below(3) {
                        items.push(self.sample(schema, depth - 1));
                    }
                }
            }
        }
        Value::Array(items)
    }

    /// Changes one place of the data.
    fn change(&mut self, data: &mut Value) {
        match data {
            Value::Object(members) if !members.is_empty() && self.dice.chance(70) => {
                let chosen = self.dice.below(members.len());
                let name = members.keys().nth(chosen).unwrap().clone();
                match self.dice.below(6) {
                    0 => drop(members.remove(&name)),
                    1 => {
                        let value = self.anything(2);
                        members.insert(self.dice.pick(&STRANGERS).to_owned(), value);
                    }
                    2 => {
                        let value = self.anything(1);
                        members.insert(self.dice.pick(&NAMES).to_owned(), value);
                    }
                    _ => self.change(&mut members[&name]),
                }
            }
            Value::Array(items) if !items.is_empty() && self.dice.chance(70) => {
                let chosen = self.dice.below(items.len());
                match self.dice.below(4) {
                    0 => drop(items.remove(chosen)),
                    1 => items.push(self.anything(2)),
                    _ => self.change(&mut items[chosen]),
                }
            }
            Value::Object(members) => {
                let value = self.anything(2);
                members.insert(self.dice.pick(&STRANGERS).to_owned(), value);
            }
            other => *other = self.anything(2),
        }
    }
}
