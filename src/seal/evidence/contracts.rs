//! Takes the contracts of a bundle.

use serde_json::{Map, Value};

use crate::event::TokenDigest;
use crate::seal::evidence::examiner::{Checked, MOST_CONTRACTS, parsed, text_of, wrong};
use crate::seal::evidence::{BundleLine, Examiner};

impl Examiner<'_> {
    pub(super) fn take_contract(
        &mut self,
        mut members: Map<String, Value>,
    ) -> Checked<Option<BundleLine>> {
        let dataschema = text_of(&members, "dataschema")?.to_owned();
        let (schema, told) = match members.remove("schema") {
            Some(Value::Null) | None => {
                self.is_unkept = true;
                (None, None)
            }
            Some(schema) => {
                let document = text_of(&members, "document")?.to_owned();
                if parsed::<TokenDigest>(&members, "sha256")? != TokenDigest::of(&document) {
                    return wrong("the contract is not the one whose digest stands beside it");
                }
                (Some(schema.clone()), Some(BundleLine::Contract { document, schema }))
            }
        };
        // Opened events alone are held against it.
        let schema = schema.filter(|_| self.trust.opening_keys.is_some());
        if self.schemas.len() == MOST_CONTRACTS {
            return wrong("there are too many contracts");
        }
        if self.schemas.insert(dataschema, schema).is_some() {
            return wrong("the contract was there before");
        }
        Ok(told)
    }
}
