//! Kernels from source to machine code: NVRTC once, then from a cache on disk.
//!
//! A cached file is named by the SHA-256 of everything that decides its bytes: source, architecture,
//! compiler version, options. It is written beside its name and renamed, so that two processes may fill
//! the cache at once and a killed one leaves no half of a file.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cudarc::nvrtc::{result, sys};
use sha2::{Digest, Sha256};

use super::error::{GpuError, GpuResult};

/// One operation's kernels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// Its name, for messages and in the cache.
    pub(super) file: &'static str,
    pub(super) text: &'static str,
    /// Further options of the compiler.
    define: Option<&'static str>,
    /// What its kernels' names begin with.
    kernels: &'static [&'static str],
}

/// What precedes every source.
const COMMON: &str = include_str!("common.cuh");

/// Every operation's kernels.
pub(super) const SOURCES: [Source; 19] = [
    source(
        "adamw",
        include_str!("../adamw/cuda.cu"),
        &["sum_of_squares", "clip_factors", "adamw", "round_to_bf16"],
    ),
    attention(
        "attention_16",
        "-DHEAD_DIM=16",
        &[
            "attention_forward_16",
            "attention_backward_queries_16",
            "attention_backward_keys_16",
            "attention_decode_16_",
        ],
    ),
    attention(
        "attention_32",
        "-DHEAD_DIM=32",
        &[
            "attention_forward_32",
            "attention_backward_queries_32",
            "attention_backward_keys_32",
            "attention_decode_32_",
        ],
    ),
    attention(
        "attention_64",
        "-DHEAD_DIM=64",
        &[
            "attention_forward_64",
            "attention_backward_queries_64",
            "attention_backward_keys_64",
            "attention_decode_64_",
        ],
    ),
    attention(
        "attention_128",
        "-DHEAD_DIM=128",
        &[
            "attention_forward_128",
            "attention_backward_queries_128",
            "attention_backward_keys_128",
            "attention_decode_128_",
        ],
    ),
    source(
        "choose",
        include_str!("../loss/choose.cu"),
        &["choose", "advance"],
    ),
    source("decode", include_str!("../linear/decode.cu"), &["skinny_"]),
    source("dropout", include_str!("../dropout/cuda.cu"), &["dropout_"]),
    source(
        "fp8",
        include_str!("../linear/fp8.cu"),
        &["quantise_fp8", "transpose_bf16"],
    ),
    source(
        "linear",
        include_str!("../linear/cuda.cu"),
        &["quantise_rows", "dequantise_rows", "embed_rows"],
    ),
    lora("lora_down", "-DDOWN", &["lora_down_"]),
    lora("lora_gradient", "-DGRADIENT", &["lora_gradient_"]),
    lora("lora_up", "-DUP", &["lora_up_"]),
    source(
        "loss",
        include_str!("../loss/cuda.cu"),
        &["cross_entropy", "gather_logits"],
    ),
    source(
        "nf4",
        include_str!("../linear/nf4.cu"),
        &["quantise_nf4", "dequantise_nf4"],
    ),
    source("norm", include_str!("../norm/cuda.cu"), &["rms_norm_"]),
    source(
        "rope",
        include_str!("../rope/cuda.cu"),
        &["norm_and_rotate"],
    ),
    source(
        "rope_decode",
        include_str!("../rope/decode.cu"),
        &["rotate_into_cache", "copy_slots"],
    ),
    source("swiglu", include_str!("../swiglu/cuda.cu"), &["swiglu_"]),
];

const fn source(
    file: &'static str,
    text: &'static str,
    kernels: &'static [&'static str],
) -> Source {
    Source {
        file,
        text,
        define: None,
        kernels,
    }
}

const fn attention(
    file: &'static str,
    define: &'static str,
    kernels: &'static [&'static str],
) -> Source {
    let text = include_str!("../attention/cuda.cu");
    Source {
        file,
        text,
        define: Some(define),
        kernels,
    }
}

const fn lora(
    file: &'static str,
    define: &'static str,
    kernels: &'static [&'static str],
) -> Source {
    let text = include_str!("../lora/cuda.cu");
    Source {
        file,
        text,
        define: Some(define),
        kernels,
    }
}

