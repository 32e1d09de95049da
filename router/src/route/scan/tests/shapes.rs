//! Paths whose hashes are the same. Hashes are seeded anew in each process, so no record can be made to collide; here
//! the hash is given.

use super::super::shapes::{ShapeId, Shapes};

#[test]
fn of_two_paths_with_one_hash_the_first_is_held_and_the_other_never_is() {
    let mut shapes = Shapes::new(0);
    let (root, none) = (ShapeId::ROOT, ShapeId::NONE);
    let a = shapes.find(root, none, b"a", 7, 0);
    assert_ne!(a, none);
    for _ in 0..2 {
        // Not held, whichever came last: so it is compared byte by byte with the object's other keys of no shape.
        assert_eq!(shapes.find(root, a, b"b", 7, 0), none);
        assert_eq!(shapes.find(root, none, b"b", 7, 0), none);
        assert_eq!(shapes.find(root, none, b"a", 7, 0), a);
    }
    assert!(!shapes.stamp(none, 1) && !shapes.stamp(none, 1), "what is not held has no stamp");
}

#[test]
fn a_guess_must_have_every_byte_of_the_key_and_its_quotes() {
    let mut shapes = Shapes::new(0);
    for length in 1..40 {
        let key = vec![b'k'; length];
        let hash = length as u64;
        let shape = shapes.find(ShapeId::ROOT, ShapeId::NONE, &key, hash, 0);
        let written = format!("\"{}\"", "k".repeat(length));
        for behind in ["", ":", ":1}", ":\"a text of some length\"}"] {
            let record = format!("{{{written}{behind}");
            let mut guess = |record: &[u8]| {
                let guessed = shapes.guess(ShapeId::ROOT, ShapeId::NONE, record, 1, 0)?;
                Some((guessed.shape, guessed.bytes))
            };
            assert_eq!(guess(record.as_bytes()), Some((shape, written.len())));
            for at in 1..=written.len() {
                let mut other = record.clone().into_bytes();
                other[at] ^= 1;
                assert_eq!(guess(&other), None, "byte {at} of {record}");
                assert_eq!(guess(&record.as_bytes()[..at]), None, "{at} bytes of {record}");
            }
        }
    }
}

#[test]
fn the_two_keys_that_came_last_are_guessed_and_a_third_one_is_not() {
    let mut shapes = Shapes::new(0);
    let (root, none) = (ShapeId::ROOT, ShapeId::NONE);
    for (hash, key) in (0..).zip(["a", "b", "c"]) {
        shapes.find(root, none, key.as_bytes(), hash, 0);
    }
    let mut guess = |record: &str, object| shapes.guess(root, none, record.as_bytes(), 1, object);
    assert!(guess("{\"a\":1}", 1).is_none());
    assert!(!guess("{\"b\":1}", 1).expect("it came last but one").is_second);
    assert!(!guess("{\"c\":1}", 1).expect("it came last").is_second);
    assert!(guess("{\"b\":1}", 1).expect("it came last but one").is_second, "the object had it before");
    assert!(!guess("{\"b\":1}", 2).expect("it came last but one").is_second);
}
