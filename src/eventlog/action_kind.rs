//! What a caller may change, as a closed list of words.

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident: $text:literal;)+) => {
        /// What a caller did, under a word that never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ActionKind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl ActionKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable word.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

kinds! {
    /// A subscription was made.
    CreateSubscription: "create-subscription";
    /// The document of a subscription was replaced.
    ReplaceSubscription: "replace-subscription";
    /// A subscription was ended, and what was kept for it forgotten.
    DeleteSubscription: "delete-subscription";
    /// A subscription was made to wait.
    PauseSubscription: "pause-subscription";
    /// A subscription was let go on.
    ResumeSubscription: "resume-subscription";
    /// A sink was asked to prove itself, or its consumer told the nonce.
    VerifySubscription: "verify-subscription";
    /// The credential of a sink was replaced.
    ReplaceSinkCredential: "replace-sink-credential";
    /// The credential of a sink was taken away.
    RemoveSinkCredential: "remove-sink-credential";
    /// Another shared secret was made.
    RotateSecret: "rotate-secret";
    /// Deliveries that waited for another attempt were given up.
    DropRetries: "drop-retries";
    /// A range of the log was sent again.
    StartReplay: "start-replay";
    /// A replay was ended.
    CancelReplay: "cancel-replay";
    /// Dead letters were brought back.
    StartRedrive: "start-redrive";
    /// A redrive was ended.
    CancelRedrive: "cancel-redrive";
    /// A dead letter was dropped.
    DismissDeadLetter: "dismiss-dead-letter";
    /// What was in quarantine was let in.
    ReleaseQuarantined: "release-quarantined";
    /// What was in quarantine was dropped.
    DiscardQuarantined: "discard-quarantined";
    /// The messages of a dead-letter queue were let in.
    DrainQueue: "drain-queue";
    /// A consumer was granted a publication.
    GiveGrant: "give-grant";
    /// The end of a grant was moved.
    ChangeGrant: "change-grant";
    /// A grant was taken back.
    RecallGrant: "recall-grant";
    /// A consumer asked for a grant.
    RequestAccess: "request-access";
    /// A consumer took an access request back.
    WithdrawAccess: "withdraw-access";
    /// An access request was approved, and a grant given.
    ApproveAccess: "approve-access";
    /// An access request was refused.
    RefuseAccess: "refuse-access";
    /// A caller was added.
    AddCaller: "add-caller";
    /// The scopes of a caller or its end were replaced.
    ChangeCaller: "change-caller";
    /// A caller was given another key.
    RotateCallerKey: "rotate-caller-key";
    /// A caller was removed.
    RemoveCaller: "remove-caller";
    /// Signing keys that were missing were made.
    GenerateKeys: "generate-keys";
    /// Successors of signing keys were published.
    RotateKeys: "rotate-keys";
    /// A signing key was removed at once.
    RevokeKey: "revoke-key";
    /// The keys of a directory took the place of those that the log named.
    AdoptKeys: "adopt-keys";
    /// Consumers are told that the gateway will be called otherwise, or that it will not.
    MoveIssuer: "move-issuer";
    /// A log that was brought back was said to be the one to go on with.
    AcceptRestoredLog: "accept-restored-log";
}

impl ActionKind {
    /// The kind that a word stands for.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.text() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        for kind in ActionKind::ALL {
            assert_eq!(ActionKind::from_text(kind.text()), Some(*kind));
        }
        assert_eq!(ActionKind::from_text("publish-event"), None);
    }
}
