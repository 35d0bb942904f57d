//! The adapters' products at one site, grouped by adapter: `u = drop(x) Aᵀ`, `y += α/r · u Bᵀ`, and back.

use verdict_kernels::{
    Cpu, DropoutKey, Mode, RightOperand, Rows, SmallProduct, dropout_scale, dropout_scale_add,
    matmul, resize_buffer,
};

use crate::bank::BankAdapter;
use crate::batch::Group;
use crate::cpu::block::Block;
use crate::site::Site;

/// Rows of a batch that pass through adapters at one site of one layer.
pub(crate) struct Lora<'a> {
    block: Block<'a>,
    site: Site,
    /// Columns of u: every part of the largest rank.
    u_columns: usize,
}

/// Buffers that live from call to call.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    u: Vec<f32>,
    u_rows: Rows,
    transposed: Rows,
    dx: Vec<f32>,
}

impl<'a> Lora<'a> {
    pub(crate) fn new(block: &Block<'a>, site: Site) -> Self {
        let adapters = &block.bank.adapters;
        let ranks = block
            .batch
            .groups
            .iter()
            .map(|g| adapters[g.adapter].spec.rank);
        let u_columns = ranks
            .max()
            .map_or(0, |rank| rank * site.parts(&block.model.config).len());
        Self {
            block: *block,
            site,
            u_columns,
        }
    }

