//! JSON from strangers.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Refusal, read_json};

#[test]
fn json_is_read_as_it_is() {
    let text = r#" {"a": [1, -2, 3.5, 1e3, true, null, "\u00e9\ud83d\ude00"], "b": {}, "": 18446744073709551615} "#;
    let read = read_json(text.as_bytes()).unwrap();
    assert_eq!(read, json!({ "a": [1, -2, 3.5, 1000.0, true, null, "é😀"], "b": {}, "": u64::MAX }));
    assert_eq!(read_json(b"42"), Ok(json!(42)));
}

#[test]
fn what_readers_could_understand_differently_is_refused() {
    let table: [(&str, &[u8]); 15] = [
        ("nothing", b""),
        ("spaces", b"  "),
        ("two documents", b"{} {}"),
        ("cut short", b"{\"a\":1"),
        ("a comma too many", b"[1,]"),
        ("a comment", b"{} // x"),
        ("a byte order mark", b"\xef\xbb\xbf{}"),
        ("no UTF-8 in a text", b"\"\xff\""),
        ("no UTF-8 in a key", b"{\"\xc3\":1}"),
        ("half a surrogate pair", b"\"\\ud83d\""),
        ("a control character", b"\"\n\""),
        ("no number", b"NaN"),
        ("a number beyond all numbers", b"1e999"),
        ("a duplicate key", br#"{"a":1,"b":2,"a":1}"#),
        ("a duplicate key, escaped, deep inside", br#"[{"x":{"a":1,"\u0061":1}}]"#),
    ];
    for (what, body) in table {
        assert_eq!(read_json(body), Err(Refusal { status: 400, word: "malformed" }), "{what}");
    }
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read_json(nested(64).as_bytes()).is_ok());
    assert!(read_json(nested(65).as_bytes()).is_err());
    assert!(read_json("[".repeat(1_000_000).as_bytes()).is_err());
    let maps = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(read_json(maps(63).as_bytes()).is_ok());
    assert!(read_json(maps(65).as_bytes()).is_err());
    let list = |values: usize| format!("[{}0]", "0,".repeat(values - 1));
    assert!(read_json(list(99_999).as_bytes()).is_ok(), "the list is a value too");
    assert!(read_json(list(100_000).as_bytes()).is_err());
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(value in values()) {
        prop_assert_eq!(read_json(value.to_string().as_bytes()), Ok(value));
    }

    #[test]
    fn noise_is_read_like_the_plain_reader_or_refused(bytes in prop::collection::vec(prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b','), Just(b':'), Just(b'1'), any::<u8>()], 0..40)) {
        if let Ok(value) = read_json(&bytes) {
            prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), value);
        }
    }
}
