//! What patterns match, against a table and against a library.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use crate::contract::pattern::class::CharClass;
use crate::contract::pattern::program::Program;
use crate::contract::pattern::{PatternMistake, PatternPool, simulation, syntax};

fn matches(pattern: &str, text: &str) -> bool {
    let found = PatternPool::default()
        .get(pattern)
        .unwrap_or_else(|mistake| panic!("{pattern}: {mistake:?}"))
        .matches(text);
    // The plain way and the general one agree.
    let piece = syntax::read(pattern).unwrap();
    let program = Program::of(&piece, &mut |set| CharClass::of(set).into()).unwrap();
    assert_eq!(simulation::matches(&program, text), found, "{pattern} {text}");
    found
}

fn refusal(pattern: &str) -> PatternMistake {
    PatternPool::default().get(pattern).err().unwrap_or_else(|| panic!("{pattern}"))
}

#[test]
fn patterns_of_ordinary_size_work_whatever_their_class_and_numbers() {
    for (pattern, kept, broken) in [
        (r"^\p{L}{1,50}$", "Ünïcödé", "a1"),
        (r"^.{1,2000}$", "any text", "two\nlines"),
        (r"^\S{1,1024}$", "no-space", "a space"),
        (r"^[\w.+-]{1,254}@[\w-]{1,63}\.[a-z]{2,}$", "a.b+c@host.example", "a b@host.example"),
        (r"^[^\x00-\x1f]{0,10000}$", "", "\u{1}"),
        (r"^(?:\p{Lu}\p{Ll}{0,500} ?){1,20}$", "One Two", "one"),
    ] {
        assert!(matches(pattern, kept), "{pattern}");
        assert!(!matches(pattern, broken), "{pattern}");
    }
    for (length, kept) in [(0, false), (1, true), (50, true), (51, false)] {
        assert_eq!(matches(r"^\p{L}{1,50}$", &"é".repeat(length)), kept, "{length}");
        assert_eq!(matches(r"^(a|é){1,50}$", &"é".repeat(length)), kept, "{length}");
    }
}

