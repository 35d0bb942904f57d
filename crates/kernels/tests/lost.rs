//! A GPU that fails under way. In a process of its own: after such an error CUDA answers nothing more.

use verdict_kernels::cuda::{Gpu, GpuError};

#[test]
fn a_gpu_that_fails_is_told_as_lost_ever_after() {
    if std::env::var("VERDICT_TEST_DEVICE").map_or(true, |name| name.is_empty()) {
        return;
    }
    let gpu = Gpu::open(0, None).expect("opens");
    gpu.enter().expect("entered");
    let table = gpu.zeros::<u16>(64).expect("memory");
    let x = gpu.zeros::<u16>(64).expect("memory");
    // A row far beyond the table: an address that is nobody's.
    let tokens = gpu.upload(&[u32::MAX]).expect("memory");
    let queued = gpu.embed_rows(tokens.view(), table.view(), 64, x.view());
    let error = queued.and_then(|()| gpu.download(x.view()).map(|_| ()));
    let text = error.as_ref().expect_err("the address is bad").to_string();
    assert!(
        matches!(error, Err(GpuError::Lost { ordinal: 0, .. })),
        "{text}"
    );
    assert!(text.contains("GPU 0 was lost ("), "{text}");
    assert!(
        text.ends_with("results since the last checkpoint are gone"),
        "{text}"
    );
    let after = gpu.zeros::<u16>(64).map(|_| ());
    assert!(matches!(after, Err(GpuError::Lost { .. })), "{after:?}");
    // Giving back what it held is not an error of its own.
    drop((tokens, x, table, gpu));
}
