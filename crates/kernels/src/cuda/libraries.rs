//! Finding the driver, cuBLASLt and NVRTC on this machine, and opening them.
//!
//! Nothing of CUDA is linked. Each library is looked for under the system's name, in `CUDA_HOME` and
//! `CUDA_PATH`, in `/usr/local/cuda*`, and in the folders that pip's packages (`nvidia/cu13/lib`,
//! `nvidia/cuda_nvrtc/lib`, …) leave beside the Python interpreters on the path.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Serialize;

/// An opened library.
#[derive(Clone, Debug, Serialize)]
pub struct Library {
    /// Where it is; the bare name where the system's loader found it.
    pub path: PathBuf,
    /// Its version, where it reports one.
    pub version: Option<String>,
}

/// A GPU of this machine.
#[derive(Clone, Debug, Serialize)]
pub struct GpuDevice {
    /// CUDA's number.
    pub ordinal: usize,
    /// Its maker's name for it.
    pub name: String,
    /// Such as (9, 0).
    pub compute_capability: (i32, i32),
    /// All of its memory.
    pub memory_bytes: usize,
    /// Free memory, where it was requested ([`GpuProbe::with_free_memory`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<usize>,
}

/// What was found, and what is missing.
#[derive(Clone, Debug, Serialize)]
pub struct GpuProbe {
    /// The driver's library.
    pub driver: Option<Library>,
    /// cuBLASLt.
    pub cublaslt: Option<Library>,
    /// The run-time compiler.
    pub nvrtc: Option<Library>,
    /// CUDA version that the driver speaks, such as 13.0.
    pub driver_version: Option<String>,
    /// The GPUs, by ordinal.
    pub devices: Vec<GpuDevice>,
    /// One sentence for each thing that is missing, with the places where it was looked for.
    pub missing: Vec<String>,
    /// Folder of compiled kernels.
    pub cache: PathBuf,
}

impl GpuProbe {
    /// The same with the free memory of each GPU, for which each must be opened.
    pub fn with_free_memory(mut self) -> Self {
        for device in &mut self.devices {
            let context = cudarc::driver::CudaContext::new(device.ordinal);
            let memory = context.and_then(|context| context.mem_get_info());
            device.free_bytes = memory.ok().map(|(free, _)| free);
        }
        self
    }

    /// Whether a GPU can be used.
    pub fn usable(&self) -> bool {
        self.missing.is_empty() && !self.devices.is_empty()
    }
}

/// Oldest CUDA that the driver must speak (`major * 1000 + minor * 10`): the first that lists a module's
/// kernels.
const DRIVER_AT_LEAST: i32 = 12_040;
/// Oldest architecture: bf16 matrix instructions and asynchronous copies.
pub(super) const CAPABILITY_AT_LEAST: (i32, i32) = (8, 0);

struct Found {
    driver: Option<Library>,
    cublaslt: Option<Library>,
    nvrtc: Option<Library>,
    missing: Vec<String>,
}

/// Looks for the libraries once per process, and for the driver's GPUs each time; never fails.
pub fn probe() -> GpuProbe {
    let found = libraries();
    let mut probe = GpuProbe {
        driver: found.driver.clone(),
        cublaslt: found.cublaslt.clone(),
        nvrtc: found.nvrtc.clone(),
        driver_version: None,
        devices: Vec::new(),
        missing: found.missing.clone(),
        cache: super::compile::cache_folder(),
    };
    if probe.driver.is_some() {
        match devices() {
            Ok((version, devices)) => {
                probe.driver_version = Some(in_words(version));
                probe.missing.extend(too_old(version));
                let new_enough = |d: &GpuDevice| d.compute_capability >= CAPABILITY_AT_LEAST;
                if !devices.iter().any(new_enough) {
                    let names: Vec<&str> = devices.iter().map(|d| d.name.as_str()).collect();
                    probe.missing.push(match names.is_empty() {
                        true => "the driver sees no GPU".into(),
                        false => format!(
                            "no GPU of compute capability 8.0 or higher, found {}",
                            names.join(", ")
                        ),
                    });
                }
                probe.devices = devices;
            }
            Err(code) => probe
                .missing
                .push(format!("the driver does not start: {code}")),
        }
    }
    probe
}

