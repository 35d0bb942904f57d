//! The promises of every device, on the one under test (`VERDICT_TEST_DEVICE`): repeated runs are
//! bitwise identical, and an adapter's losses and gradients do not depend on other adapters or on micro-batches, up to
//! the rounding of a GPU's sums.

mod support;

use support::{Golden, Sequence, assert_near};
use verdict_model::formats::Adapter;
use verdict_model::{
    AdamW, AdapterBank, AdapterState, BaseQuantization, Chunk, Example, Model, Rate, Trainer,
};
use verdict_testkit::{numbers, wide};

/// What a GPU's sums may be off, in rounding units of bf16, where the same numbers are summed in another
/// order: some roundings of the residual stream flip. On the CPU: nothing.
const REORDERED_SUMS: f64 = 16.0;

/// Ranks that fill a tile of a GPU, fill none, and exceed one, with their dropout.
const ADAPTERS: [(usize, f32); 4] = [(4, 0.1), (16, 0.1), (7, 0.0), (33, 0.05)];

fn bases() -> [BaseQuantization; 2] {
    [BaseQuantization::Int8, BaseQuantization::Bf16]
}

/// An adapter of this rank: A and B of the size that the golden ones have, so that both have a gradient.
fn adapter(golden: &Golden, (rank, dropout): (usize, f32)) -> Adapter {
    let mut adapter = golden.adapter("r4");
    adapter.config.r = rank;
    adapter.config.lora_alpha = 2.0 * rank as f32;
    adapter.config.lora_dropout = dropout;
    for (number, (name, tensor)) in adapter.tensors.iter_mut().enumerate() {
        let (place, size) = if name.contains("lora_A") {
            (0, 0.17)
        } else {
            (1, 0.26)
        };
        tensor.shape[place] = rank;
        let len = tensor.shape.iter().product();
        tensor.data = numbers((rank * 1000 + number) as u64, len, size);
    }
    adapter
}

fn trainer(model: &Model, golden: &Golden, adapters: &[(usize, f32)]) -> Trainer {
    let mut bank = AdapterBank::empty();
    for of in adapters {
        let name = format!("r{}", of.0);
        bank.add(model.config(), &name, &adapter(golden, *of))
            .expect("fits");
    }
    Trainer::new(model, bank, AdamW::default()).expect("trainer")
}

/// All sequences through every adapter, `per_pass` of each at a time; the losses of each adapter.
fn accumulate(
    trainer: &mut Trainer,
    model: &Model,
    adapters: usize,
    sequences: &[&Sequence],
    per_pass: usize,
) -> Vec<Vec<f32>> {
    let mut losses = vec![Vec::new(); adapters];
    for (pass, part) in sequences.chunks(per_pass).enumerate() {
        let examples: Vec<Example<'_>> = (0..adapters)
            .flat_map(|adapter| {
                part.iter().enumerate().map(move |(i, s)| Example {
                    adapter: Some(adapter),
                    tokens: &s.tokens,
                    loss_from: s.loss_from.expect("taught"),
                    weight: 0.01,
                    rest: None,
                    key: (pass * per_pass + i) as u64,
                })
            })
            .collect();
        let found = trainer.accumulate(model, &examples, &[]).expect("pass");
        for (example, loss) in examples.iter().zip(found) {
            losses[example.adapter.expect("given")].push(loss.loss_sum as f32);
        }
    }
    losses
}

fn step(trainer: &mut Trainer, model: &Model, adapters: usize) -> Vec<f32> {
    let rates: Vec<Rate> = (0..adapters)
        .map(|adapter| Rate {
            adapter,
            lr: 0.01,
            clip: 1.0,
        })
        .collect();
    trainer.step(model, &rates).expect("step")
}

/// Losses and gradient of one adapter, tensor by tensor.
#[derive(Debug, PartialEq)]
struct Learnt {
    losses: Vec<f32>,
    gradient: Vec<(String, Vec<f32>)>,
}

fn learnt(
    model: &Model,
    golden: &Golden,
    adapters: &[(usize, f32)],
    per_pass: usize,
) -> Vec<Learnt> {
    let mut trainer = trainer(model, golden, adapters);
    let sequences = golden.sequences();
    let sequences = taught(&sequences);
    let losses = accumulate(&mut trainer, model, adapters.len(), &sequences, per_pass);
    let learnt = losses.into_iter().enumerate().map(|(adapter, losses)| {
        let gradient = trainer.gradient(model, adapter).expect("gradient");
        let tensors = gradient.tensors.into_iter();
        Learnt {
            losses,
            gradient: tensors.map(|(name, tensor)| (name, tensor.data)).collect(),
        }
    });
    learnt.collect()
}

