//! Training and decoding are batch-invariant: an adapter's weights are bitwise identical alone and beside
//! others, in one pass or several, with any number of threads, in every product format that this machine's
//! processor has. `device.rs` tests the same on a GPU, up to the rounding of sums.

mod support;

use support::{Golden, Sequence};
use verdict_model::{
    AdamW, AdapterBank, AdapterSpec, BaseQuantization, Chunk, ComputeDtype, Example, Isa,
    LoadOptions, Model, Rate, Trainer,
};

/// Instruction sets and formats of this machine that differ in their products; none where a GPU is under
/// test.
fn machines() -> Vec<LoadOptions> {
    if !support::on_cpu_or_skipped("bitwise identity holds on the CPU") {
        return Vec::new();
    }
    let mut all = vec![LoadOptions {
        compute: Some(ComputeDtype::F32),
        threads: 2,
        base: BaseQuantization::Int8,
        isa: Isa::hardware(),
        ..LoadOptions::default()
    }];
    for isa in [Isa::Avx512Bf16, Isa::Amx] {
        if isa <= Isa::hardware() {
            all.push(LoadOptions {
                compute: Some(ComputeDtype::Bf16),
                threads: 2,
                base: BaseQuantization::Int8,
                isa,
                ..LoadOptions::default()
            });
        } else {
            skipped(isa);
        }
    }
    all
}

/// The same, and every version of the integer products, which answer but do not train.
fn answering_machines() -> Vec<LoadOptions> {
    let mut all = machines();
    let Some(first) = all.first().copied() else {
        return all;
    };
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512Vnni] {
        if isa <= Isa::hardware() {
            all.push(LoadOptions {
                compute: Some(ComputeDtype::Int16),
                isa,
                ..first
            });
        } else {
            skipped(isa);
        }
    }
    all
}

#[allow(
    clippy::print_stderr,
    reason = "a skipped instruction set must be seen"
)]
fn skipped(isa: Isa) {
    eprintln!("skipped: this processor has no {isa}");
}

fn spec(name: &str, rank: usize, dropout: f32) -> AdapterSpec {
    AdapterSpec {
        name: name.into(),
        rank,
        alpha: 2.0 * rank as f32,
        dropout,
        seed: rank as u64,
    }
}

fn specs() -> Vec<AdapterSpec> {
    vec![spec("a", 4, 0.1), spec("b", 16, 0.1), spec("c", 7, 0.0)]
}

/// Three steps of the named adapters in one bank; `per_pass` examples of each adapter at a time.
fn train(
    model: &Model,
    specs: &[AdapterSpec],
    sequences: &[Sequence],
    per_pass: usize,
) -> Vec<Vec<f32>> {
    let mut bank = AdapterBank::empty();
    for spec in specs {
        bank.create(model.config(), spec);
    }
    let mut trainer = Trainer::new(model, bank, AdamW::default()).expect("trainer");
    let taught: Vec<&Sequence> = sequences.iter().filter(|s| s.loss_from.is_some()).collect();
    for step in 0..3 {
        for (pass, part) in taught.chunks(per_pass).enumerate() {
            let examples: Vec<Example<'_>> = (0..specs.len())
                .flat_map(|adapter| {
                    part.iter().enumerate().map(move |(i, s)| Example {
                        adapter: Some(adapter),
                        tokens: &s.tokens,
                        loss_from: s.loss_from.expect("taught"),
                        weight: 0.01,
                        rest: None,
                        key: (step * 100 + pass * per_pass + i) as u64,
                    })
                })
                .collect();
            trainer.accumulate(model, &examples, &[]).expect("pass");
        }
        let rates: Vec<Rate> = (0..specs.len())
            .map(|adapter| Rate {
                adapter,
                lr: 0.01,
                clip: 1.0,
            })
            .collect();
        trainer.step(model, &rates).expect("step");
    }
    (0..specs.len())
        .map(|i| {
            trainer
                .export(model, i)
                .expect("adapter")
                .tensors
                .into_values()
                .flat_map(|t| t.data)
                .collect()
        })
        .collect()
}

#[test]
fn alone_equals_together_and_passes_and_threads_do_not_count() {
    for family in support::FAMILIES {
        let golden = Golden::read(family);
        let sequences = golden.sequences();
        for options in machines() {
            let what = format!("{family} {} {:?}", options.isa, options.compute);
            let model = golden.model_with(options);
            let together = train(&model, &specs(), &sequences, 16);
            assert_eq!(
                train(&model, &specs(), &sequences, 16),
                together,
                "{what}: run twice"
            );
            assert_eq!(
                train(&model, &specs(), &sequences, 2),
                together,
                "{what}: in small passes"
            );
            let one_thread = golden.model_with(LoadOptions {
                threads: 1,
                ..options
            });
            assert_eq!(
                train(&one_thread, &specs(), &sequences, 3),
                together,
                "{what}: one thread"
            );
            for (i, spec) in specs().into_iter().enumerate() {
                let alone = train(&model, &[spec], &sequences, 16);
                assert_eq!(alone[0], together[i], "{what}: adapter {i} alone");
            }
        }
    }
}

