// llama.cpp's side of the timings: one small program over its C API, so that no Python stands in the measured time.
// Compiled and run by llama.py, which says what each case means. Prints one line of JSON.
//
//   llama_peer GGUF THREADS prompt   TOKENS REPEATS
//   llama_peer GGUF THREADS generate TOKENS REPEATS
//   llama_peer GGUF THREADS together SEQUENCES PROMPT NEW REPEATS UNIFIED_KV
//   llama_peer GGUF THREADS one      NEW TEXT

#include <llama.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PROMPT_TOKENS 21
#define MAX_REPEATS 64

static struct llama_model * model;
static struct llama_context * context;
static int vocab_size;

static void quiet(enum ggml_log_level level, const char * text, void * data) {
    (void) data;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static void die(const char * what) {
    fprintf(stderr, "llama_peer: %s\n", what);
    exit(1);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static void open_model(const char * path) {
    llama_log_set(quiet, NULL);
    llama_backend_init();
    model = llama_model_load_from_file(path, llama_model_default_params());
    if (!model) die("cannot load the model");
    vocab_size = llama_vocab_n_tokens(llama_model_get_vocab(model));
}

static void open_context(int threads, int tokens, int sequences, int unified) {
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = tokens;
    params.n_batch = tokens;
    params.n_seq_max = sequences;
    params.n_threads = threads;
    params.n_threads_batch = threads;
    params.kv_unified = unified;
    context = llama_init_from_model(model, params);
    if (!context) die("cannot make a context");
}

static void push(struct llama_batch * batch, llama_token token, int position, int sequence, int wants_logits) {
    const int i = batch->n_tokens++;
    batch->token[i] = token;
    batch->pos[i] = position;
    batch->n_seq_id[i] = 1;
    batch->seq_id[i][0] = sequence;
    batch->logits[i] = (int8_t) wants_logits;
}

static void decode(struct llama_batch batch) {
    if (llama_decode(context, batch) != 0) die("llama_decode failed");
    llama_synchronize(context);
}

// The best token of the batch's row i.
static llama_token best(int i) {
    const float * logits = llama_get_logits_ith(context, i);
    int top = 0;
    for (int v = 1; v < vocab_size; v++) if (logits[v] > logits[top]) top = v;
    return top;
}

// A fixed token that is no special one; speed does not depend on which.
static llama_token filler(int i) { return 1000 + (int) ((unsigned) i * 2654435761u % 40000u); }

static int rising(const void * a, const void * b) {
    const double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static void report(const char * name, double * times, int repeats, int tokens) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    qsort(times, repeats, sizeof *times, rising);
    const double median = (times[(repeats - 1) / 2] + times[repeats / 2]) / 2;
    printf("{\"case\": \"%s\", \"tokens\": %d, \"repeats\": %d, \"s_median\": %.4f, \"s_min\": %.4f, \"s_max\": %.4f, "
           "\"tok_s\": %.1f, \"peak_rss_mib\": %ld}\n",
           name, tokens, repeats, median, times[0], times[repeats - 1], tokens / median, usage.ru_maxrss / 1024);
}

static void time_prompt(int tokens, int repeats) {
    struct llama_batch batch = llama_batch_init(tokens, 0, 1);
    double times[MAX_REPEATS];
    for (int r = -1; r < repeats; r++) { // the first one warms up
        llama_memory_clear(llama_get_memory(context), 0);
        batch.n_tokens = 0;
        for (int i = 0; i < tokens; i++) push(&batch, filler(i), i, 0, i == tokens - 1);
        const double start = seconds();
        decode(batch);
        if (r >= 0) times[r] = seconds() - start;
    }
    report("llama_prompt", times, repeats, tokens);
}

static void time_generate(int tokens, int repeats) {
    struct llama_batch batch = llama_batch_init(PROMPT_TOKENS, 0, 1);
    double times[MAX_REPEATS];
    for (int r = -1; r < repeats; r++) {
        llama_memory_clear(llama_get_memory(context), 0);
        batch.n_tokens = 0;
        for (int i = 0; i < PROMPT_TOKENS; i++) push(&batch, filler(i), i, 0, i == PROMPT_TOKENS - 1);
        decode(batch);
        llama_token next = best(PROMPT_TOKENS - 1);
        const double start = seconds();
        for (int i = 0; i < tokens; i++) {
            batch.n_tokens = 0;
            push(&batch, next, PROMPT_TOKENS + i, 0, 1);
            decode(batch);
            next = best(0);
        }
        if (r >= 0) times[r] = seconds() - start;
    }
    report("llama_generate", times, repeats, tokens);
}

static void time_together(int sequences, int prompt, int tokens, int repeats) {
    struct llama_batch batch = llama_batch_init(sequences * prompt, 0, 1);
    llama_token * next = calloc(sequences, sizeof *next);
    double times[MAX_REPEATS];
    for (int r = -1; r < repeats; r++) {
        llama_memory_clear(llama_get_memory(context), 0);
        const double start = seconds();
        batch.n_tokens = 0;
        for (int s = 0; s < sequences; s++)
            for (int i = 0; i < prompt; i++) push(&batch, filler(s * prompt + i), i, s, i == prompt - 1);
        decode(batch);
        for (int s = 0; s < sequences; s++) next[s] = best(s * prompt + prompt - 1);
        for (int i = 1; i < tokens; i++) { // the prompts' pass gave the first new token
            batch.n_tokens = 0;
            for (int s = 0; s < sequences; s++) push(&batch, next[s], prompt + i - 1, s, 1);
            decode(batch);
            for (int s = 0; s < sequences; s++) next[s] = best(s);
        }
        if (r >= 0) times[r] = seconds() - start;
    }
    report("llama_together", times, repeats, sequences * tokens);
}

static void answer_one(int tokens, const char * text) {
    const struct llama_vocab * vocab = llama_model_get_vocab(model);
    llama_token ids[512];
    const int prompt = llama_tokenize(vocab, text, (int) strlen(text), ids, 512, false, false);
    if (prompt < 1) die("cannot tokenize the text");
    struct llama_batch batch = llama_batch_init(prompt, 0, 1);
    for (int i = 0; i < prompt; i++) push(&batch, ids[i], i, 0, i == prompt - 1);
    decode(batch);
    llama_token next = best(prompt - 1);
    for (int i = 0; i < tokens; i++) {
        char piece[256];
        const int length = llama_token_to_piece(vocab, next, piece, sizeof piece, 0, true);
        fprintf(stderr, "%.*s", length, piece);
        if (i + 1 == tokens) break;
        batch.n_tokens = 0;
        push(&batch, next, prompt + i, 0, 1);
        decode(batch);
        next = best(0);
    }
    fputs("\n", stderr);
}

int main(int count, char ** words) {
    if (count < 6) die("usage: llama_peer GGUF THREADS CASE NUMBERS…");
    const char * name = words[3];
    const int threads = atoi(words[2]), first = atoi(words[4]);
    open_model(words[1]);
    if (!strcmp(name, "prompt") || !strcmp(name, "generate")) {
        const int repeats = atoi(words[5]);
        if (repeats < 1 || repeats > MAX_REPEATS) die("repeats: 1 to 64");
        open_context(threads, first + 64, 1, 0);
        if (!strcmp(name, "prompt")) time_prompt(first, repeats);
        else time_generate(first, repeats);
    } else if (!strcmp(name, "together") && count == 9) {
        const int prompt = atoi(words[5]), tokens = atoi(words[6]), repeats = atoi(words[7]), unified = atoi(words[8]);
        if (repeats < 1 || repeats > MAX_REPEATS) die("repeats: 1 to 64");
        // A split cache gives each sequence its own padded room.
        open_context(threads, unified ? first * (prompt + tokens) : first * 256, first, unified);
        time_together(first, prompt, tokens, repeats);
    } else if (!strcmp(name, "one")) {
        open_context(threads, 512, 1, 0);
        answer_one(first, words[5]);
    } else {
        die("unknown case");
    }
    fflush(stdout);
    _Exit(0); // freeing everything is no part of the answer
}
