//! Matrix products through cuBLASLt, an algorithm chosen once per shape.
//!
//! The heuristic's first choice is taken, among algorithms that sum each element in one place: then a row's result depends on its own numbers alone, and the same seed gives the same bytes.
//! Timing candidates would choose a little better and differently each time.

use std::collections::HashMap;
use std::ffi::c_void;

use cudarc::cublaslt::{result, sys};

use super::Gpu;
use super::error::{GpuError, GpuResult};
use super::memory::{Plain, View};

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
}

impl Product {
    /// How sums may be split. Not at all, but for those so long that without it most of the card would
    /// stand idle: the gradient through the head sums over the vocabulary, into a few tiles.
    fn reductions(&self) -> u32 {
        let long = self.backward && self.n >= 16 * self.k;
        let by_workspace = sys::cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
        if long { by_workspace as u32 } else { 0 }
    }
}

/// Scratch that an algorithm may use.
const WORKSPACE: usize = 64 << 20;

pub(super) struct Blas {
    handle: sys::cublasLtHandle_t,
    plans: HashMap<Product, Plan>,
    workspace: Option<u64>,
}

#[derive(Clone, Copy)]
struct Plan {
    desc: sys::cublasLtMatmulDesc_t,
    w: sys::cublasLtMatrixLayout_t,
    x: sys::cublasLtMatrixLayout_t,
    d: sys::cublasLtMatrixLayout_t,
    algorithm: sys::cublasLtMatmulAlgo_t,
}

impl Drop for Blas {
    fn drop(&mut self) {
        // SAFETY: made here, destroyed once; the workspace goes with the context's pool.
        unsafe {
            for plan in self.plans.values() {
                let _ = result::destroy_matmul_desc(plan.desc);
                for layout in [plan.w, plan.x, plan.d] {
                    let _ = result::destroy_matrix_layout(layout);
                }
            }
            let _ = result::destroy_handle(self.handle);
        }
    }
}

impl Blas {
    pub(super) fn new() -> GpuResult<Self> {
        let handle = result::create_handle().map_err(|e| GpuError::Blas {
            what: "start".into(),
            code: e.to_string(),
        })?;
        Ok(Self {
            handle,
            plans: HashMap::new(),
            workspace: None,
        })
    }

    fn plan(&mut self, product: Product) -> GpuResult<Plan> {
        if let Some(plan) = self.plans.get(&product) {
            return Ok(*plan);
        }
        // Shapes of packed batches come and go; a bound keeps the table small in long runs.
        let plan = make_plan(self.handle, product).map_err(|e| GpuError::Blas {
            what: format!("{product:?}"),
            code: e.to_string(),
        })?;
        self.plans.insert(product, plan);
        Ok(plan)
    }
}

/// cuBLASLt counts by columns: a row-major `[rows, columns]` is its `columns × rows`. So `d = x Wᵀ` is
/// asked for as `dᵀ = W xᵀ`, W being the operand that comes first.
fn make_plan(handle: sys::cublasLtHandle_t, p: Product) -> Result<Plan, result::CublasError> {
    use sys::cudaDataType as T;
    let bf16 = T::CUDA_R_16BF;
    let out = match p.out {
        Element::Bf16 => bf16,
        Element::F32 => T::CUDA_R_32F,
    };
    let (inputs, outputs) = if p.backward { (p.n, p.k) } else { (p.k, p.n) };
    let desc =
        result::create_matmul_desc(sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, T::CUDA_R_32F)?;
    let w = result::create_matrix_layout(bf16, p.k as u64, p.n as u64, p.k as i64)?;
    let x = result::create_matrix_layout(bf16, inputs as u64, p.m as u64, p.ld_x as i64)?;
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

impl Gpu {
    /// Queues a product; see [`Product`]. `c` may be `d`.
    ///
    /// # Errors
    /// A shape that cuBLASLt refuses.
    ///
    /// # Panics
    /// When an operand is too small for the shape.
    pub fn product<O: Plain>(
        &self,
        p: Product,
        x: View<'_, u16>,
        w: View<'_, u16>,
        bias: Option<View<'_, u16>>,
        c: Option<View<'_, O>>,
        d: View<'_, O>,
    ) -> GpuResult<()> {
        if p.m == 0 {
            return Ok(());
        }
        let (inputs, outputs) = if p.backward { (p.n, p.k) } else { (p.k, p.n) };
        x.holds((p.m - 1) * p.ld_x + inputs);
        w.holds(p.n * p.k);
        d.holds((p.m - 1) * p.ld_d + outputs);
        if let Some(c) = c {
            c.holds((p.m - 1) * p.ld_d + outputs);
        }
        assert_eq!(size_of::<O>(), if p.out == Element::F32 { 4 } else { 2 });
        assert!(p.add == c.is_some() && p.bias == bias.is_some());
        let mut blas = self.inner.blas.lock().unwrap_or_else(|e| e.into_inner());
        let workspace = match blas.workspace {
            Some(address) => address,
            None => *blas.workspace.insert(self.inner.allocate(WORKSPACE)?),
        };
        let plan = blas.plan(p)?;
        let (alpha, beta) = (1.0_f32, f32::from(u8::from(p.add)));
        let c = c.unwrap_or(d);
        let told = |e: result::CublasError| GpuError::Blas {
            what: format!("{p:?}"),
            code: e.to_string(),
        };
        // SAFETY: operands hold what the layouts say (asserted above) and live on this stream.
        unsafe {
            if let Some(bias) = bias {
                bias.holds(p.n);
                let address = bias.address();
                result::set_matmul_desc_attribute(
                    plan.desc,
                    sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                    (&raw const address).cast(),
                    8,
                )
                .map_err(told)?;
            }
            result::matmul(
                blas.handle,
                plan.desc,
                (&raw const alpha).cast(),
                (&raw const beta).cast(),
                w.address() as *const c_void,
                plan.w,
                x.address() as *const c_void,
                plan.x,
                c.address() as *const c_void,
                plan.d,
                d.address() as *mut c_void,
                plan.d,
                &raw const plan.algorithm,
                workspace as *mut c_void,
                WORKSPACE,
                self.inner.stream.cu_stream().cast(),
            )
            .map_err(told)?;
        }
        drop(blas);
        self.mark(|| {
            let way = if p.backward { "dy W" } else { "x Wᵀ" };
            format!("product {way} {} × {}", p.n, p.k)
        })
    }
}
