//! Instruction sets, found at run time.

/// What the processor offers, in rising order. `VERDICT_ISA` caps it (for tests and comparisons).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What the target guarantees (NEON on aarch64, SSE2 on x86-64).
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, VL, DQ.
    Avx512,
    /// AVX-512 with int8 dot products (VNNI).
    Avx512Vnni,
    /// AVX-512 with BF16 dot products, and VNNI.
    Avx512Bf16,
    /// AMX tiles, bf16.
    Amx,
}

impl Isa {
    /// Every variant, rising.
    pub const ALL: [Self; 6] = [
        Self::Portable,
        Self::Avx2,
        Self::Avx512,
        Self::Avx512Vnni,
        Self::Avx512Bf16,
        Self::Amx,
    ];

    /// The best this machine has, capped by the environment variable `VERDICT_ISA`
    /// (`portable`, `avx2`, `avx512`, `avx512vnni`, `avx512bf16`, `amx`; anything else is ignored).
    pub fn detect() -> Self {
        let cap = std::env::var("VERDICT_ISA").ok();
        let cap = cap.and_then(|name| Self::ALL.into_iter().find(|isa| isa.name() == name));
        Self::hardware().min(cap.unwrap_or(Self::Amx))
    }

    /// The best this machine has.
    #[cfg(target_arch = "x86_64")]
    pub fn hardware() -> Self {
        use std::arch::is_x86_feature_detected as has;
        if !(has!("avx2") && has!("fma")) {
            return Self::Portable;
        }
        if !(has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512dq")) {
            return Self::Avx2;
        }
        if !has!("avx512vnni") {
            return Self::Avx512;
        }
        if !has!("avx512bf16") {
            return Self::Avx512Vnni;
        }
        if cpu_has_amx_bf16() && allow_amx() {
            Self::Amx
        } else {
            Self::Avx512Bf16
        }
    }

    /// The best this machine has.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn hardware() -> Self {
        Self::Portable
    }

    /// bf16 products with f32 sums.
    pub fn has_bf16(self) -> bool {
        self >= Self::Avx512Bf16
    }

    /// The name that `VERDICT_ISA` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Amx => "amx",
        }
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu_has_amx_bf16() -> bool {
    let leaf = std::arch::x86_64::__cpuid_count(7, 0);
    let (bf16, tile) = (1 << 22, 1 << 24);
    leaf.edx & bf16 != 0 && leaf.edx & tile != 0
}

/// Requests the tile registers from Linux (`arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`); threads
/// started afterwards inherit it.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) fn allow_amx() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XTILEDATA: libc::c_long = 18;
    // SAFETY: the call changes nothing but this process's permission to use AMX.
    let result = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) };
    result == 0
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(crate) fn allow_amx() -> bool {
    false
}
