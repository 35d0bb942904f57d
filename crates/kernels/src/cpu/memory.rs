//! Large buffers on huge pages: with pages of 4 KiB the walk to the next one stops the prefetcher every 64
//! cache lines, and weights that are read once a token arrive at a third of the memory's speed.

/// Buffers smaller than this are left to the allocator.
const LARGE_BYTES: usize = 2 << 20;

/// `len` zeros. Huge pages are requested from the system before the memory is first touched.
pub fn zeros<T: Clone + Default>(len: usize) -> Vec<T> {
    let values = vec![T::default(); len];
    advise(&values);
    values
}

/// Makes a buffer `len` long. What it held may be lost. It grows to powers of two: what was never touched
/// takes address space but no memory, and the holes of many small steps would.
pub fn resize_buffer<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.capacity() < len {
        *buffer = Vec::new();
        *buffer = zeros(len.next_power_of_two());
        buffer.truncate(len);
    } else {
        buffer.resize(len, T::default());
    }
}

/// Makes glibc, once, map every large buffer by itself. Left alone it learns from freed buffers to take
/// the next ones from its heap, where zeros are written out, and address space never touched becomes memory.
pub(crate) fn map_large_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        // SAFETY: sets a parameter of the allocator, which locks for it.
        ONCE.call_once(|| unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES as libc::c_int);
        });
    }
}

#[cfg(target_os = "linux")]
fn advise<T>(values: &[T]) {
    let bytes = std::mem::size_of_val(values);
    if bytes < LARGE_BYTES {
        return;
    }
    const PAGE: usize = 4096;
    let start = (values.as_ptr() as usize).next_multiple_of(PAGE);
    let end = (values.as_ptr() as usize + bytes) & !(PAGE - 1);
    // SAFETY: the pages lie within the buffer, and advice changes no content. A system without huge
    // pages says so, which costs nothing.
    unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise<T>(_: &[T]) {}
