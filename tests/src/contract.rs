//! The contract as structure: what a version promises, and whether another keeps it.
//!
//! A component that was built against a version finds its imports in the host by name and type, and the host finds the
//! component's exports so. What follows is in `wit/README.md`; here it is checked.

use std::collections::{BTreeMap, BTreeSet};

use wit_parser::{InterfaceId, Resolve, Type, TypeDefKind, TypeId, WorldItem};

/// One version of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// Its version.
    pub version: String,
    /// By interface, each type and function with its structure in words.
    interfaces: BTreeMap<String, BTreeMap<String, String>>,
    /// By world, the interfaces that it imports and those that it exports.
    worlds: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>,
}

impl Contract {
    /// Reads a contract.
    ///
    /// # Errors
    /// Where it is not WIT.
    pub fn parse(wit: &str) -> Result<Self, String> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("policy.wit", wit).map_err(|error| format!("{error:#}"))?;
        let package = &resolve.packages[package];
        let name = |id: InterfaceId| resolve.interfaces[id].name.clone().unwrap_or_default();
        let interfaces = package.interfaces.values().map(|&id| (name(id), items(&resolve, id))).collect();
        let named = |items: &mut dyn Iterator<Item = &WorldItem>| -> BTreeSet<String> {
            let interface = |item: &WorldItem| match item {
                WorldItem::Interface { id, .. } => name(*id),
                other => format!("{other:?}"),
            };
            items.map(interface).collect()
        };
        let worlds = package.worlds.iter().map(|(world, &id)| {
            let world_items = &resolve.worlds[id];
            (world.clone(), (named(&mut world_items.imports.values()), named(&mut world_items.exports.values())))
        });
        let version = package.name.version.as_ref().map(ToString::to_string).unwrap_or_default();
        Ok(Self { version, interfaces, worlds: worlds.collect() })
    }

    /// Names of fields, cases, flags and functions.
    #[must_use]
    pub fn words(&self) -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        for (item, structure) in self.interfaces.values().flatten() {
            if let Some(function) = item.strip_prefix("func ") {
                words.insert(function.to_owned());
            } else if let Some((_, members)) = structure.split_once(" { ") {
                let name = |member: &str| member.split([':', '(', ' ']).next().unwrap_or_default().to_owned();
                // Members of members come in angle brackets, behind a name and a colon.
                words.extend(
                    members
                        .trim_end_matches(" }")
                        .split(", ")
                        .filter(|part| !part.contains('>') || part.contains(": "))
                        .map(name),
                );
            }
        }
        words
    }

    /// Why a component that was built against `published` might not load where this is spoken; nothing where it would.
    #[must_use]
    pub fn breaks(&self, published: &Self) -> Vec<String> {
        let mut broken = Vec::new();
        let exported: BTreeSet<&String> = published.worlds.values().flat_map(|(_, exports)| exports).collect();
        for (interface, items) in &published.interfaces {
            let now = self.interfaces.get(interface).cloned().unwrap_or_default();
            for (item, structure) in items {
                match now.get(item) {
                    None => broken.push(format!("{interface}: {item} is gone")),
                    Some(other) if other != structure => {
                        broken.push(format!("{interface}: {item} was {structure} and is {other}"));
                    }
                    Some(_) => {}
                }
            }
            // Only what the host offers may grow.
            if exported.contains(interface) || self.version == published.version {
                let new = now.keys().filter(|item| !items.contains_key(*item));
                broken.extend(new.map(|item| format!("{interface}: {item} is new, and older components lack it")));
            }
        }
        for (world, (imports, exports)) in &published.worlds {
            match self.worlds.get(world) {
                None => broken.push(format!("world {world} is gone")),
                Some((now, _)) if !now.is_superset(imports) => broken.push(format!("world {world} imports less")),
                Some((_, now)) if now != exports => broken.push(format!("world {world} exports something else")),
                Some(_) => {}
            }
        }
        if broken.is_empty() && self.version == published.version && self != published {
            broken.push(format!("something was added, and the version is still {}", self.version));
        }
        broken
    }
}

fn items(resolve: &Resolve, id: InterfaceId) -> BTreeMap<String, String> {
    let interface = &resolve.interfaces[id];
    let types = interface.types.iter().map(|(name, &id)| (format!("type {name}"), structure(resolve, id)));
    let functions = interface.functions.iter().map(|(name, function)| {
        let parameter = |parameter: &wit_parser::Param| format!("{}: {}", parameter.name, of(resolve, &parameter.ty));
        let parameters: Vec<_> = function.params.iter().map(parameter).collect();
        let result = function.result.as_ref().map_or("nothing".to_owned(), |result| of(resolve, result));
        (format!("func {name}"), format!("({}) -> {result}", parameters.join(", ")))
    });
    types.chain(functions).collect()
}

/// A type's name where it has one, else its structure.
fn of(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Id(id) => resolve.types[*id].name.clone().unwrap_or_else(|| structure(resolve, *id)),
        simple => format!("{simple:?}").to_lowercase(),
    }
}

fn structure(resolve: &Resolve, id: TypeId) -> String {
    let of = |ty: &Type| of(resolve, ty);
    let maybe = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), of);
    match &resolve.types[id].kind {
        TypeDefKind::Record(record) => {
            let fields: Vec<_> =
                record.fields.iter().map(|field| format!("{}: {}", field.name, of(&field.ty))).collect();
            format!("record {{ {} }}", fields.join(", "))
        }
        TypeDefKind::Variant(variant) => {
            let case = |case: &wit_parser::Case| format!("{}({})", case.name, maybe(&case.ty));
            format!("variant {{ {} }}", variant.cases.iter().map(case).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Enum(of) => {
            format!("enum {{ {} }}", of.cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Flags(of) => {
            format!("flags {{ {} }}", of.flags.iter().map(|flag| flag.name.as_str()).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", tuple.types.iter().map(of).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Option(ty) => format!("option<{}>", of(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", of(ty)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", maybe(&result.ok), maybe(&result.err)),
        TypeDefKind::Type(ty) => format!("as {}", of(ty)),
        other => format!("{other:?}"),
    }
}
