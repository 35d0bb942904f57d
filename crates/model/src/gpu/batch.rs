//! A packed batch in device memory, with the lists its kernels go by.

use std::ops::Range;

use verdict_formats::ModelConfig;
use verdict_kernels::cuda::{Buffer, Gpu, View};
use verdict_kernels::{
    AttentionTiles, DropoutKey, LoraList, LoraPlan, LoraProduct, Masked, RowKey,
};

use crate::batch::Packed;
use crate::error::Result;
use crate::gpu::bank::Layout;
use crate::site::Site;

/// A batch, ready to be run.
#[derive(Debug)]
pub(crate) struct GpuBatch {
    pub(crate) rows: usize,
    pub(crate) tokens: Buffer<u32>,
    pub(crate) positions: Buffer<u32>,
    pub(crate) tiles: AttentionTiles,
    pub(crate) lora: Option<LoraRows>,
}

/// The rows that pass through adapters.
#[derive(Debug)]
pub(crate) struct LoraRows {
    plan: LoraPlan,
    /// Columns of u at each site.
    pub(crate) narrow: [usize; 4],
    /// Names of the rows' masks, in training.
    keys: Option<Buffer<RowKey>>,
    /// Whether any row has dropout.
    pub(crate) drops: bool,
    /// Rows of no adapter.
    pub(crate) bare: Vec<Range<usize>>,
}

impl GpuBatch {
    pub(crate) fn new(
        gpu: &Gpu,
        c: &ModelConfig,
        layouts: &[Layout],
        packed: &Packed,
        training: bool,
    ) -> Result<Self> {
        let lora = match packed.groups.is_empty() {
            true => None,
            false => Some(LoraRows::new(gpu, c, layouts, packed, training)?),
        };
        Ok(Self {
            rows: packed.rows(),
            tokens: gpu.upload(&packed.tokens)?,
            positions: gpu.upload(&packed.positions)?,
            tiles: AttentionTiles::new(gpu, &packed.spans)?,
            lora,
        })
    }

    pub(crate) fn narrow(&self) -> [usize; 4] {
        self.lora.as_ref().map_or([0; 4], |l| l.narrow)
    }
}

impl LoraRows {
    fn new(
        gpu: &Gpu,
        c: &ModelConfig,
        layouts: &[Layout],
        packed: &Packed,
        training: bool,
    ) -> Result<Self> {
        let widest = packed
            .groups
            .iter()
            .map(|g| layouts[g.adapter].padded)
            .max()
            .unwrap_or(0);
        // Two lists a site: the stacked A, and every part's B.
        let lists: Vec<Vec<LoraProduct>> = Site::ALL
            .into_iter()
            .flat_map(|site| {
                [
                    inputs(c, layouts, packed, site),
                    outputs(c, layouts, packed, site),
                ]
            })
            .collect();
        let mut bare = Vec::new();
        let mut end = 0;
        for group in &packed.groups {
            if end < group.rows.start {
                bare.push(end..group.rows.start);
            }
            end = group.rows.end;
        }
        if end < packed.rows() {
            bare.push(end..packed.rows());
        }
        let keys = training.then(|| row_keys(layouts, packed));
        Ok(Self {
            plan: LoraPlan::new(gpu, &lists)?,
            narrow: Site::ALL.map(|site| widest * site.parts(c).len()),
            keys: keys.map(|k| gpu.upload(&k)).transpose()?,
            drops: training
                && packed
                    .groups
                    .iter()
                    .any(|g| layouts[g.adapter].dropout > 0.0),
            bare,
        })
    }

    /// The list of A at a site.
    pub(crate) fn inputs(&self, site: Site) -> (&LoraPlan, LoraList) {
        (&self.plan, LoraList(2 * site as usize))
    }

    /// The list of B at a site.
    pub(crate) fn outputs(&self, site: Site) -> (&LoraPlan, LoraList) {
        (&self.plan, LoraList(2 * site as usize + 1))
    }

    /// The rows' keys, where dropout applies.
    pub(crate) fn masks(&self) -> Option<View<'_, RowKey>> {
        self.keys.as_ref().filter(|_| self.drops).map(Buffer::view)
    }

    /// Where a masked copy goes. In training only.
    pub(crate) fn masked<'a>(
        &'a self,
        out: View<'a, u16>,
        layer: usize,
        site: Site,
    ) -> Option<Masked<'a>> {
        Some(Masked {
            out,
            keys: self.keys.as_ref()?.view(),
            layer: layer as u32,
            site: site as u32,
        })
    }
}

fn inputs(c: &ModelConfig, layouts: &[Layout], packed: &Packed, site: Site) -> Vec<LoraProduct> {
    let parts = site.parts(c).len();
    let product = |g: &crate::batch::Group| {
        let layout = &layouts[g.adapter];
        LoraProduct {
            weight: layout.sites[site as usize].a,
            layer_stride: layout.layer_stride,
            rows: g.rows.clone(),
            narrow: 0,
            rank: parts * layout.padded,
            wide: 0,
            columns: site.inputs(c),
            factor: 1.0,
        }
    };
    packed.groups.iter().map(product).collect()
}

fn outputs(c: &ModelConfig, layouts: &[Layout], packed: &Packed, site: Site) -> Vec<LoraProduct> {
    let mut products = Vec::new();
    for g in &packed.groups {
        let layout = &layouts[g.adapter];
        let mut wide = 0;
        for (i, (_, columns)) in site.parts(c).into_iter().enumerate() {
            products.push(LoraProduct {
                weight: layout.sites[site as usize].b[i],
                layer_stride: layout.layer_stride,
                rows: g.rows.clone(),
                narrow: i * layout.padded,
                rank: layout.padded,
                wide,
                columns,
                factor: layout.scale,
            });
            wide += columns;
        }
    }
    products
}

fn row_keys(layouts: &[Layout], packed: &Packed) -> Vec<RowKey> {
    let mut keys = vec![RowKey::none(); packed.rows()];
    for group in &packed.groups {
        let layout = &layouts[group.adapter];
        for row in group.rows.clone() {
            let key = DropoutKey {
                seed: layout.seed,
                example: packed.keys[row],
                layer: 0,
                site: 0,
                position: packed.positions[row],
            };
            keys[row] = RowKey::new(key, layout.dropout);
        }
    }
    keys
}