/// CUDA's number of a version as people write it: 13000 is 13.0.
fn in_words(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

fn too_old(version: i32) -> Option<String> {
    (version < DRIVER_AT_LEAST).then(|| {
        format!(
            "the driver speaks CUDA {}, expected at least {}: install a newer NVIDIA driver",
            in_words(version),
            in_words(DRIVER_AT_LEAST)
        )
    })
}

fn devices() -> Result<(i32, Vec<GpuDevice>), String> {
    use cudarc::driver::{result, sys};
    let code = |e: cudarc::driver::DriverError| format!("{:?}", e.0);
    result::init().map_err(code)?;
    let mut version = 0;
    // SAFETY: the driver is loaded and initialised; it writes one integer.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }
        .result()
        .map_err(code)?;
    let count = result::device::get_count().map_err(code)?;
    // No context is made: it would take memory and time of GPUs that will not be used.
    let devices = (0..count).map(|ordinal| {
        let device = result::device::get(ordinal)?;
        // SAFETY: `device` is one of this driver's.
        let (memory_bytes, capability) = unsafe {
            use sys::CUdevice_attribute as A;
            let of = |attribute| result::device::get_attribute(device, attribute);
            let major = of(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
            let minor = of(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
            (result::device::total_mem(device)?, (major, minor))
        };
        Ok(GpuDevice {
            ordinal: ordinal as usize,
            name: result::device::get_name(device)?,
            compute_capability: capability,
            memory_bytes,
            free_bytes: None,
        })
    });
    Ok((version, devices.collect::<Result<_, _>>().map_err(code)?))
}

/// Opens driver, cuBLASLt and NVRTC, or says why not.
pub(super) fn open() -> Result<(), String> {
    let found = libraries();
    if !found.missing.is_empty() {
        return Err(found.missing.join("; "));
    }
    let (version, _) = devices()?;
    too_old(version).map_or(Ok(()), Err)
}

fn libraries() -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut missing = Vec::new();
        let driver = first(
            &["libcuda.so.1", "libcuda.so"],
            &[],
            "NVIDIA's driver",
            &mut missing,
        );
        if driver.is_none() {
            // Without a driver the rest is of no use, and what is missing is one thing.
            return Found {
                driver,
                cublaslt: None,
                nvrtc: None,
                missing,
            };
        }
        let folders = folders();
        // NVRTC opens its second half by bare name: it must be there already.
        for folder in &folders {
            if let Some(path) = named(folder, "libnvrtc-builtins.so.") {
                open_library(&path);
            }
        }
        let mut nvrtc = first(
            &["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"],
            &folders,
            "NVRTC, CUDA's run-time compiler",
            &mut missing,
        );
        let mut cublaslt = first(
            &["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"],
            &folders,
            "cuBLASLt",
            &mut missing,
        );
        // SAFETY: both ask only whether a library of that name can be opened, and read its version.
        unsafe {
            if let Some(library) = &mut nvrtc {
                match cudarc::nvrtc::sys::is_culib_present() {
                    true => library.version = nvrtc_version(),
                    false => missing.push(format!("{} cannot be opened", library.path.display())),
                }
            }
            if let Some(library) = &mut cublaslt {
                match cudarc::cublaslt::sys::is_culib_present() {
                    true => {
                        let v = cudarc::cublaslt::sys::cublasLtGetVersion();
                        library.version =
                            Some(format!("{}.{}.{}", v / 10_000, v / 100 % 100, v % 100));
                    }
                    false => missing.push(format!("{} cannot be opened", library.path.display())),
                }
            }
        }
        Found {
            driver,
            cublaslt,
            nvrtc,
            missing,
        }
    })
}

