//! Real files of torch.save, hand-made hostile ones, and damaged ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use proptest::prelude::*;

use crate::weights::checkpoint::parse;
use crate::weights::{
    Checkpoint, Choice, Dtype, Format, RawTensor, WeightsError, read, read_choice,
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pickle").join(name)
}

/// Name, type, shape, values.
type Row = (String, String, Vec<usize>, Vec<f64>);

fn expected() -> BTreeMap<String, Vec<Row>> {
    let text = std::fs::read_to_string(golden("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn dtype(name: &str) -> Dtype {
    match name {
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::Bf16,
        "float32" => Dtype::F32,
        "float64" => Dtype::F64,
        "int8" => Dtype::I8,
        "uint8" => Dtype::U8,
        "int16" => Dtype::I16,
        "int32" => Dtype::I32,
        "int64" => Dtype::I64,
        "bool" => Dtype::Bool,
        _ => panic!("{name}"),
    }
}

fn compare(file: &str, tensors: &IndexMap<String, RawTensor>, rows: &[Row]) {
    assert!(tensors.keys().eq(rows.iter().map(|row| &row.0)), "{file}: {:?}", tensors.keys());
    for (name, kind, shape, values) in rows {
        let tensor = &tensors[name];
        assert_eq!((tensor.dtype, &tensor.shape), (dtype(kind), shape), "{file}: {name}");
        let found: Vec<f64> = tensor.to_f32().into_iter().map(f64::from).collect();
        assert_eq!(&found, values, "{file}: {name}");
    }
}

#[test]
fn files_of_torch_save_are_read_as_torch_reads_them() {
    let expected = expected();
    assert_eq!(expected.len(), 16);
    for (file, rows) in &expected {
        let checkpoint = read(&golden(file)).unwrap();
        let format = if file.contains("zip") { Format::PickleZip } else { Format::PickleLegacy };
        assert_eq!(checkpoint.format, format, "{file}");
        compare(file, &checkpoint.tensors, rows);
        assert_eq!(checkpoint.skipped, 0);
    }
}

#[test]
fn the_moving_average_is_taken_on_request() {
    for file in ["training.zip.pth", "training.legacy.pth"] {
        let trained = read(&golden(file)).unwrap();
        let average = read_choice(&golden(file), Choice::Ema).unwrap();
        assert!(trained.tensors.keys().eq(average.tensors.keys()));
        for (name, tensor) in &trained.tensors {
            let plus_one: Vec<f32> = tensor.to_f32().iter().map(|x| x + 1.0).collect();
            assert_eq!(average.tensors[name].to_f32(), plus_one, "{file}: {name}");
        }
    }
    let plain = read_choice(&golden("plain.zip.pth"), Choice::Ema).unwrap();
    assert_eq!(plain.tensors.len(), 2, "a file without one gives its weights");
}

const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// A legacy file of a hand-made pickle, with the storage `a` of 4 floats.
fn legacy(pickle: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.extend(b"M\xe9\x03.}.");
    file.extend(pickle);
    file.extend(b"]U\x01aa.");
    file.extend(4u64.to_le_bytes());
    file.extend([1f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()));
    file
}

fn parsed(bytes: &[u8]) -> Result<Checkpoint, WeightsError> {
    parse(Path::new("w.pth"), bytes, Choice::Model)
}

fn complaint(bytes: &[u8]) -> String {
    parsed(bytes).unwrap_err().to_string()
}

/// `{'w': _rebuild_tensor(storage 'a' of 4 floats, OFFSET, SHAPE, STRIDES)}`, the numbers as opcodes.
fn tensor(offset: &str, shape: &str, strides: &str) -> Vec<u8> {
    let number = |text: &str| -> Vec<u8> {
        text.split_whitespace().flat_map(|n| format!("I{n}\n").into_bytes()).collect()
    };
    let mut pickle = b"}U\x01wctorch._utils\n_rebuild_tensor\n(".to_vec();
    pickle.extend(b"(U\x07storagectorch\nFloatStorage\nU\x01aU\x03cpuK\x04tQ");
    pickle.extend(number(offset));
    for axes in [shape, strides] {
        pickle.push(b'(');
        pickle.extend(number(axes));
        pickle.push(b't');
    }
    pickle.extend(b"tRs.");
    legacy(&pickle)
}

#[test]
fn views_are_gathered() {
    let values = |offset, shape, strides| {
        parsed(&tensor(offset, shape, strides)).unwrap().tensors["w"].to_f32()
    };
    assert_eq!(values("0", "2 2", "2 1"), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(values("0", "2 2", "1 2"), [1.0, 3.0, 2.0, 4.0]);
    assert_eq!(values("1", "3", "1"), [2.0, 3.0, 4.0]);
    assert_eq!(values("3", "", ""), [4.0]);
    assert_eq!(values("2", "3", "0"), [3.0, 3.0, 3.0]);
    assert_eq!(values("0", "1 4", "9223372036854775807 1"), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(values("9", "0 5", "5 1"), [0f32; 0]);
}

#[test]
fn tensors_outside_their_storage_are_errors() {
    let big = "4611686018427387904";
    for (offset, shape, strides) in [
        ("1", "2 2", "2 1"),
        ("4", "1", "1"),
        ("-1", "1", "1"),
        ("0", "-1", "1"),
        ("3", "2", "-1"),
        ("0", "5", "1"),
        ("0", "2", "9223372036854775807"),
        ("9223372036854775807", "1", "1"),
        ("0", &format!("{big} {big}"), "0 0"),
        ("0", &format!("{big} 4"), "0 1"),
    ] {
        let error = complaint(&tensor(offset, shape, strides));
        assert!(error.contains("w.pth: tensor `w`: "), "{offset} {shape} {strides}: {error}");
    }
    let error = complaint(&tensor("0", "1 1", "1"));
    assert!(error.contains("a tensor of 2 axes has 1 strides"), "{error}");
}

#[test]
fn a_tensor_larger_than_the_file_allows_is_an_error() {
    let error = complaint(&tensor("0", "300000", "0"));
    assert!(error.contains("more than 8 times the file's length"), "{error}");
}

#[test]
fn code_is_refused_by_name() {
    for (pickle, name) in [
        (&b"cos\nsystem\n(U\x04truetR."[..], "os.system"),
        (b"(U\x04trueios\nsystem\n.", "os.system"),
        (b"\x8c\x08builtins\x8c\x04eval\x93.", "builtins.eval"),
        (b"ctorch.storage\n_load_from_bytes\n.", "torch.storage._load_from_bytes"),
        (b"c__main__\nNet\n)\x81.", "__main__.Net"),
    ] {
        let error = complaint(&legacy(pickle));
        assert!(error.contains(&format!("refused `{name}`")), "{error}");
    }
}

#[test]
fn broken_programs_are_errors() {
    for (pickle, reason) in [
        (&b"."[..], "without an operand"),
        (b"(0t.", "without its MARK"),
        (b"N(R.", "without an operand"),
        (b"K\x01K\x02R.", "an int"),
        (b"h\x07.", "memo slot 7 is empty"),
        (b"]K\x01K\x02s.", "entries set in a list"),
        (b"}(K\x01u.", "a key without a value"),
        (b"\xff.", "unknown pickle opcode 0xff"),
        (b"\x82\x01.", "extension codes"),
        (b"\x97.", "buffers outside"),
        (b"Pabc\n.", "persistent id in text form"),
        (b"K\x01Q.", "a persistent id of an unknown form"),
        (b"X\xff\xff\xff\xff.", "truncated"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "truncated"),
        (b"Ione\n.", "an integer that is no number"),
        (b"K\x05.", "it holds an int, not a dict"),
        (b"}.", "it holds an empty dict"),
        (b"}U\x05epochK\x03s.", "it holds a dict of {\"epoch\": an int}"),
    ] {
        let error = complaint(&legacy(pickle));
        assert!(error.contains(reason), "{pickle:?}: {error}");
    }
}

#[test]
fn nesting_without_end_is_harmless() {
    // A dict that holds itself under every key that is looked into.
    let own = b"}q\x00(U\x0astate_dicth\x00U\x05modelh\x00U\x06moduleh\x00u.";
    assert!(complaint(&legacy(own)).contains("has no state dict"));
    let mut deep = vec![b']'; 100_000];
    deep.extend(vec![b'a'; 99_999]);
    deep.push(b'.');
    assert!(complaint(&legacy(&deep)).contains("it holds a list"));
    let mut doubled = b"]".to_vec();
    doubled.extend(b"q\x00".iter().copied());
    for _ in 0..200_000 {
        doubled.extend(b"(h\x00h\x00h\x00h\x00e");
    }
    doubled.push(b'.');
    assert!(complaint(&legacy(&doubled)).contains("it holds a list"));
}

#[test]
fn objects_are_limited() {
    let pickle = vec![b']'; (1 << 22) + 1];
    assert!(complaint(&legacy(&pickle)).contains("more than 4194304 objects"));
}

#[test]
fn other_files_say_what_they_are() {
    let mut tar = vec![b'x'; 512];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, reason) in [
        (&b""[..], "it is empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"\x80\x02}.", "a plain pickle"),
        (b"PK\x03\x04 and no more", "truncated or no zip archive"),
        (&tar, "a tar archive"),
        (b"0123456789 0123456789", "an unknown format"),
    ] {
        let error = complaint(bytes);
        assert!(error.contains("w.pth") && error.contains(reason), "{error}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    for file in ["plain.zip.pth", "plain.legacy.pth", "training.legacy.pth"] {
        let bytes = std::fs::read(golden(file)).unwrap();
        for length in 0..bytes.len() {
            assert!(parsed(&bytes[..length]).is_err(), "{file} cut to {length}");
        }
    }
}

#[test]
fn a_damaged_storage_of_an_archive_is_noticed() {
    let mut bytes = std::fs::read(golden("plain.zip.pth")).unwrap();
    let value = (-1.5f32).to_le_bytes();
    let at = bytes.windows(4).position(|window| window == value).unwrap();
    bytes[at] ^= 1;
    let error = complaint(&bytes);
    assert!(error.contains("tensor `fc.weight`: plain.zip/data/0: Invalid checksum"), "{error}");
}

/// Whatever happens to a file, reading it returns, and its tensors stay in proportion to it.
fn survives(bytes: &[u8]) {
    if let Ok(checkpoint) = parsed(bytes) {
        let total: usize = checkpoint.tensors.values().map(|tensor| tensor.data.len()).sum();
        assert!(total <= 8 * bytes.len() + (1 << 20));
        for tensor in checkpoint.tensors.values() {
            assert_eq!(tensor.shape.iter().product::<usize>(), tensor.len());
        }
    }
}

fn all_files() -> Vec<Vec<u8>> {
    expected().keys().map(|file| std::fs::read(golden(file)).unwrap()).collect()
}

#[test]
fn every_single_byte_may_change() {
    for bytes in all_files() {
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            for value in [0, 0xff, bytes[at] ^ 1, bytes[at].wrapping_add(1), b'.', b'R'] {
                bytes[at] = value;
                survives(&bytes);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn many_bytes_may_change(
        file in 0usize..16,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = all_files().swap_remove(file);
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        survives(&bytes);
    }

    #[test]
    fn pieces_may_move(
        file in 0usize..16,
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        length in 1usize..200,
    ) {
        let mut bytes = all_files().swap_remove(file);
        let start = from.index(bytes.len());
        let piece: Vec<u8> = bytes.drain(start..(start + length).min(bytes.len())).collect();
        let to = to.index(bytes.len() + 1);
        bytes.splice(to..to, piece);
        survives(&bytes);
    }

    #[test]
    fn random_programs_end(program in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(&legacy(&program));
    }

    #[test]
    fn random_opcodes_end(
        program in prop::collection::vec(
            prop::sample::select(b"(.012NKUh}])tldesuaRbQqr\x81\x85\x86\x87\x8f\x90\x91\x92\x93\x94".to_vec()),
            0..200,
        )
    ) {
        survives(&legacy(&program));
    }
}
