//! Lists of products, built once per batch and read at every layer. `cuda.cu` describes them.

use std::ops::Range;

use crate::cuda::{Buffer, Gpu, GpuResult, Plain, View};
use crate::dropout::RowKey;

/// One matrix `W [rank, columns]` of one adapter, and the rows and columns of the batch it meets.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraProduct {
    /// Where W of layer 0 begins in the bank's weights.
    pub weight: usize,
    /// Numbers from a layer's W to the next one's.
    pub layer_stride: usize,
    /// Rows of the adapter's group.
    pub rows: Range<usize>,
    /// First column on the narrow side.
    pub narrow: usize,
    /// Rows of W, a multiple of 16.
    pub rank: usize,
    /// First column on the wide side.
    pub wide: usize,
    /// Columns of W, a multiple of 8.
    pub columns: usize,
    /// Multiplies the product.
    pub factor: f32,
}

#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Product {
    weight: u64,
    layer_stride: u64,
    row: u32,
    rows: u32,
    narrow: u32,
    rank: u32,
    wide: u32,
    columns: u32,
    factor: f32,
    unused: u32,
}
// SAFETY: plain numbers without a gap.
unsafe impl Plain for Product {}

#[derive(Clone, Copy)]
#[repr(C)]
struct Work {
    product: u32,
    row: u32,
    column: u32,
}
// SAFETY: plain numbers without a gap.
unsafe impl Plain for Work {}

/// A kernel of one tile size.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    name: &'static str,
    tile: (usize, usize),
    threads: usize,
    shared: usize,
    /// Tiles for every ten multiprocessors from which on it is the best choice, as measured on an H100
    /// with adapters of ranks 4 to 128 and with one of rank 16.
    wanted: usize,
}

const fn kernel(
    name: &'static str,
    tile: (usize, usize),
    threads: usize,
    shared: usize,
    wanted: usize,
) -> Kernel {
    Kernel {
        name,
        tile,
        threads,
        shared,
        wanted,
    }
}

// Largest first; the last is for whatever is left.
const DOWN: [Kernel; 4] = [
    kernel("lora_down_64x128", (64, 128), 256, 147_456, 14),
    kernel("lora_down_64x64", (64, 64), 128, 98_304, 10),
    kernel("lora_down_32x32", (32, 32), 128, 98_304, 8),
    kernel("lora_down_16x16", (16, 16), 128, 98_304, 0),
];
const UP: [Kernel; 3] = [
    kernel("lora_up_64x512", (64, 512), 128, 65_536, 40),
    kernel("lora_up_64x256", (64, 256), 128, 65_536, 40),
    kernel("lora_up_64x128", (64, 128), 128, 65_536, 0),
];
const GRADIENT: [Kernel; 3] = [
    kernel("lora_gradient_64x128", (64, 128), 128, 49_152, 15),
    kernel("lora_gradient_32x64", (32, 64), 128, 49_152, 20),
    kernel("lora_gradient_16x64", (16, 64), 256, 81_920, 0),
];

/// The tiles of one launch.
#[derive(Clone, Debug)]
struct Tiles {
    kernel: Kernel,
    works: Range<usize>,
}

/// Which list of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoraList(pub usize);

/// Lists of products in device memory; each may be run down, up, or for its gradient.
#[derive(Debug)]
pub struct LoraPlan {
    products: Buffer<Product>,
    works: Buffer<Work>,
    lists: Vec<[Tiles; 3]>,
}

/// The narrow side: u or du, `[T, ld]`.
#[derive(Clone, Copy, Debug)]
pub struct Narrow<'a>(pub View<'a, u16>, pub usize);

/// The wide side: x, y, dy or dx, `[T, ld]`.
#[derive(Clone, Copy, Debug)]
pub struct Wide<'a>(pub View<'a, u16>, pub usize);

impl LoraPlan {
    /// Lists the tiles of every product of every list.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(gpu: &Gpu, lists: &[Vec<LoraProduct>]) -> GpuResult<Self> {
        let (mut products, mut works, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
        for list in lists {
            let first = products.len() as u32;
            products.extend(list.iter().map(raw));
            // Long tiles first, so that the last ones to run are short.
            let mut order: Vec<usize> = (0..list.len()).collect();
            order.sort_by_key(|i| std::cmp::Reverse(list[*i].rank));
            let area = |f: fn(&LoraProduct) -> (usize, usize),
                        kernels: &[Kernel],
                        by_row: bool,
                        works: &mut Vec<Work>| {
                let count = |k: &Kernel| -> usize {
                    let tiles = |p: &LoraProduct| {
                        let (rows, columns) = f(p);
                        rows.div_ceil(k.tile.0) * columns.div_ceil(k.tile.1)
                    };
                    list.iter().map(tiles).sum()
                };
                let enough = |k: &&Kernel| {
                    k.shared <= gpu.shared_bytes()
                        && 10 * count(k) >= k.wanted * gpu.multiprocessors()
                };
                let kernel = *kernels
                    .iter()
                    .find(enough)
                    .unwrap_or(&kernels[kernels.len() - 1]);
                let start = works.len();
                for &i in &order {
                    let (rows, columns) = f(&list[i]);
                    let (outer, inner) = if by_row {
                        (rows, columns)
                    } else {
                        (columns, rows)
                    };
                    let (outer_step, inner_step) = match by_row {
                        true => kernel.tile,
                        false => (kernel.tile.1, kernel.tile.0),
                    };
                    for o in (0..outer).step_by(outer_step) {
                        for n in (0..inner).step_by(inner_step) {
                            let (row, column) = if by_row { (o, n) } else { (n, o) };
                            works.push(Work {
                                product: first + i as u32,
                                row: row as u32,
                                column: column as u32,
                            });
                        }
                    }
                }
                Tiles {
                    kernel,
                    works: start..works.len(),
                }
            };
            ranges.push([
                area(|p| (p.rows.len(), p.rank), &DOWN, true, &mut works),
                area(|p| (p.rows.len(), p.columns), &UP, true, &mut works),
                area(|p| (p.rank, p.columns), &GRADIENT, false, &mut works),
            ]);
        }
        Ok(Self {
            products: gpu.upload(&products)?,
            works: gpu.upload(&works)?,
            lists: ranges,
        })
    }
}