#[test]
fn decoding_gives_the_bits_of_the_whole_prompt() {
    for family in support::FAMILIES {
        let golden = Golden::read(family);
        let sequences = golden.sequences();
        for options in answering_machines() {
            let model = golden.model_with(options);
            let bank = golden.bank(&model, &["r4", "r6"]);
            let long = sequences
                .iter()
                .map(|s| &s.tokens)
                .max_by_key(|t| t.len())
                .expect("sequences");
            let mut cache = model.new_cache();
            let whole = cache.add_sequence();
            let chunk = |sequence, tokens| Chunk {
                sequence,
                adapter: Some(1),
                tokens,
            };
            let at_once = model
                .extend(&bank, &mut cache, &[chunk(whole, long)])
                .expect("whole");
            let (bit, other) = (cache.add_sequence(), cache.add_sequence());
            let mut last = Vec::new();
            for (i, token) in long.iter().enumerate() {
                let mut chunks = vec![chunk(bit, std::slice::from_ref(token))];
                if i % 3 == 0 {
                    chunks.push(Chunk {
                        sequence: other,
                        adapter: Some(0),
                        tokens: &long[..1 + i % 4],
                    });
                }
                last = model.extend(&bank, &mut cache, &chunks).expect("one token");
            }
            let vocabulary = model.config().vocab_size;
            assert_eq!(
                last[..vocabulary],
                at_once,
                "{family} {} {:?}",
                options.isa,
                options.compute
            );
            let copy = cache.fork(whole).expect("copy");
            let both = model
                .extend(
                    &bank,
                    &mut cache,
                    &[chunk(whole, &long[..1]), chunk(copy, &long[..1])],
                )
                .expect("fork");
            assert_eq!(both[..vocabulary], both[vocabulary..]);
        }
    }
}

#[test]
fn bf16_products_stay_near_the_f32_goldens() {
    // Each product rounds its operands to bf16 (unit 2^-8); over two or three blocks of seven products
    // the errors add like a random walk: a few units of the largest logit.
    for family in support::FAMILIES {
        let golden = Golden::read(family);
        for options in machines()
            .into_iter()
            .filter(|o| o.compute == Some(ComputeDtype::Bf16))
        {
            let model = golden.model_with(LoadOptions {
                base: BaseQuantization::Bf16,
                ..options
            });
            let bank = golden.bank(&model, &["r4"]);
            for (i, s) in golden.sequences().iter().enumerate() {
                let mut cache = model.new_cache();
                let sequence = cache.add_sequence();
                let got = model
                    .extend(
                        &bank,
                        &mut cache,
                        &[Chunk {
                            sequence,
                            adapter: Some(0),
                            tokens: &s.tokens,
                        }],
                    )
                    .expect("prompt");
                let all = golden.tensor(&format!("r4/logits/{i}"));
                let want = &all[all.len() - got.len()..];
                verdict_testkit::assert_close(family, &got, want, 8.0, verdict_testkit::BF16_UNIT);
            }
        }
    }
}

#[test]
fn a_diverged_adapter_leaves_the_others_unchanged() {
    for family in support::FAMILIES {
        let golden = Golden::read(family);
        let sequences = golden.sequences();
        for options in machines() {
            let model = golden.model_with(options);
            let mut bank = golden.bank(&model, &["r4"]);
            let mut broken = golden.adapter("r6");
            for tensor in broken.tensors.values_mut() {
                tensor.data.fill(f32::INFINITY);
            }
            bank.add(model.config(), "broken", &broken).expect("fits");
            let of = |adapter| {
                let taught = sequences.iter().filter(|s| s.loss_from.is_some());
                taught.map(move |s| Example {
                    adapter: Some(adapter),
                    tokens: &s.tokens,
                    loss_from: 1,
                    weight: 0.01,
                    rest: None,
                    key: 0,
                })
            };
            let alone: Vec<Example<'_>> = of(0).collect();
            let both: Vec<Example<'_>> = of(0).chain(of(1)).collect();
            let want = model.evaluate(&bank, &alone, &[]).expect("alone");
            let got = model.evaluate(&bank, &both, &[]).expect("both");
            assert!(got[want.len()..].iter().all(|l| !l.loss_sum.is_finite()));
            assert_eq!(got[..want.len()], want, "{family} {}", options.isa);
        }
    }
}
