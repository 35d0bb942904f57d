//! The shapes of cuBLASLt's matrix products, with an algorithm chosen once per shape.
//!
//! The heuristic's first choice is taken, among algorithms that sum each element in one place: then a row's result depends on its own numbers alone, and the same seed gives the same bytes.
//! Timing candidates would choose a little better and differently each time.
//!
//! Packed batches differ in their number of rows, and cuBLASLt's heuristic takes longer than a small product.
//! So for small batches it is called for rows rounded up, and its algorithm serves every number of rows up to
//! that. For large ones it is called for each number of rows: the best algorithm depends on how tiles fall on
//! the multiprocessors, and the GPU is busy meanwhile.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;

use cudarc::cublaslt::{result, sys};

use super::error::{GpuError, GpuResult};

/// Number format of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// bf16.
    Bf16,
    /// f32.
    F32,
}

/// A product of rows with a frozen weight `W [n, k]`, all matrices row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Product {
    /// `true`: `d[m, k] = x[m, n] W` (the gradient of the input). `false`: `d[m, n] = x[m, k] Wᵀ`.
    pub backward: bool,
    /// Rows.
    pub m: usize,
    /// Rows of W.
    pub n: usize,
    /// Columns of W.
    pub k: usize,
    /// Numbers from row to row of x.
    pub ld_x: usize,
    /// Numbers from row to row of d (and c).
    pub ld_d: usize,
    /// Format of d (and c).
    pub out: Element,
    /// Whether a matrix `c` is added.
    pub add: bool,
    /// Whether a bias `[n]` is added to every row.
    pub bias: bool,
    /// Both operands are e4m3 with one f32 scale a row (see [`Gpu::product_fp8`](super::Gpu::product_fp8)). Forward only.
    pub fp8: bool,
}

impl Product {
    /// The product whose algorithm serves this one.
    fn rounded_up(self) -> Self {
        let step = match self.m {
            0..=128 => 16,
            129..=1024 => 128,
            _ => 1,
        };
        let m = self.m.next_multiple_of(step);
        Self { m, ..self }
    }

    /// How sums may be split. Not at all, except for sums so long that most of the GPU would otherwise be
    /// idle: the gradient through the head sums over the vocabulary, into a few tiles.
    fn reductions(&self) -> u32 {
        let long = self.backward && self.n >= 16 * self.k;
        let by_workspace = sys::cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
        if long { by_workspace as u32 } else { 0 }
    }
}

/// Scratch that an algorithm may use. With half of it the heuristic takes kernels that are up to twice as
/// slow in batches of 3,400 rows.
pub(super) const WORKSPACE: usize = 64 << 20;

pub(super) struct Blas {
    pub(super) handle: sys::cublasLtHandle_t,
    /// By products of rounded rows.
    plans: HashMap<Product, Plan>,
    /// Address of [`WORKSPACE`] bytes; 0 before they are taken.
    pub(super) workspace: u64,
}

pub(super) struct Plan {
    pub(super) desc: sys::cublasLtMatmulDesc_t,
    pub(super) w: sys::cublasLtMatrixLayout_t,
    pub(super) x: sys::cublasLtMatrixLayout_t,
    pub(super) d: sys::cublasLtMatrixLayout_t,
    pub(super) algorithm: sys::cublasLtMatmulAlgo_t,
}

impl Drop for Blas {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed once.
        let _ = unsafe { result::destroy_handle(self.handle) };
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: made by `make_plan`, destroyed once; queued products do not read them.
        unsafe {
            let _ = result::destroy_matmul_desc(self.desc);
            for layout in [self.w, self.x, self.d] {
                let _ = result::destroy_matrix_layout(layout);
            }
        }
    }
}

/// Plans that are kept: a long run of large batches meets thousands.
const MOST_PLANS: usize = 4096;

impl Blas {
    pub(super) fn new() -> GpuResult<Self> {
        let handle = result::create_handle().map_err(|e| GpuError::Blas {
            what: "start".into(),
            code: e.to_string(),
        })?;
        Ok(Self {
            handle,
            plans: HashMap::new(),
            workspace: 0,
        })
    }

    /// The plan of a product, its layouts set to the product's rows.
    pub(super) fn plan(&mut self, product: Product) -> Result<&Plan, result::CublasError> {
        let rounded = product.rounded_up();
        if self.plans.len() >= MOST_PLANS && !self.plans.contains_key(&rounded) {
            self.plans.clear();
        }
        let plan = match self.plans.entry(rounded) {
            Entry::Occupied(plan) => plan.into_mut(),
            Entry::Vacant(place) => place.insert(make_plan(self.handle, rounded)?),
        };
        set_rows(plan.x, product.m)?;
        set_rows(plan.d, product.m)?;
        Ok(plan)
    }
}

