use super::*;
use crate::mapping::choice::choose;
use crate::mapping::tests::{column, sketch, variant};

fn extended(mapping: &Mapping, existing: &[(&str, Option<Kind>)], parts: &[(u64, SketchNode)]) -> Vec<Column> {
    let existing = existing.iter().map(|(name, kind)| ((*name).to_owned(), (*kind, 100))).collect();
    let seen: Vec<_> = parts.iter().map(|(records, node)| Seen { records: *records, node }).collect();
    extend(mapping, &existing, &seen, 3)
}

fn names(columns: &[Column]) -> Vec<(&str, Kind)> {
    columns.iter().map(|c| (&*c.name, c.kind)).collect()
}

#[test]
fn a_first_part_maps_every_path_with_values() {
    let part = sketch(&[
        ("event", Types::STRING),
        ("user.id", Types::INTEGER),
        ("user.tags", Types::ARRAY),
        ("ok", Types::BOOLEAN | Types::NULL),
        ("unknown", Types::NULL),
        ("a.b.c.d.e", Types::STRING),
        ("_lr.s", Types::STRING),
    ]);
    assert_eq!(
        names(&extended(&Mapping::default(), &[], &[(1, part)])),
        [
            ("event", Kind::Varchar),
            ("ok", Kind::Boolean),
            ("user_id", Kind::Bigint),
            ("user_tags", Kind::Super),
            ("a_b_c_d", Kind::Super)
        ]
    );
}

#[test]
fn what_is_mapped_already_adds_nothing() {
    let part = sketch(&[("user.id", Types::INTEGER), ("name", Types::STRING)]);
    let mapping = Mapping::new(extended(&Mapping::default(), &[], &[(1, part.clone())]));
    assert!(extended(&mapping, &[], &[(1, part)]).is_empty());
}

#[test]
fn the_order_of_parts_does_not_matter() {
    let parts = [
        (5, sketch(&[("userId", Types::INTEGER), ("x", Types::INTEGER)])),
        (5, sketch(&[("user_id", Types::STRING), ("x", Types::STRING)])),
        (5, sketch(&[("UserID", Types::BOOLEAN), ("x", Types::OBJECT | Types::STRING)])),
    ];
    let mut turned = parts.clone();
    turned.rotate_left(1);
    let columns = extended(&Mapping::default(), &[], &parts);
    assert_eq!(columns, extended(&Mapping::default(), &[], &turned));
    let plain: Vec<_> = columns.iter().filter(|c| c.name == "user_id").collect();
    assert_eq!(plain.len(), 1, "exactly one of the spellings gets the plain name");
    assert_eq!(plain[0].path, ["UserID"], "the first by path");
}

#[test]
fn a_plain_key_gets_the_plain_name_before_a_nested_one() {
    let part = sketch(&[("user.id", Types::INTEGER), ("userId", Types::STRING)]);
    let columns = extended(&Mapping::default(), &[], &[(1, part)]);
    assert_eq!((columns[0].name.as_str(), columns[0].path.len()), ("user_id", 1));
    assert!(columns[1].name.starts_with("user_id_"), "{}", columns[1].name);
}

#[test]
fn numbers_of_several_parts_share_a_column() {
    let parts = [(1, sketch(&[("n", Types::INTEGER)])), (1, sketch(&[("n", Types::DECIMAL)]))];
    assert_eq!(names(&extended(&Mapping::default(), &[], &parts)), [("n", Kind::Double)]);
}

#[test]
fn one_odd_part_gets_a_variant_and_the_others_keep_their_type() {
    let parts = [(99, sketch(&[("n", Types::INTEGER)])), (1, sketch(&[("n", Types::STRING)]))];
    let columns = extended(&Mapping::default(), &[], &parts);
    assert_eq!(names(&columns), [("n", Kind::Bigint), ("n__varchar", Kind::Varchar)]);
    assert_eq!(columns[1].variant_of.as_deref(), Some("n"));
    let mixed = [(1, sketch(&[("n", Types::STRING | Types::INTEGER)]))];
    assert_eq!(names(&extended(&Mapping::default(), &[], &mixed)), [("n", Kind::Super)], "mixed from the start");
}

