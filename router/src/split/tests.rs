use super::*;
use crate::route::object::RouteError;
use common::settings::RouterSettings;
use std::io::Write as _;

/// Every file below a folder, by its path there.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = fs::read(&path).expect("a file");
                files.insert(path.strip_prefix(folder).expect("below it").to_owned(), content);
            }
        }
    }
    files
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("in memory");
    encoder.finish().expect("in memory")
}

#[test]
fn workers_and_the_order_of_files_change_no_byte_of_what_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let text =
        |stream: fixtures::Stream| stream.flat_map(|line| [&line.bytes[..], b"\n"].concat()).collect::<Vec<u8>>();
    let mut files = Vec::new();
    for n in 0..7 {
        let path = folder.path().join(format!("{n}.json"));
        let stored = match n % 3 {
            0 => gzip(&text(fixtures::shop(n, 400))),
            1 => zstd::encode_all(&text(fixtures::hostile(n, 300, 9))[..], 1).expect("in memory"),
            _ => text(fixtures::shop(n, 50 + n * 100)),
        };
        fs::write(&path, stored).expect("written");
        files.push(path);
    }
    let settings = RouterSettings { part_max_bytes: 20_000, buffer_bytes: 50_000, ..RouterSettings::default() };
    let rules = Rules::new(&settings, &default_keys());
    let split_with = |files: &[PathBuf], workers: usize| {
        let out = tempfile::tempdir().expect("a folder");
        let mut order = Vec::new();
        split_all(&rules, files, out.path(), None, workers, &|_| {}, |file, report| {
            report.expect("split");
            order.push(file.to_owned());
        });
        assert_eq!(order, files, "reported in the order given");
        tree(out.path())
    };
    let expected = split_with(&files, 1);
    let seals = expected.keys().filter(|path| path.starts_with("seals")).count();
    assert!(seals == files.len() && expected.len() > 50, "{seals} seals, {} files", expected.len());
    for workers in [2, 3, 16] {
        assert_eq!(split_with(&files, workers), expected, "{workers} workers");
    }
    files.reverse();
    assert_eq!(split_with(&files, 3), expected, "the files in another order");
}

#[test]
fn a_disk_that_fails_in_mid_file_is_an_error_and_never_a_damaged_object() {
    struct FailingDisk;
    impl Read for FailingDisk {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    let rules = Rules::new(&RouterSettings::default(), &default_keys());
    let mut bench = rules.workbench().expect("a spool");
    let text = b"{\"event\":\"a\"}\n".repeat(10_000);
    for stored in [gzip(&text), zstd::encode_all(&text[..], 1).expect("in memory"), text] {
        let half = stored[..stored.len() / 2].chain(FailingDisk);
        let stored = Watched { stored: half, progress: &|_| {} };
        let result = route_object(&rules, &stdin_source(None), 0, stored, &mut bench);
        assert!(matches!(result, Err(RouteError::Fetch(_))), "{result:?}");
    }
}

#[test]
fn a_seal_that_is_there_is_never_overwritten_and_new_files_are_as_readable_as_any() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.json");
    fs::write(&file, "{\"event\":\"a\"}\n").expect("written");
    let out = folder.path().join("out");
    let split_with = |settings: &RouterSettings| {
        let mut reports = Vec::new();
        let rules = Rules::new(settings, &default_keys());
        split_all(&rules, std::slice::from_ref(&file), &out, None, 1, &|_| {}, |_, report| reports.push(report));
        reports.remove(0)
    };
    let report = split_with(&RouterSettings::default()).expect("split");
    let before = tree(&out);
    split_with(&RouterSettings::default()).expect("the same again");
    assert_eq!(tree(&out), before);
    let other = RouterSettings { lineage: false, ..RouterSettings::default() };
    let error = split_with(&other).expect_err("another seal").to_string();
    assert!(error.contains("says something else") && error.contains(&report.seal), "{error}");
    assert_eq!(tree(&out), before, "nothing beside it either");

    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode();
    for path in before.keys() {
        assert_eq!(mode(&out.join(path)), mode(&file), "{}", path.display());
    }
}
