//! The objects of AsyncAPI 2 and 3, and which fields each has.

use crate::contract::anatomy::FieldContent::{List, Map, Nullable, One, Text, Values};
use crate::contract::fields::Generation;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Document,
    Info,
    Contact,
    License,
    Server,
    ServerVariable,
    Channel,
    Operation,
    OperationTrait,
    Reply,
    ReplyAddress,
    /// A message, or in an operation of version 2 a list of them.
    Message,
    MessageTrait,
    Example,
    CorrelationId,
    Parameter,
    Tag,
    Docs,
    SecurityScheme,
    /// Of version 2: names of security schemes.
    Requirement,
    Flows,
    Flow,
    Components,
    /// Whatever a protocol's binding says; only its references are known.
    Bindings,
    Schema,
    /// A schema, in version 3 perhaps with its format.
    Payload,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldContent {
    Text,
    /// A text, or null.
    Nullable,
    /// Something that is not looked into.
    Values,
    One(Kind),
    Map(Kind),
    List(Kind),
}

/// A field's name and what it holds.
pub(super) type Field = (&'static str, FieldContent);

const TITLE: Field = ("title", Text);
const SUMMARY: Field = ("summary", Text);
const DESCRIPTION: Field = ("description", Text);
const NAME: Field = ("name", Text);
const TAGS: Field = ("tags", List(Kind::Tag));
const DOCS: Field = ("externalDocs", One(Kind::Docs));
const BINDINGS: Field = ("bindings", One(Kind::Bindings));
const REQUIREMENTS: Field = ("security", List(Kind::Requirement));
const SCHEMES: Field = ("security", List(Kind::SecurityScheme));

const DOCUMENT2: &[Field] = &[
    ("asyncapi", Text),
    ("id", Text),
    ("info", One(Kind::Info)),
    ("servers", Map(Kind::Server)),
    ("defaultContentType", Text),
    ("channels", Map(Kind::Channel)),
    ("components", One(Kind::Components)),
    TAGS,
    DOCS,
];
const DOCUMENT3: &[Field] = &[
    ("asyncapi", Text),
    ("id", Text),
    ("info", One(Kind::Info)),
    ("servers", Map(Kind::Server)),
    ("defaultContentType", Text),
    ("channels", Map(Kind::Channel)),
    ("operations", Map(Kind::Operation)),
    ("components", One(Kind::Components)),
];
const INFO2: &[Field] = &[
    TITLE,
    ("version", Text),
    DESCRIPTION,
    ("termsOfService", Text),
    ("contact", One(Kind::Contact)),
    ("license", One(Kind::License)),
];
const INFO3: &[Field] = &[
    TITLE,
    ("version", Text),
    DESCRIPTION,
    ("termsOfService", Text),
    ("contact", One(Kind::Contact)),
    ("license", One(Kind::License)),
    TAGS,
    DOCS,
];
const SERVER2: &[Field] = &[
    ("url", Text),
    ("protocol", Text),
    ("protocolVersion", Text),
    DESCRIPTION,
    ("variables", Map(Kind::ServerVariable)),
    REQUIREMENTS,
    TAGS,
    BINDINGS,
];
const SERVER3: &[Field] = &[
    ("host", Text),
    ("pathname", Text),
    ("protocol", Text),
    ("protocolVersion", Text),
    TITLE,
    SUMMARY,
    DESCRIPTION,
    ("variables", Map(Kind::ServerVariable)),
    SCHEMES,
    TAGS,
    DOCS,
    BINDINGS,
];
const CHANNEL2: &[Field] = &[
    DESCRIPTION,
    ("servers", Values),
    ("subscribe", One(Kind::Operation)),
    ("publish", One(Kind::Operation)),
    ("parameters", Map(Kind::Parameter)),
    BINDINGS,
];
const CHANNEL3: &[Field] = &[
    ("address", Nullable),
    ("messages", Map(Kind::Message)),
    TITLE,
    SUMMARY,
    DESCRIPTION,
    ("servers", List(Kind::Server)),
    ("parameters", Map(Kind::Parameter)),
    TAGS,
    DOCS,
    BINDINGS,
];
const OPERATION2: &[Field] = &[
    ("operationId", Text),
    SUMMARY,
    DESCRIPTION,
    REQUIREMENTS,
    TAGS,
    DOCS,
    BINDINGS,
    ("traits", List(Kind::OperationTrait)),
    ("message", One(Kind::Message)),
];
const OPERATION3: &[Field] = &[
    ("action", Text),
    ("channel", One(Kind::Channel)),
    TITLE,
    SUMMARY,
    DESCRIPTION,
    SCHEMES,
    TAGS,
    DOCS,
    BINDINGS,
    ("traits", List(Kind::OperationTrait)),
    ("messages", List(Kind::Message)),
    ("reply", One(Kind::Reply)),
];
const OPERATION_TRAIT2: &[Field] =
    &[("operationId", Text), SUMMARY, DESCRIPTION, REQUIREMENTS, TAGS, DOCS, BINDINGS];
const OPERATION_TRAIT3: &[Field] = &[TITLE, SUMMARY, DESCRIPTION, SCHEMES, TAGS, DOCS, BINDINGS];
const MESSAGE2: &[Field] = &[
    ("oneOf", List(Kind::Message)),
    ("messageId", Text),
    ("headers", One(Kind::Schema)),
    ("payload", One(Kind::Payload)),
    ("correlationId", One(Kind::CorrelationId)),
    ("schemaFormat", Text),
    ("contentType", Text),
    NAME,
    TITLE,
    SUMMARY,
    DESCRIPTION,
    TAGS,
    DOCS,
    BINDINGS,
    ("examples", List(Kind::Example)),
    ("traits", List(Kind::MessageTrait)),
];
const MESSAGE3: &[Field] = &[
    ("headers", One(Kind::Payload)),
    ("payload", One(Kind::Payload)),
    ("correlationId", One(Kind::CorrelationId)),
    ("contentType", Text),
    NAME,
    TITLE,
    SUMMARY,
    DESCRIPTION,
    TAGS,
    DOCS,
    BINDINGS,
    ("examples", List(Kind::Example)),
    ("traits", List(Kind::MessageTrait)),
];
const MESSAGE_TRAIT2: &[Field] = &[
    ("messageId", Text),
    ("headers", One(Kind::Schema)),
    ("correlationId", One(Kind::CorrelationId)),
    ("schemaFormat", Text),
    ("contentType", Text),
    NAME,
    TITLE,
    SUMMARY,
    DESCRIPTION,
    TAGS,
    DOCS,
    BINDINGS,
    ("examples", List(Kind::Example)),
];
const MESSAGE_TRAIT3: &[Field] = &[
    ("headers", One(Kind::Payload)),
    ("correlationId", One(Kind::CorrelationId)),
    ("contentType", Text),
    NAME,
    TITLE,
    SUMMARY,
    DESCRIPTION,
    TAGS,
    DOCS,
    BINDINGS,
    ("examples", List(Kind::Example)),
];
const PARAMETER2: &[Field] = &[DESCRIPTION, ("schema", One(Kind::Schema)), ("location", Text)];
const PARAMETER3: &[Field] =
    &[("enum", Values), ("default", Text), DESCRIPTION, ("examples", Values), ("location", Text)];
const SECURITY_SCHEME: &[Field] = &[
    ("type", Text),
    DESCRIPTION,
    NAME,
    ("in", Text),
    ("scheme", Text),
    ("bearerFormat", Text),
    ("flows", One(Kind::Flows)),
    ("openIdConnectUrl", Text),
    ("scopes", Values),
];
const COMPONENTS2: &[Field] = &[
    ("schemas", Map(Kind::Schema)),
    ("servers", Map(Kind::Server)),
    ("serverVariables", Map(Kind::ServerVariable)),
    ("channels", Map(Kind::Channel)),
    ("messages", Map(Kind::Message)),
    ("securitySchemes", Map(Kind::SecurityScheme)),
    ("parameters", Map(Kind::Parameter)),
    ("correlationIds", Map(Kind::CorrelationId)),
    ("operationTraits", Map(Kind::OperationTrait)),
    ("messageTraits", Map(Kind::MessageTrait)),
    ("serverBindings", Map(Kind::Bindings)),
    ("channelBindings", Map(Kind::Bindings)),
    ("operationBindings", Map(Kind::Bindings)),
    ("messageBindings", Map(Kind::Bindings)),
];
const COMPONENTS3: &[Field] = &[
    ("schemas", Map(Kind::Payload)),
    ("servers", Map(Kind::Server)),
    ("serverVariables", Map(Kind::ServerVariable)),
    ("channels", Map(Kind::Channel)),
    ("operations", Map(Kind::Operation)),
    ("messages", Map(Kind::Message)),
    ("securitySchemes", Map(Kind::SecurityScheme)),
    ("parameters", Map(Kind::Parameter)),
    ("replies", Map(Kind::Reply)),
    ("replyAddresses", Map(Kind::ReplyAddress)),
    ("correlationIds", Map(Kind::CorrelationId)),
    ("externalDocs", Map(Kind::Docs)),
    ("tags", Map(Kind::Tag)),
    ("operationTraits", Map(Kind::OperationTrait)),
    ("messageTraits", Map(Kind::MessageTrait)),
    ("serverBindings", Map(Kind::Bindings)),
    ("channelBindings", Map(Kind::Bindings)),
    ("operationBindings", Map(Kind::Bindings)),
    ("messageBindings", Map(Kind::Bindings)),
];

/// The fields of a kind of object; none for those that are not made of fields.
pub(super) fn fields(kind: Kind, generation: Generation) -> &'static [Field] {
    let by = |two, three| match generation {
        Generation::Two => two,
        Generation::Three => three,
    };
    match kind {
        Kind::Document => by(DOCUMENT2, DOCUMENT3),
        Kind::Info => by(INFO2, INFO3),
        Kind::Contact => &[NAME, ("url", Text), ("email", Text)],
        Kind::License => &[NAME, ("url", Text)],
        Kind::Server => by(SERVER2, SERVER3),
        Kind::ServerVariable => {
            &[("enum", Values), ("default", Text), DESCRIPTION, ("examples", Values)]
        }
        Kind::Channel => by(CHANNEL2, CHANNEL3),
        Kind::Operation => by(OPERATION2, OPERATION3),
        Kind::OperationTrait => by(OPERATION_TRAIT2, OPERATION_TRAIT3),
        Kind::Reply => &[
            ("address", One(Kind::ReplyAddress)),
            ("channel", One(Kind::Channel)),
            ("messages", List(Kind::Message)),
        ],
        Kind::ReplyAddress | Kind::CorrelationId => &[("location", Text), DESCRIPTION],
        Kind::Message => by(MESSAGE2, MESSAGE3),
        Kind::MessageTrait => by(MESSAGE_TRAIT2, MESSAGE_TRAIT3),
        Kind::Example => &[NAME, SUMMARY, ("headers", Values), ("payload", Values)],
        Kind::Parameter => by(PARAMETER2, PARAMETER3),
        Kind::Tag => &[NAME, DESCRIPTION, DOCS],
        Kind::Docs => &[DESCRIPTION, ("url", Text)],
        Kind::SecurityScheme => SECURITY_SCHEME,
        Kind::Flows => &[
            ("implicit", One(Kind::Flow)),
            ("password", One(Kind::Flow)),
            ("clientCredentials", One(Kind::Flow)),
            ("authorizationCode", One(Kind::Flow)),
        ],
        Kind::Flow => &[
            ("authorizationUrl", Text),
            ("tokenUrl", Text),
            ("refreshUrl", Text),
            ("scopes", Values),
            ("availableScopes", Values),
        ],
        Kind::Components => by(COMPONENTS2, COMPONENTS3),
        Kind::Requirement | Kind::Bindings | Kind::Schema | Kind::Payload => &[],
    }
}
