//! Queuing cuBLASLt's products.

use std::ffi::c_void;

use cudarc::cublaslt::{result, sys};

use super::Gpu;
use super::blas::{Element, Product, WORKSPACE, set_address};
use super::error::{GpuError, GpuResult};
use super::memory::{Plain, View};

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
        assert!(!p.fp8);
        if p.m == 0 {
            return Ok(());
        }
        let inputs = if p.backward { p.n } else { p.k };
        x.holds((p.m - 1) * p.ld_x + inputs);
        w.holds(p.n * p.k);
        self.queue(p, (x.address(), w.address()), None, bias, c, d)
    }

    /// Queues a product of e4m3 operands: `d[i, j] = x_scales[i] · w_scales[j] · Σ x[i, ·] w[j, ·]` (+ c, + bias),
    /// x `[m, k]`, w `[n, k]`. m, n and k are multiples of 16.
    ///
    /// # Errors
    /// A shape, or a GPU, that cuBLASLt refuses.
    ///
    /// # Panics
    /// When an operand is too small for the shape.
    pub fn product_fp8(
        &self,
        p: Product,
        (x, x_scales): (View<'_, u8>, View<'_, f32>),
        (w, w_scales): (View<'_, u8>, View<'_, f32>),
        bias: Option<View<'_, u16>>,
        c: Option<View<'_, u16>>,
        d: View<'_, u16>,
    ) -> GpuResult<()> {
        assert!(p.fp8 && !p.backward && p.ld_x == p.k);
        x.holds(p.m * p.k);
        x_scales.holds(p.m);
        w.holds(p.n * p.k);
        w_scales.holds(p.n);
        let scales = Some((x_scales.address(), w_scales.address()));
        self.queue(p, (x.address(), w.address()), scales, bias, c, d)
    }

    fn queue<O: Plain>(
        &self,
        p: Product,
        (x, w): (u64, u64),
        scales: Option<(u64, u64)>,
        bias: Option<View<'_, u16>>,
        c: Option<View<'_, O>>,
        d: View<'_, O>,
    ) -> GpuResult<()> {
        use sys::cublasLtMatmulDescAttributes_t as D;
        if p.m == 0 {
            return Ok(());
        }
        let outputs = if p.backward { p.k } else { p.n };
        for out in c.into_iter().chain([d]) {
            out.holds((p.m - 1) * p.ld_d + outputs);
        }
        assert_eq!(size_of::<O>(), if p.out == Element::F32 { 4 } else { 2 });
        assert!(p.add == c.is_some() && p.bias == bias.is_some());
        let mut blas = self.inner.blas();
        let (handle, workspace) = (blas.handle, blas.workspace);
        let refused = |e: result::CublasError| GpuError::Blas {
            what: format!("{p:?}"),
            code: e.to_string(),
        };
        let plan = blas.plan(p).map_err(refused)?;
        let (alpha, beta) = (1.0_f32, f32::from(u8::from(p.add)));
        let c = c.unwrap_or(d);
        if let Some(bias) = bias {
            bias.holds(p.n);
            set_address(
                plan.desc,
                D::CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                bias.address(),
            )
            .map_err(refused)?;
        }
        if let Some((of_x, of_w)) = scales {
            set_address(plan.desc, D::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, of_w)
                .map_err(refused)?;
            set_address(plan.desc, D::CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, of_x)
                .map_err(refused)?;
        }
        // SAFETY: operands hold what the layouts say (asserted above) and live on this stream.
        unsafe {
            result::matmul(
                handle,
                plan.desc,
                (&raw const alpha).cast(),
                (&raw const beta).cast(),
                w as *const c_void,
                plan.w,
                x as *const c_void,
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
            .map_err(refused)?;
        }
        drop(blas);
        self.mark(|| {
            let way = if p.backward { "dy W" } else { "x Wᵀ" };
            let format = if p.fp8 { "fp8 " } else { "" };
            format!("{format}product {way} {} × {}", p.n, p.k)
        })
    }
}
