//! What the operations' tests share: the machines they run on, and device memory that shows what a kernel
//! did to it.
//!
//! A test's body is written once, over a trait of its operation that takes host memory. It runs on every
//! instruction set of this machine and, where `VERDICT_TEST_DEVICE` names a GPU (`cuda:0`), there too.
//! `VERDICT_TEST_SMALL=1` keeps the small shapes alone, for tools under which kernels crawl.

use std::marker::PhantomData;
use std::sync::OnceLock;

use half::bf16;
use verdict_testkit::{BF16_UNIT, F32_UNIT, assert_close};

use super::{Buffer, Gpu, Plain, View};
use crate::cpu::{Cpu, Isa};
use crate::dropout::{DropoutKey, Masked, RowKey, dropout_scale};
use crate::number_formats::ComputeDtype;

/// Message of a test that fails because the device fails.
pub(crate) const WORKS: &str = "the GPU works";

/// The GPU that the environment names, made this thread's; none where it names none.
pub(crate) fn gpu() -> Option<&'static Gpu> {
    static GPU: OnceLock<Option<Gpu>> = OnceLock::new();
    let open = || {
        let name = std::env::var("VERDICT_TEST_DEVICE").ok()?;
        let number = name.strip_prefix("cuda:").and_then(|n| n.parse().ok());
        match (name.as_str(), number) {
            ("", _) => None,
            (_, Some(number)) => Some(Gpu::open(number, None).expect("the GPU opens")),
            _ => panic!("VERDICT_TEST_DEVICE={name}: expected `cuda:0`"),
        }
    };
    let gpu = GPU.get_or_init(open).as_ref()?;
    gpu.enter().expect(WORKS);
    Some(gpu)
}

/// The first `small` of the shapes where only small ones are tested, else all.
pub(crate) fn shapes<T>(all: &[T], small: usize) -> &[T] {
    match std::env::var("VERDICT_TEST_SMALL").as_deref() {
        Ok("" | "0") | Err(_) => all,
        Ok(_) => &all[..small],
    }
}

/// Every instruction set of this machine.
pub(crate) fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| *isa <= Isa::hardware())
}

/// A processor for every instruction set of this machine, with products in f32.
pub(crate) fn cpus() -> impl Iterator<Item = Cpu> {
    isas().map(|isa| Cpu::new(2, Some(ComputeDtype::F32), isa).expect("cpu"))
}

/// A processor for every instruction set and product format of this machine.
pub(crate) fn machines() -> Vec<Cpu> {
    let both = |isa| [ComputeDtype::F32, ComputeDtype::Bf16].map(|c| Cpu::new(2, Some(c), isa));
    isas().flat_map(both).filter_map(Result::ok).collect()
}

/// Runs a body on these processors, and on the GPU where one is named.
macro_rules! everywhere {
    ($processors:expr, $body:expr) => {{
        for processor in $processors {
            $body(&processor);
        }
        if let Some(gpu) = $crate::cuda::testing::gpu() {
            $body(gpu);
        }
    }};
}
pub(crate) use everywhere;

/// An implementation of the operations, as a test's body sees it.
pub(crate) trait Machine {
    fn name(&self) -> String;

    /// Whether rows are bf16, read and stored (sums are f32 everywhere).
    fn is_gpu(&self) -> bool;

    /// Values as it reads them, so that only what it makes of them differs from the truth.
    fn seen(&self, values: Vec<f32>) -> Vec<f32>;

    /// A width that it takes: the CPU takes any, a GPU multiples of `granule`.
    fn width(&self, wanted: usize, granule: usize) -> usize {
        match self.is_gpu() {
            true => wanted.next_multiple_of(granule),
            false => wanted,
        }
    }

    /// Fails unless rows are as wanted, to so many rounding units of the largest: of f32 (for the sums of
    /// the CPU), or of bf16 (where one is what storing the result alone costs).
    #[track_caller]
    fn close(&self, what: &str, got: &[f32], want: &[f64], f32_units: f64, bf16_units: f64) {
        let what = format!("{} {what}", self.name());
        match self.is_gpu() {
            true => assert_close(&what, got, want, bf16_units, BF16_UNIT),
            false => assert_close(&what, got, want, f32_units, F32_UNIT),
        }
    }
}

impl Machine for Isa {
    fn name(&self) -> String {
        self.to_string()
    }

    fn is_gpu(&self) -> bool {
        false
    }

    fn seen(&self, values: Vec<f32>) -> Vec<f32> {
        values
    }
}

impl Machine for Cpu {
    fn name(&self) -> String {
        format!("{} {:?}", self.isa(), self.compute())
    }

    fn is_gpu(&self) -> bool {
        false
    }

    fn seen(&self, values: Vec<f32>) -> Vec<f32> {
        match self.compute() {
            ComputeDtype::F32 | ComputeDtype::Int16 => values,
            ComputeDtype::Bf16 => rounded(&values),
        }
    }
}

impl Machine for Gpu {
    fn name(&self) -> String {
        format!("cuda:{}", self.ordinal())
    }

    fn is_gpu(&self) -> bool {
        true
    }

    fn seen(&self, values: Vec<f32>) -> Vec<f32> {
        rounded(&values)
    }
}

/// The bits of each value in bf16.
pub(crate) fn bits(values: &[f32]) -> Vec<u16> {
    let bits = values.iter().map(|v| bf16::from_f32(*v).to_bits());
    bits.collect()
}

/// bf16 as f32.
pub(crate) fn widened(bits: &[u16]) -> Vec<f32> {
    let values = bits.iter().map(|b| bf16::from_bits(*b).to_f32());
    values.collect()
}

/// Values that bf16 holds.
pub(crate) fn rounded(values: &[f32]) -> Vec<f32> {
    widened(&bits(values))
}

