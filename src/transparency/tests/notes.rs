//! Notes and checkpoints are those of C2SP: the examples of the specifications are read, and another
//! library reads ours.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use proptest::prelude::*;
use signed_note::{Note, StandardVerifier, VerifierList};

use crate::transparency::{
    LogNote, NoteError, NoteKey, NoteSignature, SignedNote, TreeHash, TreeRoot,
};

/// The example of signed-note's library, which is Go's.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETERS_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
/// The example of tlog-checkpoint.
const BEHIND_THE_SOFA: &str = "example.com/behind-the-sofa\n20852163\n\
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

fn keys(name: &str) -> (Ed25519KeyPair, NoteKey) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    let key = NoteKey::new(name, public).unwrap();
    (pair, key)
}

fn signed(note: &LogNote) -> (SignedNote, NoteKey) {
    let (pair, key) = keys(&note.origin);
    let text = note.to_string();
    let signatures = vec![key.signature(pair.sign(text.as_bytes()).as_ref().to_vec())];
    (SignedNote { text, signatures }, key)
}

fn log_note() -> LogNote {
    let root = TreeHash::from_bytes([9; 32]);
    LogNote { origin: "gateway.example/log".to_owned(), tree: TreeRoot { size: 7, root } }
}

#[test]
fn a_note_of_the_reference_library_is_believed_and_a_changed_one_is_not() {
    let key: NoteKey = PETER.parse().unwrap();
    let note: SignedNote = PETERS_NOTE.parse().unwrap();
    assert_eq!(key.verify(&note), Ok(()));
    assert_eq!((key.to_string().as_str(), note.to_string().as_str()), (PETER, PETERS_NOTE));

    let changed = SignedNote { text: note.text.replace("your", "our"), ..note.clone() };
    assert_eq!(key.verify(&changed), Err(NoteError::Forged));
    let (_, stranger) = keys("PeterNeumann");
    assert_eq!(stranger.verify(&note), Err(NoteError::Unsigned));
    assert_eq!(
        key.verify(&SignedNote { signatures: Vec::new(), ..note }),
        Err(NoteError::Unsigned)
    );
}

#[test]
fn the_checkpoint_of_the_specification_is_read() {
    let note: SignedNote = BEHIND_THE_SOFA.parse().unwrap();
    let read: LogNote = note.text.parse().unwrap();
    assert_eq!((read.origin.as_str(), read.tree.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(read.to_string(), note.text);
    assert_eq!(note.to_string(), BEHIND_THE_SOFA);
    let extended = format!("{}more\n", note.text);
    assert_eq!(extended.parse(), Ok(read));
}

#[test]
fn another_library_believes_our_checkpoint() {
    let (note, key) = signed(&log_note());
    let theirs = Note::from_bytes(note.to_string().as_bytes()).unwrap();
    let verifier = StandardVerifier::new(&key.to_string()).unwrap();
    let (verified, others) = theirs.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((verified.len(), others.len()), (1, 0));
    let read = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    assert_eq!((read.origin(), read.size(), read.hash().0), ("gateway.example/log", 7, [9; 32]));
    assert_eq!(read.extension(), "");
    assert_eq!(key.verify(&note), Ok(()));
    assert_eq!(note.text.parse(), Ok(log_note()));
}

#[test]
fn a_signature_of_another_beside_ours_is_not_looked_at_and_a_forged_one_of_ours_refuses_all() {
    let (note, key) = signed(&log_note());
    let other: NoteSignature = PETERS_NOTE.lines().last().unwrap().parse().unwrap();
    let ours = note.signatures[0].clone();
    let with = |signatures| SignedNote { signatures, ..note.clone() };
    assert_eq!(key.verify(&with(vec![other.clone(), ours.clone()])), Ok(()));
    assert_eq!(key.verify(&with(vec![other])), Err(NoteError::Unsigned));
    let forged = key.signature(vec![1; 64]);
    assert_eq!(key.verify(&with(vec![ours, forged])), Err(NoteError::Forged));
}

#[test]
fn what_is_no_note_no_key_and_no_checkpoint_is_refused() {
    let long = format!("{}\n\n{DASH_LINE}\n", "x".repeat(70_000));
    let many = format!("x\n\n{}", format!("{DASH_LINE}\n").repeat(65));
    for note in [
        "",
        "x",
        "x\n",
        "x\n\n",
        "x\n\n\n",
        "x\n\n— a\n",
        "x\n\n— a AAAA\n",
        "x\n\n— a AAAAAA==",
        "x\n\n— a+b AAAAAAA=\n",
        "x\r\n\n— a AAAAAAA=\n",
        "x\n\n- a AAAAAAA=\n",
        &long,
        &many,
    ] {
        assert_eq!(note.parse::<SignedNote>(), Err(NoteError::Malformed), "{note:.80}");
    }
    let (_, key) = keys("a");
    let text = key.to_string();
    for wrong in [
        text.replacen("a+", "b+", 1),
        text.replace('+', " "),
        format!("{text}="),
        String::new(),
        "a+00000000+".to_owned(),
        text.to_uppercase(),
    ] {
        assert!(wrong.parse::<NoteKey>().is_err(), "{wrong}");
    }
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb"] {
        assert_eq!(NoteKey::new(name, [0; 32]), None);
    }
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    for text in [
        format!("a\n1\n{root}"),
        format!("\n1\n{root}\n"),
        format!("a\n01\n{root}\n"),
        format!("a\n+1\n{root}\n"),
        format!("a\n1\n{}\n", root.trim_start_matches('C')),
        "a\n1\n".to_owned(),
        format!("a\n1\n{root}\n\n"),
        format!("a\n9999999999999999999\n{root}\n"),
    ] {
        assert_eq!(text.parse::<LogNote>(), Err(NoteError::Malformed), "{text}");
    }
}

const DASH_LINE: &str = "— a AAAAAAA=";

#[test]
fn the_origin_is_the_address_without_its_scheme() {
    let origin = LogNote::origin_of;
    assert_eq!(origin("https://events.example.com/log", 1), "events.example.com/log");
    assert_eq!(origin("https://events.example.com/log", 12), "events.example.com/log/12");
    assert_eq!(origin("http://127.0.0.1:8080/a+b/log/", 1), "127.0.0.1:8080/a%2Bb/log");
    assert_eq!(origin("http://127.0.0.1:8080/a+b/log/", 2), "127.0.0.1:8080/a%2Bb/log/2");
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_as_it_was(text in "[a-c \n—+=]{0,60}", size in any::<u64>()) {
        if let Ok(note) = text.parse::<SignedNote>() {
            prop_assert_eq!(note.to_string(), text.clone());
        }
        let _ = text.parse::<LogNote>();
        let _ = text.parse::<NoteKey>();
        let size = size >> 2;
        let note = LogNote { tree: TreeRoot { size, ..log_note().tree }, ..log_note() };
        prop_assert_eq!(note.to_string().parse(), Ok(note));
    }
}