/// Whether there is a kernel of this name, or of names that begin so.
pub fn is_kernel(name: &str) -> bool {
    holder(name).is_some()
}

/// Which source holds a kernel.
pub(super) fn holder(kernel: &str) -> Option<usize> {
    SOURCES
        .iter()
        .position(|s| s.kernels.iter().any(|name| kernel.starts_with(name)))
}

/// Where compiled kernels are kept: `VERDICT_KERNEL_CACHE`, or `verdict/kernels` in the user's cache.
pub(super) fn cache_folder() -> PathBuf {
    let named = |variable: &str| {
        std::env::var_os(variable)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    named("VERDICT_KERNEL_CACHE").unwrap_or_else(|| {
        named("VERDICT_CACHE")
            .or_else(|| named("XDG_CACHE_HOME").map(|c| c.join("verdict")))
            .or_else(|| named("HOME").map(|h| h.join(".cache/verdict")))
            .unwrap_or_else(|| std::env::temp_dir().join("verdict"))
            .join("kernels")
    })
}

/// Machine code of one source for `architecture` (`sm_90`), from the cache where it is there.
pub(super) fn machine_code(
    source: Source,
    architecture: &str,
    folder: &Path,
) -> GpuResult<Vec<u8>> {
    let mut options = vec![
        format!("--gpu-architecture={architecture}"),
        "--std=c++17".to_owned(),
    ];
    options.extend(source.define.map(str::to_owned));
    let mut hash = Sha256::new();
    for part in [COMMON, source.text, &options.join(" "), &version()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let hex = verdict_common::hash::hex(&digest[..16]);
    let path = folder.join(format!("{}-{architecture}-{hex}.cubin", source.file));
    if let Some(code) = kept(&path) {
        tracing::debug!(
            kernels = source.file,
            architecture,
            "kernels taken from the cache"
        );
        return Ok(code);
    }
    let started = std::time::Instant::now();
    let code = compile(source, architecture, &options)?;
    let seconds = started.elapsed().as_secs_f64();
    tracing::info!(
        kernels = source.file,
        architecture,
        seconds,
        "kernels compiled"
    );
    // A cache that cannot be written costs time, not results.
    let _ = keep(&path, &code);
    Ok(code)
}

/// A kept file: the SHA-256 of the code, then the code. One that is not whole counts as none.
fn kept(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(path).ok()?;
    let code = bytes.split_off(DIGEST.min(bytes.len()));
    (bytes == Sha256::digest(&code)[..]).then_some(code)
}

const DIGEST: usize = 32;

fn keep(path: &Path, code: &[u8]) -> std::io::Result<()> {
    // Two GPUs of one process may keep the same file at once, and so may two machines with one home.
    static FILES: AtomicU64 = AtomicU64::new(0);
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let nanoseconds = std::time::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_nanos());
    let unique = format!("{}-{nanoseconds}-{number}.part", std::process::id());
    let beside = path.with_extension(unique);
    std::fs::write(&beside, [&Sha256::digest(code)[..], code].concat())?;
    std::fs::rename(&beside, path)
}

fn version() -> String {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: the library is loaded; it writes two integers.
    unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) };
    format!("nvrtc {major}.{minor}")
}

