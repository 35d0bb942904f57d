//! The operations of the decoder, forward and backward.
