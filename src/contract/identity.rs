//! What a message may be called inside its document, and how a publication finds it.

use crate::contract::fields::Generation;
use crate::contract::reference::{Library, Location};
use crate::contract::usage::{Usage, UsageKey};

/// Everything that a message is called. It *is* its place; a trait's `name` is none of it, because
/// several messages may share the trait.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageIdentity {
    /// Its own `name`.
    name: Option<String>,
    /// Its own `messageId`.
    message_id: Option<String>,
    /// Its keys in `components/messages`.
    components: Vec<String>,
    /// Channels and its keys in them.
    channels: Vec<(String, String)>,
    /// The addresses of its channels.
    addresses: Vec<String>,
    /// Its places in the document, as references to them: `#/components/messages/OrderCreated`.
    places: Vec<String>,
}

/// The ways in which a reference may mean a message, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoundBy {
    /// By its key in `components/messages`.
    Component,
    /// By its key in a channel.
    Key,
    /// By its `messageId`.
    MessageId,
    /// By its `name`.
    Name,
    /// By a channel and the key in it: `orders/created`.
    ChannelAndKey,
    /// By the address of its channel.
    Address,
    /// By its place in the document: `#/components/messages/OrderCreated`.
    Place,
}

impl FoundBy {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [
        Self::Component,
        Self::Key,
        Self::MessageId,
        Self::Name,
        Self::ChannelAndKey,
        Self::Address,
        Self::Place,
    ];
}

impl MessageIdentity {
    /// What the message calls itself.
    pub(super) fn of(library: &Library, at: &Location) -> Self {
        let own = |field: &str| {
            let text = library.text(at, field).filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let message_id = own("messageId").or_else(|| own("x-messageId"));
        Self { name: own("name"), message_id, ..Self::default() }
    }

    /// Notes one more use of the message in the document of this file.
    pub(super) fn note(&mut self, usage: &Usage, file: &str) {
        match &usage.key {
            UsageKey::Component(key) => note(&mut self.components, key.clone()),
            UsageKey::Channel(channel, key) => {
                note(&mut self.channels, (channel.clone(), key.clone()));
            }
            UsageKey::Absent => {}
        }
        if let Some(address) = &usage.address {
            note(&mut self.addresses, address.clone());
        }
        for place in [Some(&usage.place), usage.at.as_ref().ok()].into_iter().flatten() {
            if place.file == file {
                note(&mut self.places, format!("#{}", place.pointer));
            }
        }
    }

    /// What it is called in listings: its `name`, in version 2 its `messageId`, its key, or where
    /// it is.
    pub(super) fn label(&self, generation: Generation) -> &str {
        let id = self.message_id.as_deref().filter(|_| generation == Generation::Two);
        let mut names = [self.name.as_deref(), id, self.key()].into_iter().flatten();
        let place = || self.addresses.first().or(self.places.first()).map(String::as_str);
        names.next().or_else(place).unwrap_or_default()
    }

    /// Its key in a channel, or among the components.
    pub(super) fn key(&self) -> Option<&str> {
        let component = self.components.first().map(String::as_str);
        self.channels.first().map(|(_, key)| key.as_str()).or(component)
    }

    /// Whether a channel carries it.
    pub(super) fn is_carried(&self) -> bool {
        !self.channels.is_empty() || !self.addresses.is_empty()
    }

    /// The addresses of the channels that carry it.
    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Whether a reference means it in this way.
    pub(super) fn is(&self, naming: FoundBy, reference: &str) -> bool {
        self.names(naming).any(|name| name == reference)
    }

    /// Everything that it is called in one way.
    pub(super) fn names(&self, naming: FoundBy) -> Box<dyn Iterator<Item = String> + '_> {
        match naming {
            FoundBy::Component => Box::new(self.components.iter().cloned()),
            FoundBy::Key => Box::new(self.channels.iter().map(|(_, key)| key.clone())),
            FoundBy::MessageId => Box::new(self.message_id.iter().cloned()),
            FoundBy::Name => Box::new(self.name.iter().cloned()),
            FoundBy::ChannelAndKey => {
                Box::new(self.channels.iter().map(|(channel, key)| format!("{channel}/{key}")))
            }
            FoundBy::Address => Box::new(self.addresses.iter().cloned()),
            FoundBy::Place => Box::new(self.places.iter().cloned()),
        }
    }
}

fn note<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