fn compile(source: Source, architecture: &str, options: &[String]) -> GpuResult<Vec<u8>> {
    let failed = |log: String| GpuError::Compile {
        file: source.file,
        architecture: architecture.to_owned(),
        log,
    };
    let refused = |e: result::NvrtcError| failed(e.to_string());
    let text = format!("{COMMON}\n#line 1 \"{}.cu\"\n{}", source.file, source.text);
    let text = CString::new(text).map_err(|e| failed(e.to_string()))?;
    let name = CString::new(format!("{}.cu", source.file)).map_err(|e| failed(e.to_string()))?;
    let program = result::create_program(&text, Some(&name)).map_err(refused)?;
    // SAFETY: `program` was just made, and is destroyed once, below.
    unsafe {
        let code = result::compile_program(program, options)
            .map_err(|e| {
                let log = result::get_program_log(program).unwrap_or_default();
                let log: Vec<u8> = log
                    .iter()
                    .take_while(|c| **c != 0)
                    .map(|c| *c as u8)
                    .collect();
                failed(format!("{e}: {}", String::from_utf8_lossy(&log).trim()))
            })
            .and_then(|()| {
                let mut size = 0;
                sys::nvrtcGetCUBINSize(program, &raw mut size)
                    .result()
                    .map_err(refused)?;
                let mut code = vec![0_u8; size];
                sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast())
                    .result()
                    .map_err(refused)?;
                Ok(code)
            });
        let _ = result::destroy_program(program);
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NVRTC, where `cargo xtask ci` puts it (or `VERDICT_NVRTC` says).
    #[allow(clippy::print_stderr, reason = "a skipped test must be seen")]
    fn compiler() -> bool {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/nvrtc/nvidia/cu13/lib");
        let folder = std::env::var_os("VERDICT_NVRTC").map_or(ours, PathBuf::from);
        let there = super::super::libraries::open_nvrtc(&folder);
        if !there {
            eprintln!("skipped: no NVRTC in {}", folder.display());
        }
        there
    }

    fn compile_all(architecture: &str, folder: &Path) -> Vec<Vec<u8>> {
        let sources = SOURCES
            .iter()
            .filter(|s| s.file != "fp8" || architecture >= "sm_89");
        let code =
            |s: &Source| machine_code(*s, architecture, folder).unwrap_or_else(|e| panic!("{e}"));
        std::thread::scope(|scope| {
            let jobs: Vec<_> = sources.map(|s| scope.spawn(move || code(s))).collect();
            let code = |job: std::thread::ScopedJoinHandle<'_, _>| job.join().expect("compiled");
            jobs.into_iter().map(code).collect()
        })
    }

    #[test]
    fn every_kernel_compiles_for_the_oldest_architecture_and_for_hoppers() {
        if !compiler() {
            return;
        }
        let folder = std::env::temp_dir().join(format!("verdict-kernels-{}", std::process::id()));
        for architecture in ["sm_80", "sm_90"] {
            let made = compile_all(architecture, &folder);
            assert!(made.iter().all(|code| code.starts_with(b"\x7fELF")));
            // The second time they come from the folder; a damaged file is made again.
            let kept: Vec<_> = std::fs::read_dir(&folder)
                .expect("cache")
                .flatten()
                .collect();
            let whole = std::fs::read(kept[0].path()).expect("cubin");
            std::fs::write(kept[0].path(), &whole[..whole.len() - 1]).expect("cut");
            assert_eq!(compile_all(architecture, &folder), made);
            assert_eq!(std::fs::read(kept[0].path()).expect("cubin"), whole);
            assert!(
                kept.iter()
                    .all(|f| f.path().extension().is_some_and(|e| e == "cubin"))
            );
        }
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn the_error_of_a_kernel_that_does_not_compile_names_its_file() {
        if !compiler() {
            return;
        }
        let broken = Source {
            file: "broken",
            text: "KERNEL k() { nonsense; }",
            define: None,
            kernels: &[],
        };
        let error = machine_code(broken, "sm_90", &std::env::temp_dir()).expect_err("nonsense");
        let text = error.to_string();
        assert!(
            text.starts_with("kernels `broken` do not compile for sm_90"),
            "{text}"
        );
        assert!(text.contains("nonsense"), "{text}");
    }

    #[test]
    fn every_kernel_has_one_home() {
        for (name, home) in [
            ("rms_norm_forward_1", "norm"),
            ("lora_up_64x512", "lora_up"),
            ("attention_decode_128_2", "attention_128"),
            ("attention_forward_16", "attention_16"),
            ("skinny_int8_5", "decode"),
            ("quantise_fp8", "fp8"),
        ] {
            assert_eq!(holder(name).map(|i| SOURCES[i].file), Some(home), "{name}");
        }
        assert_eq!(holder("no_such_kernel"), None);
    }
}
