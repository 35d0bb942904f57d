//! The adapters' products at one site, grouped by adapter: `u = drop(x) Aᵀ`, `y += α/r · u Bᵀ`, and back.

use verdict_kernels::{
    Columns, Cpu, DropoutKey, Job, Mode, Rows, dropout_scale, dropout_scale_add, matmul,
    resize_buffer,
};

use crate::bank::{AdapterBank, BankAdapter};
use crate::batch::{Group, Packed};
use crate::cpu::CpuModel;
use crate::site::Site;

/// Rows of a batch that pass through adapters at one site of one layer.
pub(crate) struct Lora<'a> {
    pub(crate) model: &'a CpuModel,
    pub(crate) bank: &'a AdapterBank,
    pub(crate) batch: &'a Packed,
    pub(crate) layer: usize,
    pub(crate) site: Site,
    /// Dropout applies.
    pub(crate) training: bool,
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
    fn cpu(&self) -> &'a Cpu {
        &self.model.cpu
    }

    fn adapter(&self, group: &Group) -> &'a BankAdapter {
        &self.bank.adapters[group.adapter]
    }

    fn parts(&self) -> Vec<(&'static str, usize)> {
        self.site.parts(&self.model.config)
    }

    fn inputs(&self) -> usize {
        self.site.inputs(&self.model.config)
    }

    /// Columns of u: every part of the largest rank.
    pub(crate) fn u_columns(&self) -> usize {
        let rank = self
            .batch
            .groups
            .iter()
            .map(|g| self.adapter(g).spec.rank)
            .max()
            .unwrap_or(0);
        rank * self.parts().len()
    }

    /// Whether any row here has dropout.
    pub(crate) fn drops(&self) -> bool {
        self.training
            && self
                .batch
                .groups
                .iter()
                .any(|g| self.adapter(g).spec.dropout > 0.0)
    }

    /// For each row its mask's key and probability, where it has one.
    fn masks(&self) -> Vec<Option<(DropoutKey, f32)>> {
        let mut masks = vec![None; self.batch.rows()];
        for group in &self.batch.groups {
            let spec = &self.adapter(group).spec;
            if spec.dropout > 0.0 {
                for row in group.rows.clone() {
                    let key = DropoutKey {
                        seed: spec.seed,
                        example: self.batch.keys[row],
                        layer: self.layer as u32,
                        site: self.site as u32,
                        position: self.batch.positions[row],
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
        rows.fill(self.cpu(), self.batch.rows(), self.inputs(), |row, out| {
            make(row, out);
            if let Some((key, p)) = masks[row] {
                dropout_scale(isa, key, p, out);
            }
        });
    }

    /// `y += α/r · (x Aᵀ) Bᵀ`; x `[T, in]` (masked already), y `[T, outputs]`, keeps u `[T, u_columns]`.
    pub(crate) fn forward(&self, x: &Rows, y: &mut [f32], u: &mut Vec<f32>, scratch: &mut Scratch) {
        if self.batch.groups.is_empty() {
            return;
        }
        let (inputs, ld, parts) = (self.inputs(), self.u_columns(), self.parts());
        resize_buffer(u, self.batch.rows() * ld);
        let jobs: Vec<Job<'_>> = self
            .groups()
            .map(|(group, adapter)| {
                let a = &adapter.weights[adapter.site(self.layer, self.site).a.clone()];
                Job {
                    left: x,
                    rows: group.rows.clone(),
                    from: 0,
                    right: Columns::Transposed {
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
        matmul(self.cpu(), &jobs, u, ld);
        scratch.u_rows.set(self.cpu(), u, ld, ld, None);
        let jobs: Vec<Job<'_>> = self.part_jobs(&parts, |adapter, group, i, column| Job {
            left: &scratch.u_rows,
            rows: group.rows.clone(),
            from: i * adapter.spec.rank,
            right: self.b_plain(adapter, i, parts[i].1),
            out_row: group.rows.start,
            out_column: column,
            mode: Mode::Add,
            factor: adapter.scale,
        });
        matmul(self.cpu(), &jobs, y, self.site.outputs(&self.model.config));
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
        if self.batch.groups.is_empty() {
            return;
        }
        let (inputs, ld, parts) = (self.inputs(), self.u_columns(), self.parts());
        let Scratch {
            u: du,
            u_rows,
            transposed,
            dx: own_dx,
        } = scratch;
        resize_buffer(du, self.batch.rows() * ld);
        let jobs: Vec<Job<'_>> = self.part_jobs(&parts, |adapter, group, i, column| {
            let b = &adapter.weights[adapter.site(self.layer, self.site).b[i].clone()];
            Job {
                left: dy,
                rows: group.rows.clone(),
                from: column,
                right: Columns::Transposed {
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
        matmul(self.cpu(), &jobs, du, ld);
        u_rows.set(self.cpu(), du, ld, ld, None);

        for (group, adapter) in self.groups() {
            let rank = adapter.spec.rank;
            let ranges = adapter.site(self.layer, self.site);
            let gradient = &mut gradients[group.adapter];
            let columns = 0..rank * parts.len();
            transposed.set_transposed(
                self.cpu(),
                u,
                ld,
                columns.clone(),
                &group.spans,
                adapter.scale,
            );
            let mut from = 0;
            for (i, (_, outputs)) in parts.iter().enumerate() {
                let right = Columns::Batch {
                    rows: dy,
                    from,
                    n: *outputs,
                    blocks: &group.spans,
                };
                let job = gradient_job(transposed, i * rank..(i + 1) * rank, right);
                matmul(
                    self.cpu(),
                    &[job],
                    &mut gradient[ranges.b[i].clone()],
                    *outputs,
                );
                from += outputs;
            }
            transposed.set_transposed(self.cpu(), du, ld, columns.clone(), &group.spans, 1.0);
            let right = Columns::Batch {
                rows: x,
                from: 0,
                n: inputs,
                blocks: &group.spans,
            };
            matmul(
                self.cpu(),
                &[gradient_job(transposed, columns, right)],
                &mut gradient[ranges.a.clone()],
                inputs,
            );
        }

        let drops = self.drops();
        let jobs: Vec<Job<'_>> = self
            .groups()
            .map(|(group, adapter)| {
                let a = &adapter.weights[adapter.site(self.layer, self.site).a.clone()];
                Job {
                    left: u_rows,
                    rows: group.rows.clone(),
                    from: 0,
                    right: Columns::Plain {
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
            return matmul(self.cpu(), &jobs, dx, inputs);
        }
        resize_buffer(own_dx, self.batch.rows() * inputs);
        matmul(self.cpu(), &jobs, own_dx, inputs);
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
        let mut adapted = vec![false; self.batch.rows()];
        for group in &self.batch.groups {
            adapted[group.rows.clone()].fill(true);
        }
        adapted
    }

    fn groups(&self) -> impl Iterator<Item = (&'a Group, &'a BankAdapter)> {
        let bank = self.bank;
        self.batch
            .groups
            .iter()
            .map(move |g| (g, &bank.adapters[g.adapter]))
    }

    /// One job for every group and part; `make` gets the part's index and its first output column.
    fn part_jobs<'j>(
        &self,
        parts: &[(&str, usize)],
        make: impl Fn(&'a BankAdapter, &'a Group, usize, usize) -> Job<'j>,
    ) -> Vec<Job<'j>> {
        let mut jobs = Vec::new();
        for (group, adapter) in self.groups() {
            let mut column = 0;
            for (i, (_, outputs)) in parts.iter().enumerate() {
                jobs.push(make(adapter, group, i, column));
                column += outputs;
            }
        }
        jobs
    }

    fn b_plain(&self, adapter: &'a BankAdapter, part: usize, outputs: usize) -> Columns<'a> {
        let b = &adapter.weights[adapter.site(self.layer, self.site).b[part].clone()];
        Columns::Plain {
            data: b,
            k: adapter.spec.rank,
            n: outputs,
            ld: outputs,
        }
    }
}

/// Sums over the rows of a batch go on where the gradient stands.
fn gradient_job<'a>(left: &'a Rows, rows: std::ops::Range<usize>, right: Columns<'a>) -> Job<'a> {
    Job {
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
