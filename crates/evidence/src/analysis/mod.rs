//! How biomedical text becomes the terms of the index. Documents and questions go through the same analysis.
//!
//! 1. **Characters** (`fold.rs`): compatibility characters, accents, quotes and dashes become plain ones (NFKD).
//! 2. **Words**: runs of letters and digits. Hyphens, slashes and apostrophes connect words to a *compound*; a point
//!    belongs to a number (`0.05`), and a comma before three digits does not count (`1,000` is `1000`).
//! 3. **Pieces**: a word is divided where Greek letters meet others, and at the first border of letters and digits.
//! 4. **Terms**: each piece, each word of several pieces as a whole, and compounds of two or three words as a whole
//!    (of longer ones, each two neighbours). So `IL-6`, `IL 6` and `IL6` find each other.
//! 5. **Greek letters** by their names: `β-blocker` and `beta-blocker` are the same, as are `TNFα` and `TNF-alpha`.
//! 6. **Possessives** lose their ending: `Crohn's` is `crohn`.
//! 7. **Stop words** (`stop_words.rs`) are dropped as long as they are in lower case or begin with a capital. `WAS`,
//!    `IT` and `SET` in capitals can be genes and stay, as does the `A` of `vitamin A`, unless it begins a sentence. In a
//!    text that is all in capitals case says nothing, and it is read as if it were in lower case.
//! 8. **Stems** (Snowball's English stemmer, "Porter 2") of plain words alone: no digits, no capital after the first
//!    letter. Names in capitals are kept, without the `s` of a plural (`NSAIDs`, `miRNAs`), and have their stem as a
//!    second term, so that `aids` finds `AIDS` too.
//!
//! Positions count pieces, and a term of several pieces has the position of its first.

mod fold;
mod pieces;
mod stop_words;
mod tokenizer;

pub use self::fold::fold;
pub use self::stop_words::is_stop_word;
pub use self::tokenizer::{Analyzer, NAME, QueryTerm};
