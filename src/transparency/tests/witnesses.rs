//! Witnesses are those of C2SP: what public ones have cosigned is believed, requests are those of the
//! specification, and only what is consistent is cosigned.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64_simd::STANDARD;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::event::Timestamp;
use crate::transparency::{
    AddCheckpoint, HeldTree, LogNote, NoteError, NoteKey, ProofPlan, SignedNote, TreeHash,
    TreeRoot, WitnessKey, WitnessKeyError, WitnessRefusal, judge_checkpoint,
};

const NOTE: &str = include_str!("../../../tests/vectors/witness/arche2025h1.note");
const KEYS: &str = include_str!("../../../tests/vectors/witness/keys.txt");
const LOG: &str =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
/// The example of tlog-witness.
const REQUEST: &str = "old 20852014\n\
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
    jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
    5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
    /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
    \n\
    example.com/behind-the-sofa\n\
    20852163\n\
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
    \n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    — example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";
const ORIGIN: &str = "gateway.example/log";

fn pair(seed: u8) -> (Ed25519KeyPair, [u8; 32]) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    (pair, public)
}

fn log_key() -> NoteKey {
    NoteKey::new(ORIGIN, pair(7).1).unwrap()
}

#[test]
fn what_public_witnesses_have_cosigned_is_believed_and_nothing_else() {
    let note: SignedNote = NOTE.parse().unwrap();
    assert_eq!(note.to_string(), NOTE);
    assert_eq!(LOG.parse::<NoteKey>().unwrap().verify(&note), Ok(()));
    let at = Timestamp::from_unix_seconds(1_779_573_024);
    for line in KEYS.lines() {
        let key: WitnessKey = line.parse().unwrap();
        assert_eq!(key.to_string(), line);
        assert_eq!(key.verify(&note), Ok(at), "{line}");

        let changed = SignedNote { text: note.text.replacen("143", "144", 1), ..note.clone() };
        assert_eq!(key.verify(&changed), Err(NoteError::Forged));
        let redated = NOTE.replace("AAAABqEiEg", "AAAABqEiEh");
        assert_eq!(key.verify(&redated.parse().unwrap()), Err(NoteError::Forged));
        let stranger = WitnessKey::new(key.name(), [1; 32]).unwrap();
        assert_eq!(stranger.verify(&note), Err(NoteError::Unsigned));
    }
}

#[test]
fn a_cosignature_is_read_as_it_is_written_and_the_latest_counts() {
    let (pair, public) = pair(3);
    let key = WitnessKey::new("witness.example/w1", public).unwrap();
    let text = "gateway.example/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let cosign = |seconds| {
        let at = Timestamp::from_unix_seconds(seconds);
        key.signature(at, pair.sign(WitnessKey::cosigned(text, at).as_bytes()).as_ref())
    };
    let note = SignedNote { text: text.to_owned(), signatures: vec![cosign(20), cosign(9)] };
    let read: SignedNote = note.to_string().parse().unwrap();
    assert_eq!(key.verify(&read), Ok(Timestamp::from_unix_seconds(20)));
    for seconds in [u64::MAX, 1 << 63, i64::MAX.unsigned_abs(), 253_402_300_800] {
        let signed = pair.sign(format!("cosignature/v1\ntime {seconds}\n{text}").as_bytes());
        let id = &STANDARD.decode_to_vec(key.to_string().splitn(3, '+').nth(2).unwrap()).unwrap();
        let id = &Sha256::digest([b"witness.example/w1\n", id.as_slice()].concat())[..4];
        let bytes = [id, &seconds.to_be_bytes(), signed.as_ref()].concat();
        let line = format!("— witness.example/w1 {}", STANDARD.encode_to_string(bytes));
        let signatures = vec![cosign(20), line.parse().unwrap()];
        let note = SignedNote { text: text.to_owned(), signatures };
        assert_eq!(key.verify(&note), Err(NoteError::Forged), "{seconds}");
    }
}

#[test]
fn keys_that_are_not_those_of_witnesses_say_what_they_are() {
    let witness = KEYS.lines().next().unwrap();
    let ml_dsa = "w+00000000+BgAA";
    for (text, problem) in [
        (LOG.to_owned(), WitnessKeyError::OfLog),
        (ml_dsa.to_owned(), WitnessKeyError::MlDsa),
        ("w+00000000+BQAA".to_owned(), WitnessKeyError::OtherType(5)),
        ("w+00000000+BAAA".to_owned(), WitnessKeyError::Malformed),
        (String::new(), WitnessKeyError::Malformed),
        ("w+00000000+".to_owned(), WitnessKeyError::Malformed),
        (witness.replace("DEV", "dev"), WitnessKeyError::Malformed),
        (witness.to_uppercase(), WitnessKeyError::Malformed),
    ] {
        assert_eq!(text.parse::<WitnessKey>(), Err(problem), "{text}");
    }
    assert!(witness.parse::<NoteKey>().is_err(), "and a witness's is none of a log");
}

#[test]
fn the_request_of_the_specification_is_read() {
    let read: AddCheckpoint = REQUEST.parse().unwrap();
    assert_eq!((read.old, read.proof.len(), read.note.signatures.len()), (20_852_014, 4, 2));
    assert_eq!(read.to_string(), REQUEST);
    let first = format!("old 0\n\n{NOTE}");
    assert_eq!(first.parse::<AddCheckpoint>().unwrap().to_string(), first);
}