fn near(what: &str, got: &Learnt, want: &Learnt) {
    let losses = format!("{what}: losses");
    assert_near(
        &losses,
        &got.losses,
        &wide(&want.losses),
        0.0,
        REORDERED_SUMS,
    );
    for ((name, got), (_, want)) in got.gradient.iter().zip(&want.gradient) {
        assert_near(
            &format!("{what}: {name}"),
            got,
            &wide(want),
            0.0,
            REORDERED_SUMS,
        );
    }
}

fn taught(sequences: &[Sequence]) -> Vec<&Sequence> {
    sequences.iter().filter(|s| s.loss_from.is_some()).collect()
}

#[test]
fn a_run_repeats_bitwise_and_neither_other_adapters_nor_passes_matter() {
    for family in support::FAMILIES {
        let golden = Golden::read(family);
        for base in bases() {
            let model = golden.on_device(base);
            let together = learnt(&model, &golden, &ADAPTERS, 16);
            let what = format!("{family} {base:?}");
            let again = learnt(&model, &golden, &ADAPTERS, 16);
            assert_eq!(again, together, "{what}: run twice");
            let small = learnt(&model, &golden, &ADAPTERS, 2);
            for ((got, want), of) in small.iter().zip(&together).zip(ADAPTERS) {
                near(&format!("{what}, {of:?} in small passes"), got, want);
                let alone = learnt(&model, &golden, &[of], 16);
                near(&format!("{what}, {of:?} alone"), &alone[0], want);
            }
        }
    }
}

#[test]
fn a_step_uses_its_gradient_up() {
    let golden = Golden::read("qwen3");
    let sequences = golden.sequences();
    let sequences = taught(&sequences);
    let model = golden.on_device(BaseQuantization::Bf16);
    let count = ADAPTERS.len();
    let mut trainer = trainer(&model, &golden, &ADAPTERS);
    accumulate(&mut trainer, &model, count, &sequences, 16);
    let first = step(&mut trainer, &model, count);
    assert!(first.iter().all(|norm| *norm > 0.0), "{first:?}");
    assert_eq!(step(&mut trainer, &model, count), vec![0.0; count]);
}

/// Steps that bring about moments, each over all sequences.
fn train(trainer: &mut Trainer, model: &Model, golden: &Golden, steps: usize) -> Vec<Vec<f32>> {
    let sequences = golden.sequences();
    let sequences = taught(&sequences);
    let step = |_| {
        accumulate(trainer, model, ADAPTERS.len(), &sequences, 16);
        step(trainer, model, ADAPTERS.len())
    };
    (0..steps).map(step).collect()
}

#[test]
fn training_continues_bitwise_from_a_restored_state() {
    for family in support::FAMILIES {
        let golden = Golden::read(family);
        for base in bases() {
            let what = format!("{family} {base:?}");
            let model = golden.on_device(base);
            let mut first = trainer(&model, &golden, &ADAPTERS);
            train(&mut first, &model, &golden, 2);
            // What was begun after the last step does not count.
            let sequences = golden.sequences();
            let half = &taught(&sequences)[..1];
            let mut second = trainer(&model, &golden, &ADAPTERS);
            accumulate(&mut second, &model, ADAPTERS.len(), half, 16);
            for adapter in 0..ADAPTERS.len() {
                let state = first.state(&model, adapter).expect("state");
                assert_eq!(state.steps, 2);
                assert!(state.m.iter().any(|m| *m != 0.0) && state.v.iter().any(|v| *v != 0.0));
                second.restore(&model, adapter, &state).expect("fits");
                assert_eq!(
                    second.state(&model, adapter).expect("state"),
                    state,
                    "{what}"
                );
            }
            let norms = train(&mut first, &model, &golden, 2);
            assert_eq!(train(&mut second, &model, &golden, 2), norms, "{what}");
            for adapter in 0..ADAPTERS.len() {
                let state = |trainer: &Trainer| trainer.state(&model, adapter).expect("state");
                assert!(state(&first) == state(&second), "{what} {adapter}");
                let export = |trainer: &Trainer| trainer.export(&model, adapter).expect("export");
                assert!(export(&first) == export(&second), "{what} {adapter}");
            }
        }
    }
}

