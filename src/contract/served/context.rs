//! What the parts of an AsyncAPI document are, as far as references go.

/// What a reference may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartContext {
    /// An object of AsyncAPI.
    Object,
    /// Objects of AsyncAPI by names of the author's.
    Named,
    /// A reference that must stay one, to a part of this kind among the components.
    Reference(&'static str),
    /// A schema, or a list of them.
    Schema,
    /// Schemas by names of the author's.
    Schemas,
    /// The values by which a schema tells its alternatives apart.
    Discriminator,
    /// An example of a message.
    Example,
    /// Values that mean nothing here, also where they look like a reference.
    Plain,
}

impl PartContext {
    /// What a member is; `is_list` says whether its value is a list.
    pub(super) fn of_member(self, name: &str, is_list: bool) -> Self {
        match self {
            Self::Object | Self::Reference(_) => object_member(name, is_list),
            Self::Named => Self::Object,
            Self::Schema => schema_member(name),
            Self::Schemas => Self::Schema,
            Self::Discriminator | Self::Example | Self::Plain => self,
        }
    }
}

fn object_member(name: &str, is_list: bool) -> PartContext {
    match name {
        "payload" | "headers" | "schema" => PartContext::Schema,
        "schemas" => PartContext::Schemas,
        "examples" => PartContext::Example,
        "channel" => PartContext::Reference("channels"),
        "messages" if is_list => PartContext::Reference("messages"),
        "servers" if is_list => PartContext::Reference("servers"),
        "channels" | "operations" | "messages" | "servers" | "parameters" | "variables"
        | "serverVariables" | "replies" | "replyAddresses" | "securitySchemes"
        | "correlationIds" | "messageTraits" | "operationTraits" | "serverBindings"
        | "channelBindings" | "operationBindings" | "messageBindings" => PartContext::Named,
        name if name.starts_with("x-") => PartContext::Plain,
        _ => PartContext::Object,
    }
}

fn schema_member(name: &str) -> PartContext {
    match name {
        "properties" | "patternProperties" | "definitions" | "$defs" | "dependentSchemas"
        | "dependencies" => PartContext::Schemas,
        "discriminator" => PartContext::Discriminator,
        "const" | "enum" | "default" | "example" | "examples" => PartContext::Plain,
        name if name.starts_with("x-") => PartContext::Plain,
        _ => PartContext::Schema,
    }
}