#[test]
fn what_is_no_request_is_refused() {
    let hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
    for body in [
        String::new(),
        "old 1\n".to_owned(),
        format!("old 01\n\n{NOTE}"),
        format!("old -1\n\n{NOTE}"),
        format!("old 99999999999999999999\n\n{NOTE}"),
        format!("new 1\n\n{NOTE}"),
        format!("old 1\r\n\n{NOTE}"),
        format!("old 1\nAAAA\n\n{NOTE}"),
        format!("old 1\n{}\n{NOTE}", hash.repeat(64)),
        format!("old 1\n\n{}", "x".repeat(AddCheckpoint::LONGEST)),
        "old 1\n\nx\n".to_owned(),
    ] {
        assert_eq!(body.parse::<AddCheckpoint>(), Err(NoteError::Malformed), "{body:.60}");
    }
    assert!(format!("old 1\n{}\n{NOTE}", hash.repeat(63)).parse::<AddCheckpoint>().is_ok());
}

/// A log of so many leaves, of which those from a number on are others.
fn log(size: u64, other_from: u64) -> HeldTree {
    let mut tree = HeldTree::empty();
    for number in 0..size {
        let byte = if number < other_from { 0 } else { 0xff };
        let mut leaf = [byte; 32];
        leaf[..8].copy_from_slice(&number.to_be_bytes());
        tree.push_hash(TreeHash::from_bytes(leaf));
    }
    tree
}

/// What a log asks.
fn request(tree: &HeldTree, old: u64, seed: u8) -> AddCheckpoint {
    let root = tree.frontier.root();
    let text = LogNote { origin: ORIGIN.to_owned(), tree: root }.to_string();
    let signature = pair(seed).0.sign(text.as_bytes()).as_ref().to_vec();
    let key = NoteKey::new(ORIGIN, pair(seed).1).unwrap();
    let plan = ProofPlan::consistency(old.min(root.size), root.size).unwrap();
    let proof = plan.assemble(&tree.all(plan.spans()).unwrap()).unwrap();
    let note = SignedNote { text, signatures: vec![key.signature(signature)] };
    AddCheckpoint { old, proof, note }
}

fn judged(request: &AddCheckpoint, latest: Option<TreeRoot>) -> Result<TreeRoot, WitnessRefusal> {
    judge_checkpoint(request, &[log_key()], |_| latest).map(|note| note.tree)
}

#[test]
fn a_log_that_grows_is_cosigned_from_its_first_leaf_on() {
    let mut latest = None;
    for size in [0, 1, 1, 2, 5, 8, 8, 300] {
        let tree = log(size, 999);
        let old = latest.map_or(0, |tree: TreeRoot| tree.size);
        latest = Some(judged(&request(&tree, old, 7), latest).unwrap());
        assert_eq!(latest, Some(tree.frontier.root()));
    }
}

#[test]
fn a_log_that_forks_goes_back_or_rewrites_itself_is_not_cosigned() {
    let latest = Some(log(5, 999).frontier.root());
    for (what, request, refusal) in [
        ("another tree of this size", request(&log(5, 4), 5, 7), WitnessRefusal::Forked(5)),
        ("another end", request(&log(9, 4), 5, 7), WitnessRefusal::Unproved),
        ("another beginning", request(&log(9, 0), 5, 7), WitnessRefusal::Unproved),
        ("a smaller tree", request(&log(3, 999), 3, 7), WitnessRefusal::OtherSize(5)),
        (
            "a smaller tree that says otherwise",
            request(&log(3, 999), 5, 7),
            WitnessRefusal::Malformed,
        ),
        ("a larger one from nothing", request(&log(9, 999), 0, 7), WitnessRefusal::OtherSize(5)),
        (
            "one without a proof",
            AddCheckpoint { proof: vec![], ..request(&log(9, 999), 5, 7) },
            WitnessRefusal::Unproved,
        ),
        ("one of another key", request(&log(9, 999), 5, 8), WitnessRefusal::Unsigned),
    ] {
        assert_eq!(judged(&request, latest), Err(refusal), "{what}");
    }
    let other = NoteKey::new("other.example/log", pair(7).1).unwrap();
    let asked = request(&log(9, 999), 5, 7);
    let unknown = judge_checkpoint(&asked, &[other], |_| latest);
    assert_eq!(unknown, Err(WitnessRefusal::UnknownLog));
    let mut note = asked.note;
    note.text = "no checkpoint\n".to_owned();
    let asked = AddCheckpoint { note, ..request(&log(9, 999), 5, 7) };
    assert_eq!(judged(&asked, latest), Err(WitnessRefusal::Malformed));
}

proptest! {
    #[test]
    fn whatever_is_asked_is_read_as_it_was_written_or_refused(
        body in "(old [0-9]{1,21}\n)?([A-Za-z0-9+/]{43}=\n){0,3}\n?[a-c—+=\n ]{0,60}",
        old in any::<u64>(),
        hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..64),
        cut in any::<prop::sample::Index>(),
    ) {
        if let Ok(read) = body.parse::<AddCheckpoint>() {
            prop_assert_eq!(read.to_string(), body);
        }
        let proof = hashes.into_iter().map(TreeHash::from_bytes).collect();
        let asked = AddCheckpoint { old: old >> 2, proof, note: NOTE.parse().unwrap() };
        let text = asked.to_string();
        prop_assert_eq!(text.parse::<AddCheckpoint>(), Ok(asked));
        let place = cut.index(text.len());
        if let Some(cut) = text.get(..place) {
            let _ = cut.parse::<AddCheckpoint>();
        }
    }

    #[test]
    fn whatever_stands_for_a_key_is_read_as_it_was_written_or_refused(text in "[a-c +/=0-9A-F]{0,70}") {
        if let Ok(key) = text.parse::<WitnessKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }
}
