//! The dialects of JSON Schema in which payloads are written.

/// What the words of a schema mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Dialect {
    /// AsyncAPI's own: draft-07, and the later words that do not contradict it.
    AsyncApi,
    /// The Schema Object of OpenAPI 3.0, as Amazon EventBridge's registry exports it.
    OpenApi30,
    /// JSON Schema draft-04.
    Draft4,
    /// JSON Schema draft-06.
    Draft6,
    /// JSON Schema draft-07.
    Draft7,
    /// JSON Schema 2019-09.
    Draft201909,
    /// JSON Schema 2020-12, which OpenAPI 3.1 uses, too.
    Draft202012,
}

/// What a `schemaFormat` says about the dialect.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SchemaFormat {
    /// This dialect and no other.
    Of(Dialect),
    /// A JSON Schema whose dialect `$schema` tells, if it tells one.
    Open,
    /// Another language, by its name.
    Foreign(&'static str),
    /// A version of JSON Schema that is not read.
    Version,
    /// Nothing that is known.
    Unknown,
}

impl Dialect {
    /// What it is called.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AsyncApi => "AsyncAPI's schemas",
            Self::OpenApi30 => "OpenAPI 3.0",
            Self::Draft4 => "JSON Schema draft-04",
            Self::Draft6 => "JSON Schema draft-06",
            Self::Draft7 => "JSON Schema draft-07",
            Self::Draft201909 => "JSON Schema 2019-09",
            Self::Draft202012 => "JSON Schema 2020-12",
        }
    }

    /// The dialect that a `$schema` names.
    pub(super) fn of_uri(uri: &str) -> Option<Self> {
        let plain = uri.trim().trim_end_matches('#');
        let plain = plain.strip_prefix("https://").or_else(|| plain.strip_prefix("http://"))?;
        if plain.starts_with("spec.openapis.org/oas/3.1/dialect/") {
            return Some(Self::Draft202012);
        }
        let version = plain.strip_prefix("json-schema.org/")?.strip_suffix("/schema")?;
        Self::of_version(version)
    }

    fn of_version(version: &str) -> Option<Self> {
        let plain = version.strip_prefix("draft-").or_else(|| version.strip_prefix("draft/"));
        Some(match plain.unwrap_or(version) {
            "04" | "4" => Self::Draft4,
            "06" | "6" => Self::Draft6,
            "07" | "7" => Self::Draft7,
            "2019-09" => Self::Draft201909,
            "2020-12" => Self::Draft202012,
            _ => return None,
        })
    }

    /// The dialect of an OpenAPI document of this version.
    pub(super) fn of_openapi(version: &str) -> Option<Self> {
        match version.split('.').take(2).collect::<Vec<_>>()[..] {
            ["3", "0"] => Some(Self::OpenApi30),
            ["3", "1"] => Some(Self::Draft202012),
            _ => None,
        }
    }

    /// Whether what stands beside a `$ref` means nothing (draft-07, section 8.3).
    pub(super) const fn ignores_siblings(self) -> bool {
        !matches!(self, Self::Draft201909 | Self::Draft202012)
    }

    /// Whether `exclusiveMinimum: true` makes `minimum` exclusive (draft-04, section 5.1.3).
    pub(super) const fn has_boolean_bounds(self) -> bool {
        matches!(self, Self::AsyncApi | Self::OpenApi30 | Self::Draft4)
    }

    /// Whether a reference begins at the file before it begins at its schema, as in AsyncAPI.
    pub(super) const fn refers_to_files(self) -> bool {
        matches!(self, Self::AsyncApi | Self::OpenApi30)
    }

    /// Whether draft-07 can express what it says, later words aside.
    pub(super) const fn is_of_draft7(self) -> bool {
        !matches!(self, Self::Draft201909 | Self::Draft202012)
    }
}

