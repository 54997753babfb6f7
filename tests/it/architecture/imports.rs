//! What files import, and which file a name comes from, also through the door of a folder.

use std::collections::{BTreeMap, BTreeSet};

use crate::architecture::sources::Source;

/// What is written before the name of an item.
const ITEMS: &[&str] =
    &["struct", "enum", "union", "trait", "type", "fn", "const", "static", "macro_rules!"];

/// A path in the language, from the root of the crate or as it is written.
type Path = Vec<String>;

/// A name that a `use` brings into a file.
pub struct Import {
    /// The name in the file.
    pub name: String,
    /// Whether everyone who sees the file may import it from there.
    pub is_public: bool,
    path: Path,
}

/// The module of one file.
struct Module {
    file: String,
    is_door: bool,
    defines: BTreeSet<String>,
    imports: Vec<Import>,
    /// All other paths in the code.
    mentions: Vec<Path>,
}

/// All files of the crate, by the paths of their modules.
pub struct Modules(BTreeMap<Path, Module>);

/// For each file the files that it imports from, with the names.
pub type Edges = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

impl Modules {
    /// Reads all files.
    pub fn of(sources: &[Source]) -> Self {
        let module = |source: &Source| {
            let code = source.statements();
            let module = Module {
                file: source.path.clone(),
                is_door: source.is_door(),
                defines: items(&code, ITEMS).map(str::to_owned).collect(),
                imports: imports(&code),
                mentions: mentions(&code),
            };
            (source.module(), module)
        };
        Self(sources.iter().map(module).collect())
    }

    /// Who imports from whom. Doors are passed through: what they re-export comes from the file that
    /// defines it.
    pub fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (path, module) in self.0.iter().filter(|(_, module)| !module.is_door) {
            let to = edges.entry(module.file.clone()).or_default();
            let imported = module.imports.iter().map(|import| &import.path);
            for named in imported.chain(&module.mentions) {
                let file = self.absolute(path, named).and_then(|name| self.file_of(&name));
                if let Some(file) = file.filter(|file| *file != module.file) {
                    to.entry(file.to_owned()).or_default().insert(named.join("::"));
                }
            }
        }
        edges
    }

    /// A path from the root of the crate; nothing if it leads to another crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.to_vec(),
            "super" => module.split_last()?.1.to_vec(),
            _ => self.folder_called(first, module)?,
        };
        Some([&start, rest].concat())
    }

    /// What is below a module, or was imported into it, under the name of a file or folder.
    fn folder_called(&self, name: &String, module: &[String]) -> Option<Path> {
        let below = [module, std::slice::from_ref(name)].concat();
        if self.0.contains_key(&below) {
            return Some(below);
        }
        let named = |import: &&Import| import.name == *name && import.path.first() != Some(name);
        let import = self.0.get(module)?.imports.iter().find(named)?;
        self.absolute(module, &import.path).filter(|path| self.0.contains_key(path))
    }

    /// The file that defines what a path names; nothing if it names a door.
    fn file_of(&self, path: &[String]) -> Option<&str> {
        let length = (1..=path.len()).rev().find(|length| self.0.contains_key(&path[..*length]))?;
        let (at, rest) = path.split_at(length);
        let module = &self.0[at];
        let own = (!module.is_door).then_some(module.file.as_str());
        let Some(name) = rest.first().filter(|name| !module.defines.contains(*name)) else {
            return own;
        };
        let import = module.imports.iter().find(|import| import.name == *name);
        let passed_on = import.and_then(|import| self.file_of(&self.absolute(at, &import.path)?));
        passed_on.or(own)
    }
}

/// The names of the items of some kinds that stand at the left margin.
pub fn items<'a>(code: &'a str, kinds: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let item = |line: &'a str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut at = words.iter().position(|word| ITEMS.contains(word))?;
        if words[at] == "const" && words.get(at + 1) == Some(&"fn") {
            at += 1;
        }
        let name = words.get(at + 1).filter(|_| kinds.contains(&words[at]))?;
        name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
    };
    let at_margin = |line: &&str| line.starts_with(char::is_alphabetic);
    code.lines().filter(at_margin).filter_map(item)
}

/// Everything that the `use` lines of a text import.
pub fn imports(code: &str) -> Vec<Import> {
    let mut found = Vec::new();
    for (at, mark) in code.match_indices("use ") {
        let (before, use_and_rest) = code.split_at(at);
        let before = before.rsplit('\n').next().unwrap_or_default().trim();
        if before.is_empty() || before == "pub" || before.starts_with("pub(") {
            let tree = use_and_rest.split(';').next().unwrap_or_default().trim_start_matches(mark);
            spread(&[], tree, ["pub", "pub(crate)"].contains(&before), &mut found);
        }
    }
    found
}

/// Spreads `a::{b, c as d}` out.
fn spread(prefix: &[String], list: &str, is_public: bool, found: &mut Vec<Import>) {
    let mut depth = 0;
    let between = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    };
    for tree in list.split(between).map(str::trim).filter(|tree| !tree.is_empty()) {
        let (head, below) = tree.split_once('{').unwrap_or((tree, ""));
        let (head, alias) = head.split_once(" as ").unwrap_or((head, ""));
        let steps = head.trim().split("::").filter(|step| !step.is_empty()).map(str::to_owned);
        let mut path: Path = prefix.iter().cloned().chain(steps).collect();
        if !below.is_empty() {
            spread(&path, below.trim_end_matches('}'), is_public, found);
            continue;
        }
        path.pop_if(|last| last == "self");
        let name = if alias.is_empty() { path.last().cloned() } else { Some(alias.to_owned()) };
        found.extend(name.map(|name| Import { name, is_public, path }));
    }
}

/// The paths of two or more steps that stand anywhere in the code.
fn mentions(code: &str) -> Vec<Path> {
    let ends = |c: char| !c.is_alphanumeric() && c != '_' && c != ':';
    let paths = code.split(ends).map(|path| path.trim_matches(':'));
    let paths = paths.filter(|path| path.contains("::"));
    paths.map(|path| path.split("::").map(str::to_owned).collect()).collect()
}
