//! The card, held to what it is made of.