#[test]
fn weights_alone_start_anew_and_another_adapter_s_state_is_refused() {
    let golden = Golden::read("llama");
    let model = golden.on_device(BaseQuantization::Int8);
    let mut one = trainer(&model, &golden, &ADAPTERS);
    let whole = one.state(&model, 0).expect("state");
    train(&mut one, &model, &golden, 2);
    let weights = AdapterState {
        weights: whole.weights.clone(),
        ..AdapterState::default()
    };
    one.restore(&model, 0, &weights).expect("fits");
    assert_eq!(
        one.state(&model, 0).expect("state"),
        whole,
        "moments are zero"
    );
    let error = one
        .restore(&model, 1, &whole)
        .expect_err("another rank")
        .to_string();
    let (own, other) = (4 * whole.weights.len(), whole.weights.len());
    let text = format!(
        "adapter `r16`: expected a state of {own} weights and as many moments, found [{other}, {other}, {other}]"
    );
    assert_eq!(error, text);
}

#[test]
fn decoding_token_by_token_stays_near_the_whole_prompt() {
    for family in support::FAMILIES {
        let golden = Golden::read(family);
        let sequences = golden.sequences();
        for base in bases() {
            let model = golden.on_device(base);
            let bank = golden.bank(&model, &["r4", "r6"]);
            let longest = sequences.iter().map(|s| &s.tokens);
            let long = longest.max_by_key(|t| t.len()).expect("sequences");
            let mut cache = model.new_cache();
            let whole = cache.add_sequence();
            let chunk = |sequence, tokens| Chunk {
                sequence,
                adapter: Some(1),
                tokens,
            };
            let at_once = model.extend(&bank, &mut cache, &[chunk(whole, long)]);
            let at_once = wide(&at_once.expect("whole"));
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
            let what = format!("{family} {base:?}");
            assert_near(&what, &last[..vocabulary], &at_once, 0.0, REORDERED_SUMS);
        }
    }
}

#[test]
fn generated_tokens_are_the_best_ones() {
    let new = 8;
    for family in support::FAMILIES {
        let golden = Golden::read(family);
        let sequences = golden.sequences();
        let model = golden.on_device(BaseQuantization::Int8);
        let bank = golden.bank(&model, &["r4", "r6"]);
        // More prompts than one round of decoding takes, of different adapters and lengths.
        let prompts: Vec<Chunk<'_>> = (0..40)
            .map(|i| Chunk {
                sequence: i,
                adapter: [None, Some(0), Some(1)][i % 3],
                tokens: &sequences[i % sequences.len()].tokens,
            })
            .collect();
        let answers = model.generate(&bank, &prompts, new).expect("answers");
        assert_eq!(answers.len(), prompts.len());
        for (prompt, answer) in prompts.iter().zip(&answers) {
            assert_eq!(answer.len(), new);
            let mut cache = model.new_cache();
            let sequence = cache.add_sequence();
            let mut owed = prompt.tokens.to_vec();
            for token in answer {
                let chunk = Chunk {
                    sequence,
                    tokens: &owed,
                    ..*prompt
                };
                let logits = model.extend(&bank, &mut cache, &[chunk]).expect("logits");
                // A near tie may fall either way: the token's logit is the best one, up to rounding.
                let best = logits.iter().copied().fold(f32::MIN, f32::max);
                let size = logits.iter().fold(0.0_f32, |most, l| most.max(l.abs()));
                let lead = (best - logits[*token as usize]) / size;
                assert_near(family, &[1.0 - lead], &[1.0], 0.0, REORDERED_SUMS);
                owed = vec![*token];
            }
        }
    }
}

#[test]
fn a_diverged_adapter_leaves_the_others_unchanged() {
    for family in support::FAMILIES {
        let golden = Golden::read(family);
        let sequences = golden.sequences();
        let model = golden.on_device(BaseQuantization::Int8);
        let mut bank = golden.bank(&model, &["r4"]);
        let mut broken = golden.adapter("r6");
        for tensor in broken.tensors.values_mut() {
            tensor.data.fill(f32::INFINITY);
        }
        bank.add(model.config(), "broken", &broken).expect("fits");
        let of = |adapter| {
            taught(&sequences).into_iter().map(move |s| Example {
                adapter: Some(adapter),
                tokens: &s.tokens,
                loss_from: 1,
                weight: 0.01,
                rest: None,
                key: 0,
            })
        };
        let sums = |examples: &[Example<'_>]| -> Vec<f32> {
            let losses = model.evaluate(&bank, examples, &[]).expect("losses");
            losses.iter().map(|loss| loss.loss_sum as f32).collect()
        };
        let alone = sums(&of(0).collect::<Vec<_>>());
        let both = sums(&of(0).chain(of(1)).collect::<Vec<_>>());
        let (good, bad) = both.split_at(alone.len());
        assert!(
            bad.iter().all(|loss| !loss.is_finite()),
            "{family}: {bad:?}"
        );
        assert_near(family, good, &wide(&alone), 0.0, REORDERED_SUMS);
    }
}
