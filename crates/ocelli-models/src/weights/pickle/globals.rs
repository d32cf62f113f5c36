//! The whitelist: every Python name a pickle may mention, and what becomes of a call to it.

use super::fault::{Fault, Result};
use crate::weights::Dtype;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    /// A dictionary: `OrderedDict`, `defaultdict`, `Counter`.
    Dict,
    /// `torch.Size`: a tuple of its one argument.
    Size,
    Storage(Dtype),
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    /// Holds data that a training script saved beside its weights. Calling it gives an object without
    /// content: nothing it stands for is ever made.
    Opaque,
}

/// What stands behind `module.name`, or its refusal.
pub(super) fn permitted(module: &str, name: &str) -> Result<Global> {
    lookup(module, name).ok_or_else(|| {
        let full: String = format!("{module}.{name}").chars().take(100).collect();
        Fault::Refused(full.escape_debug().to_string())
    })
}

fn lookup(module: &str, name: &str) -> Option<Global> {
    // Python 2's module of built-ins, which protocol 2 keeps using.
    let module = if module == "__builtin__" { "builtins" } else { module };
    Some(match (module, name) {
        ("collections", "OrderedDict" | "defaultdict" | "Counter") | ("builtins", "dict") => {
            Global::Dict
        }
        ("torch", "Size") => Global::Size,
        ("torch._utils", "_rebuild_tensor") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensorV2,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Global::RebuildParameter
        }
        ("torch" | "torch.cuda", _) if name.ends_with("Storage") => Global::Storage(storage(name)?),
        ("torch", "device") => Global::Opaque,
        ("torch", _) if is_torch_dtype(name) => Global::Opaque,
        ("torch.torch_version", "TorchVersion") => Global::Opaque,
        ("builtins", "list" | "set" | "frozenset" | "int" | "float" | "complex" | "bytearray") => {
            Global::Opaque
        }
        ("builtins", "range" | "slice") => Global::Opaque,
        ("argparse", "Namespace") | ("types", "SimpleNamespace") => Global::Opaque,
        ("datetime", "datetime" | "date" | "time" | "timedelta" | "timezone") => Global::Opaque,
        ("pathlib" | "pathlib._local", "PosixPath" | "WindowsPath" | "Path") => Global::Opaque,
        ("pathlib" | "pathlib._local", "PurePosixPath" | "PureWindowsPath") => Global::Opaque,
        // How protocol 2 spells bytes, in dates and in NumPy's numbers.
        ("_codecs", "encode") => Global::Opaque,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct") => {
            Global::Opaque
        }
        ("numpy", "dtype" | "ndarray") => Global::Opaque,
        ("numpy.dtypes", _) if name.ends_with("DType") => Global::Opaque,
        _ => return None,
    })
}

fn storage(name: &str) -> Option<Dtype> {
    Some(match name {
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::Bf16,
        "FloatStorage" => Dtype::F32,
        "DoubleStorage" => Dtype::F64,
        "CharStorage" => Dtype::I8,
        "ByteStorage" => Dtype::U8,
        "ShortStorage" => Dtype::I16,
        "IntStorage" => Dtype::I32,
        "LongStorage" => Dtype::I64,
        "BoolStorage" => Dtype::Bool,
        _ => return None,
    })
}

fn is_torch_dtype(name: &str) -> bool {
    let number = name.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let kind = &name[..name.len() - number.len()];
    matches!(kind, "float" | "int" | "uint" | "complex")
        && matches!(number, "8" | "16" | "32" | "64")
        || matches!(name, "bfloat16" | "bool" | "complex128")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_code_is_refused() {
        let refused = [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("__builtin__", "getattr"),
            ("torch.storage", "_load_from_bytes"),
            ("torch", "load"),
            ("torch", "ComplexFloatStorage"),
            ("torch._utils", "_rebuild_qtensor"),
            ("torch.hub", "load"),
            ("__main__", "Config"),
            ("numpy", "load"),
        ];
        for (module, name) in refused {
            assert_eq!(lookup(module, name), None, "{module}.{name}");
        }
    }

    #[test]
    fn storages_and_types_are_known() {
        assert_eq!(lookup("torch", "HalfStorage"), Some(Global::Storage(Dtype::F16)));
        assert_eq!(lookup("torch", "float32"), Some(Global::Opaque));
        assert_eq!(lookup("torch", "bfloat16"), Some(Global::Opaque));
        assert_eq!(lookup("__builtin__", "set"), Some(Global::Opaque));
    }
}