#[test]
fn values_that_a_column_would_alter_get_a_variant() {
    let mapping = Mapping::new([column("d", "d", Kind::Double), column("o.x", "o_x", Kind::Bigint)]);
    let parts = [(1, sketch(&[("d", Types::BIGINT), ("o", Types::STRING)]))];
    let columns = extended(&mapping, &[], &parts);
    assert_eq!(names(&columns), [("d__bigint", Kind::Bigint), ("o__varchar", Kind::Varchar)]);
    assert_eq!(columns[1].variant_of.as_deref(), Some("o"), "a flattened object lends its joined name");
    let object = [(1, sketch(&[("d.deep", Types::STRING)]))];
    assert_eq!(names(&extended(&mapping, &[], &object)), [("d__super", Kind::Super)]);
}

#[test]
fn strings_widen_their_column_by_steps_and_never_back() {
    let sized = |max_bytes| {
        let mut part = sketch(&[("s", Types::STRING)]);
        part.keys.get_mut("s").unwrap().max_bytes = max_bytes;
        [(1, part)]
    };
    let mut mapping = Mapping::new(extended(&Mapping::default(), &[], &sized(10)));
    assert_eq!(mapping.columns()[0].size, 256);
    let wider = extended(&mapping, &[], &sized(300));
    assert_eq!(wider.iter().map(|c| (&*c.name, c.size)).collect::<Vec<_>>(), [("s", 4096)]);
    mapping.add(wider);
    assert!(extended(&mapping, &[], &sized(10)).is_empty());
}

#[test]
fn variants_widen_too() {
    let mapping = Mapping::new([column("a", "a", Kind::Bigint), variant("a", "a", "a__varchar", Kind::Varchar)]);
    let mut part = sketch(&[("a", Types::STRING)]);
    part.keys.get_mut("a").unwrap().max_bytes = 5000;
    let wider = extended(&mapping, &[], &[(1, part)]);
    assert_eq!(wider.iter().map(|c| (&*c.name, c.size)).collect::<Vec<_>>(), [("a__varchar", 65535)]);
}

#[test]
fn columns_and_variants_below_a_super_column_widen_and_none_are_added() {
    let mapping = Mapping::new([
        column("o.n", "o_n", Kind::Bigint),
        variant("o_n", "o.n", "o_n__varchar", Kind::Varchar),
        column("o.s", "o_s", Kind::Varchar),
        column("o", "o", Kind::Super),
    ]);
    let mut part = sketch(&[("o.n", Types::STRING), ("o.s", Types::STRING), ("o.new", Types::STRING)]);
    for node in part.keys.get_mut("o").unwrap().keys.values_mut() {
        node.max_bytes = 5000;
    }
    let wider = extended(&mapping, &[], &[(1, part)]);
    let sizes: Vec<_> = wider.iter().map(|c| (&*c.name, c.size)).collect();
    assert_eq!(sizes, [("o_n__varchar", 65535), ("o_s", 65535)]);
    assert!(extended(&mapping, &[], &[(1, sketch(&[("o.n", Types::BOOLEAN)]))]).is_empty());
}

#[test]
fn keys_that_jsonpaths_cannot_name_turn_their_parent_to_super() {
    let new = [(1, sketch(&[("o.it's", Types::STRING), ("o.b", Types::INTEGER)]))];
    assert_eq!(names(&extended(&Mapping::default(), &[], &new)), [("o", Kind::Super)]);
    let mapping = Mapping::new([column("o.b", "o_b", Kind::Bigint)]);
    assert_eq!(names(&extended(&mapping, &[], &new)), [("o", Kind::Super)], "beside the column it has");
    let root = [(1, sketch(&[("it's", Types::STRING), ("b", Types::INTEGER)]))];
    assert_eq!(names(&extended(&Mapping::default(), &[], &root)), [("b", Kind::Bigint), ("_record", Kind::Super)]);
}