fn raw(p: &LoraProduct) -> Product {
    assert!(
        p.rank.is_multiple_of(16) && p.columns.is_multiple_of(8),
        "{p:?}"
    );
    Product {
        weight: p.weight as u64,
        layer_stride: p.layer_stride as u64,
        row: p.rows.start as u32,
        rows: p.rows.len() as u32,
        narrow: p.narrow as u32,
        rank: p.rank as u32,
        wide: p.wide as u32,
        columns: p.columns as u32,
        factor: p.factor,
        unused: 0,
    }
}

impl Gpu {
    /// `narrow = factor · wide Wᵀ`: `u = drop(x) Aᵀ`, or `du = α/r · dy B`.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn lora_down(
        &self,
        (plan, list): (&LoraPlan, LoraList),
        weights: View<'_, u16>,
        layer: usize,
        wide: Wide<'_>,
        narrow: Narrow<'_>,
    ) -> GpuResult<()> {
        let tiles = &plan.lists[list.0][0];
        let (products, works) = (plan.products.view(), plan.works.part(tiles.works.clone()));
        let (layer, ld_wide, ld_narrow) = (layer as i32, wide.1 as i32, narrow.1 as i32);
        self.launch(
            tiles.kernel.name,
            (works.len(), 1, 1),
            tiles.kernel.threads,
            tiles.kernel.shared,
            &[
                &products, &works, &weights, &layer, &wide.0, &ld_wide, &narrow.0, &ld_narrow,
            ],
        )
    }

    /// `wide = source + mask ∘ (factor · narrow W)`: `y = source + α/r · u Bᵀ`, or `dx = mask ∘ (du A)`.
    /// Rows of no adapter are not written.
    ///
    /// # Errors
    /// A failure of the device.
    #[allow(clippy::too_many_arguments)]
    pub fn lora_up(
        &self,
        (plan, list): (&LoraPlan, LoraList),
        weights: View<'_, u16>,
        layer: usize,
        narrow: Narrow<'_>,
        wide: Wide<'_>,
        source: Option<View<'_, u16>>,
        masks: Option<(View<'_, RowKey>, usize)>,
    ) -> GpuResult<()> {
        let tiles = &plan.lists[list.0][1];
        let (products, works) = (plan.products.view(), plan.works.part(tiles.works.clone()));
        let (layer, ld_wide, ld_narrow) = (layer as i32, wide.1 as i32, narrow.1 as i32);
        let (keys, site) = (masks.map(|m| m.0), masks.map_or(0, |m| m.1) as i32);
        self.launch(
            tiles.kernel.name,
            (works.len(), 1, 1),
            tiles.kernel.threads,
            tiles.kernel.shared,
            &[
                &products, &works, &weights, &layer, &narrow.0, &ld_narrow, &wide.0, &ld_wide,
                &source, &ld_wide, &keys, &site,
            ],
        )
    }

    /// `dW = (add ? dW : 0) + factor · narrowᵀ wide`: the gradient of A from du and drop(x), of Bᵀ from u
    /// and dy.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn lora_gradient(
        &self,
        (plan, list): (&LoraPlan, LoraList),
        gradients: View<'_, f32>,
        layer: usize,
        narrow: Narrow<'_>,
        wide: Wide<'_>,
        add: bool,
    ) -> GpuResult<()> {
        let tiles = &plan.lists[list.0][2];
        let (products, works) = (plan.products.view(), plan.works.part(tiles.works.clone()));
        let (layer, ld_wide, ld_narrow) = (layer as i32, wide.1 as i32, narrow.1 as i32);
        let add = i32::from(add);
        self.launch(
            tiles.kernel.name,
            (works.len(), 1, 1),
            tiles.kernel.threads,
            tiles.kernel.shared,
            &[
                &products, &works, &gradients, &layer, &narrow.0, &ld_narrow, &wide.0, &ld_wide,
                &add,
            ],
        )
    }
}