impl SchemaFormat {
    /// Reads the media type of a schema (AsyncAPI 3.0, Multi Format Schema Object).
    pub(super) fn of(text: &str) -> Self {
        let plain: String = text.to_ascii_lowercase().split_whitespace().collect();
        let (media_type, parameters) = plain.split_once(';').unwrap_or((&plain, ""));
        let mut parameters = parameters.split(';');
        let version = parameters.find_map(|parameter| parameter.strip_prefix("version="));
        let version = version.map(|version| version.trim_matches('"'));
        let base = media_type.trim_end_matches("+json").trim_end_matches("+yaml");
        let base = base.trim_end_matches("-json").trim_end_matches("-yaml");
        match base {
            "application/vnd.aai.asyncapi" => Self::Open,
            "application/schema" => match version {
                None => Self::Open,
                Some(version) => Dialect::of_version(version).map_or(Self::Version, Self::Of),
            },
            "application/vnd.oai.openapi" => {
                Dialect::of_openapi(version.unwrap_or("3.0")).map_or(Self::Version, Self::Of)
            }
            "application/vnd.apache.avro" => Self::Foreign("Avro"),
            "application/raml" => Self::Foreign("RAML"),
            "application/vnd.google.protobuf" => Self::Foreign("Protobuf"),
            "application/xml" | "text/xml" | "application/xsd" => Self::Foreign("XML Schema"),
            _ => Self::Unknown,
        }
    }

    /// Why no dialect can be had of it, and what to do; nothing if one can.
    pub(super) fn refusal(&self, text: &str) -> Option<(String, &'static str)> {
        let write = "write the payload in JSON Schema, for example with `schemaFormat: \
                     application/schema+json;version=draft-07`";
        match self {
            Self::Of(_) | Self::Open => None,
            Self::Foreign(language) => {
                Some((format!("a payload in {language} cannot be checked"), write))
            }
            Self::Version => {
                let help = "read are draft-04, draft-06, draft-07, 2019-09 and 2020-12 of JSON \
                            Schema, and OpenAPI 3.0 and 3.1";
                Some((format!("`{text}` names a version that is not read"), help))
            }
            Self::Unknown => Some((format!("`{text}` is no format that can be checked"), write)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_uri_names_its_dialect_with_or_without_its_hash() {
        for (uri, dialect) in [
            ("http://json-schema.org/draft-04/schema#", Dialect::Draft4),
            ("http://json-schema.org/draft-06/schema", Dialect::Draft6),
            ("https://json-schema.org/draft-07/schema#", Dialect::Draft7),
            ("https://json-schema.org/draft/2019-09/schema", Dialect::Draft201909),
            ("https://json-schema.org/draft/2020-12/schema", Dialect::Draft202012),
            ("https://spec.openapis.org/oas/3.1/dialect/base", Dialect::Draft202012),
        ] {
            assert_eq!(Dialect::of_uri(uri), Some(dialect), "{uri}");
        }
        for uri in ["http://json-schema.org/schema#", "http://example.com/meta", "draft-07", ""] {
            assert_eq!(Dialect::of_uri(uri), None, "{uri}");
        }
    }

    #[test]
    fn a_media_type_names_its_dialect_or_is_refused_in_words_of_its_own() {
        for (text, format) in [
            ("application/schema+json;version=draft-07", SchemaFormat::Of(Dialect::Draft7)),
            ("application/schema+yaml; version=draft-04", SchemaFormat::Of(Dialect::Draft4)),
            ("application/schema+json;version=2020-12", SchemaFormat::Of(Dialect::Draft202012)),
            (
                "application/schema+json;version=\"draft/2019-09\"",
                SchemaFormat::Of(Dialect::Draft201909),
            ),
            ("application/schema+json", SchemaFormat::Open),
            ("application/vnd.aai.asyncapi+json;version=3.0.0", SchemaFormat::Open),
            ("application/vnd.aai.asyncapi;version=2.6.0", SchemaFormat::Open),
            ("application/vnd.oai.openapi;version=3.0.0", SchemaFormat::Of(Dialect::OpenApi30)),
            (
                "application/vnd.oai.openapi+json;version=3.1.0",
                SchemaFormat::Of(Dialect::Draft202012),
            ),
            ("application/vnd.apache.avro;version=1.9.0", SchemaFormat::Foreign("Avro")),
            ("application/vnd.apache.avro+yaml;version=1.9.0", SchemaFormat::Foreign("Avro")),
            ("application/raml+yaml;version=1.0", SchemaFormat::Foreign("RAML")),
            ("application/schema+json;version=draft-03", SchemaFormat::Version),
            ("application/vnd.oai.openapi;version=2.0", SchemaFormat::Version),
            ("text/plain", SchemaFormat::Unknown),
            ("", SchemaFormat::Unknown),
        ] {
            let read = SchemaFormat::of(text);
            let refused = !matches!(read, SchemaFormat::Of(_) | SchemaFormat::Open);
            assert_eq!(read.refusal(text).is_some(), refused);
            assert_eq!(read, format, "{text}");
        }
    }
}