/// `CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F`: a scale for each row of W and each row of x.
const SCALE_A_ROW: i32 = 3;

/// Rows of ours are cuBLASLt's columns: see [`make_plan`].
fn set_rows(layout: sys::cublasLtMatrixLayout_t, rows: usize) -> Result<(), result::CublasError> {
    let attribute = sys::cublasLtMatrixLayoutAttribute_t::CUBLASLT_MATRIX_LAYOUT_COLS;
    let rows = rows as u64;
    // SAFETY: the attribute is a 64-bit number.
    unsafe { result::set_matrix_layout_attribute(layout, attribute, (&raw const rows).cast(), 8) }
}

pub(super) fn set_address(
    desc: sys::cublasLtMatmulDesc_t,
    attribute: sys::cublasLtMatmulDescAttributes_t,
    address: u64,
) -> Result<(), result::CublasError> {
    // SAFETY: the attribute is an address.
    unsafe { result::set_matmul_desc_attribute(desc, attribute, (&raw const address).cast(), 8) }
}

/// e4m3 products gather their sums in fewer bits and promote them to f32 only at the end: a third faster.
fn set_fast_sums(desc: sys::cublasLtMatmulDesc_t) -> Result<(), result::CublasError> {
    let (attribute, on) = (
        sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_FAST_ACCUM,
        1_i8,
    );
    // SAFETY: the attribute is one byte.
    unsafe { result::set_matmul_desc_attribute(desc, attribute, (&raw const on).cast(), 1) }
}

/// cuBLASLt counts by columns: a row-major `[rows, columns]` is its `columns × rows`. So `d = x Wᵀ` is
/// computed as `dᵀ = W xᵀ`, W being the operand that comes first.
fn make_plan(handle: sys::cublasLtHandle_t, p: Product) -> Result<Plan, result::CublasError> {
    use sys::cudaDataType as T;
    let bf16 = T::CUDA_R_16BF;
    let operand = if p.fp8 { T::CUDA_R_8F_E4M3 } else { bf16 };
    let out = match p.out {
        Element::Bf16 => bf16,
        Element::F32 => T::CUDA_R_32F,
    };
    let (inputs, outputs) = if p.backward { (p.n, p.k) } else { (p.k, p.n) };
    let desc =
        result::create_matmul_desc(sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, T::CUDA_R_32F)?;
    let w = result::create_matrix_layout(operand, p.k as u64, p.n as u64, p.k as i64)?;
    let x = result::create_matrix_layout(operand, inputs as u64, p.m as u64, p.ld_x as i64)?;
    let d = result::create_matrix_layout(out, outputs as u64, p.m as u64, p.ld_d as i64)?;
    let set = |attribute, value: &i32| {
        let value = std::ptr::from_ref(value).cast::<c_void>();
        // SAFETY: every attribute set here is a 32-bit integer.
        unsafe { result::set_matmul_desc_attribute(desc, attribute, value, 4) }
    };
    use sys::cublasLtMatmulDescAttributes_t as D;
    set(D::CUBLASLT_MATMUL_DESC_TRANSA, &i32::from(!p.backward))?;
    if p.bias {
        set(
            D::CUBLASLT_MATMUL_DESC_EPILOGUE,
            &(sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS as i32),
        )?;
    }
    if p.fp8 {
        set(D::CUBLASLT_MATMUL_DESC_A_SCALE_MODE, &SCALE_A_ROW)?;
        set(D::CUBLASLT_MATMUL_DESC_B_SCALE_MODE, &SCALE_A_ROW)?;
        set_fast_sums(desc)?;
        // Which algorithms qualify depends on there being scales; their addresses are set at each call.
        set_address(desc, D::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, 256)?;
        set_address(desc, D::CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, 256)?;
    }
    let preference = result::create_matmul_pref()?;
    use sys::cublasLtMatmulPreferenceAttributes_t as P;
    let prefer = |attribute, value: &[u8]| {
        // SAFETY: the sizes are those of the attributes.
        unsafe {
            result::set_matmul_pref_attribute(
                preference,
                attribute,
                value.as_ptr().cast(),
                value.len(),
            )
        }
    };
    prefer(
        P::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
        &WORKSPACE.to_ne_bytes(),
    )?;
    prefer(
        P::CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        &p.reductions().to_ne_bytes(),
    )?;
    for alignment in [
        P::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
        P::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        P::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
        P::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
    ] {
        prefer(alignment, &16_u32.to_ne_bytes())?;
    }
    // SAFETY: all handles were made above.
    let found = unsafe {
        let found = result::get_matmul_algo_heuristic(handle, desc, w, x, d, d, preference);
        result::destroy_matmul_pref(preference)?;
        found?
    };
    Ok(Plan {
        desc,
        w,
        x,
        d,
        algorithm: found.algo,
    })
}
