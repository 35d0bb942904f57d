//! Device memory: buffers, and views of parts of them.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::result;

use super::error::GpuResult;
use super::{Gpu, Inner};

/// Numbers that may lie in device memory: plain bits, of which all zeros is a value.
///
/// # Safety
/// Any bit pattern must be a value.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}
// SAFETY: plain numbers.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for i8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}
// SAFETY: as above.
unsafe impl Plain for f64 {}

/// Device memory for `len` numbers, given back when dropped, after all work queued so far.
pub struct Buffer<T: Plain> {
    address: u64,
    len: usize,
    inner: Arc<Inner>,
    of: PhantomData<T>,
}

impl<T: Plain> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer<{}>[{}]", std::any::type_name::<T>(), self.len)
    }
}

/// A part of a buffer.
///
/// Kernels read and write through views, in the order in which they are queued on the device's one
/// stream; on the host there is never a reference to the memory. So a view may be copied freely, as a
/// `&Cell` may, and the borrow says only that the buffer lives.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T: Plain> {
    address: u64,
    len: usize,
    of: PhantomData<&'a T>,
}

impl<T: Plain> Buffer<T> {
    /// Numbers it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it.
    pub fn view(&self) -> View<'_, T> {
        View {
            address: self.address,
            len: self.len,
            of: PhantomData,
        }
    }

    /// A part of it.
    ///
    /// # Panics
    /// When the part is not within.
    pub fn part(&self, range: Range<usize>) -> View<'_, T> {
        self.view().part(range)
    }

    /// From `start` to the end.
    pub fn from(&self, start: usize) -> View<'_, T> {
        self.part(start..self.len)
    }
}

impl<T: Plain> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        self.inner.bytes_freed(self.len * size_of::<T>());
        // An error here is one of earlier work; the next call reports it.
        // SAFETY: the memory came from `alloc`, on this stream, and is given back once.
        unsafe {
            let _ = self.inner.context.bind_to_thread();
            let _ = result::free_async(self.address, self.inner.stream.cu_stream());
        }
    }
}

impl<'a, T: Plain> View<'a, T> {
    /// Numbers in it.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// A part of it.
    ///
    /// # Panics
    /// When the part is not within.
    pub fn part(self, range: Range<usize>) -> View<'a, T> {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "part {range:?} of {} numbers",
            self.len
        );
        View {
            address: self.address + (range.start * size_of::<T>()) as u64,
            len: range.len(),
            of: PhantomData,
        }
    }

    /// From `start` to the end.
    pub fn from(self, start: usize) -> View<'a, T> {
        self.part(start..self.len)
    }

    /// The same memory as numbers of another type.
    ///
    /// # Panics
    /// When it does not begin where such a number may, or does not end with one.
    pub fn cast<U: Plain>(self) -> View<'a, U> {
        let bytes = self.len * size_of::<T>();
        assert!(
            self.address.is_multiple_of(align_of::<U>() as u64)
                && bytes.is_multiple_of(size_of::<U>())
        );
        View {
            address: self.address,
            len: bytes / size_of::<U>(),
            of: PhantomData,
        }
    }

    pub(crate) fn address(self) -> u64 {
        self.address
    }

    /// Where the address is stored on the host, for a launch.
    pub(super) fn address_field(&self) -> *mut std::ffi::c_void {
        std::ptr::from_ref(&self.address).cast_mut().cast()
    }

    /// Panics where fewer than `len` numbers are there: a kernel is about to touch that many.
    #[track_caller]
    pub(crate) fn holds(self, len: usize) {
        assert!(len <= self.len, "{len} numbers wanted of {}", self.len);
    }
}

impl Gpu {
    /// Memory whose contents are not defined yet.
    ///
    /// # Errors
    /// Out of memory.
    pub fn alloc<T: Plain>(&self, len: usize) -> GpuResult<Buffer<T>> {
        let bytes = len * size_of::<T>();
        let address = match bytes {
            0 => 0,
            _ => self.inner.allocate(bytes)?,
        };
        Ok(Buffer {
            address,
            len,
            inner: Arc::clone(&self.inner),
            of: PhantomData,
        })
    }

    /// Memory full of zeros.
    ///
    /// # Errors
    /// Out of memory.
    pub fn zeros<T: Plain>(&self, len: usize) -> GpuResult<Buffer<T>> {
        let buffer = self.alloc(len)?;
        self.clear(buffer.view())?;
        Ok(buffer)
    }

    /// A copy of host memory.
    ///
    /// # Errors
    /// Out of memory.
    pub fn upload<T: Plain>(&self, from: &[T]) -> GpuResult<Buffer<T>> {
        let buffer = self.alloc(from.len())?;
        self.write(from, buffer.view())?;
        Ok(buffer)
    }

    /// Copies host memory to the beginning of a view.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn write<T: Plain>(&self, from: &[T], to: View<'_, T>) -> GpuResult<()> {
        to.holds(from.len());
        if from.is_empty() {
            return Ok(());
        }
        // SAFETY: `to` holds the numbers. Pageable memory is read before the call returns; locked memory is
        // `Staging`'s, which leaves it alone until it was read.
        let done =
            unsafe { result::memcpy_htod_async(to.address, from, self.inner.stream.cu_stream()) };
        self.inner.check("copy to the device", done)
    }

    /// Copies a view to host memory and waits for it.
    ///
    /// # Errors
    /// A failure of the device, also one of work queued earlier.
    pub fn read<T: Plain>(&self, from: View<'_, T>, to: &mut [T]) -> GpuResult<()> {
        from.holds(to.len());
        if to.is_empty() {
            return Ok(());
        }
        // SAFETY: both sides hold the numbers, and we wait before `to` can be read.
        let done =
            unsafe { result::memcpy_dtoh_async(to, from.address, self.inner.stream.cu_stream()) };
        self.inner.check("copy from the device", done)?;
        self.synchronize()
    }

    /// A view as host memory.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn download<T: Plain>(&self, from: View<'_, T>) -> GpuResult<Vec<T>> {
        // SAFETY: any bit pattern is a number of a plain type, zeros too.
        let mut to = vec![unsafe { std::mem::zeroed() }; from.len];
        self.read(from, &mut to)?;
        Ok(to)
    }

    /// Copies on the device.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn copy<T: Plain>(&self, from: View<'_, T>, to: View<'_, T>) -> GpuResult<()> {
        to.holds(from.len);
        if from.is_empty() {
            return Ok(());
        }
        let bytes = from.len * size_of::<T>();
        // SAFETY: `to` holds the numbers.
        let done = unsafe {
            result::memcpy_dtod_async(
                to.address,
                from.address,
                bytes,
                self.inner.stream.cu_stream(),
            )
        };
        self.inner.check("copy on the device", done)
    }

    /// Fills a view with zeros.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn clear<T: Plain>(&self, to: View<'_, T>) -> GpuResult<()> {
        if to.is_empty() {
            return Ok(());
        }
        // SAFETY: the view is of living memory.
        let done = unsafe {
            result::memset_d8_async(
                to.address,
                0,
                to.len * size_of::<T>(),
                self.inner.stream.cu_stream(),
            )
        };
        self.inner.check("clear", done)
    }
}