#[test]
fn what_ecma_262_means_is_what_matches() {
    for (pattern, text, expected) in [
        (r"^\d$", "१", false),
        (r"^\p{Nd}$", "१", true),
        (r"^\p{digit}+$", "১২", true),
        (r"^\w+$", "é", false),
        (r"^\W$", "é", true),
        (r"^\s$", "\u{feff}", true),
        (r"^\s$", "\u{85}", false),
        (r"^\S$", "\u{2029}", false),
        (r"\p{Letter}cole", "L'école", true),
        (r"^\p{Script=Greek}+$", "αβ", true),
        (r"^\p{scx=Greek}$", "α", true),
        (r"^\P{L}$", "1", true),
        (r"^\cC$", "\u{3}", true),
        (r"^\cc$", "\u{3}", true),
        (r"^\/\-\.$", "/-.", true),
        (r"^\u{1F600}\uD83D\uDE00\x41\u0042$", "😀😀AB", true),
        (r"^\0\t\v\f$", "\0\t\u{b}\u{c}", true),
        ("^a$", "a\n", false),
        ("^a$", "a", true),
        ("^[^]*$", "a\nb", true),
        ("[]", "a", false),
        ("^.$", "\r", false),
        ("^.$", "\u{2028}", false),
        ("^.$", "\u{85}", true),
        ("^.$", "😀", true),
        (r"^[\s\S]*$", "a\n", true),
        (r"[\b]", "\u{8}", true),
        (r"\bcat\b", "a cat.", true),
        (r"\bcat\b", "concat", false),
        (r"\Bcat", "concat", true),
        (r"^[\w-.]+$", "a-b.c", true),
        (r"^[a-\d]+$", "a-1", true),
        ("^[-a]+$", "-a", true),
        ("^[a-]+$", "-a", true),
        (r"^[\]\[^]+$", "[]^", true),
        ("^a{,}$", "a{,}", true),
        ("^{a}$", "{a}", true),
        ("^x{2$", "x{2", true),
        ("^(?<year>\\d{4})-(?:0|1)$", "2026-1", true),
        ("^(?:a|ab)(?:c|bcd)(?:d*)$", "abcd", true),
        ("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false),
        ("^(a?){30}a{30}$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true),
        ("", "anything", true),
        ("a||b", "", true),
        ("(|a)+$", "aa", true),
        ("^a*?b+?$", "aab", true),
        ("(?i)^straße$", "STRAßE", true),
        ("^(?i:a)b$", "Ab", true),
        ("^(?i:a)b$", "AB", false),
        ("(?i)[^a]", "A", false),
        ("(?m)^b$", "a\nb\nc", true),
        ("(?s)^.$", "\n", true),
        ("^a{3}{$", "aaa{", true),
        ("^[\\uD800-\\uDBFF]$", "a", false),
        ("^.{2,3}b.{1,2}$", "abbbb", true),
        ("a.{2,3}b", "xxaaxxxbx", true),
        ("a.{2,3}$", "aaaaa", true),
        ("^(?:a.{1,3}b)$", "aaabb", true),
        ("^(?:.?b{2,4}){2}$", "bbbbb", true),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text:?}");
    }
}

#[test]
fn what_is_refused_is_refused_in_words_of_its_own() {
    for (pattern, what) in [
        ("(?=a)b", "look-ahead"),
        ("a(?!b)", "look-ahead"),
        ("(?<=a)b", "look-behind"),
        ("(?<!a)b", "look-behind"),
        (r"(a)\1", "back-reference"),
        (r"(?<n>a)\k<n>", "back-reference"),
        ("(?>a)", "gives nothing back"),
        ("a++", "gives nothing back"),
    ] {
        let mistake = refusal(pattern);
        assert!(matches!(mistake, PatternMistake::Nonlinear { .. }), "{pattern}: {mistake:?}");
        assert!(mistake.problem().contains(what), "{pattern}: {}", mistake.problem());
        assert!(mistake.help().contains("linear time"), "{pattern}");
    }
    for (pattern, what) in [
        ("(", "a group that is not closed, at its character 1"),
        ("a)", "a `)` that closes nothing, at its character 2"),
        ("[a", "not closed"),
        ("[b-a]", "the wrong way round"),
        ("a{3,2}", "the wrong way round"),
        ("*a", "a repetition of nothing"),
        ("^*", "a repetition of nothing"),
        ("a**", "a repetition of a repetition"),
        ("a{,5}", "write `{0,…}`"),
        (r"\Aa\z", "the start of the text is `^`"),
        (r"a\Z", "the end of the text is `$`"),
        (r"\y", "stands for nothing"),
        (r"\p{Nothing}", "no property `Nothing`"),
        (r"\u{110000}", "names no character"),
        (r"\x1", "hexadecimal"),
        (r"\07", "octal"),
        ("[[:alpha:]]", "POSIX"),
        ("(?#note)", "unknown kind"),
        ("a\\", "a backslash at the end"),
    ] {
        let mistake = refusal(pattern);
        assert!(mistake.problem().contains(what), "{pattern}: {}", mistake.problem());
    }
    assert!(matches!(refusal(&"(".repeat(100)), PatternMistake::Syntax { .. }));
}

#[test]
fn patterns_that_are_too_large_are_refused_alone_and_together() {
    assert_eq!(
        refusal("^(ab{1,9}c){1000}{1,2}$").problem().split(',').next(),
        Some("not a regular expression of ECMA-262: a repetition of a repetition")
    );
    assert_eq!(refusal("^((ab){100}){100}$"), PatternMistake::TooLarge);
    assert_eq!(refusal("^(ab){4000000000}$"), PatternMistake::TooLarge);
    assert_eq!(refusal("^((ab|c){1,50}){1,50}$"), PatternMistake::TooLarge);

    let mut pool = PatternPool::default();
    let refused = (0..200).find_map(|n| pool.get(&format!("^(ab){{1500}}{n}")).err());
    assert_eq!(refused, Some(PatternMistake::TooLargeTogether));
}

#[test]
fn patterns_that_would_take_too_long_are_refused_and_ordinary_ones_are_not() {
    for pattern in [
        "(?:a|ab){950}c",
        "^(?:a|ab){950}c",
        "^(?:a|ab){950}$",
        "^(?:[ab]{1,9}c?){400}$",
        "^x*(?:a|ab){950}",
        "^(?:(?:ab){700}|c)*$",
    ] {
        assert_eq!(refusal(pattern), PatternMistake::TooWide, "{pattern}");
    }
    let words: Vec<String> = (0..800).map(|n| format!("w{n}")).collect();
    for pattern in [
        r"^\p{L}{1,50}$",
        "^.{1,2000}$",
        r"^[\w.+-]{1,254}@([\w-]{1,63}\.){1,8}[a-z]{2,}$",
        "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        "^[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?$",
        r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$",
        r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(T([01]\d|2[0-3])(:[0-5]\d){2}(\.\d+)?(Z|[+-]\d\d:\d\d))?$",
        r"^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,126}[a-z]{2,63}$",
        "^(ab){1500}$",
        "(ab|cd){100}",
        &format!("^({})$", words.join("|")),
    ] {
        assert!(PatternPool::default().get(pattern).is_ok(), "{pattern}");
    }
}

#[test]
fn five_thousand_ordinary_patterns_fit_into_one_payload() {
    let mut pool = PatternPool::default();
    for n in 0..5_000 {
        pool.get(&format!(r"^\p{{L}}{{1,{}}}[\w.]{{0,2000}}@{n}$", n + 1)).unwrap();
    }
}

#[test]
fn a_long_text_is_matched_in_linear_time() {
    let text = "ab".repeat(500_000);
    for pattern in ["^(a|b|ab)*c$", "^.{1,2000000}c$", "a.{1000}c", "(a+b+)+c", "^(?:a?b?)*c"] {
        assert!(!PatternPool::default().get(pattern).unwrap().matches(&text), "{pattern}");
    }
}

/// Patterns that mean the same to a library.
fn pattern() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        "[abc.]",
        Just("[ab]".to_owned()),
        Just("[^a]".to_owned()),
        Just(r"\d".to_owned()),
        Just("(?:)".to_owned())
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let count = prop_oneof![
            Just("*".to_owned()),
            Just("+".to_owned()),
            Just("?".to_owned()),
            (0..3_u8, 0..4_u8).prop_map(|(least, more)| format!("{{{least},{}}}", least + more)),
            (0..4_u8).prop_map(|least| format!("{{{least},}}")),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            proptest::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("(?:{})", parts.join("|"))),
            (inner, count).prop_map(|(part, count)| format!("(?:{part}){count}")),
        ]
    })
    .boxed()
}

proptest! {
    #[test]
    fn matches_are_those_of_a_library(
        body in pattern(), edges in 0..4_u8, texts in proptest::collection::vec("[abc1é]{0,9}", 8)
    ) {
        let mut whole = String::new();
        let (start, end) = (if edges & 1 == 1 { "^" } else { "" }, if edges & 2 == 2 { "$" } else { "" });
        let _ = write!(whole, "{start}{body}{end}");
        if PatternPool::default().get(&whole).err() == Some(PatternMistake::TooWide) {
            return Ok(());
        }
        let options = jsonschema::PatternOptions::regex();
        let library = jsonschema::options().with_pattern_options(options)
            .build(&json!({ "pattern": whole })).unwrap();
        for text in texts {
            prop_assert_eq!(matches(&whole, &text), library.is_valid(&json!(text)), "{} {}", whole, text);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\](){}?*+|^$.\\\\pPuxck<>=!:0-9a-e,-]{0,24}") {
        let _ = PatternPool::default().get(&text).map(|pattern| pattern.matches("abc"));
    }
}