#[test]
fn beyond_redshifts_limits_the_whole_record_is_kept() {
    let many: Vec<String> = (0..2_000).map(|n| format!("key_{n:04}")).collect();
    let paths: Vec<_> = many.iter().map(|key| (key.as_str(), Types::INTEGER)).collect();
    let columns = extended(&Mapping::default(), &[], &[(1, sketch(&paths))]);
    assert_eq!(columns.len() + SYSTEM_COLUMNS.len(), COLUMNS_MAX);
    assert_eq!(columns.last().unwrap().name, RECORD_COLUMN);
    let mapping = Mapping::new(columns);
    let more = sketch(&[("another", Types::INTEGER), ("key_0000", Types::STRING)]);
    assert!(extended(&mapping, &[], &[(1, more)]).is_empty());

    let long: Vec<String> = (0..1_000).map(|n| format!("{}{n:04}", "k".repeat(120))).collect();
    let paths: Vec<_> = long.iter().map(|key| (key.as_str(), Types::INTEGER)).collect();
    let columns = extended(&Mapping::default(), &[], &[(1, sketch(&paths))]);
    assert!(columns.iter().map(|c| c.name.len() + QUOTES).sum::<usize>() <= NAMES_MAX_BYTES);
    assert!(columns.iter().any(|c| c.name == RECORD_COLUMN));
}

#[test]
fn a_persons_column_is_used_if_it_holds_the_same_and_left_alone_if_not() {
    let existing = [("id", Some(Kind::Bigint)), ("amount", None), ("note", Some(Kind::Varchar))];
    let part = sketch(&[("id", Types::INTEGER), ("amount", Types::DECIMAL), ("note", Types::BOOLEAN)]);
    assert_eq!(
        names(&extended(&Mapping::default(), &existing, &[(1, part)])),
        [("amount__double", Kind::Double), ("id", Kind::Bigint), ("note__boolean", Kind::Boolean)]
    );
}

#[test]
fn a_persons_varchar_keeps_its_size_until_a_string_outgrows_it() {
    let sized = |max_bytes| {
        let mut part = sketch(&[("note", Types::STRING)]);
        part.keys.get_mut("note").unwrap().max_bytes = max_bytes;
        [(1, part)]
    };
    let existing = [("note", Some(Kind::Varchar))];
    let adopted = extended(&Mapping::default(), &existing, &sized(100));
    assert_eq!(adopted[0].size, 100);
    let mapping = Mapping::new(adopted);
    assert!(extended(&mapping, &[], &sized(100)).is_empty());
    assert_eq!(extended(&mapping, &[], &sized(101))[0].size, 256);
    assert_eq!(extended(&Mapping::default(), &existing, &sized(101))[0].size, 256);
}

#[test]
fn every_part_finds_its_columns_in_what_the_batch_added() {
    let parts = [
        (3, sketch(&[("a.b", Types::INTEGER), ("c", Types::STRING), ("it's", Types::ARRAY)])),
        (2, sketch(&[("a", Types::STRING), ("c", Types::INTEGER | Types::BOOLEAN)])),
        (2, SketchNode { types: Types::OBJECT, collapsed: true, ..Default::default() }),
        (9, sketch(&[("a.b.c.d", Types::OBJECT), ("a.b", Types::BOOLEAN)])),
    ];
    let mapping = Mapping::new(extended(&Mapping::default(), &[], &parts));
    for (_, part) in &parts {
        let needs_record = choose(&mapping, part).is_none_or(|choice| choice.keeps_record());
        assert!(!needs_record || mapping.has(RECORD_COLUMN), "{part:?}");
    }
    assert!(extended(&mapping, &[], &parts).is_empty(), "what was added suffices");
}

#[test]
fn a_persons_narrow_column_is_used_and_gets_a_variant_once_a_value_does_not_fit() {
    let decimal = Kind::Decimal { precision: 8, scale: 2 };
    let existing = [("amount", Some(decimal)), ("day", Some(Kind::Date)), ("id", Some(Kind::Integer))];
    let part = [("amount", Types::DECIMAL), ("day", Types::STRING | Types::TIMESTAMP), ("id", Types::BOOLEAN)];
    let columns = extended(&Mapping::default(), &existing, &[(1, sketch(&part))]);
    assert_eq!(names(&columns), [("amount", decimal), ("day", Kind::Date), ("id__boolean", Kind::Boolean)]);
    let mapping = Mapping::new(columns);
    assert!(extended(&mapping, &[], &[(1, sketch(&[("amount", Types::LONG_DECIMAL)]))]).is_empty(), "it may fit");
    let misfits = sketch(&[("amount", Types::LONG_DECIMAL), ("day", Types::TIMESTAMP)]);
    let expected = [("amount__number", Kind::Number), ("day__timestamp", Kind::Timestamp)];
    assert_eq!(names(&extended(&mapping, &[], &[(0, misfits)])), expected);
}