/// Host memory on the device.
pub(crate) fn upload<T: Plain>(gpu: &Gpu, values: &[T]) -> Buffer<T> {
    gpu.upload(values).expect(WORKS)
}

/// Rows in bf16, which their values must have been rounded to.
#[track_caller]
pub(crate) fn rows(gpu: &Gpu, values: &[f32]) -> Buffer<u16> {
    let bits = bits(values);
    let exact = |(v, w): (&f32, f32)| *v == w || v.is_nan();
    assert!(
        values.iter().zip(widened(&bits)).all(exact),
        "not values of bf16"
    );
    upload(gpu, &bits)
}

/// A NaN, as one bf16 and as the two halves of an f32.
pub(crate) const POISON: u16 = 0x7fff;
/// Words before and behind an output: more than a tile that strays by its own size writes.
const GUARD: usize = 1 << 16;

/// Device memory that a kernel is to fill: NaNs, with guards on both sides.
pub(crate) struct Output<T: Plain> {
    words: Buffer<u16>,
    of: PhantomData<T>,
}

impl<T: Plain> Output<T> {
    pub(crate) fn new(gpu: &Gpu, len: usize) -> Self {
        let words = (len * size_of::<T>()).div_ceil(2);
        Self {
            words: upload(gpu, &vec![POISON; GUARD + words + GUARD]),
            of: PhantomData,
        }
    }

    /// One that is added to, or changed in place.
    pub(crate) fn holding(gpu: &Gpu, values: &[T]) -> Self {
        let output = Self::new(gpu, values.len());
        gpu.write(values, output.view()).expect(WORKS);
        output
    }

    pub(crate) fn view(&self) -> View<'_, T> {
        self.words.part(GUARD..self.words.len() - GUARD).cast()
    }

    /// What is there now.
    ///
    /// # Panics
    /// When a guard was written to.
    #[track_caller]
    pub(crate) fn read(&self, gpu: &Gpu) -> Vec<T> {
        let all = gpu.download(self.words.view()).expect(WORKS);
        let guards = all[..GUARD].iter().chain(&all[all.len() - GUARD..]);
        assert!(
            guards.into_iter().all(|w| *w == POISON),
            "a kernel wrote outside its output"
        );
        gpu.download(self.view()).expect(WORKS)
    }
}

impl Output<u16> {
    /// As [`Output::read`], in f32.
    #[track_caller]
    pub(crate) fn wide(&self, gpu: &Gpu) -> Vec<f32> {
        widened(&self.read(gpu))
    }
}

/// Where the masks of [`Masks`] are.
pub(crate) const LAYER: u32 = 1;
pub(crate) const SITE: u32 = 2;

/// Dropout of rows: what names each row's mask, and its probability.
pub(crate) struct Masks(Vec<(DropoutKey, f32)>);

impl Masks {
    /// Two adapters' rows; every third row has no dropout.
    pub(crate) fn of(rows: usize) -> Self {
        let key = |i: usize| DropoutKey {
            seed: 42 + ((i as u64 % 2) << 40),
            example: 7 + ((i as u64 / 5) << 33),
            layer: LAYER,
            site: SITE,
            position: i as u32,
        };
        let rows = (0..rows).map(|i| (key(i), [0.1, 0.0, 0.5][i % 3]));
        Self(rows.collect())
    }

    /// `x = x · mask` on rows of `n`.
    pub(crate) fn apply(&self, isa: Isa, n: usize, x: &mut [f32]) {
        for (row, (key, p)) in x.chunks_exact_mut(n).zip(&self.0) {
            dropout_scale(isa, *key, *p, row);
        }
    }

    /// `[rows, n]`
    pub(crate) fn factors(&self, n: usize) -> Vec<f32> {
        let mut factors = vec![1.0; self.0.len() * n];
        self.apply(Isa::Portable, n, &mut factors);
        factors
    }

    pub(crate) fn keys(&self, gpu: &Gpu) -> Buffer<RowKey> {
        let keys: Vec<RowKey> = self.0.iter().map(|(k, p)| RowKey::new(*k, *p)).collect();
        upload(gpu, &keys)
    }

    /// Fails unless `got` is `plain` under the masks: zero exactly where they are, close elsewhere. A GPU
    /// rounds twice, the plain result and then the masked one.
    #[track_caller]
    pub(crate) fn check(&self, on: &(impl Machine + ?Sized), got: &[f32], plain: &[f64]) {
        let factors = self.factors(plain.len() / self.0.len());
        let dropped = |(g, f): (&f32, &f32)| *f != 0.0 || *g == 0.0;
        assert!(
            got.iter().zip(&factors).all(dropped),
            "{}: a dropped element is not zero",
            on.name()
        );
        let want = plain.iter().zip(&factors).map(|(y, f)| y * f64::from(*f));
        on.close("masked", got, &want.collect::<Vec<_>>(), 16.0, 2.2);
    }
}

/// A masked copy on the device, and what it needs.
pub(crate) struct MaskedOutput {
    keys: Buffer<RowKey>,
    out: Output<u16>,
}

impl MaskedOutput {
    /// Room for `len` numbers, where there are masks.
    pub(crate) fn new(gpu: &Gpu, masks: Option<&Masks>, len: usize) -> Option<Self> {
        masks.map(|masks| Self {
            keys: masks.keys(gpu),
            out: Output::new(gpu, len),
        })
    }

    pub(crate) fn view(&self) -> Masked<'_> {
        Masked {
            out: self.out.view(),
            keys: self.keys.view(),
            layer: LAYER,
            site: SITE,
        }
    }

    #[track_caller]
    pub(crate) fn wide(&self, gpu: &Gpu) -> Vec<f32> {
        self.out.wide(gpu)
    }
}