    fn cpu(&self) -> &'a Cpu {
        &self.block.model.cpu
    }

    fn adapter(&self, group: &Group) -> &'a BankAdapter {
        &self.block.bank.adapters[group.adapter]
    }

    fn parts(&self) -> Vec<(&'static str, usize)> {
        self.site.parts(&self.block.model.config)
    }

    fn inputs(&self) -> usize {
        self.site.inputs(&self.block.model.config)
    }

    /// Whether any row here has dropout.
    pub(crate) fn drops(&self) -> bool {
        self.block.training
            && self
                .block
                .batch
                .groups
                .iter()
                .any(|g| self.adapter(g).spec.dropout > 0.0)
    }

    /// For each row its mask's key and probability, where it has one.
    fn masks(&self) -> Vec<Option<(DropoutKey, f32)>> {
        let mut masks = vec![None; self.block.batch.rows()];
        for group in &self.block.batch.groups {
            let spec = &self.adapter(group).spec;
            if spec.dropout > 0.0 {
                for row in group.rows.clone() {
                    let key = DropoutKey {
                        seed: spec.seed,
                        example: self.block.batch.keys[row],
                        layer: self.block.layer as u32,
                        site: self.site as u32,
                        position: self.block.batch.positions[row],
                    };
                    masks[row] = Some((key, spec.dropout));
                }
            }
        }
        masks
    }

    /// Fills `rows` with the masked inputs; `make(row, out)` gives the plain ones.
    pub(crate) fn dropped(&self, rows: &mut Rows, make: impl Fn(usize, &mut [f32]) + Sync + Send) {
        let masks = self.masks();
        let isa = self.cpu().isa();
        rows.fill(
            self.cpu(),
            self.block.batch.rows(),
            self.inputs(),
            |row, out| {
                make(row, out);
                if let Some((key, p)) = masks[row] {
                    dropout_scale(isa, key, p, out);
                }
            },
        );
    }

    /// `y += α/r · (x Aᵀ) Bᵀ`; x `[T, in]` (masked already), y `[T, outputs]`, keeps u `[T, u_columns]`.
    pub(crate) fn forward(&self, x: &Rows, y: &mut [f32], u: &mut Vec<f32>, scratch: &mut Scratch) {
        if self.block.batch.groups.is_empty() {
            return;
        }
        let (inputs, ld, parts) = (self.inputs(), self.u_columns, self.parts());
        resize_buffer(u, self.block.batch.rows() * ld);
        let products: Vec<SmallProduct<'_>> = self
            .groups()
            .map(|(group, adapter)| {
                let a = &adapter.weights[adapter.site(self.block.layer, self.site).a.clone()];
                SmallProduct {
                    left: x,
                    rows: group.rows.clone(),
                    from: 0,
                    right: RightOperand::Transposed {
                        data: a,
                        n: a.len() / inputs,
                        k: inputs,
                        ld: inputs,
                    },
                    out_row: group.rows.start,
                    out_column: 0,
                    mode: Mode::Assign,
                    factor: 1.0,
                }
            })
            .collect();
        matmul(self.cpu(), &products, u, ld);
        scratch.u_rows.set(self.cpu(), u, ld, ld, None);
        let products: Vec<SmallProduct<'_>> =
            self.part_products(&parts, |adapter, group, i, column| SmallProduct {
                left: &scratch.u_rows,
                rows: group.rows.clone(),
                from: i * adapter.spec.rank,
                right: self.b_plain(adapter, i, parts[i].1),
                out_row: group.rows.start,
                out_column: column,
                mode: Mode::Add,
                factor: adapter.scale,
            });
        matmul(
            self.cpu(),
            &products,
            y,
            self.site.outputs(&self.block.model.config),
        );
    }

    /// Adds to the gradients of A and B and to dx `[T, in]`. dy `[T, outputs]` as rows, x as in forward.
    pub(crate) fn backward(
        &self,
        x: &Rows,
        u: &[f32],
        dy: &Rows,
        dx: &mut [f32],
        gradients: &mut [Vec<f32>],
        scratch: &mut Scratch,
    ) {
        if self.block.batch.groups.is_empty() {
            return;
        }
        let ld = self.u_columns;
        let Scratch {
            u: du,
            u_rows,
            transposed,
            dx: own_dx,
        } = scratch;
        self.gradient_of_u(dy, du);
        u_rows.set(self.cpu(), du, ld, ld, None);
        for (group, adapter) in self.groups() {
            let gradient = &mut gradients[group.adapter];
            self.gradient_of_b(group, adapter, u, dy, gradient, transposed);
            self.gradient_of_a(group, adapter, du, x, gradient, transposed);
        }
        self.gradient_of_x(u_rows, dx, own_dx);
    }

    /// `du = α/r · dy B`, `[T, u_columns]`.
    fn gradient_of_u(&self, dy: &Rows, du: &mut Vec<f32>) {
        let (ld, parts) = (self.u_columns, self.parts());
        resize_buffer(du, self.block.batch.rows() * ld);
        let products: Vec<SmallProduct<'_>> =
            self.part_products(&parts, |adapter, group, i, column| {
                let b = &adapter.weights[adapter.site(self.block.layer, self.site).b[i].clone()];
                SmallProduct {
                    left: dy,
                    rows: group.rows.clone(),
                    from: column,
                    right: RightOperand::Transposed {
                        data: b,
                        n: adapter.spec.rank,
                        k: parts[i].1,
                        ld: parts[i].1,
                    },
                    out_row: group.rows.start,
                    out_column: i * adapter.spec.rank,
                    mode: Mode::Assign,
                    factor: adapter.scale,
                }
            });
        matmul(self.cpu(), &products, du, ld);
    }

    /// Adds `α/r · uᵀ dy` over the group's rows, part by part.
    fn gradient_of_b(
        &self,
        group: &Group,
        adapter: &BankAdapter,
        u: &[f32],
        dy: &Rows,
        gradient: &mut [f32],
        transposed: &mut Rows,
    ) {
        let (rank, parts) = (adapter.spec.rank, self.parts());
        let columns = 0..rank * parts.len();
        transposed.set_transposed(
            self.cpu(),
            u,
            self.u_columns,
            columns,
            &group.spans,
            adapter.scale,
        );
        let ranges = adapter.site(self.block.layer, self.site);
        let mut from = 0;
        for (i, (_, outputs)) in parts.iter().enumerate() {
            let right = RightOperand::Batch {
                rows: dy,
                from,
                n: *outputs,
                blocks: &group.spans,
            };
            let product = gradient_product(transposed, i * rank..(i + 1) * rank, right);
            let gradient = &mut gradient[ranges.b[i].clone()];
            matmul(self.cpu(), &[product], gradient, *outputs);
            from += outputs;
        }
    }

    /// Adds `duᵀ x` over the group's rows.
    fn gradient_of_a(
        &self,
        group: &Group,
        adapter: &BankAdapter,
        du: &[f32],
        x: &Rows,
        gradient: &mut [f32],
        transposed: &mut Rows,
    ) {
        let inputs = self.inputs();
        let columns = 0..adapter.spec.rank * self.parts().len();
        transposed.set_transposed(
            self.cpu(),
            du,
            self.u_columns,
            columns.clone(),
            &group.spans,
            1.0,
        );
        let right = RightOperand::Batch {
            rows: x,
            from: 0,
            n: inputs,
            blocks: &group.spans,
        };
        let product = gradient_product(transposed, columns, right);
        let ranges = adapter.site(self.block.layer, self.site);
        matmul(
            self.cpu(),
            &[product],
            &mut gradient[ranges.a.clone()],
            inputs,
        );
    }

    /// Adds `drop(du A)` to dx; `own_dx` is room for it where there is dropout.
    fn gradient_of_x(&self, du: &Rows, dx: &mut [f32], own_dx: &mut Vec<f32>) {
        let (inputs, drops) = (self.inputs(), self.drops());
        let products: Vec<SmallProduct<'_>> = self
            .groups()
            .map(|(group, adapter)| {
                let a = &adapter.weights[adapter.site(self.block.layer, self.site).a.clone()];
                SmallProduct {
                    left: du,
                    rows: group.rows.clone(),
                    from: 0,
                    right: RightOperand::Plain {
                        data: a,
                        k: a.len() / inputs,
                        n: inputs,
                        ld: inputs,
                    },
                    out_row: group.rows.start,
                    out_column: 0,
                    mode: if drops { Mode::Assign } else { Mode::Add },
                    factor: 1.0,
                }
            })
            .collect();
        if !drops {
            return matmul(self.cpu(), &products, dx, inputs);
        }
        resize_buffer(own_dx, self.block.batch.rows() * inputs);
        matmul(self.cpu(), &products, own_dx, inputs);
        let masks = self.masks();
        let isa = self.cpu().isa();
        let adapted: Vec<bool> = self.adapted();
        self.cpu().for_rows(dx, inputs, |row, dx| {
            let own = &own_dx[row * inputs..][..inputs];
            match masks[row] {
                Some((key, p)) => dropout_scale_add(isa, key, p, own, dx),
                None if adapted[row] => dx.iter_mut().zip(own).for_each(|(d, o)| *d += o),
                None => {}
            }
        });
    }

    fn adapted(&self) -> Vec<bool> {
        let mut adapted = vec![false; self.block.batch.rows()];
        for group in &self.block.batch.groups {
            adapted[group.rows.clone()].fill(true);
        }
        adapted
    }

    fn groups(&self) -> impl Iterator<Item = (&'a Group, &'a BankAdapter)> {
        let bank = self.block.bank;
        self.block
            .batch
            .groups
            .iter()
            .map(move |g| (g, &bank.adapters[g.adapter]))
    }

    /// One product for every group and part; `make` gets the part's index and its first output column.
    fn part_products<'j>(
        &self,
        parts: &[(&str, usize)],
        make: impl Fn(&'a BankAdapter, &'a Group, usize, usize) -> SmallProduct<'j>,
    ) -> Vec<SmallProduct<'j>> {
        let mut products = Vec::new();
        for (group, adapter) in self.groups() {
            let mut column = 0;
            for (i, (_, outputs)) in parts.iter().enumerate() {
                products.push(make(adapter, group, i, column));
                column += outputs;
            }
        }
        products
    }

    fn b_plain(&self, adapter: &'a BankAdapter, part: usize, outputs: usize) -> RightOperand<'a> {
        let b = &adapter.weights[adapter.site(self.block.layer, self.site).b[part].clone()];
        RightOperand::Plain {
            data: b,
            k: adapter.spec.rank,
            n: outputs,
            ld: outputs,
        }
    }
}

/// A product over the rows of a batch whose sums continue from the gradient so far.
fn gradient_product<'a>(
    left: &'a Rows,
    rows: std::ops::Range<usize>,
    right: RightOperand<'a>,
) -> SmallProduct<'a> {
    SmallProduct {
        left,
        rows,
        from: 0,
        right,
        out_row: 0,
        out_column: 0,
        mode: Mode::Continue,
        factor: 1.0,
    }
}