/// Opens NVRTC from one folder, without a driver. For tests: the compiler needs no GPU.
#[cfg(test)]
pub(super) fn open_nvrtc(folder: &Path) -> bool {
    let parts = ["libnvrtc-builtins.so.", "libnvrtc.so."];
    let opened = parts.map(|name| named(folder, name).is_some_and(|path| open_library(&path)));
    // SAFETY: asks only whether a library of that name can be opened.
    opened == [true, true] && unsafe { cudarc::nvrtc::sys::is_culib_present() }
}

fn nvrtc_version() -> Option<String> {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: NVRTC is loaded; it writes two integers.
    let status = unsafe { cudarc::nvrtc::sys::nvrtcVersion(&raw mut major, &raw mut minor) };
    status.result().ok().map(|()| format!("{major}.{minor}"))
}

/// The first of `names` that opens, by the folders first, then by the system's loader.
fn first(
    names: &[&str],
    folders: &[PathBuf],
    what: &str,
    missing: &mut Vec<String>,
) -> Option<Library> {
    for name in names {
        for folder in folders {
            let path = folder.join(name);
            if path.exists() && open_library(&path) {
                return Some(Library {
                    path,
                    version: None,
                });
            }
        }
        if open_library(Path::new(name)) {
            return Some(Library {
                path: name.into(),
                version: None,
            });
        }
    }
    let places = folders.iter().map(|f| f.display().to_string());
    let places = std::iter::once("the system's library folders".into()).chain(places);
    missing.push(format!(
        "{what} ({}) was not found in {}",
        names[0],
        places.collect::<Vec<_>>().join(", ")
    ));
    None
}

/// Opens a library for the rest of the process, visible to those opened later by name.
fn open_library(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_encoded_bytes()) else {
        return false;
    };
    // SAFETY: NVIDIA's libraries run no code at load that depends on this process's state.
    !unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) }.is_null()
}

/// Folders that may hold CUDA's libraries, best first.
fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for variable in ["CUDA_HOME", "CUDA_PATH"] {
        if let Some(home) = std::env::var_os(variable) {
            folders.push(PathBuf::from(&home).join("lib64"));
            folders.push(PathBuf::from(&home).join("lib"));
        }
    }
    for path in std::env::var_os("LD_LIBRARY_PATH")
        .iter()
        .flat_map(std::env::split_paths)
    {
        folders.push(path);
    }
    folders.push("/usr/local/cuda/lib64".into());
    for python in pythons() {
        let Some(prefix) = python.parent().and_then(Path::parent) else {
            continue;
        };
        for lib in ["lib", "lib64", "local/lib"] {
            for version in matching(&prefix.join(lib), "python3") {
                for site in ["site-packages", "dist-packages"] {
                    for package in matching(&version.join(site).join("nvidia"), "cu") {
                        folders.push(package.join("lib"));
                    }
                }
            }
        }
    }
    folders.retain(|f| f.is_dir());
    let mut seen = std::collections::HashSet::new();
    folders.retain(|f| seen.insert(f.clone()));
    folders
}

/// Python interpreters: of the active environment, then of the path.
fn pythons() -> Vec<PathBuf> {
    let active = std::env::var_os("VIRTUAL_ENV").map(|e| PathBuf::from(e).join("bin/python3"));
    let path = std::env::var_os("PATH");
    let on_path = path
        .iter()
        .flat_map(std::env::split_paths)
        .map(|p| p.join("python3"));
    active
        .into_iter()
        .chain(on_path)
        .filter(|p| p.exists())
        .collect()
}

/// Entries of a folder whose names begin so, sorted.
fn matching(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().starts_with(prefix))
        .map(|e| e.path())
        .collect();
    found.sort();
    found
}

fn named(folder: &Path, prefix: &str) -> Option<PathBuf> {
    matching(folder, prefix).into_iter().next_back()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_old_driver_is_reported_with_both_versions() {
        assert_eq!(super::too_old(13_000), None);
        assert_eq!(super::too_old(12_040), None);
        assert_eq!(
            super::too_old(11_080).as_deref(),
            Some(
                "the driver speaks CUDA 11.8, expected at least 12.4: install a newer NVIDIA driver"
            )
        );
    }
}
