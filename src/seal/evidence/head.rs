//! Takes the first line of a bundle: what it is about.

use serde_json::{Map, Value};

use crate::seal::evidence::examiner::{Checked, Stage, parsed, text_of, wrong};
use crate::seal::evidence::{Examiner, Header, series};
use crate::seal::signed;

impl Examiner<'_> {
    pub(super) fn take_header(&mut self, members: &Map<String, Value>) -> Checked<()> {
        if members.get("version").and_then(Value::as_u64) != Some(1) {
            return wrong("this version of bundles is not known");
        }
        let bound = |name| match members.get(name) {
            Some(Value::Null) => Ok(None),
            _ => parsed(members, name).map(Some),
        };
        let header = Header {
            issuer: text_of(members, "issuer")?.to_owned(),
            audience: text_of(members, "audience")?.to_owned(),
            subscription: parsed(members, "subscription")?,
            from: bound("from")?,
            to: bound("to")?,
            at: parsed(members, "at")?,
            tree: self.tree.begin(members.get("tree"))?,
            incarnation: signed::number_or_first(members, "incarnation")
                .ok_or_else(|| "`incarnation` is malformed".to_owned())?,
            series: series::read(members.get("previous"))?,
            aliases: series::aliases(members.get("aliases"))?,
            asked: self.take_asked(members)?,
        };
        if header.asked.is_some() && header.tree.is_none() {
            self.find(
                "the head tells of no tree, which every gateway that signs `asked` has".to_owned(),
            );
        }
        self.incarnations.head = header.incarnation;
        self.hold_order("the bundle", header.at, None);
        if header.from.zip(header.to).is_some_and(|(from, to)| from > to) {
            self.find("`from` lies behind `to`".to_owned());
        }
        let issuer = header.issuer.clone();
        self.header = Some(header);
        self.stage = Stage::Keys;
        if self.trust.believes(&issuer) {
            Ok(())
        } else {
            Err(format!("the bundle is of the issuer {issuer}, which is not one that is believed"))
        }
    }
}
